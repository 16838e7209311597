//! A limit of requests a second: a bucket that leaks at the limit and holds one second of it, so
//! that a quiet second may be followed by a burst of as many requests.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("../errors.zig");
const loop_module = @import("../io/loop.zig");
const system = @import("../kernel/system.zig");

const second_ns = 1_000_000_000;

pub const Throttle = struct {
    /// Time that one request takes out of the bucket; 0: no limit.
    interval_ns: u64 = 0,
    /// When the bucket will have leaked empty.
    empty_at_ns: u64 = 0,

    /// A limit of 0 lets everything pass.
    pub fn init(requests_per_second: u32) Throttle {
        if (requests_per_second == 0) return .{};
        return .{ .interval_ns = second_ns / @as(u64, requests_per_second) };
    }

    pub fn limited(self: *const Throttle) bool {
        return self.interval_ns != 0;
    }

    /// How long until a request may pass; 0: now.
    pub fn delayNs(self: *const Throttle, now_ns: u64) u64 {
        const level = self.empty_at_ns -| now_ns;
        return level -| second_ns;
    }

    /// One request has passed.
    pub fn charge(self: *Throttle, now_ns: u64) void {
        self.empty_at_ns = @max(self.empty_at_ns, now_ns) + self.interval_ns;
    }
};

/// A throttle with the timer that opens it again. Guarded by its owner's lock.
pub const Gate = struct {
    throttle: Throttle = .{},
    source: loop_module.Source = undefined,

    /// `opened` is called on the loop's thread when a request that waited may pass; it must call
    /// `acknowledge`. Errors: Host (timer).
    pub fn init(
        self: *Gate,
        requests_per_second: u32,
        loop: *loop_module.Loop,
        opened: loop_module.Source,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        self.* = .{ .throttle = .init(requests_per_second), .source = opened };
        if (!self.throttle.limited()) return;
        const flags: linux.TFD = .{ .CLOEXEC = true, .NONBLOCK = true };
        const timer = system.result(linux.timerfd_create(.MONOTONIC, flags));
        if (!timer.ok()) return failure.set(.timer, timer.errno, 0);
        errdefer system.close(timer.fd());
        self.source.fd = timer.fd();
        try loop.add(&self.source, .readable, failure);
    }

    pub fn deinit(self: *Gate, loop: *loop_module.Loop) void {
        if (!self.throttle.limited()) return;
        loop.remove(&self.source);
        system.close(self.source.fd);
        self.throttle = .{};
    }

    pub fn acknowledge(self: *Gate) void {
        system.eventfdDrain(self.source.fd);
    }

    /// Whether a request may pass now; if not, `opened` will be called.
    pub fn open(self: *Gate) bool {
        if (!self.throttle.limited()) return true;
        const delay_ns = self.throttle.delayNs(system.monotonicNs());
        if (delay_ns == 0) return true;
        const time: linux.itimerspec = .{
            .it_interval = .{ .sec = 0, .nsec = 0 },
            .it_value = .{
                .sec = @intCast(delay_ns / second_ns),
                .nsec = @intCast(delay_ns % second_ns),
            },
        };
        _ = linux.timerfd_settime(self.source.fd, .{}, &time, null);
        return false;
    }

    pub fn charge(self: *Gate) void {
        if (self.throttle.limited()) self.throttle.charge(system.monotonicNs());
    }
};

test "a burst of one second passes, then the rate holds" {
    var throttle: Throttle = .init(10);
    const start = 5 * second_ns;
    var passed: u32 = 0;
    while (throttle.delayNs(start) == 0) : (passed += 1) throttle.charge(start);
    try std.testing.expectEqual(11, passed);
    try std.testing.expectEqual(second_ns / 10, throttle.delayNs(start));
    try std.testing.expectEqual(0, throttle.delayNs(start + second_ns / 10));
    const free: Throttle = .init(0);
    try std.testing.expect(!free.limited());
}
