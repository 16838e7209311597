//! The launcher's part of the C ABI: parameter structs and calls of abi/jail.zig. There is no
//! core here; each call acts on the calling thread and gives its cause to `failure`.

const limits = @import("../limits.zig");
const errors = @import("../errors.zig");
const scalars = @import("../abi_scalars.zig");
const jail = @import("jail.zig");
const jail_drop = @import("jail_drop.zig");
const jail_enter = @import("jail_enter.zig");
const Bits64 = scalars.Bits64;
const Pointer = scalars.Pointer;
const Status = errors.Status;

pub const JailMountParams = extern struct {
    /// Paths end with a zero here and below.
    source: Pointer,
    target: Pointer,
    /// MS_… of mount(2).
    flags: u32,
    padding: u32 = 0,
};

pub const JailNodeParams = extern struct { path: Pointer, mode: u32, major: u32, minor: u32 };

/// What starts a program in a jail; see jail_enter.Entry.
pub const JailEnterParams = extern struct {
    root: Pointer,
    program: Pointer,
    /// Strings that follow each other, each ended by a zero.
    arguments: Pointer,
    arguments_size: u64,
    environment: Pointer,
    environment_size: u64,
    argument_count: u32,
    environment_count: u32,
    /// Array of JailLimit.
    limits: Pointer,
    limit_count: u32,
    uid: u32,
    gid: u32,
    /// Open cgroup.procs files to join; -1 for none.
    group_fd: i32,
    second_group_fd: i32,
    pid_namespace: u32,
    keep_init: u32,
    padding: u32 = 0,
    /// Set of capability numbers to keep.
    capabilities: u64,
};

/// One RLIMIT_…; all ones is no limit.
pub const JailLimit = extern struct { resource: u32, padding: u32 = 0, soft: Bits64, hard: Bits64 };

/// New namespaces for the thread: a set of CLONE_NEW… bits.
pub fn unshareNamespaces(namespaces: u32, failure: *errors.Failure) callconv(.c) Status {
    return done(jail.unshare(namespaces, failure));
}

/// Joins the network namespace that `fd` is open on.
pub fn joinNetwork(fd: i32, failure: *errors.Failure) callconv(.c) Status {
    return done(jail.joinNetwork(fd, failure));
}

/// Names the thread's UTS namespace.
pub fn setHostName(name: [*]const u8, size: u32, failure: *errors.Failure) callconv(.c) Status {
    return done(jail.setHostName(name[0..size], failure));
}

pub fn mount(params: *const JailMountParams, failure: *errors.Failure) callconv(.c) Status {
    const source = textOf(params.source);
    return done(jail.mount(source, textOf(params.target), params.flags, failure));
}

pub fn unmount(target: [*:0]const u8, failure: *errors.Failure) callconv(.c) Status {
    return done(jail.unmount(target, failure));
}

pub fn makeNode(params: *const JailNodeParams, failure: *errors.Failure) callconv(.c) Status {
    const number: jail.DeviceNumber = .{ .major = params.major, .minor = params.minor };
    return done(jail.makeNode(textOf(params.path), params.mode, number, failure));
}

/// Takes the lock of an open folder; EAGAIN says that another launcher has it.
pub fn lock(fd: i32, failure: *errors.Failure) callconv(.c) Status {
    return done(jail.lock(fd, failure));
}

/// Starts the program and returns when it has ended: the launcher's only blocking call.
pub fn enter(
    params: *const JailEnterParams,
    out: *jail_enter.JailExit,
    failure: *errors.Failure,
) callconv(.c) Status {
    const entry = entryOf(params) catch |err| return errors.statusOf(err);
    out.* = jail_enter.enter(entry, failure) catch |err| return errors.statusOf(err);
    return .ok;
}

fn entryOf(params: *const JailEnterParams) errors.CoreError!jail_enter.Entry {
    return .{
        .root = textOf(params.root),
        .program = textOf(params.program),
        .arguments = .{
            .bytes = try sliceOf(params.arguments, params.arguments_size),
            .count = params.argument_count,
        },
        .environment = .{
            .bytes = try sliceOf(params.environment, params.environment_size),
            .count = params.environment_count,
        },
        .group_fds = .{ params.group_fd, params.second_group_fd },
        .limits = limitsOf(params.limits, params.limit_count),
        .identity = .{
            .uid = params.uid,
            .gid = params.gid,
            .capabilities = params.capabilities,
        },
        .pid_namespace = params.pid_namespace != 0,
        .keep_init = params.keep_init != 0,
    };
}

fn limitsOf(pointer: Pointer, count: u32) []const jail_drop.Limit {
    if (count == 0) return &.{};
    const limit_list: [*]const jail_drop.Limit = @ptrFromInt(@backingInt(pointer));
    return limit_list[0..count];
}

fn textOf(pointer: Pointer) [*:0]const u8 {
    return @ptrFromInt(@backingInt(pointer));
}

fn sliceOf(pointer: Pointer, size: u64) errors.CoreError![]const u8 {
    if (size > limits.transfer_size_max) return error.Limit;
    if (size == 0) return &.{};
    const bytes: [*]const u8 = @ptrFromInt(@backingInt(pointer));
    return bytes[0..size];
}

fn done(answer: errors.HostError!void) Status {
    answer catch |err| return errors.statusOf(err);
    return .ok;
}
