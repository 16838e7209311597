//! What virtio-net decides by itself: the receive filter and the commands of the control queue. The
//! queues are driven by tests/bus/virtio/net.test.ts.

const std = @import("std");
const chain = @import("../../virtio/chain.zig");
const net_config = @import("net_config.zig");
const net_control = @import("net_control.zig");
const tap = @import("../../kernel/tap.zig");
const Filter = @import("net_filter.zig").Filter;

const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;

const own: net_config.Address = .{ 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
const other: net_config.Address = .{ 0x52, 0x54, 0, 0x12, 0x34, 0x57 };
const group: net_config.Address = .{ 0x33, 0x33, 0, 0, 0, 1 };
const everyone: net_config.Address = @splat(0xff);

fn frame(target: net_config.Address, tag: ?u16) [16]u8 {
    var bytes: [16]u8 = @splat(0);
    bytes[0..6].* = target;
    std.mem.writeInt(u16, bytes[12..14], if (tag == null) 0x0800 else 0x8100, .big);
    std.mem.writeInt(u16, bytes[14..16], tag orelse 0, .big);
    return bytes;
}

/// Executes a command that comes in pieces of `piece_size` bytes.
fn execute(filter: *Filter, bytes: []u8, piece_size: usize) net_control.Change {
    var pieces: [1024]chain.Iovec = undefined;
    var count: usize = 0;
    var done: usize = 0;
    while (done < bytes.len) : (count += 1) {
        const size = @min(piece_size, bytes.len - done);
        pieces[count] = .{ .base = bytes[done..].ptr, .len = size };
        done += size;
    }
    return net_control.execute(filter, pieces[0..count]);
}

fn run(filter: *Filter, comptime bytes: []const u8) net_control.Change {
    var copy = bytes[0..bytes.len].*;
    return execute(filter, &copy, 3);
}

test "a new filter passes everything, and one without modes its own and broadcasts" {
    var filter: Filter = .{};
    try expect(filter.accepts(&frame(other, null), own));
    try expectEqual(.none, run(&filter, &.{ 0, 0, 0 }));
    try expect(filter.accepts(&frame(own, null), own));
    try expect(filter.accepts(&frame(everyone, null), own));
    try expect(!filter.accepts(&frame(other, null), own));
    try expect(!filter.accepts(&frame(group, null), own));
}

test "each mode does what it is named for, and off undoes it" {
    var filter: Filter = .{ .promiscuous = false };
    const cases = [_]struct { command: u8, target: net_config.Address, passes: bool }{
        .{ .command = 0, .target = other, .passes = true },
        .{ .command = 1, .target = group, .passes = true },
        .{ .command = 2, .target = other, .passes = true },
        .{ .command = 4, .target = own, .passes = false },
        .{ .command = 5, .target = everyone, .passes = false },
    };
    for (cases) |case| {
        var on = [_]u8{ 0, case.command, 1 };
        var off = [_]u8{ 0, case.command, 0 };
        try expectEqual(.none, execute(&filter, &on, 1));
        try expectEqual(case.passes, filter.accepts(&frame(case.target, null), own));
        try expectEqual(.none, execute(&filter, &off, 1));
        try expectEqual(!case.passes, filter.accepts(&frame(case.target, null), own));
    }
    try expectEqual(.none, run(&filter, &.{ 0, 1, 1 }));
    try expectEqual(.none, run(&filter, &.{ 0, 3, 1 }));
    try expect(!filter.accepts(&frame(group, null), own));
}

test "tables take 64 addresses together, and more pass all of their kind" {
    var filter: Filter = .{ .promiscuous = false };
    const two = .{ 1, 0, 1, 0, 0, 0 } ++ other ++ .{ 1, 0, 0, 0 } ++ group;
    try expectEqual(.none, run(&filter, &two));
    try expect(filter.accepts(&frame(other, null), own));
    try expect(filter.accepts(&frame(group, null), own));
    try expectEqual(1, filter.tables.unicast().len);
    var long: [6 + 60 * 6 + 4 + 5 * 6]u8 = @splat(7);
    long[0..6].* = .{ 1, 0, 60, 0, 0, 0 };
    long[6 + 60 * 6 ..][0..4].* = .{ 5, 0, 0, 0 };
    try expectEqual(.none, execute(&filter, &long, 100));
    try expect(!filter.tables.unicast_overflow);
    try expect(filter.tables.multicast_overflow);
    try expect(filter.accepts(&frame(group, null), own));
    try expect(!filter.accepts(&frame(other, null), own));
}

test "commands cut short, too long, of no known kind or value change nothing" {
    const bad = [_][]const u8{
        &.{0},                              &.{ 0, 0 },
        &.{ 0, 0, 2 },                      &.{ 0, 6, 1 },
        &.{ 1, 0, 1, 0, 0, 0, 1, 2, 3 },    &.{ 1, 0, 0, 0, 0, 0 },
        &.{ 1, 0, 0xff, 0xff, 0xff, 0xff }, &.{ 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9 },
        &.{ 1, 1, 1, 2, 3 },                &.{ 1, 2, 0, 0, 0, 0, 0, 0 },
        &.{ 2, 0, 0 },                      &.{ 2, 0, 0, 0x10 },
        &.{ 2, 2, 0, 0 },                   &.{ 3, 0, 0 },
        &.{ 4, 0, 1 },                      &.{ 4, 1, 1, 0 },
        &.{ 5, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, &.{ 255, 255, 255, 255 },
    };
    for (bad) |bytes| {
        var filter: Filter = .{};
        var copy: [16]u8 = undefined;
        @memcpy(copy[0..bytes.len], bytes);
        try expectEqual(.refused, execute(&filter, copy[0..bytes.len], 2));
        try expect(std.meta.eql(Filter.Tables{}, filter.tables) or filter.tables.count == 0);
        try expect(filter.promiscuous);
    }
}

test "VLANs are told apart once the driver names them" {
    var filter: Filter = .{ .promiscuous = false, .by_vlan = true };
    try expect(filter.accepts(&frame(own, null), own));
    try expect(!filter.accepts(&frame(own, 0x2005), own));
    try expectEqual(.none, run(&filter, &.{ 2, 0, 5, 0 }));
    try expect(filter.accepts(&frame(own, 0x2005), own));
    try expect(!filter.accepts(frame(own, 5)[0..14], own));
    try expectEqual(.none, run(&filter, &.{ 2, 1, 5, 0 }));
    try expect(!filter.accepts(&frame(own, 0x2005), own));
}

test "address and pairs are handed to the device" {
    var filter: Filter = .{};
    try expectEqual(net_control.Change{ .address = other }, run(&filter, &(.{ 1, 1 } ++ other)));
    try expectEqual(net_control.Change{ .pair_count = 0x0104 }, run(&filter, &.{ 4, 0, 4, 1 }));
}

test "random commands leave a filter that holds its bounds" {
    var random = std.Random.DefaultPrng.init(7);
    var filter: Filter = .{};
    for (0..20_000) |_| {
        var bytes: [600]u8 = undefined;
        random.fill(&bytes);
        bytes[0] %= 5;
        bytes[1] %= 6;
        if (random.random().boolean()) @memset(bytes[3..6], 0);
        const size = random.random().uintLessThan(usize, bytes.len);
        _ = execute(&filter, bytes[0..size], 1 + random.random().uintLessThan(usize, 64));
        try expect(filter.tables.unicast_count <= filter.tables.count);
        try expect(filter.tables.count <= 64);
        _ = filter.accepts(bytes[0..16], own);
    }
}

test "TSO and UFO are only left to a guest that takes unfinished checksums" {
    const all = net_config.feature_guest_tso4 | net_config.feature_guest_ufo;
    try expectEqual(0, net_config.offloads(all));
    const checksum = net_config.feature_guest_checksum;
    const expected = tap.offload_checksum | tap.offload_tso4 | tap.offload_ufo;
    try expectEqual(expected, net_config.offloads(checksum | all));
}
