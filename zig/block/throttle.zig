//! A limit of requests or bytes a second: a bucket that leaks at the limit and holds one second of
//! it, so that a quiet second may be followed by a burst of as many.

const std = @import("std");
const errors = @import("../errors.zig");
const loop_module = @import("../io/loop.zig");
const system = @import("../kernel/system.zig");
const Timer = @import("../io/timer.zig").Timer;

const second_ns = 1_000_000_000;

pub const Throttle = struct {
    /// Units a second; 0: no limit.
    rate: u64 = 0,
    /// When the bucket will have leaked empty.
    empty_at_ns: u64 = 0,

    /// A limit of 0 lets everything pass.
    pub fn init(units_per_second: u64) Throttle {
        return .{ .rate = units_per_second };
    }

    pub fn limited(self: *const Throttle) bool {
        return self.rate != 0;
    }

    /// How long until `count` units, at most a second's worth, may pass at once; 0: now.
    pub fn delayNs(self: *const Throttle, now_ns: u64, count: u64) u64 {
        const level = self.empty_at_ns -| now_ns;
        return (level +| self.durationNs(count)) -| second_ns;
    }

    /// So many units have passed.
    pub fn charge(self: *Throttle, now_ns: u64, count: u64) void {
        self.empty_at_ns = @max(self.empty_at_ns, now_ns) +| self.durationNs(count);
    }

    /// How long until the bucket is empty: for a snapshot.
    pub fn levelNs(self: *const Throttle, now_ns: u64) u64 {
        return self.empty_at_ns -| now_ns;
    }

    /// Takes over a saved level; what no bucket holds is not believed.
    pub fn setLevel(self: *Throttle, now_ns: u64, level_ns: u64) void {
        self.empty_at_ns = if (self.limited()) now_ns +| @min(level_ns, second_ns) else 0;
    }

    /// Rounded up, so that the rate is never exceeded.
    fn durationNs(self: *const Throttle, count: u64) u64 {
        return std.math.divCeil(u64, count *| second_ns, self.rate) catch 0;
    }
};

/// A throttle with the timer that opens it again. Guarded by its owner's lock.
pub const Gate = struct {
    throttle: Throttle = .{},
    timer: Timer = .{},
    has_timer: bool = false,

    /// `opened` is called on the loop's thread when what waited may pass; it must call
    /// `acknowledge`. Errors: Host (timer).
    pub fn init(
        self: *Gate,
        units_per_second: u64,
        loop: *loop_module.Loop,
        opened: loop_module.Source,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        self.throttle = .init(units_per_second);
        if (self.throttle.limited()) try self.addTimer(loop, opened, failure);
    }

    /// For a gate that may get a limit later; `opened` is as for `init`. Errors: Host (timer).
    pub fn addTimer(
        self: *Gate,
        loop: *loop_module.Loop,
        opened: loop_module.Source,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        if (self.has_timer) return;
        try self.timer.init(loop, opened, failure);
        self.has_timer = true;
    }

    /// Another limit; not 0 for a gate with a timer only.
    pub fn setRate(self: *Gate, units_per_second: u64) void {
        std.debug.assert(units_per_second == 0 or self.has_timer);
        self.throttle = .init(units_per_second);
    }

    pub fn deinit(self: *Gate, loop: *loop_module.Loop) void {
        if (self.has_timer) self.timer.deinit(loop);
        self.* = .{};
    }

    pub fn acknowledge(self: *Gate) void {
        self.timer.acknowledge();
    }

    /// Whether `count` units may pass now; if not, `opened` will be called.
    pub fn open(self: *Gate, count: u64) bool {
        if (!self.throttle.limited()) return true;
        const delay_ns = self.throttle.delayNs(system.monotonicNs(), count);
        if (delay_ns == 0) return true;
        self.timer.arm(delay_ns);
        return false;
    }

    pub fn charge(self: *Gate, count: u64) void {
        if (self.throttle.limited()) self.throttle.charge(system.monotonicNs(), count);
    }
};

test "a burst of one second passes, then the rate holds" {
    var throttle: Throttle = .init(10);
    const start = 5 * second_ns;
    var passed: u32 = 0;
    while (throttle.delayNs(start, 1) == 0) : (passed += 1) throttle.charge(start, 1);
    try std.testing.expectEqual(10, passed);
    try std.testing.expectEqual(second_ns / 10, throttle.delayNs(start, 1));
    try std.testing.expectEqual(0, throttle.delayNs(start + second_ns / 10, 1));
    const free: Throttle = .init(0);
    try std.testing.expect(!free.limited());
}

test "a second's worth passes at once, whatever the rate, and then takes its second" {
    for ([_]u64{ 1, 64, 700_000_000, 1_000_000_000 }) |rate| {
        var throttle: Throttle = .init(rate);
        const start = 5 * second_ns;
        try std.testing.expectEqual(0, throttle.delayNs(start, rate));
        throttle.charge(start, rate);
        try std.testing.expectEqual(second_ns, throttle.delayNs(start, rate));
        try std.testing.expectEqual(0, throttle.delayNs(start + second_ns, rate));
    }
}
