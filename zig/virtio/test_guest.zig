//! A guest's side of a virtio-blk device for tests and fuzzing: memory, a disk in a memfd, the
//! registers, one ring laid out by hand. It can break every rule that a real driver keeps.

const std = @import("std");
const linux = std.os.linux;
const blk = @import("../devices/virtio/blk.zig");
const device = @import("device.zig");
const errors = @import("../errors.zig");
const mmio = @import("mmio.zig");
const queue = @import("queue.zig");
const system = @import("../kernel/system.zig");
const AddOptions = @import("../memory/guest_memory.zig").AddOptions;
const GuestMemory = @import("../memory/guest_memory.zig").GuestMemory;
const Line = @import("../bus/interrupt.zig").Line;
const Loop = @import("../io/loop.zig").Loop;

pub const memory_base = 0x10_0000;
pub const memory_size = 4 * 1024 * 1024;
pub const descriptors_address = memory_base;
pub const available_address = memory_base + 0x8000;
pub const used_address = memory_base + 0xa000;
/// Free for headers, status bytes and indirect tables.
pub const scratch_address = memory_base + 0x1_0000;
pub const data_address = memory_base + 0x10_0000;

pub const version_1: u64 = device.feature_version_1;
pub const disk_size = 1024 * 1024;

pub const Buffer = struct { address: u64, length: u32, writable: bool = false };

