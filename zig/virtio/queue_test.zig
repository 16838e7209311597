//! Queues and descriptor chains against guests that keep the rules and guests that do not.

const std = @import("std");
const chain = @import("chain.zig");
const errors = @import("../errors.zig");
const queue_module = @import("queue.zig");
const GuestMemory = @import("../memory/guest_memory.zig").GuestMemory;

const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const expectError = std.testing.expectError;

const base = 0x1000;
const first_region_size = 0x8000;
const second_region = base + first_region_size;
const available_address = base + 0x1000;
const used_address = base + 0x2000;
const table_address = base + 0x3000;
const size = 8;
const next = queue_module.flag_next;
const write = queue_module.flag_write;
const indirect = queue_module.flag_indirect;

/// A queue of eight in two touching regions of memory.
const Fixture = struct {
    memory: GuestMemory = .{},
    queue: queue_module.Queue = .{ .size_max = 256 },
    pieces: [16]chain.Iovec = undefined,

    fn init(self: *Fixture) !void {
        self.* = .{};
        var failure: errors.Failure = .{};
        _ = try self.memory.add(.{ .guest_address = base, .size = first_region_size }, &failure);
        _ = try self.memory.add(.{ .guest_address = second_region, .size = 0x4000 }, &failure);
        self.queue.state = .{
            .descriptor_address = base,
            .available_address = available_address,
            .used_address = used_address,
            .size = size,
        };
        try self.queue.enable(&self.memory);
    }

    fn deinit(self: *Fixture) void {
        self.memory.deinit();
    }

    fn half(self: *Fixture, address: u64) *u16 {
        return self.memory.pointer(u16, address) orelse unreachable;
    }

    fn descriptor(self: *Fixture, address: u64, value: queue_module.Descriptor) void {
        const bytes = self.memory.slice(address, 16) orelse unreachable;
        @memcpy(bytes, std.mem.asBytes(&value));
    }

    fn set(self: *Fixture, index: u64, value: queue_module.Descriptor) void {
        self.descriptor(base + 16 * index, value);
    }

    fn collect(self: *Fixture) chain.Error!chain.Chain {
        return chain.collect(&self.queue, &self.memory, 0, &self.pieces);
    }
};

test "a queue becomes ready only with a size and addresses that hold" {
    var fixture: Fixture = undefined;
    try fixture.init();
    defer fixture.deinit();
    const good = fixture.queue.state;
    const queue = &fixture.queue;
    for ([_]u32{ 0, 3, 512, 65536, 0x8000_0000 }) |wrong| {
        queue.state.size = wrong;
        try expectError(error.Size, queue.enable(&fixture.memory));
    }
    queue.state = good;
    queue.state.descriptor_address += 8;
    try expectError(error.Alignment, queue.enable(&fixture.memory));
    queue.state = good;
    queue.state.used_address += 2;
    try expectError(error.Alignment, queue.enable(&fixture.memory));
    queue.state = good;
    queue.state.available_address = std.math.maxInt(u64) - 1;
    try expectError(error.Memory, queue.enable(&fixture.memory));
    queue.state = good;
    queue.state.descriptor_address = second_region - 64;
    try expectError(error.Memory, queue.enable(&fixture.memory));
}

test "an available index that runs away and a head outside the table break the queue" {
    var fixture: Fixture = undefined;
    try fixture.init();
    defer fixture.deinit();
    try expectEqual(null, try fixture.queue.pop());
    fixture.half(available_address + 2).* = size + 1;
    try expectError(error.AvailableIndex, fixture.queue.pop());
    fixture.half(available_address + 2).* = 1;
    fixture.half(available_address + 4).* = size;
    try expectError(error.DescriptorIndex, fixture.queue.pop());
    fixture.half(available_address + 4).* = size - 1;
    try expectEqual(size - 1, (try fixture.queue.pop()).?);
    try expectEqual(null, try fixture.queue.pop());
}

test "indices run past 65535 and the rings follow" {
    var fixture: Fixture = undefined;
    try fixture.init();
    defer fixture.deinit();
    fixture.queue.state.next_available = 65535;
    fixture.queue.state.next_used = 65535;
    fixture.queue.state.published_used = 65535;
    fixture.queue.seen_available = 65535;
    fixture.half(available_address + 2).* = 1;
    fixture.half(available_address + 4 + 2 * 7).* = 5;
    fixture.half(available_address + 4).* = 6;
    try expectEqual(5, (try fixture.queue.pop()).?);
    try expectEqual(6, (try fixture.queue.pop()).?);
    fixture.queue.push(5, 100);
    fixture.queue.push(6, 200);
    try expect(fixture.queue.publish());
    try expectEqual(1, fixture.half(used_address + 2).*);
    try expectEqual(5, fixture.half(used_address + 4 + 8 * 7).*);
    try expectEqual(200, fixture.half(used_address + 8).*);
}

test "without the event index a flag of the guest suppresses interrupts" {
    var fixture: Fixture = undefined;
    try fixture.init();
    defer fixture.deinit();
    try expect(!fixture.queue.publish());
    fixture.queue.push(0, 0);
    try expect(fixture.queue.publish());
    fixture.half(available_address).* = 1;
    fixture.queue.push(0, 0);
    try expect(!fixture.queue.publish());
    fixture.queue.disableNotifications();
    try expectEqual(1, fixture.half(used_address).*);
    try expect(!fixture.queue.enableNotifications());
    try expectEqual(0, fixture.half(used_address).*);
}

