//! Records of trace events on their way to the log: many threads put them in, one takes them out,
//! nobody waits. A record that finds no room is counted and gone. Each cell carries the turn at
//! which it may be written or read (D. Vyukov's bounded queue).

const std = @import("std");
const limits = @import("../limits.zig");
const system = @import("../kernel/system.zig");
const argument_count_max = @import("events.zig").argument_count_max;

/// A scope adds its duration to its arguments.
pub const value_count = argument_count_max + 1;

pub const Record = extern struct {
    /// Since 1970.
    time_ns: u64,
    thread_id: u32,
    /// The event's number.
    event: u32,
    values: [value_count]u64,
};

const capacity = limits.trace_record_count;
const mask = capacity - 1;

const Cell = struct {
    /// The cell's turn less its index, so that a fresh page of zeroes is an empty ring.
    turn: std.atomic.Value(u64),
    record: Record,
};

pub const Ring = struct {
    cells: std.atomic.Value(?[*]Cell) = .init(null),
    tail: std.atomic.Value(u64) = .init(0),
    head: u64 = 0,
    lost_count: std.atomic.Value(u64) = .init(0),

    /// Once; its memory is touched as it is used. Errors: OutOfMemory.
    pub fn open(self: *Ring) error{OutOfMemory}!void {
        if (self.isOpen()) return;
        const mapped = system.map(.{ .size = capacity * @sizeOf(Cell) });
        if (!mapped.ok()) return error.OutOfMemory;
        self.cells.store(@ptrFromInt(mapped.value), .release);
    }

    pub fn isOpen(self: *const Ring) bool {
        return self.cells.load(.acquire) != null;
    }

    /// From any thread.
    pub fn push(self: *Ring, record: Record) void {
        const cells = self.cells.load(.acquire) orelse return;
        var position = self.tail.load(.monotonic);
        for (0..limits.trace_attempt_count_max) |_| {
            const index = position & mask;
            const turn = cells[index].turn.load(.acquire) +% index;
            if (turn < position) break;
            if (turn > position) {
                position = self.tail.load(.monotonic);
                continue;
            }
            const next = position + 1;
            if (self.tail.cmpxchgWeak(position, next, .monotonic, .monotonic)) |now| {
                position = now;
                continue;
            }
            cells[index].record = record;
            cells[index].turn.store(next -% index, .release);
            return;
        }
        _ = self.lost_count.fetchAdd(1, .monotonic);
    }

    /// The oldest records; from one thread at a time.
    pub fn take(self: *Ring, records: []Record) usize {
        const cells = self.cells.load(.acquire) orelse return 0;
        for (records, 0..) |*record, count| {
            const index = self.head & mask;
            const turn = cells[index].turn.load(.acquire) +% index;
            if (turn != self.head + 1) return count;
            record.* = cells[index].record;
            cells[index].turn.store(self.head + capacity -% index, .release);
            self.head += 1;
        }
        return records.len;
    }
};

fn testRecord(event: u32) Record {
    return .{ .time_ns = 0, .thread_id = 0, .event = event, .values = @splat(event) };
}

test "records come out in order, over the ring's end too, and those without room are counted" {
    var ring: Ring = .{};
    try ring.open();
    defer system.unmap(@intFromPtr(ring.cells.load(.monotonic).?), capacity * @sizeOf(Cell));
    for (0..2) |_| {
        for (0..capacity + 5) |number| ring.push(testRecord(@intCast(number)));
        var taken: [1]Record = undefined;
        for (0..capacity) |number| {
            try std.testing.expectEqual(@as(usize, 1), ring.take(&taken));
            try std.testing.expectEqual(@as(u32, @intCast(number)), taken[0].event);
        }
        try std.testing.expectEqual(@as(usize, 0), ring.take(&taken));
    }
    try std.testing.expectEqual(@as(u64, 10), ring.lost_count.load(.monotonic));
}

fn pushMany(ring: *Ring, event: u32, count: usize) void {
    for (0..count) |_| ring.push(testRecord(event));
}

test "threads that push at once lose nothing that is not counted, and no record is torn" {
    var ring: Ring = .{};
    try ring.open();
    defer system.unmap(@intFromPtr(ring.cells.load(.monotonic).?), capacity * @sizeOf(Cell));
    const count = 3 * capacity;
    var threads: [3]std.Thread = undefined;
    for (&threads, 1..) |*thread, index| {
        const event: u32 = @intCast(index);
        thread.* = try std.Thread.spawn(.{}, pushMany, .{ &ring, event, count });
    }
    var taken: [64]Record = undefined;
    var seen: usize = 0;
    while (seen + ring.lost_count.load(.acquire) < threads.len * count) {
        const got = ring.take(&taken);
        for (taken[0..got]) |record| {
            try std.testing.expectEqual(@as([value_count]u64, @splat(record.event)), record.values);
        }
        seen += got;
    }
    for (threads) |thread| thread.join();
    try std.testing.expectEqual(threads.len * count, seen + ring.lost_count.load(.acquire));
}