pub const Guest = struct {
    failure: errors.Failure = .{},
    memory: GuestMemory = .{},
    loop: Loop = .{},
    line: Line = .{},
    block: blk.Block = undefined,
    transport: mmio.Mmio = undefined,
    disk_fd: i32 = -1,
    /// The queue that is driven.
    queue_index: u16 = 0,
    queue_size: u16 = 0,
    next_descriptor: u16 = 0,
    available_index: u16 = 0,
    used_seen: u16 = 0,

    /// `params.fd` of -1: a memfd of `disk_size` bytes is made.
    pub fn init(self: *Guest, params: blk.Params) !void {
        self.* = .{};
        const memory: AddOptions = .{ .guest_address = memory_base, .size = memory_size };
        _ = try self.memory.add(memory, &self.failure);
        self.line.fd = system.eventfd().fd();
        try self.loop.start("io-test", &self.failure);
        var given = params;
        if (given.fd < 0) {
            given.fd = system.result(linux.memfd_create("disk", linux.MFD.CLOEXEC)).fd();
            _ = linux.ftruncate(given.fd, disk_size);
            given.capacity_bytes = disk_size;
        }
        self.disk_fd = given.fd;
        try self.block.init(given, &self.loop, &self.failure);
        try self.transport.init(.{
            .memory = &self.memory,
            .loop = &self.loop,
            .interrupt = .{ .line = &self.line },
            .model = .{ .blk = &self.block },
        }, &self.failure);
    }

    pub fn deinit(self: *Guest) void {
        self.transport.deinit();
        self.block.deinit();
        self.loop.stop();
        system.close(self.line.fd);
        system.close(self.disk_fd);
        self.memory.deinit();
    }

    pub fn readRegister(self: *Guest, offset: u64) u32 {
        var value: [4]u8 = undefined;
        self.transport.read(offset, &value);
        return std.mem.readInt(u32, &value, .little);
    }

    pub fn writeRegister(self: *Guest, offset: u64, value: u32) void {
        self.transport.write(offset, std.mem.asBytes(&value));
    }

    /// Reset, features, queue 0, DRIVER_OK: as a driver does it.
    pub fn start(self: *Guest, features: u64, queue_size: u16) void {
        self.negotiate(features);
        self.setUpQueue(queue_size);
        self.writeRegister(0x70, 15);
    }

    pub fn negotiate(self: *Guest, features: u64) void {
        self.writeRegister(0x70, 0);
        self.writeRegister(0x70, 1);
        self.writeRegister(0x70, 3);
        self.writeRegister(0x24, 0);
        self.writeRegister(0x20, @truncate(features));
        self.writeRegister(0x24, 1);
        self.writeRegister(0x20, @truncate(features >> 32));
        self.writeRegister(0x70, 11);
    }

    pub fn setUpQueue(self: *Guest, queue_size: u16) void {
        self.queue_size = queue_size;
        self.next_descriptor = 0;
        self.available_index = 0;
        self.used_seen = 0;
        const rings = self.memory.slice(memory_base, 0x1_0000) orelse unreachable;
        @memset(rings, 0);
        self.writeRegister(0x30, self.queue_index);
        self.writeRegister(0x38, queue_size);
        self.writeRegister(0x80, descriptors_address);
        self.writeRegister(0x90, available_address);
        self.writeRegister(0xa0, used_address);
        self.writeRegister(0x44, 1);
    }

    pub fn bytes(self: *Guest, address: u64, size: u64) []u8 {
        return self.memory.slice(address, size) orelse unreachable;
    }

    pub fn descriptor(self: *Guest, index: u16) *align(1) queue.Descriptor {
        return @ptrCast(self.bytes(descriptors_address + 16 * @as(u64, index), 16).ptr);
    }

    /// Writes a chain into the table and offers it; the guest sees no notification yet.
    pub fn offer(self: *Guest, buffers: []const Buffer) u16 {
        const head = self.next_descriptor;
        for (buffers, 0..) |buffer, position| {
            const index = (head + position) % self.queue_size;
            const more = position + 1 < buffers.len;
            var flags: u16 = if (buffer.writable) queue.flag_write else 0;
            if (more) flags |= queue.flag_next;
            self.descriptor(@intCast(index)).* = .{
                .address = buffer.address,
                .length = buffer.length,
                .flags = flags,
                .next = @intCast((index + 1) % self.queue_size),
            };
        }
        self.next_descriptor = @intCast((head + buffers.len) % self.queue_size);
        self.offerHead(head);
        return head;
    }

    pub fn offerHead(self: *Guest, head: u16) void {
        const slot = available_address + 4 + 2 * @as(u64, self.available_index % self.queue_size);
        std.mem.writeInt(u16, self.bytes(slot, 2)[0..2], head, .little);
        self.available_index +%= 1;
        const index: *u16 = @ptrCast(@alignCast(self.bytes(available_address + 2, 2).ptr));
        @atomicStore(u16, index, self.available_index, .seq_cst);
    }

    pub fn kick(self: *Guest) void {
        self.writeRegister(mmio.notify_offset, self.queue_index);
    }

    pub fn usedIndex(self: *Guest) u16 {
        const index: *u16 = @ptrCast(@alignCast(self.bytes(used_address + 2, 2).ptr));
        return @atomicLoad(u16, index, .seq_cst);
    }

    /// Waits for `count` more used chains.
    pub fn awaitUsed(self: *Guest, count: u16) void {
        self.used_seen +%= count;
        while (self.usedIndex() != self.used_seen) self.awaitInterrupt();
    }

    pub fn awaitStatus(self: *Guest, bit: u32) void {
        while (self.readRegister(0x70) & bit == 0) self.awaitInterrupt();
    }

    fn awaitInterrupt(self: *Guest) void {
        var poll = [_]linux.pollfd{.{ .fd = self.line.fd, .events = linux.POLL.IN, .revents = 0 }};
        const answer = system.result(linux.poll(&poll, 1, 10_000));
        if (answer.value == 0) @panic("no interrupt within ten seconds");
        system.eventfdDrain(self.line.fd);
    }

    /// A request header at `scratch_address + 32 * slot`, with its status byte 16 further on.
    pub fn header(self: *Guest, slot: u64, request_type: u32, sector: u64) u64 {
        const address = scratch_address + 32 * slot;
        const target = self.bytes(address, 17);
        std.mem.writeInt(u32, target[0..4], request_type, .little);
        std.mem.writeInt(u32, target[4..8], 0, .little);
        std.mem.writeInt(u64, target[8..16], sector, .little);
        target[16] = 0xff;
        return address;
    }

    pub fn statusByte(self: *Guest, slot: u64) u8 {
        return self.bytes(scratch_address + 32 * slot + 16, 1)[0];
    }

    /// Offers a flush of a disk with its header at a slot.
    pub fn offerFlush(self: *Guest, slot: u64) void {
        const address = self.header(slot, 4, 0);
        _ = self.offer(&.{
            .{ .address = address, .length = 16 },
            .{ .address = address + 16, .length = 1, .writable = true },
        });
    }

    /// Interrupts since the last look at them; at least one.
    pub fn interruptCount(self: *Guest) u64 {
        var count: u64 = 0;
        _ = linux.read(self.line.fd, std.mem.asBytes(&count), @sizeOf(u64));
        return count;
    }

    /// One whole request in slot 0; returns the status.
    pub fn request(
        self: *Guest,
        request_type: u32,
        sector: u64,
        data: []const Buffer,
    ) u8 {
        const address = self.header(0, request_type, sector);
        var buffers: [64]Buffer = undefined;
        buffers[0] = .{ .address = address, .length = 16 };
        @memcpy(buffers[1..][0..data.len], data);
        const last = data.len + 1;
        buffers[last] = .{ .address = address + 16, .length = 1, .writable = true };
        _ = self.offer(buffers[0 .. last + 1]);
        self.kick();
        self.awaitUsed(1);
        return self.statusByte(0);
    }
};
