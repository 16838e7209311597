//! virtio-blk through the registers and a ring, over a memfd, with each engine.

const std = @import("std");
const linux = std.os.linux;
const blk_config = @import("blk_config.zig");
const device = @import("../../virtio/device.zig");
const engine = @import("../../io/engine.zig");
const errors = @import("../../errors.zig");
const test_guest = @import("../../virtio/test_guest.zig");
const Block = @import("blk.zig").Block;
const Loop = @import("../../io/loop.zig").Loop;
const Params = blk_config.Params;

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

test "discard frees space and write-zeroes makes zeroes, also where the file cannot" {
    const flags = blk_config.flag_discard | blk_config.flag_write_zeroes;
    for (engines) |kind| {
        var guest: Guest = undefined;
        try guest.init(.{ .engine = kind, .flags = flags });
        defer guest.deinit();
        guest.start(usual, 64);
        const pattern: [4096]u8 = @splat(0x5a);
        for (0..64) |page| {
            _ = linux.pwrite(guest.disk_fd, &pattern, pattern.len, @intCast(page * 4096));
        }
        try expectEqual(0, rangeRequest(&guest, 13, .{ .sector = 1, .count = 400 }));
        try expectEqual(0x5a, diskByte(&guest, 511));
        try expectEqual(0, diskByte(&guest, 512));
        try expectEqual(0, diskByte(&guest, 401 * 512 - 1));
        try expectEqual(0x5a, diskByte(&guest, 401 * 512));
        try expectEqual(0, rangeRequest(&guest, 11, .{ .sector = 408, .count = 8 }));
        try expectEqual(0, diskByte(&guest, 408 * 512));
        try expectEqual(2, rangeRequest(&guest, 11, .{ .sector = 0, .count = 8, .flags = 1 }));
        try expectEqual(2, rangeRequest(&guest, 13, .{ .sector = 0, .count = 8, .flags = 2 }));
        try expectEqual(1, rangeRequest(&guest, 13, .{ .sector = 2048, .count = 1 }));
        try expectEqual(0, rangeRequest(&guest, 13, .{ .sector = 0, .count = 8, .flags = 1 }));
        try expectEqual(0, diskByte(&guest, 0));
    }
}

const TestRange = struct { sector: u64, count: u32, flags: u32 = 0 };

fn rangeRequest(guest: *Guest, request_type: u32, range: TestRange) u8 {
    const target = guest.bytes(data, 16);
    std.mem.writeInt(u64, target[0..8], range.sector, .little);
    std.mem.writeInt(u32, target[8..12], range.count, .little);
    std.mem.writeInt(u32, target[12..16], range.flags, .little);
    return guest.request(request_type, 0, &.{.{ .address = data, .length = 16 }});
}

fn diskByte(guest: *Guest, offset: i64) u8 {
    var byte: [1]u8 = .{0xaa};
    _ = linux.pread(guest.disk_fd, &byte, 1, offset);
    return byte[0];
}

test "buffers and offsets off the alignment pass through the bounce buffer" {
    for (engines) |kind| {
        var guest: Guest = undefined;
        try guest.init(.{ .engine = kind, .request_alignment = 4096, .buffer_alignment = 512 });
        defer guest.deinit();
        guest.start(usual, 64);
        const pattern: [8192]u8 = @splat(0x5a);
        _ = linux.pwrite(guest.disk_fd, &pattern, pattern.len, 0);
        for (guest.bytes(data + 1, 1024)) |*byte| byte.* = 0x11;
        const source: test_guest.Buffer = .{ .address = data + 1, .length = 1024 };
        try expectEqual(0, guest.request(1, 7, &.{source}));
        try expectEqual(0x5a, diskByte(&guest, 7 * 512 - 1));
        try expectEqual(0x11, diskByte(&guest, 7 * 512));
        try expectEqual(0x11, diskByte(&guest, 9 * 512 - 1));
        try expectEqual(0x5a, diskByte(&guest, 9 * 512));
        const big = 0x20_0000 - 0x1000;
        try expectEqual(1, guest.request(0, 1, &.{
            .{ .address = data, .length = big, .writable = true },
        }));
        const most = test_guest.disk_size - 512;
        try expectEqual(0, guest.request(0, 1, &.{
            .{ .address = data + 3, .length = most, .writable = true },
        }));
        try expectEqual(0x11, guest.bytes(data + 3 + 6 * 512, 1)[0]);
        try expectEqual(0x5a, guest.bytes(data + 3 + 8 * 512, 1)[0]);
    }
}