test "with the event index an interrupt comes when the index passes the event" {
    var fixture: Fixture = undefined;
    try fixture.init();
    defer fixture.deinit();
    fixture.queue.setFeatures(.{ .event_index = true, .indirect = false });
    const used_event = fixture.half(available_address + 4 + 2 * size);
    used_event.* = 2;
    fixture.queue.push(0, 0);
    fixture.queue.push(0, 0);
    try expect(!fixture.queue.publish());
    fixture.queue.push(0, 0);
    try expect(fixture.queue.publish());
    fixture.queue.push(0, 0);
    try expect(!fixture.queue.publish());
    fixture.half(available_address + 2).* = 3;
    _ = try fixture.queue.pop();
    try expect(fixture.queue.enableNotifications());
    try expectEqual(1, fixture.half(used_address + 4 + 8 * size).*);
}

test "a chain gives its readable and writable buffers, split at a region's end" {
    var fixture: Fixture = undefined;
    try fixture.init();
    defer fixture.deinit();
    fixture.set(0, .{ .address = base, .length = 16, .flags = next, .next = 3 });
    const across = second_region - 100;
    fixture.set(3, .{ .address = across, .length = 300, .flags = next | write, .next = 1 });
    fixture.set(1, .{ .address = base, .length = 1, .flags = write, .next = 9 });
    const found = try fixture.collect();
    try expectEqual(1, found.readable.len);
    try expectEqual(3, found.writable.len);
    try expectEqual(100, found.writable[0].len);
    try expectEqual(200, found.writable[1].len);
    try expectEqual(301, found.writable_length);
}

test "loops, foreign indices, foreign memory and a wrong order are refused" {
    var fixture: Fixture = undefined;
    try fixture.init();
    defer fixture.deinit();
    fixture.set(0, .{ .address = base, .length = 1, .flags = next, .next = 0 });
    try expectError(error.ChainLength, fixture.collect());
    fixture.set(0, .{ .address = base, .length = 1, .flags = next, .next = size });
    try expectError(error.DescriptorIndex, fixture.collect());
    fixture.set(0, .{ .address = 0, .length = 1, .flags = 0, .next = 0 });
    try expectError(error.Memory, fixture.collect());
    fixture.set(0, .{ .address = base, .length = 0xffff_ffff, .flags = 0, .next = 0 });
    try expectError(error.Memory, fixture.collect());
    const last = std.math.maxInt(u64);
    fixture.set(0, .{ .address = last, .length = 2, .flags = 0, .next = 0 });
    try expectError(error.Memory, fixture.collect());
    fixture.set(0, .{ .address = base, .length = 1, .flags = next | write, .next = 1 });
    fixture.set(1, .{ .address = base, .length = 1, .flags = 0, .next = 0 });
    try expectError(error.Order, fixture.collect());
}

test "an indirect table is walked; a nested, chained, odd or unasked one is refused" {
    var fixture: Fixture = undefined;
    try fixture.init();
    defer fixture.deinit();
    const table: queue_module.Descriptor =
        .{ .address = table_address + 1, .length = 32, .flags = indirect, .next = 0 };
    fixture.set(0, table);
    try expectError(error.Indirect, fixture.collect());
    fixture.queue.setFeatures(.{ .event_index = false, .indirect = true });
    fixture.descriptor(table.address, .{ .address = base, .length = 4, .flags = next, .next = 1 });
    const second = table.address + 16;
    fixture.descriptor(second, .{ .address = base, .length = 5, .flags = write, .next = 0 });
    const found = try fixture.collect();
    try expectEqual(4, found.readable_length);
    try expectEqual(5, found.writable_length);
    fixture.descriptor(second, .{ .address = base, .length = 5, .flags = next, .next = 2 });
    try expectError(error.DescriptorIndex, fixture.collect());
    fixture.descriptor(second, table);
    try expectError(error.Indirect, fixture.collect());
    fixture.set(0, .{ .address = table.address, .length = 33, .flags = indirect, .next = 0 });
    try expectError(error.Indirect, fixture.collect());
    fixture.set(0, .{
        .address = table.address,
        .length = 32,
        .flags = indirect | next,
        .next = 1,
    });
    try expectError(error.Indirect, fixture.collect());
}

test "an indirect chain may be as long as the queue and no longer" {
    var fixture: Fixture = undefined;
    try fixture.init();
    defer fixture.deinit();
    fixture.queue.setFeatures(.{ .event_index = false, .indirect = true });
    fixture.set(0, .{ .address = table_address, .length = 16 * 16, .flags = indirect, .next = 0 });
    for (0..size) |index| {
        fixture.descriptor(table_address + 16 * index, .{
            .address = base,
            .length = 1,
            .flags = if (index + 1 < size) next else 0,
            .next = @intCast(index + 1),
        });
    }
    try expectEqual(size, (try fixture.collect()).readable_length);
    const last = table_address + 16 * (size - 1);
    fixture.descriptor(last, .{ .address = base, .length = 1, .flags = next, .next = size });
    try expectError(error.ChainLength, fixture.collect());
}
