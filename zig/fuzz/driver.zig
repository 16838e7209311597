//! The driver's side of any virtio device behind its registers, for fuzzers: it starts the device,
//! offers chains of every kind, good and bad, and waits only as long as something may still happen.

const std = @import("std");
const linux = std.os.linux;
const body = @import("../devices/virtio/body.zig");
const device_module = @import("../virtio/device.zig");
const errors = @import("../errors.zig");
const ground_module = @import("ground.zig");
const limits = @import("../limits.zig");
const mmio = @import("../virtio/mmio.zig");
const queue_module = @import("../virtio/queue.zig");
const system = @import("../kernel/system.zig");
const Chardev = @import("../io/chardev.zig").Chardev;
const Doorbell = @import("../io/doorbell.zig").Doorbell;
const Ground = ground_module.Ground;
const Line = @import("../bus/interrupt.zig").Line;
const Loop = @import("../io/loop.zig").Loop;

/// Rings of one queue, with place for `ring_size_max` entries.
const rings_size = 0x2000;
const available_offset = 0x1000;
const used_offset = 0x1400;
const ring_size_max = 256;
const output_piece_count_max = 4;
const piece_count_max = output_piece_count_max + 3;

/// What a device's own fuzzer says of a request that makes sense. Bytes that the device reads come
/// first, then room that it writes into.
pub const Request = struct {
    output: [512]u8 = @splat(0),
    output_size: u32 = 0,
    /// Bytes of guest memory as they are, behind `output`.
    payload_size: u32 = 0,
    input_size: u32 = 0,
    /// Room in a buffer of its own, behind the input.
    status_size: u32 = 0,

    /// Appends a number or a struct to the output.
    pub fn put(self: *Request, value: anytype) void {
        const bytes = std.mem.asBytes(&value);
        @memcpy(self.output[self.output_size..][0..bytes.len], bytes);
        self.output_size += bytes.len;
    }
};

const Ring = struct { size: u16 = 0, next_descriptor: u16 = 0, available_index: u16 = 0 };

const Buffer = struct { address: u64, length: u32, writable: bool = false };

/// Character back ends that a device may name by number.
pub const chardev_count = 2;

