//! The user's terminal goes back to its mode also when the process dies of a defect. Everything
//! here is safe in a signal handler; what it needs to know is global, because a signal handler has
//! no argument.

const std = @import("std");
const linux = std.os.linux;
const system = @import("../kernel/system.zig");
const errors = @import("../errors.zig");

/// Signals of defects: a failed assertion, a wild access.
pub const fatal = [_]linux.SIG{ .ABRT, .BUS, .FPE, .ILL, .SEGV };

/// -1: there is nothing to rescue.
var rescued_fd: std.atomic.Value(i32) = .init(-1);
var rescued: linux.termios = undefined;
var is_installed: std.atomic.Value(bool) = .init(false);
var former: [fatal.len]linux.Sigaction = undefined;

/// From now on until `disarm` a death gives the terminal this mode. The first terminal counts.
pub fn arm(fd: i32, mode: linux.termios, failure: *errors.Failure) errors.HostError!void {
    if (rescued_fd.load(.acquire) >= 0) return;
    rescued = mode;
    rescued_fd.store(fd, .release);
    if (is_installed.swap(true, .acq_rel)) return;
    for (fatal, &former) |signal, *before| {
        const got = system.result(linux.sigaction(signal, null, before));
        if (!got.ok()) return failure.set(.signal_action, got.errno, @backingInt(signal));
        // Without a former handler the signal takes its default course when it comes again.
        const once: c_ulong = if (isDefault(before.*)) linux.SA.RESETHAND else 0;
        const action: linux.Sigaction = .{
            .handler = .{ .sigaction = onFatal },
            .mask = @splat(std.math.maxInt(usize)),
            .flags = linux.SA.SIGINFO | linux.SA.ONSTACK | once,
        };
        const set = system.result(linux.sigaction(signal, &action, null));
        if (!set.ok()) return failure.set(.signal_action, set.errno, @backingInt(signal));
    }
}

pub fn disarm() void {
    rescued_fd.store(-1, .release);
}

/// Gives the terminal its mode back, if it is armed.
pub fn restore() void {
    const fd = rescued_fd.swap(-1, .acq_rel);
    if (fd >= 0) _ = linux.tcsetattr(fd, .NOW, &rescued);
}

fn isDefault(action: linux.Sigaction) bool {
    return action.handler.handler == linux.SIG.DFL;
}

/// The former handler goes on. Without one an access that failed fails again when this returns,
/// and `abort` raises its signal again; a signal from elsewhere would be lost.
fn onFatal(
    signal: linux.SIG,
    info: *const linux.siginfo_t,
    context: ?*anyopaque,
) callconv(.c) void {
    restore();
    for (fatal, former) |each, before| {
        if (each != signal) continue;
        if (isDefault(before)) {
            if (info.code <= 0 and signal != .ABRT) linux.exit_group(exit_base + asCode(signal));
        } else if (before.flags & linux.SA.SIGINFO != 0) {
            if (before.handler.sigaction) |handler| handler(signal, info, context);
        } else if (before.handler.handler != linux.SIG.IGN) {
            if (before.handler.handler) |handler| handler(signal);
        }
    }
}

/// What a shell reports for a death by a signal is this and its number.
const exit_base = 128;

fn asCode(signal: linux.SIG) i32 {
    return @intCast(@backingInt(signal));
}