test "an error of the host reaches the guest and is counted" {
    for (engines) |kind| {
        var guest: Guest = undefined;
        try guest.init(.{ .engine = kind });
        defer guest.deinit();
        guest.start(usual, 64);
        // The file is shorter than the disk that the guest was promised.
        _ = linux.ftruncate(guest.disk_fd, 4096);
        const target: test_guest.Buffer = .{ .address = data, .length = 8192, .writable = true };
        try expectEqual(1, guest.request(0, 0, &.{target}));
        try expectEqual(1, guest.block.counters.error_count);
        try expectEqual(5, guest.block.counters.last_errno);
        try expectEqual(0, guest.request(0, 0, &.{
            .{ .address = data, .length = 4096, .writable = true },
        }));
    }
}

test "more requests than the engine holds complete, once each" {
    for (engines) |kind| {
        var guest: Guest = undefined;
        try guest.init(.{ .engine = kind, .queue_size = 1024 });
        defer guest.deinit();
        const features = usual | device.feature_event_index;
        guest.start(features, 1024);
        const count = 340;
        for (0..count) |slot| {
            const address = guest.header(slot, 0, slot);
            _ = guest.offer(&.{
                .{ .address = address, .length = 16 },
                .{ .address = data + 512 * slot, .length = 512, .writable = true },
                .{ .address = address + 16, .length = 1, .writable = true },
            });
        }
        guest.kick();
        while (guest.usedIndex() != count) try std.Thread.yield();
        for (0..count) |slot| try expectEqual(0, guest.statusByte(slot));
        try expectEqual(0, guest.block.in_flight.load(.acquire));
    }
}

test "a device pauses with nothing in flight and goes on where it was" {
    var guest: Guest = undefined;
    try guest.init(.{});
    defer guest.deinit();
    guest.start(usual, 64);
    guest.transport.device.pause();
    const address = guest.header(0, 4, 0);
    _ = guest.offer(&.{
        .{ .address = address, .length = 16 },
        .{ .address = address + 16, .length = 1, .writable = true },
    });
    guest.kick();
    try expectEqual(0, guest.usedIndex());
    guest.transport.device.unpause();
    guest.awaitUsed(1);
    try expectEqual(0, guest.statusByte(0));
}

test "a write of zeroes frees the file's space when that is wanted" {
    const flags = blk_config.flag_detect_zeroes | blk_config.flag_detect_unmap;
    for (engines) |kind| {
        var guest: Guest = undefined;
        try guest.init(.{ .engine = kind, .flags = flags });
        defer guest.deinit();
        guest.start(usual, 64);
        const source: test_guest.Buffer = .{ .address = data, .length = 65536 };
        guest.bytes(data, 65536)[65535] = 1;
        try expectEqual(0, guest.request(1, 0, &.{source}));
        try expectEqual(1, diskByte(&guest, 65535));
        guest.bytes(data, 65536)[65535] = 0;
        try expectEqual(0, guest.request(1, 0, &.{source}));
        try expectEqual(0, diskByte(&guest, 65535));
        const seek_data = 3;
        const answer = linux.lseek(guest.disk_fd, 0, seek_data);
        try expectEqual(linux.E.NXIO, linux.errno(answer));
    }
}

test "requests beyond the limit wait and then pass" {
    var guest: Guest = undefined;
    try guest.init(.{ .iops_limit = 100 });
    defer guest.deinit();
    guest.start(usual, 64);
    for (0..110) |_| try expectEqual(0, guest.request(4, 0, &.{}));
    try expect(guest.block.gate.throttle.delayNs(0, 1) > 0);
}

test "requests that come while others are served share their interrupt" {
    var guest: Guest = undefined;
    try guest.init(.{ .engine = .sync });
    defer guest.deinit();
    guest.start(usual | device.feature_event_index, 64);
    const carrier = guest.block.device;
    carrier.work.lock();
    defer carrier.work.unlock();
    guest.offerFlush(0);
    guest.block.notify(0);
    guest.offerFlush(1);
    guest.block.endBatch();
    try expectEqual(2, guest.usedIndex());
    try expectEqual(1, guest.interruptCount());
    try expect(guest.block.taking.isEmpty());
}

test "a disk at its limit waits for its clock, not for the ring" {
    var guest: Guest = undefined;
    try guest.init(.{ .engine = .sync, .iops_limit = 1 });
    defer guest.deinit();
    guest.start(usual, 64);
    const carrier = guest.block.device;
    carrier.work.lock();
    defer carrier.work.unlock();
    for (0..10) |slot| guest.offerFlush(slot);
    guest.block.notify(0);
    guest.block.endBatch();
    try expect(guest.usedIndex() < 10);
    try expect(guest.block.taking.isEmpty());
}

