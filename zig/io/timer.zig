//! A timer of a loop: wakes it once, after a time that may be set anew whenever it is needed.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("../errors.zig");
const loop_module = @import("loop.zig");
const system = @import("../kernel/system.zig");
const trace = @import("../trace/trace.zig");

const second_ns = 1_000_000_000;

pub const Timer = struct {
    source: loop_module.Source = undefined,

    /// `expired` is called on the loop's thread; it must call `acknowledge`. `self` stays at one
    /// address until `deinit`. Errors: Host (timer, epoll).
    pub fn init(
        self: *Timer,
        loop: *loop_module.Loop,
        expired: loop_module.Source,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        const flags: linux.TFD = .{ .CLOEXEC = true, .NONBLOCK = true };
        const timer = system.result(linux.timerfd_create(.MONOTONIC, flags));
        if (!timer.ok()) return failure.set(.timer, timer.errno, 0);
        errdefer system.close(timer.fd());
        self.source = expired;
        self.source.fd = timer.fd();
        try loop.add(&self.source, .readable, failure);
    }

    /// Not on the loop's thread.
    pub fn deinit(self: *Timer, loop: *loop_module.Loop) void {
        trace.emit(.timer_del, .{ .id = self.source.fd });
        loop.remove(&self.source);
        system.close(self.source.fd);
    }

    /// Sets the timer; an earlier setting is forgotten. From any thread.
    pub fn arm(self: *const Timer, delay_ns: u64) void {
        // A time of zero would stop the timer.
        const delay = @max(delay_ns, 1);
        trace.emit(.timer_add, .{ .id = self.source.fd, .delay_ns = delay });
        const time: linux.itimerspec = .{
            .it_interval = .{ .sec = 0, .nsec = 0 },
            .it_value = .{
                .sec = @intCast(delay / second_ns),
                .nsec = @intCast(delay % second_ns),
            },
        };
        _ = linux.timerfd_settime(self.source.fd, .{}, &time, null);
    }

    pub fn acknowledge(self: *const Timer) void {
        trace.emit(.timer_run, .{ .id = self.source.fd });
        system.eventfdDrain(self.source.fd);
    }
};
