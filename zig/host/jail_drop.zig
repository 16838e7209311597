//! Gives up what a jailed program must not have: descriptors, limits, capabilities, the user's
//! identity, and the way to get any of it back. Runs in the child; raw system calls only.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("../errors.zig");
const system = @import("../kernel/system.zig");
const check = @import("jail.zig").check;
const Failure = errors.Failure;
const HostError = errors.HostError;

/// One RLIMIT_… of prlimit(2); all ones is no limit.
pub const Limit = extern struct { resource: u32, padding: u32 = 0, soft: u64, hard: u64 };

pub const Identity = extern struct {
    uid: u32,
    gid: u32,
    /// Set of capability numbers to keep.
    capabilities: u64,
};

/// Closes all but standard input, output, error and `kept` (-1 for none).
pub fn closeFiles(kept: i32, failure: *Failure) HostError!void {
    if (kept < 0) return closeRange(3, std.math.maxInt(i32), failure);
    if (kept > 3) try closeRange(3, kept - 1, failure);
    return closeRange(kept + 1, std.math.maxInt(i32), failure);
}

fn closeRange(first: i32, last: i32, failure: *Failure) HostError!void {
    const raw = linux.close_range(first, last, .{ .UNSHARE = false, .CLOEXEC = false });
    if (system.result(raw).errno != ENOSYS) {
        _ = try check(failure, .close_files, raw, @intCast(first));
        return;
    }
    // Kernels before 5.9 close one by one.
    var bound: linux.rlimit = undefined;
    _ = linux.prlimit(0, .NOFILE, null, &bound);
    const end: i32 = @intCast(@min(bound.cur, closed_one_by_one_max));
    var fd = first;
    while (fd <= @min(last, end)) : (fd += 1) system.close(fd);
}

pub fn setLimits(limits: []const Limit, failure: *Failure) HostError!void {
    for (limits) |limit| {
        const values: linux.rlimit = .{ .cur = limit.soft, .max = limit.hard };
        const pointer = @intFromPtr(&values);
        const raw = linux.syscall4(.prlimit64, 0, limit.resource, pointer, 0);
        _ = try check(failure, .resource_limit, raw, limit.resource);
    }
}

/// Becomes `uid` and `gid` without other groups, with exactly the capabilities named, in all five
/// sets (capabilities(7)), and forbids gaining any by an execve.
pub fn setIdentity(identity: Identity, failure: *Failure) HostError!void {
    try dropBounding(identity.capabilities, failure);
    // Else setresuid takes the permitted set away as well.
    _ = try check(failure, .capability_set, linux.prctl(pr_set_keepcaps, 1, 0, 0, 0), 0);
    const none = [_]linux.gid_t{};
    _ = try check(failure, .user_ids, linux.setgroups(0, &none), 0);
    const gid = identity.gid;
    _ = try check(failure, .user_ids, linux.setresgid(gid, gid, gid), gid);
    const uid = identity.uid;
    _ = try check(failure, .user_ids, linux.setresuid(uid, uid, uid), uid);
    try setCapabilities(identity.capabilities, failure);
    const raw = linux.prctl(pr_set_no_new_privs, 1, 0, 0, 0);
    _ = try check(failure, .no_new_privileges, raw, 0);
}

fn dropBounding(kept: u64, failure: *Failure) HostError!void {
    var number: u6 = 0;
    while (number < capability_count_max) : (number += 1) {
        // The kernel's last capability is the last one it can read.
        const present = system.result(linux.prctl(pr_capbset_read, number, 0, 0, 0));
        if (!present.ok()) return;
        if (kept >> number & 1 != 0 or present.value == 0) continue;
        const raw = linux.prctl(pr_capbset_drop, number, 0, 0, 0);
        _ = try check(failure, .capability_bound, raw, number);
    }
}

fn setCapabilities(kept: u64, failure: *Failure) HostError!void {
    const header: CapabilityHeader = .{ .version = capability_version_3, .pid = 0 };
    var sets: [2]CapabilitySets = undefined;
    for (&sets, 0..) |*half, index| {
        const bits: u32 = @truncate(kept >> @intCast(index * 32));
        half.* = .{ .effective = bits, .permitted = bits, .inheritable = bits };
    }
    const raw = linux.syscall2(.capset, @intFromPtr(&header), @intFromPtr(&sets));
    _ = try check(failure, .capability_set, raw, 0);
    _ = try check(failure, .capability_set, ambient(pr_cap_ambient_clear_all, 0), 0);
    var number: u6 = 0;
    while (number < capability_count_max) : (number += 1) {
        if (kept >> number & 1 == 0) continue;
        _ = try check(failure, .capability_set, ambient(pr_cap_ambient_raise, number), number);
    }
}

fn ambient(command: usize, number: usize) usize {
    return linux.prctl(pr_cap_ambient, command, number, 0, 0);
}

/// linux/capability.h.
const CapabilityHeader = extern struct { version: u32, pid: i32 };
const CapabilitySets = extern struct { effective: u32, permitted: u32, inheritable: u32 };
const capability_version_3 = 0x2008_0522;
/// More than any kernel has; one less than the bits of the set.
const capability_count_max = 63;
const closed_one_by_one_max = 65536;
const ENOSYS = 38;

/// linux/prctl.h.
const pr_set_keepcaps = 8;
const pr_capbset_read = 23;
const pr_capbset_drop = 24;
const pr_set_no_new_privs = 38;
const pr_cap_ambient = 47;
const pr_cap_ambient_raise = 2;
const pr_cap_ambient_clear_all = 4;
