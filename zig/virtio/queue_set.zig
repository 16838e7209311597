//! A set of a device's queues, a bit each.

const std = @import("std");
const limits = @import("../limits.zig");

pub const QueueSet = struct {
    bits: u64 = 0,

    pub fn add(self: *QueueSet, index: u16) void {
        self.bits |= @as(u64, 1) << @intCast(index);
    }

    pub fn remove(self: *QueueSet, index: u16) void {
        self.bits &= ~(@as(u64, 1) << @intCast(index));
    }

    pub fn isEmpty(self: QueueSet) bool {
        return self.bits == 0;
    }

    /// The lowest one, which is not in the set any more; null when it is empty.
    pub fn takeFirst(self: *QueueSet) ?u16 {
        if (self.isEmpty()) return null;
        const index: u16 = @ctz(self.bits);
        self.bits &= self.bits - 1;
        return index;
    }
};

comptime {
    std.debug.assert(limits.queue_count_max <= 64);
}

test "queues are taken from the lowest on, each once" {
    var set: QueueSet = .{};
    for ([_]u16{ 63, 0, 5, 9, 5 }) |index| set.add(index);
    set.remove(9);
    set.remove(1);
    for ([_]?u16{ 0, 5, 63, null }) |expected| {
        try std.testing.expectEqual(expected, set.takeFirst());
    }
    try std.testing.expect(set.isEmpty());
}
