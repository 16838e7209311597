//! virtio-blk through the registers and a ring, over a memfd, with each engine.

const std = @import("std");
const linux = std.os.linux;
const blk_config = @import("blk_config.zig");
const device = @import("../../virtio/device.zig");
const engine = @import("../../io/engine.zig");
const test_guest = @import("../../virtio/test_guest.zig");

const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const Guest = test_guest.Guest;
const data = test_guest.data_address;

const flush_feature = blk_config.feature_flush;
const usual = test_guest.version_1 | flush_feature | device.feature_indirect;
const engines = [_]engine.Kind{ .sync, .io_uring, .native };

test "what is written is read back, split over several buffers, with every engine" {
    for (engines) |kind| {
        var guest: Guest = undefined;
        try guest.init(.{ .engine = kind });
        defer guest.deinit();
        guest.start(usual, 64);
        for (guest.bytes(data, 4096), 0..) |*byte, index| byte.* = @truncate(index *% 7);
        try expectEqual(0, guest.request(1, 3, &.{
            .{ .address = data, .length = 1000 },
            .{ .address = data + 1000, .length = 3096 },
        }));
        try expectEqual(0, guest.request(0, 3, &.{
            .{ .address = data + 0x2000, .length = 1, .writable = true },
            .{ .address = data + 0x2001, .length = 4095, .writable = true },
        }));
        try std.testing.expectEqualSlices(
            u8,
            guest.bytes(data, 4096),
            guest.bytes(data + 0x2000, 4096),
        );
        try expectEqual(0, guest.request(4, 0, &.{}));
    }
}

test "a durable write completes where no flush was negotiated" {
    for (engines) |kind| {
        var guest: Guest = undefined;
        try guest.init(.{ .engine = kind, .flags = blk_config.flag_discard });
        defer guest.deinit();
        guest.start(test_guest.version_1, 64);
        try expectEqual(0, guest.request(1, 0, &.{.{ .address = data, .length = 512 }}));
        try expect(guest.block.write_through);
    }
}

test "the serial number is padded with zeroes" {
    var guest: Guest = undefined;
    var serial: [20]u8 = @splat(0);
    @memcpy(serial[0..4], "disk");
    try guest.init(.{ .serial = serial });
    defer guest.deinit();
    guest.start(usual, 64);
    @memset(guest.bytes(data, 32), 0xaa);
    const target: test_guest.Buffer = .{ .address = data, .length = 20, .writable = true };
    try expectEqual(0, guest.request(8, 0, &.{target}));
    try std.testing.expectEqualSlices(u8, &serial, guest.bytes(data, 20));
    try expectEqual(0xaa, guest.bytes(data + 20, 1)[0]);
}

test "requests outside the disk, of odd length or of no known type are refused" {
    var guest: Guest = undefined;
    try guest.init(.{});
    defer guest.deinit();
    guest.start(usual, 64);
    const sectors = test_guest.disk_size / 512;
    const one: test_guest.Buffer = .{ .address = data, .length = 512 };
    const odd: test_guest.Buffer = .{ .address = data, .length = 511 };
    const two: test_guest.Buffer = .{ .address = data, .length = 1024 };
    try expectEqual(0, guest.request(1, sectors - 1, &.{one}));
    try expectEqual(1, guest.request(1, sectors, &.{one}));
    try expectEqual(1, guest.request(1, sectors - 1, &.{two}));
    try expectEqual(1, guest.request(1, std.math.maxInt(u64), &.{one}));
    try expectEqual(1, guest.request(1, 0, &.{odd}));
    try expectEqual(2, guest.request(2, 0, &.{one}));
    try expectEqual(2, guest.request(11, 0, &.{one}));
    try expectEqual(2, guest.request(13, 0, &.{one}));
}

test "a read-only disk is read and not written" {
    var guest: Guest = undefined;
    try guest.init(.{ .flags = blk_config.flag_read_only });
    defer guest.deinit();
    guest.start(usual, 64);
    try expectEqual(1, guest.request(1, 0, &.{.{ .address = data, .length = 512 }}));
    const target: test_guest.Buffer = .{ .address = data, .length = 512, .writable = true };
    try expectEqual(0, guest.request(0, 0, &.{target}));
}

test "header and status are found in whatever layout" {
    var guest: Guest = undefined;
    try guest.init(.{});
    defer guest.deinit();
    guest.start(usual, 64);
    const header = guest.header(0, 0, 0);
    const pattern: [512]u8 = @splat(0x5a);
    _ = linux.pwrite(guest.disk_fd, &pattern, pattern.len, 0);
    _ = guest.offer(&.{
        .{ .address = header, .length = 3 },
        .{ .address = header + 3, .length = 0 },
        .{ .address = header + 3, .length = 13 },
        .{ .address = data, .length = 100, .writable = true },
        .{ .address = data + 100, .length = 413, .writable = true },
    });
    guest.kick();
    guest.awaitUsed(1);
    try expectEqual(0x5a, guest.bytes(data + 511, 1)[0]);
    try expectEqual(0, guest.bytes(data + 512, 1)[0]);
}
