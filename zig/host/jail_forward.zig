//! Passes signals on to the jailed program, also when another thread of the runtime gets them. The
//! target is the process's own: a signal handler has no argument.

const std = @import("std");
const linux = std.os.linux;

const forwarded = [_]linux.SIG{ .HUP, .INT, .QUIT, .TERM, .USR1, .USR2 };

/// Process id for kill(2); 0 while there is none, -1 for every process of the PID namespace.
var target: std.atomic.Value(i32) = .init(0);
/// A signal that came before there was a target.
var early: std.atomic.Value(u32) = .init(0);

pub const Forwarding = struct {
    mask: linux.sigset_t,
    actions: [forwarded.len]linux.Sigaction,

    /// Installs the handlers. All signals stay blocked for this thread until `to`.
    pub fn begin() Forwarding {
        target.store(0, .release);
        early.store(0, .release);
        var self: Forwarding = undefined;
        const all = linux.sigfillset();
        _ = linux.sigprocmask(linux.SIG.SETMASK, &all, &self.mask);
        const action: linux.Sigaction = .{
            .handler = .{ .sigaction = onSignal },
            .mask = linux.sigfillset(),
            .flags = linux.SA.SIGINFO,
        };
        for (forwarded, &self.actions) |signal, *before| {
            _ = linux.sigaction(signal, null, before);
            // nohup and the like stay in force.
            if (before.handler.handler == linux.SIG.IGN) continue;
            _ = linux.sigaction(signal, &action, null);
        }
        return self;
    }

    pub fn to(self: *Forwarding, pid: i32) void {
        target.store(pid, .release);
        const signal = early.swap(0, .acq_rel);
        if (signal != 0) _ = linux.kill(pid, @fromBackingInt(signal));
        _ = linux.sigprocmask(linux.SIG.SETMASK, &self.mask, null);
    }

    pub fn end(self: *Forwarding) void {
        target.store(0, .release);
        for (forwarded, &self.actions) |signal, *before| _ = linux.sigaction(signal, before, null);
        _ = linux.sigprocmask(linux.SIG.SETMASK, &self.mask, null);
    }
};

/// For init, whose copy of the target is its own: all signals go to all that it looks after.
pub fn toEveryProcess() void {
    target.store(-1, .release);
    const none = linux.sigemptyset();
    _ = linux.sigprocmask(linux.SIG.SETMASK, &none, null);
}

/// Gives the program the signal mask and actions of a fresh process: execve resets handlers, but
/// keeps the mask and ignored signals, of which the runtime has SIGPIPE.
pub fn resetForProgram() void {
    const standard: linux.Sigaction = .{
        .handler = .{ .handler = linux.SIG.DFL },
        .mask = linux.sigemptyset(),
        .flags = 0,
    };
    _ = linux.sigaction(.PIPE, &standard, null);
    const none = linux.sigemptyset();
    _ = linux.sigprocmask(linux.SIG.SETMASK, &none, null);
}

fn onSignal(signal: linux.SIG, info: *const linux.siginfo_t, _: ?*anyopaque) callconv(.c) void {
    // A terminal sends to its whole foreground group, which the program is a member of.
    if (info.code == si_kernel) return;
    const pid = target.load(.acquire);
    if (pid == 0) return early.store(@backingInt(signal), .release);
    _ = linux.kill(pid, signal);
}

const si_kernel = 0x80;
