//! The MMIO registers: what a driver sees, the order of the status bits, faults and resets.

const std = @import("std");
const linux = std.os.linux;
const blk_config = @import("../devices/virtio/blk_config.zig");
const device = @import("device.zig");
const system = @import("../kernel/system.zig");
const test_guest = @import("test_guest.zig");

const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const Guest = test_guest.Guest;
const data = test_guest.data_address;
const usual = test_guest.version_1 | blk_config.feature_flush;

test "a driver finds a block device, its features and its config" {
    var guest: Guest = undefined;
    try guest.init(.{ .flags = blk_config.flag_discard });
    defer guest.deinit();
    try expectEqual(0x74726976, guest.readRegister(0));
    try expectEqual(2, guest.readRegister(4));
    try expectEqual(2, guest.readRegister(8));
    guest.writeRegister(0x14, 1);
    try expectEqual(1, guest.readRegister(0x10));
    guest.writeRegister(0x14, 2);
    try expectEqual(0, guest.readRegister(0x10));
    try expectEqual(256, guest.readRegister(0x34));
    guest.writeRegister(0x30, 1);
    try expectEqual(0, guest.readRegister(0x34));
    try expectEqual(0xffff_ffff, guest.readRegister(0xb0));
    var capacity: [8]u8 = undefined;
    guest.transport.read(0x100, &capacity);
    try expectEqual(test_guest.disk_size / 512, std.mem.readInt(u64, &capacity, .little));
    var byte: [1]u8 = .{0xaa};
    guest.transport.read(0x1ff, &byte);
    try expectEqual(0, byte[0]);
    try expectEqual(254, guest.readRegister(0x10c));
    try expectEqual(0x7f_ffff, guest.readRegister(0x124));
    try expectEqual(0, guest.readRegister(0x130));
}

test "wrong widths and offsets read as zero and write nothing" {
    var guest: Guest = undefined;
    try guest.init(.{});
    defer guest.deinit();
    var wide: [8]u8 = @splat(0xff);
    guest.transport.read(0, &wide);
    try expectEqual(@as([8]u8, @splat(0)), wide);
    guest.transport.write(0x70, &.{1});
    guest.transport.write(0x71, &.{ 1, 0, 0, 0 });
    try expectEqual(0, guest.readRegister(0x70));
    guest.transport.write(0x1fe, &wide);
    guest.transport.read(0x1fc, &wide);
    guest.writeRegister(0x50, 77);
    guest.writeRegister(0x30, 64);
    guest.writeRegister(0x44, 1);
}

test "features without VERSION_1 or never offered are not accepted" {
    var guest: Guest = undefined;
    try guest.init(.{});
    defer guest.deinit();
    guest.negotiate(blk_config.feature_flush);
    try expectEqual(3, guest.readRegister(0x70));
    guest.writeRegister(0x70, 15);
    try expectEqual(3, guest.readRegister(0x70));
    guest.negotiate(usual | 1 << 40);
    try expectEqual(3, guest.readRegister(0x70));
    guest.negotiate(usual);
    try expectEqual(11, guest.readRegister(0x70));
    guest.writeRegister(0x24, 0);
    guest.writeRegister(0x20, 0);
    try expect(guest.transport.device.negotiated(blk_config.feature_flush));
}

test "a used buffer raises the line and its status bit, which an acknowledge clears" {
    var guest: Guest = undefined;
    try guest.init(.{});
    defer guest.deinit();
    guest.start(usual, 16);
    _ = guest.request(4, 0, &.{});
    try expectEqual(1, guest.readRegister(0x60));
    guest.writeRegister(0x64, 1);
    try expectEqual(0, guest.readRegister(0x60));
    guest.block.setCapacity(512 * 100);
    try expectEqual(2, guest.readRegister(0x60));
    try expectEqual(1, guest.readRegister(0xfc));
    try expectEqual(100, guest.readRegister(0x100));
}

test "a broken ring asks for a reset and works again after it" {
    var guest: Guest = undefined;
    try guest.init(.{});
    defer guest.deinit();
    guest.start(usual, 16);
    guest.available_index = 100;
    guest.offerHead(0);
    guest.kick();
    guest.awaitStatus(device.status_needs_reset);
    try expectEqual(2, guest.readRegister(0x60));
    guest.start(usual, 16);
    try expectEqual(15, guest.readRegister(0x70));
    try expectEqual(0, guest.request(4, 0, &.{}));
    try expectEqual(1, guest.transport.device.fault_count);
}