pub const Driver = struct {
    ground: Ground = .{},
    failure: errors.Failure = .{},
    loop: Loop = .{},
    line: Line = .{},
    doorbell: Doorbell = .{},
    /// Character back ends, for the devices that want some: sockets, and the peers at their ends.
    chardevs: [chardev_count]Chardev = undefined,
    chardev_fds: [chardev_count]i32 = @splat(-1),
    peers: [chardev_count]i32 = @splat(-1),
    body: body.Body = undefined,
    transport: mmio.Mmio = undefined,
    rings: [limits.queue_count_max]Ring = @splat(.{}),
    scratch_used: u64 = 0,

    pub const Options = struct {
        kind: body.Kind,
        /// The parameter struct of the model.
        details: []const u8,
        sharing: ground_module.Sharing = .some,
    };

    /// `self` stays at one address until `deinit`.
    pub fn init(self: *Driver, options: Options) !void {
        self.* = .{};
        try self.ground.init(options.sharing);
        try self.doorbell.open(&self.failure);
        self.line.fd = system.eventfd().fd();
        try self.loop.start("io-fuzz", &self.failure);
        var chardevs: [chardev_count]*Chardev = undefined;
        for (&chardevs, 0..) |*chardev, index| chardev.* = try self.openChardev(index);
        try self.body.init(.{
            .kind = options.kind,
            .details = options.details,
            .loop = &self.loop,
            .chardevs = &chardevs,
        }, &self.failure);
        try self.transport.init(.{
            .memory = &self.ground.memory,
            .loop = &self.loop,
            .interrupt = .{ .line = &self.line },
            .model = self.body.model(),
            .doorbell = &self.doorbell,
        }, &self.failure);
    }

    fn openChardev(self: *Driver, index: usize) !*Chardev {
        const kind = linux.SOCK.STREAM | linux.SOCK.CLOEXEC | linux.SOCK.NONBLOCK;
        var ends: [2]i32 = undefined;
        const made = system.result(linux.socketpair(linux.AF.UNIX, kind, 0, &ends));
        if (!made.ok()) return error.NoSocket;
        self.chardev_fds[index] = ends[0];
        self.peers[index] = ends[1];
        const chardev = &self.chardevs[index];
        chardev.* = .{
            .loop = &self.loop,
            .doorbell = &self.doorbell,
            .options = .{ .input_fd = ends[0], .output_fd = ends[0] },
        };
        try chardev.start(&self.failure);
        return chardev;
    }

    pub fn deinit(self: *Driver) void {
        self.transport.deinit();
        self.body.deinit();
        for (&self.chardevs) |*chardev| chardev.stop();
        self.loop.stop();
        for (self.chardev_fds ++ self.peers) |fd| system.close(fd);
        system.close(self.line.fd);
        self.doorbell.close();
        self.ground.deinit();
    }

    pub fn device(self: *Driver) *device_module.Device {
        return &self.transport.device;
    }

    pub fn writeRegister(self: *Driver, offset: u64, value: u32) void {
        self.transport.write(offset, std.mem.asBytes(&value));
    }

    pub fn readRegister(self: *Driver, offset: u64) u32 {
        var value: [4]u8 = undefined;
        self.transport.read(offset, &value);
        return std.mem.readInt(u32, &value, .little);
    }

    /// As a driver begins (virtio 1.2, section 3.1.1). `wanted` are features; those that are not
    /// offered are left out.
    pub fn start(self: *Driver, wanted: u64, ring_size: u16) void {
        for ([_]u32{ 0, 1, 3 }) |status| self.writeRegister(0x70, status);
        const features = (wanted & self.device().features) | device_module.feature_version_1;
        self.writeRegister(0x24, 0);
        self.writeRegister(0x20, @truncate(features));
        self.writeRegister(0x24, 1);
        self.writeRegister(0x20, @truncate(features >> 32));
        self.writeRegister(0x70, 11);
        for (0..self.queueCount()) |index| self.setUpQueue(@intCast(index), ring_size);
        self.writeRegister(0x70, 15);
    }

    pub fn queueCount(self: *Driver) u16 {
        return self.device().queue_count;
    }

    pub fn setUpQueue(self: *Driver, index: u16, ring_size: u16) void {
        const base = ringsAddress(index);
        const size = @min(ring_size, ring_size_max);
        @memset(self.ground.bytes(base, rings_size), 0);
        self.rings[index] = .{ .size = size };
        self.writeRegister(0x30, index);
        self.writeRegister(0x38, size);
        self.writeRegister(0x80, @intCast(base));
        self.writeRegister(0x90, @intCast(base + available_offset));
        self.writeRegister(0xa0, @intCast(base + used_offset));
        self.writeRegister(0x44, 1);
    }

    pub fn kick(self: *Driver, index: u16) void {
        self.writeRegister(mmio.notify_offset, index);
    }

    /// Lets the device catch up with what was offered, unless it is not going to.
    pub fn settle(self: *Driver, index: u16) void {
        self.kick(index);
        for (0..100) |_| {
            if (!self.behind(index)) return;
            std.Thread.yield() catch return;
        }
    }

    fn behind(self: *Driver, index: u16) bool {
        const target = self.device();
        target.work.lock();
        defer target.work.unlock();
        if (!target.runnable(index)) return false;
        return target.queues[index].state.next_available != self.rings[index].available_index;
    }

    pub fn isBroken(self: *Driver) bool {
        return self.readRegister(0x70) & device_module.status_needs_reset != 0;
    }

    /// Descriptors of any content, some of them near what is valid.
    pub fn offerRandom(self: *Driver, index: u16, random: std.Random) void {
        const ring = &self.rings[index];
        if (ring.size == 0) return;
        for (0..random.uintLessThan(usize, 8)) |_| {
            const number = random.uintLessThan(u16, ring.size);
            self.descriptor(index, number).* = randomDescriptor(random, ring.size);
        }
        const table = self.takeScratch(16 * 16);
        for (0..4) |_| {
            const target = table + 16 * random.uintLessThan(u64, 16);
            const bytes = self.ground.bytes(target, 16);
            @memcpy(bytes, std.mem.asBytes(&randomDescriptor(random, 16)));
        }
        const wild = random.uintLessThan(u32, 50) == 0;
        const head = random.int(u16);
        self.offerHead(index, if (wild) head else head % ring.size);
    }

    /// A request that its device knows, in buffers of random cut, directly or by a table, and now
    /// and then not quite as it should be.
    pub fn offer(self: *Driver, index: u16, request: *const Request, random: std.Random) void {
        if (self.rings[index].size < piece_count_max) return;
        var storage: [piece_count_max]Buffer = undefined;
        const buffers = self.place(request, &storage, random);
        if (buffers.len == 0) return;
        const chosen = &buffers[random.uintLessThan(usize, buffers.len)];
        if (random.uintLessThan(u32, 24) == 0) spoil(chosen, random);
        const may = self.device().negotiated(device_module.feature_indirect);
        const indirect = random.uintLessThan(u32, 3) == 0 and may;
        if (indirect) self.offerTable(index, buffers) else self.offerDirect(index, buffers);
    }

    /// Puts a request into guest memory.
    fn place(
        self: *Driver,
        request: *const Request,
        storage: *[piece_count_max]Buffer,
        random: std.Random,
    ) []Buffer {
        var count: usize = 0;
        var done: u32 = 0;
        while (done < request.output_size) : (count += 1) {
            const rest = request.output_size - done;
            const whole = count == output_piece_count_max - 1 or random.boolean();
            const length = if (whole) rest else 1 + random.uintLessThan(u32, rest);
            storage[count] = .{ .address = self.takeScratch(length), .length = length };
            const target = self.ground.bytes(storage[count].address, length);
            @memcpy(target, request.output[done..][0..length]);
            done += length;
        }
        const others = [_]Buffer{
            .{ .address = 0, .length = request.payload_size },
            .{ .address = 0, .length = request.input_size, .writable = true },
            .{ .address = 0, .length = request.status_size, .writable = true },
        };
        for (others) |buffer| {
            if (buffer.length == 0) continue;
            storage[count] = buffer;
            storage[count].address = dataAddress(buffer.length, random);
            count += 1;
        }
        return storage[0..count];
    }

    fn offerDirect(self: *Driver, index: u16, buffers: []const Buffer) void {
        const ring = &self.rings[index];
        const head = ring.next_descriptor;
        for (buffers, 0..) |buffer, position| {
            const number: u16 = @intCast((head + position) % ring.size);
            const next: u16 = @intCast((number + 1) % ring.size);
            const is_last = position + 1 == buffers.len;
            self.descriptor(index, number).* = describe(buffer, if (is_last) null else next);
        }
        ring.next_descriptor = @intCast((head + buffers.len) % ring.size);
        self.offerHead(index, head);
    }

    fn offerTable(self: *Driver, index: u16, buffers: []const Buffer) void {
        const ring = &self.rings[index];
        const size: u32 = @intCast(buffers.len * @sizeOf(queue_module.Descriptor));
        const table = self.takeScratch(size);
        for (buffers, 0..) |buffer, position| {
            const next: u16 = @intCast(position + 1);
            const entry = describe(buffer, if (next == buffers.len) null else next);
            @memcpy(self.ground.bytes(table + 16 * position, 16), std.mem.asBytes(&entry));
        }
        const head = ring.next_descriptor;
        self.descriptor(index, head).* = .{
            .address = table,
            .length = size,
            .flags = queue_module.flag_indirect,
            .next = 0,
        };
        ring.next_descriptor = (head + 1) % ring.size;
        self.offerHead(index, head);
    }

    fn offerHead(self: *Driver, index: u16, head: u16) void {
        const ring = &self.rings[index];
        const slot = 4 + 2 * @as(u64, ring.available_index % ring.size);
        self.ringWord(index, available_offset + slot).* = head;
        ring.available_index +%= 1;
        self.publish(index, ring.available_index);
    }

    /// Shows an available index, be it true or not.
    pub fn publish(self: *Driver, index: u16, value: u16) void {
        @atomicStore(u16, self.ringWord(index, available_offset + 2), value, .seq_cst);
    }

    /// Offers a request that must be answered, and waits until it is.
    pub fn prove(self: *Driver, index: u16, request: *const Request, random: std.Random) !void {
        const before = self.usedIndex(index);
        var storage: [piece_count_max]Buffer = undefined;
        self.offerDirect(index, self.place(request, &storage, random));
        self.kick(index);
        var poll = [_]linux.pollfd{.{ .fd = self.line.fd, .events = linux.POLL.IN, .revents = 0 }};
        for (0..200) |_| {
            if (self.usedIndex(index) != before) return;
            _ = linux.poll(&poll, poll.len, 100);
            system.eventfdDrain(self.line.fd);
        }
        return error.BrokenAfterReset;
    }

    fn usedIndex(self: *Driver, index: u16) u16 {
        return @atomicLoad(u16, self.ringWord(index, used_offset + 2), .seq_cst);
    }

    fn ringWord(self: *Driver, index: u16, offset: u64) *u16 {
        return @ptrCast(@alignCast(self.ground.bytes(ringsAddress(index) + offset, 2).ptr));
    }

    fn descriptor(self: *Driver, index: u16, number: u16) *queue_module.Descriptor {
        const address = ringsAddress(index) + 16 * @as(u64, number);
        return @ptrCast(@alignCast(self.ground.bytes(address, 16).ptr));
    }

    /// Guest memory for a header or a table; it comes around again.
    fn takeScratch(self: *Driver, size: u64) u64 {
        if (self.scratch_used + size > ground_module.scratch_size) self.scratch_used = 0;
        defer self.scratch_used += size;
        return ground_module.scratch_address + self.scratch_used;
    }
};

