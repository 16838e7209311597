//! Which device answers at which address: an immutable sorted array behind an atomic pointer.
//! Lookup takes no lock. A reader announces itself in its `Reader`, so that the array it uses is
//! freed only after it has left.

const std = @import("std");
const limits = @import("../limits.zig");
const system = @import("../kernel/system.zig");
const Device = @import("../devices/registry.zig").Device;

pub const Space = enum(u32) { mmio = 0, pio = 1 };

pub const Entry = struct {
    base: u64,
    size: u64,
    device: *Device,
    region: u32,
};

const Table = struct {
    mmio: []Entry,
    pio: []Entry,
    storage: []Entry,
};

/// One thread that looks addresses up; odd while it does.
pub const Reader = struct {
    turn: std.atomic.Value(u64) = .init(0),

    pub fn enter(self: *Reader) void {
        _ = self.turn.fetchAdd(1, .seq_cst);
    }
    pub fn leave(self: *Reader) void {
        _ = self.turn.fetchAdd(1, .release);
    }
    fn waitUntilLeft(self: *const Reader) void {
        const seen = self.turn.load(.seq_cst);
        if (seen % 2 == 0) return;
        while (self.turn.load(.acquire) == seen) std.atomic.spinLoopHint();
    }
};

pub const AddressMap = struct {
    current: std.atomic.Value(?*const Table) = .init(null),

    /// Finds the entry that holds all of [address, address + size). Call inside a Reader's turn.
    pub fn find(self: *const AddressMap, space: Space, address: u64, size: u64) ?Entry {
        const table = self.current.load(.acquire) orelse return null;
        const entries = if (space == .mmio) table.mmio else table.pio;
        var low: usize = 0;
        var high = entries.len;
        while (low < high) {
            const middle = low + (high - low) / 2;
            const entry = entries[middle];
            if (address < entry.base) {
                high = middle;
            } else if (address - entry.base >= entry.size) {
                low = middle + 1;
            } else {
                const offset = address - entry.base;
                return if (size <= entry.size - offset) entry else null;
            }
        }
        return null;
    }

    /// Replaces the map. Errors: Invalid (two windows overlap), OutOfMemory.
    pub fn publish(
        self: *AddressMap,
        allocator: std.mem.Allocator,
        mmio: []const Entry,
        pio: []const Entry,
        readers: []const *const Reader,
    ) error{ Invalid, OutOfMemory }!void {
        const storage = try allocator.alloc(Entry, mmio.len + pio.len);
        errdefer allocator.free(storage);
        @memcpy(storage[0..mmio.len], mmio);
        @memcpy(storage[mmio.len..], pio);
        try sortAndCheck(storage[0..mmio.len]);
        try sortAndCheck(storage[mmio.len..]);
        const table = try allocator.create(Table);
        table.* = .{
            .mmio = storage[0..mmio.len],
            .pio = storage[mmio.len..],
            .storage = storage,
        };
        const old = self.current.swap(table, .seq_cst);
        for (readers) |reader| reader.waitUntilLeft();
        free(allocator, old);
    }

    pub fn deinit(self: *AddressMap, allocator: std.mem.Allocator) void {
        free(allocator, self.current.swap(null, .seq_cst));
    }

    fn free(allocator: std.mem.Allocator, table: ?*const Table) void {
        const old = table orelse return;
        allocator.free(old.storage);
        allocator.destroy(old);
    }

    fn sortAndCheck(entries: []Entry) error{Invalid}!void {
        std.mem.sort(Entry, entries, {}, struct {
            fn before(_: void, left: Entry, right: Entry) bool {
                return left.base < right.base;
            }
        }.before);
        var end: u64 = 0;
        for (entries) |entry| {
            if (entry.size == 0 or entry.base < end) return error.Invalid;
            end = std.math.add(u64, entry.base, entry.size) catch return error.Invalid;
        }
    }
};

test "an access is found only where it lies wholly inside a window" {
    const allocator = std.testing.allocator;
    var device: Device = undefined;
    var map: AddressMap = .{};
    defer map.deinit(allocator);
    const windows = [_]Entry{
        .{ .base = 0x2000, .size = 0x100, .device = &device, .region = 2 },
        .{ .base = 0x1000, .size = 0x100, .device = &device, .region = 1 },
    };
    try map.publish(allocator, &windows, &.{}, &.{});
    try std.testing.expectEqual(@as(u32, 1), map.find(.mmio, 0x10fc, 4).?.region);
    try std.testing.expectEqual(@as(u32, 2), map.find(.mmio, 0x2000, 8).?.region);
    try std.testing.expect(map.find(.mmio, 0x10fd, 4) == null);
    try std.testing.expect(map.find(.mmio, 0x0fff, 1) == null);
    try std.testing.expect(map.find(.pio, 0x1000, 1) == null);
    const overlapping = [_]Entry{ windows[0], .{
        .base = 0x20ff,
        .size = 1,
        .device = &device,
        .region = 0,
    } };
    try std.testing.expectError(error.Invalid, map.publish(allocator, &overlapping, &.{}, &.{}));
}