test "a request without header or status breaks the device" {
    var guest: Guest = undefined;
    try guest.init(.{});
    defer guest.deinit();
    guest.start(usual, 16);
    _ = guest.offer(&.{.{ .address = data, .length = 16 }});
    guest.kick();
    guest.awaitStatus(device.status_needs_reset);
    guest.start(usual, 16);
    _ = guest.offer(&.{
        .{ .address = data, .length = 15 },
        .{ .address = data, .length = 1, .writable = true },
    });
    guest.kick();
    guest.awaitStatus(device.status_needs_reset);
}

test "a queue outside memory asks for a reset" {
    var guest: Guest = undefined;
    try guest.init(.{});
    defer guest.deinit();
    guest.negotiate(usual);
    guest.writeRegister(0x84, 0xffff_ffff);
    guest.writeRegister(0x44, 1);
    try expectEqual(0, guest.readRegister(0x44));
    try expect(guest.readRegister(0x70) & device.status_needs_reset != 0);
}

test "a queue that is switched off and on starts from its beginning" {
    var guest: Guest = undefined;
    try guest.init(.{});
    defer guest.deinit();
    guest.start(usual, 16);
    try expectEqual(0, guest.request(4, 0, &.{}));
    guest.writeRegister(0x44, 0);
    try expectEqual(0, guest.readRegister(0x44));
    guest.setUpQueue(16);
    try expectEqual(0, guest.request(4, 0, &.{}));
}

const Reset = struct {
    guest: *Guest,
    done: std.atomic.Value(bool) = .init(false),

    fn run(self: *Reset) void {
        self.guest.writeRegister(0x70, 0);
        self.done.store(true, .release);
    }
};

/// Whether a thread waits for the requests in flight.
fn drains(guest: *Guest) bool {
    const work = &guest.transport.device.work;
    work.lock();
    defer work.unlock();
    return guest.block.drain_waits;
}

test "a reset waits for I/O in flight and the guest's rings stay untouched" {
    var pipe: [2]i32 = undefined;
    _ = linux.pipe2(&pipe, .{ .CLOEXEC = true });
    defer system.close(pipe[1]);
    var guest: Guest = undefined;
    // io_uring reads a pipe at any offset: a disk that answers when the test wants.
    try guest.init(.{ .fd = pipe[0], .capacity_bytes = 4096, .engine = .io_uring });
    defer guest.deinit();
    guest.start(usual, 16);
    const address = guest.header(0, 0, 0);
    _ = guest.offer(&.{
        .{ .address = address, .length = 16 },
        .{ .address = data, .length = 512, .writable = true },
        .{ .address = address + 16, .length = 1, .writable = true },
    });
    guest.kick();
    while (guest.block.in_flight.load(.acquire) == 0) try std.Thread.yield();
    var reset: Reset = .{ .guest = &guest };
    const thread = try std.Thread.spawn(.{}, Reset.run, .{&reset});
    while (!drains(&guest)) try std.Thread.yield();
    try expect(!reset.done.load(.acquire));
    const answer: [512]u8 = @splat(7);
    _ = linux.write(pipe[1], &answer, answer.len);
    thread.join();
    try expectEqual(0, guest.block.in_flight.load(.acquire));
    try expectEqual(0, guest.usedIndex());
    try expectEqual(0xff, guest.statusByte(0));
    try expectEqual(0, guest.readRegister(0x60));
}

test "a saved device goes on in a new one" {
    var old: Guest = undefined;
    try old.init(.{});
    defer old.deinit();
    old.start(usual, 16);
    for (0..20) |_| try expectEqual(0, old.request(4, 0, &.{}));
    old.transport.device.pause();
    const saved = old.transport.device.save();
    var new: Guest = undefined;
    try new.init(.{});
    defer new.deinit();
    const all = test_guest.memory_size;
    @memcpy(new.bytes(test_guest.memory_base, all), old.bytes(test_guest.memory_base, all));
    const restored = &new.transport.device;
    try restored.restore(saved, &.{old.transport.device.queues[0].state});
    restored.unpause();
    new.queue_size = old.queue_size;
    new.next_descriptor = old.next_descriptor;
    new.available_index = old.available_index;
    new.used_seen = old.used_seen;
    try expectEqual(15, new.readRegister(0x70));
    try expectEqual(0, new.request(4, 0, &.{}));
    try std.testing.expectError(error.Invalid, restored.restore(saved, &.{}));
}