fn ringsAddress(index: u16) u64 {
    return ground_module.first_address + rings_size * @as(u64, index);
}

fn describe(buffer: Buffer, next: ?u16) queue_module.Descriptor {
    const write: u16 = if (buffer.writable) queue_module.flag_write else 0;
    const more: u16 = if (next == null) 0 else queue_module.flag_next;
    return .{
        .address = buffer.address,
        .length = buffer.length,
        .flags = write | more,
        .next = next orelse 0,
    };
}

/// A place for so many bytes among the data; beyond its end if there are more than fit.
fn dataAddress(length: u32, random: std.Random) u64 {
    const room = @as(u64, ground_module.data_size) -| length;
    return ground_module.data_address + random.uintAtMost(u64, room);
}

fn spoil(buffer: *Buffer, random: std.Random) void {
    switch (random.uintLessThan(u32, 4)) {
        0 => buffer.address = randomAddress(random),
        1 => buffer.length = randomLength(random),
        2 => buffer.writable = !buffer.writable,
        else => buffer.length -= 1,
    }
}

fn randomDescriptor(random: std.Random, table_size: u16) queue_module.Descriptor {
    const rare = random.uintLessThan(u32, 20) == 0;
    const next = random.int(u16);
    return .{
        .address = randomAddress(random),
        .length = randomLength(random),
        .flags = if (rare) random.int(u16) else random.int(u16) & 7,
        .next = if (rare) next else next % table_size,
    };
}

/// Any address, but most of them in memory or at its edges.
pub fn randomAddress(random: std.Random) u64 {
    return switch (random.uintLessThan(u32, 8)) {
        0 => random.int(u64),
        1, 2 => ground_module.edges[random.uintLessThan(usize, ground_module.edges.len)] +
            random.uintLessThan(u64, 64) - 32,
        3 => ground_module.first_address + random.uintLessThan(u64, 4 * rings_size),
        4 => ground_module.scratch_address + random.uintLessThan(u64, ground_module.scratch_size),
        5 => std.math.maxInt(u64) - random.uintLessThan(u64, 4096),
        else => ground_module.data_address + random.uintLessThan(u64, ground_module.data_size),
    };
}

pub fn randomLength(random: std.Random) u32 {
    return switch (random.uintLessThan(u32, 8)) {
        0 => random.int(u32),
        1 => 0,
        2 => 16 * random.uintLessThan(u32, 20),
        3 => std.math.maxInt(u32) - random.uintLessThan(u32, 16),
        4 => 4096 * random.uintLessThan(u32, 64),
        5 => random.uintLessThan(u32, 64),
        else => 512 * random.uintLessThan(u32, 16),
    };
}