test "another file behind the disk is what the guest sees next" {
    for (engines) |kind| {
        var guest: Guest = undefined;
        try guest.init(.{ .engine = .io_uring, .flags = blk_config.flag_replaceable });
        defer guest.deinit();
        guest.start(usual, 64);
        const target: test_guest.Buffer = .{ .address = data, .length = 512, .writable = true };
        try expectEqual(0, guest.request(0, 0, &.{target}));
        const old = guest.disk_fd;
        defer _ = linux.close(old);
        guest.disk_fd = @intCast(linux.memfd_create("other", linux.MFD.CLOEXEC));
        const pattern: [1024]u8 = @splat(0x77);
        _ = linux.pwrite(guest.disk_fd, &pattern, pattern.len, 0);
        try guest.block.replace(
            .{ .fd = guest.disk_fd, .engine = kind, .capacity_bytes = pattern.len },
            &guest.failure,
        );
        try expectEqual(2, guest.readRegister(0x60) & 2);
        try expectEqual(2, guest.readRegister(0x100));
        try expectEqual(0, guest.request(0, 1, &.{target}));
        try expectEqual(0x77, guest.bytes(data, 1)[0]);
        try expectEqual(1, guest.request(0, 2, &.{target}));
    }
}

test "a disk without a file has no sectors, and gets a file, a limit and a serial number" {
    var guest: Guest = undefined;
    const flags = blk_config.flag_replaceable | blk_config.flag_discard;
    try guest.init(.{ .engine = .native, .flags = flags });
    defer guest.deinit();
    guest.start(usual, 64);
    const file = guest.disk_fd;
    try guest.block.replace(.{}, &guest.failure);
    try expectEqual(0, guest.readRegister(0x100));
    const target: test_guest.Buffer = .{ .address = data, .length = 512, .writable = true };
    try expectEqual(1, guest.request(0, 0, &.{target}));
    try expectEqual(1, guest.request(4, 0, &.{}));
    try expectEqual(0, guest.block.counters.error_count);
    try expectEqual(
        error.Invalid,
        guest.block.replace(.{ .capacity_bytes = std.math.maxInt(u64) }, &guest.failure),
    );
    var serial: [20]u8 = @splat(0);
    serial[0] = 's';
    try guest.block.replace(.{
        .fd = file,
        .capacity_bytes = test_guest.disk_size,
        .flags = blk_config.flag_read_only,
        .iops_limit = 1000,
        .serial = serial,
    }, &guest.failure);
    try expectEqual(0, guest.request(0, 0, &.{target}));
    try expectEqual(1, guest.request(1, 0, &.{.{ .address = data, .length = 512 }}));
    try expectEqual(1000, guest.block.gate.throttle.rate);
    const id: test_guest.Buffer = .{ .address = data, .length = 20, .writable = true };
    try expectEqual(0, guest.request(8, 0, &.{id}));
    try expectEqual('s', guest.bytes(data, 1)[0]);
}

test "each of several queues serves requests of its own" {
    var guest: Guest = undefined;
    try guest.init(.{ .queue_count = 4, .queue_size = 128 });
    defer guest.deinit();
    guest.negotiate(usual);
    guest.queue_index = 2;
    guest.setUpQueue(128);
    guest.writeRegister(0x70, 15);
    try expectEqual(0, guest.request(4, 0, &.{}));
    var count: [2]u8 = undefined;
    guest.transport.read(0x122, &count);
    try expectEqual(4, std.mem.readInt(u16, &count, .little));
    guest.writeRegister(0x30, 3);
    try expectEqual(128, guest.readRegister(0x34));
    guest.writeRegister(0x30, 4);
    try expectEqual(0, guest.readRegister(0x34));
}

test "parameters that no device can have are refused" {
    var failure: errors.Failure = .{};
    var loop: Loop = .{};
    var block: Block = undefined;
    const wrong = [_]Params{
        .{ .queue_count = 0 },
        .{ .queue_count = 33 },
        .{ .queue_size = 2 },
        .{ .queue_size = 100 },
        .{ .queue_size = 2048 },
        .{ .capacity_bytes = std.math.maxInt(u64) },
        .{ .request_alignment = 0 },
        .{ .buffer_alignment = 3 },
    };
    for (wrong) |params| {
        try std.testing.expectError(error.Invalid, block.init(params, &loop, &failure));
    }
}
