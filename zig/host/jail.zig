//! What a sandbox needs of the kernel and node:fs cannot do: namespaces, mounts, device nodes.
//! Every call acts on the calling thread only, whose later file system calls then see the change.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("../errors.zig");
const system = @import("../kernel/system.zig");
const Failure = errors.Failure;
const HostError = errors.HostError;

/// Turns a raw result into a value, or records the cause.
pub fn check(
    failure: *Failure,
    operation: errors.Operation,
    raw: usize,
    value: u64,
) HostError!usize {
    const answer = system.result(raw);
    if (answer.ok()) return answer.value;
    return failure.set(operation, answer.errno, value);
}

/// Moves the calling thread into new namespaces: a set of CLONE_NEW… bits (unshare(2)).
pub fn unshare(namespaces: u32, failure: *Failure) HostError!void {
    _ = try check(failure, .namespace_unshare, linux.unshare(namespaces), namespaces);
}

/// Moves the calling thread into the network namespace that `fd` refers to (setns(2)).
pub fn joinNetwork(fd: i32, failure: *Failure) HostError!void {
    _ = try check(failure, .namespace_join, linux.setns(fd, linux.CLONE.NEWNET), 0);
}

/// Names the calling thread's UTS namespace (sethostname(2)).
pub fn setHostName(name: []const u8, failure: *Failure) HostError!void {
    const raw = linux.syscall2(.sethostname, @intFromPtr(name.ptr), name.len);
    _ = try check(failure, .host_name, raw, 0);
}

/// One mount(2) without a file system type: bind, remount or change of propagation.
pub fn mount(
    source: [*:0]const u8,
    target: [*:0]const u8,
    flags: u32,
    failure: *Failure,
) HostError!void {
    _ = try check(failure, .mount, linux.mount(source, target, null, flags, 0), flags);
}

/// Detaches a mount, also a busy one, and never follows a link (umount2(2)).
pub fn unmount(target: [*:0]const u8, failure: *Failure) HostError!void {
    const flags = linux.MNT.DETACH | umount_nofollow;
    _ = try check(failure, .unmount, linux.umount2(target, flags), 0);
}

const umount_nofollow = 8;

pub const DeviceNumber = struct {
    major: u32,
    minor: u32,

    /// The kernel's encoding, linux/kdev_t.h new_encode_dev.
    pub fn encode(self: DeviceNumber) u32 {
        return (self.minor & 0xff) | (self.major << 8) | ((self.minor & ~@as(u32, 0xff)) << 12);
    }
};

/// Makes a character device; the umask takes bits of `mode` away (mknod(2)).
pub fn makeNode(
    path: [*:0]const u8,
    mode: u32,
    number: DeviceNumber,
    failure: *Failure,
) HostError!void {
    const raw = linux.mknod(path, linux.S.IFCHR | mode, number.encode());
    _ = try check(failure, .device_node, raw, number.encode());
}

/// Takes the lock of an open folder or file without waiting (flock(2)); closing gives it back.
pub fn lock(fd: i32, failure: *Failure) HostError!void {
    const raw = linux.syscall2(.flock, @intCast(fd), lock_exclusive | lock_nonblocking);
    _ = try check(failure, .file_lock, raw, 0);
}

const lock_exclusive = 2;
const lock_nonblocking = 4;

test "device numbers above 255 keep their low and high parts apart" {
    const kvm: DeviceNumber = .{ .major = 10, .minor = 232 };
    try std.testing.expectEqual(@as(u32, 0x0ae8), kvm.encode());
    const latency: DeviceNumber = .{ .major = 10, .minor = 259 };
    try std.testing.expectEqual(@as(u32, 0x100a03), latency.encode());
}
