//! Output of a guest that waits for its reader: a ring that keeps the newest bytes.

const std = @import("std");
const limits = @import("../limits.zig");

pub const OutputRing = struct {
    bytes: [limits.chardev_buffer_size]u8 = undefined,
    head: usize = 0,
    length: usize = 0,

    pub fn isFull(self: *const OutputRing) bool {
        return self.length == self.bytes.len;
    }

    pub fn room(self: *const OutputRing) usize {
        return self.bytes.len - self.length;
    }

    /// Takes all; what there is no room for pushes out the oldest.
    pub fn put(self: *OutputRing, data: []const u8) void {
        const kept = data[data.len -| self.bytes.len..];
        self.drop(kept.len -| self.room());
        const at = (self.head + self.length) % self.bytes.len;
        const first = @min(kept.len, self.bytes.len - at);
        @memcpy(self.bytes[at..][0..first], kept[0..first]);
        @memcpy(self.bytes[0 .. kept.len - first], kept[first..]);
        self.length += kept.len;
    }

    /// The oldest bytes that lie in one piece, at most `count_max`.
    pub fn oldest(self: *const OutputRing, count_max: usize) []const u8 {
        const end = @min(self.bytes.len, self.head + @min(self.length, count_max));
        return self.bytes[self.head..end];
    }

    /// Forgets the oldest bytes.
    pub fn drop(self: *OutputRing, count: usize) void {
        self.head = (self.head + count) % self.bytes.len;
        self.length -= count;
    }
};

test "bytes come out in the order in which they went in, also around the end" {
    var ring: OutputRing = .{};
    const half = ring.bytes.len / 2 + 1;
    const block: [limits.chardev_buffer_size]u8 = @splat('a');
    ring.put(block[0..half]);
    ring.drop(half);
    ring.put("left");
    ring.put(block[0..half]);
    try std.testing.expectEqualStrings("left", ring.oldest(4));
    ring.drop(4);
    const first = ring.oldest(half).len;
    ring.drop(first);
    try std.testing.expectEqual(half - first, ring.oldest(half).len);
}

test "the newest bytes push out the oldest" {
    var ring: OutputRing = .{};
    const block: [limits.chardev_buffer_size]u8 = @splat('a');
    ring.put(&block);
    try std.testing.expect(ring.isFull());
    ring.put("new");
    try std.testing.expectEqual(@as(usize, 0), ring.room());
    ring.drop(block.len - 3);
    var found: [3]u8 = undefined;
    for (&found) |*byte| {
        byte.* = ring.oldest(1)[0];
        ring.drop(1);
    }
    try std.testing.expectEqualStrings("new", &found);
}

test "of more than there is room for in all, the end is kept" {
    var ring: OutputRing = .{};
    var block: [limits.chardev_buffer_size + 5]u8 = @splat('a');
    @memset(block[0..5], 'b');
    ring.put(&block);
    try std.testing.expectEqualStrings("aaa", ring.oldest(3));
}
