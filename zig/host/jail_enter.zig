//! Starts a program in a prepared jail and waits for it. The child runs beside JavaScript's memory
//! (clone(2) with CLONE_VM and CLONE_VFORK), so that nothing is copied: from clone to execve it
//! makes system calls and touches nothing else but the arena, which all processes share.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("../errors.zig");
const system = @import("../kernel/system.zig");
const jail = @import("jail.zig");
const drop = @import("jail_drop.zig");
const forward = @import("jail_forward.zig");
const Arena = @import("jail_arena.zig").Arena;
const Failure = errors.Failure;
const HostError = errors.HostError;

/// Strings that follow each other, each ended by a zero.
pub const Strings = struct { bytes: []const u8, count: u32 };

pub const Entry = struct {
    /// The mount that becomes `/`.
    root: [*:0]const u8,
    /// Path inside the jail.
    program: [*:0]const u8,
    arguments: Strings,
    environment: Strings,
    /// Open cgroup.procs files that the child joins; -1 for none.
    group_fds: [2]i32,
    limits: []const drop.Limit,
    identity: drop.Identity,
    pid_namespace: bool,
    /// A first process stays in the PID namespace, so that it outlives a program that daemonizes.
    keep_init: bool,
};

pub const JailExit = extern struct { code: u32 = 0, signal: u32 = 0 };

/// Runs the program to its end. Signals that ask a process to end go on to it meanwhile.
pub fn enter(entry: Entry, failure: *Failure) HostError!JailExit {
    const arena = try Arena.create(entry, failure);
    defer arena.destroy();
    var pipe: [2]i32 = .{ -1, -1 };
    if (entry.keep_init) {
        _ = try jail.check(failure, .process_clone, linux.pipe2(&pipe, .{ .CLOEXEC = true }), 0);
        arena.report_fd = pipe[1];
    }
    defer for (pipe) |fd| if (fd >= 0) system.close(fd);

    var forwarding = forward.Forwarding.begin();
    defer forwarding.end();
    const flags = cloneFlags(entry);
    const raw = linux.clone(childMain, arena.stackTop(), flags, @intFromPtr(arena), null, 0, null);
    const pid: i32 = @intCast(try jail.check(failure, .process_clone, raw, flags));
    forwarding.to(pid);
    if (entry.keep_init) {
        system.close(pipe[1]);
        pipe[1] = -1;
        if (readStatus(pipe[0])) |status| return exitOf(status);
    }
    const status = waitFor(pid);
    if (arena.failure.operation != .none) {
        failure.* = arena.failure;
        return error.Host;
    }
    return exitOf(status);
}

fn cloneFlags(entry: Entry) u32 {
    const SIGCHLD = @backingInt(linux.SIG.CHLD);
    const memory: u32 = if (entry.keep_init) 0 else linux.CLONE.VM | linux.CLONE.VFORK;
    const pid: u32 = if (entry.pid_namespace) linux.CLONE.NEWPID else 0;
    // A mount namespace of its own, so that pivot_root leaves this process where it is.
    return memory | pid | linux.CLONE.NEWNS | SIGCHLD;
}

fn childMain(argument: usize) callconv(.c) u8 {
    const arena: *Arena = @ptrFromInt(argument);
    prepare(arena) catch return 1;
    if (arena.report_fd < 0) {
        // Ends with the launcher, also when that is killed; setresuid(2) clears it, so after it.
        _ = linux.prctl(pr_set_pdeathsig, @backingInt(linux.SIG.KILL), 0, 0, 0);
        return startProgram(argument);
    }
    return initMain(arena);
}

fn prepare(arena: *Arena) HostError!void {
    const failure = &arena.failure;
    for (arena.group_fds, 0..) |fd, index| {
        if (fd < 0) continue;
        // "0" is the writing process (cgroups(7)).
        _ = try jail.check(failure, .cgroup_join, linux.write(fd, "0", 1), index);
    }
    _ = try jail.check(failure, .pivot_root, linux.chdir(arena.root), 0);
    // The old root ends up on top of the new one and is taken off (pivot_root(2), NOTES).
    _ = try jail.check(failure, .pivot_root, linux.pivot_root(".", "."), 0);
    _ = try jail.check(failure, .pivot_root, linux.umount2(".", linux.MNT.DETACH), 0);
    _ = try jail.check(failure, .pivot_root, linux.chdir("/"), 0);
    try drop.closeFiles(arena.report_fd, failure);
    try drop.setLimits(arena.limits(), failure);
    try drop.setIdentity(arena.identity, failure);
}

fn startProgram(argument: usize) callconv(.c) u8 {
    const arena: *Arena = @ptrFromInt(argument);
    forward.resetForProgram();
    const raw = linux.execve(arena.program, arena.arguments(), arena.environment());
    // A program that started does not come back here.
    _ = jail.check(&arena.failure, .program_start, raw, 0) catch return 127;
    unreachable;
}

/// The first process of the PID namespace: starts the program, reports how it ended, and stays
/// until every process that the program left behind has ended.
fn initMain(arena: *Arena) u8 {
    const flags = linux.CLONE.VM | linux.CLONE.VFORK | @backingInt(linux.SIG.CHLD);
    const top = arena.secondStackTop();
    const raw = linux.clone(startProgram, top, flags, @intFromPtr(arena), null, 0, null);
    const answer = jail.check(&arena.failure, .process_clone, raw, flags) catch return 1;
    if (arena.failure.operation != .none) return 1;
    const program: i32 = @intCast(answer);
    _ = linux.prctl(pr_set_name, @intFromPtr("ozone-init"), 0, 0, 0);
    forward.toEveryProcess();
    while (true) {
        var status: i32 = 0;
        const waited = system.result(linux.wait4(-1, &status, 0, null));
        if (waited.errno == system.EINTR) continue;
        if (!waited.ok()) return 0;
        if (waited.fd() == program) report(arena, status);
    }
}

fn report(arena: *Arena, status: i32) void {
    _ = linux.write(arena.report_fd, std.mem.asBytes(&status), 4);
    system.close(arena.report_fd);
    // Whoever reads the launcher's output would else wait for this process.
    const null_device = system.result(linux.open("/dev/null", .{ .ACCMODE = .RDWR }, 0));
    for (0..3) |fd| {
        if (null_device.ok()) {
            _ = linux.dup2(null_device.fd(), @intCast(fd));
        } else {
            system.close(@intCast(fd));
        }
    }
    if (null_device.ok() and null_device.fd() > 2) system.close(null_device.fd());
}

fn readStatus(fd: i32) ?i32 {
    var status: i32 = 0;
    while (true) {
        const answer = system.result(linux.read(fd, std.mem.asBytes(&status), 4));
        if (answer.errno == system.EINTR) continue;
        return if (answer.ok() and answer.value == 4) status else null;
    }
}

fn waitFor(pid: i32) i32 {
    var status: i32 = 0;
    while (system.result(linux.wait4(pid, &status, 0, null)).errno == system.EINTR) {}
    return status;
}

/// wait(2): the low seven bits are the signal, the next byte the exit code.
fn exitOf(status: i32) JailExit {
    const bits: u32 = @bitCast(status);
    return .{ .code = (bits >> 8) & 0xff, .signal = bits & 0x7f };
}

const pr_set_pdeathsig = 1;
const pr_set_name = 15;

test "a wait status splits into code and signal" {
    try std.testing.expectEqual(JailExit{ .code = 3, .signal = 0 }, exitOf(0x300));
    try std.testing.expectEqual(JailExit{ .code = 0, .signal = 9 }, exitOf(9));
}
