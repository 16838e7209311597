//! Sockets of character devices, which Zig accepts on and moves bytes through. Names stay above: an
//! address comes as the bytes of its sockaddr.

const std = @import("std");
const linux = std.os.linux;
const limits = @import("../limits.zig");
const system = @import("../kernel/system.zig");
const errors = @import("../errors.zig");

/// A sockaddr of any family (sockaddr_storage, socket(7)).
pub const Address = struct {
    bytes: [128]u8 align(8),

    /// Null when it cannot be one.
    pub fn take(self: *Address, from: [*]const u8, size: u32) ?[]align(8) const u8 {
        if (size < 2 or size > self.bytes.len) return null;
        @memcpy(self.bytes[0..size], from[0..size]);
        return self.bytes[0..size];
    }
};

/// A non-blocking stream socket that listens. Errors: Host.
pub fn listen(address: []align(8) const u8, failure: *errors.Failure) errors.HostError!i32 {
    const fd = try create(address, linux.SOCK.STREAM, failure);
    errdefer system.close(fd);
    // A machine that starts anew must not wait for connections of the last one (tcp(7)).
    setOption(fd, linux.SOL.SOCKET, linux.SO.REUSEADDR);
    const bound = system.result(linux.bind(fd, @ptrCast(address.ptr), @intCast(address.len)));
    if (!bound.ok()) return failure.set(.socket_bind, bound.errno, familyOf(address));
    const listening = system.result(linux.listen(fd, backlog));
    if (!listening.ok()) return failure.set(.socket_listen, listening.errno, familyOf(address));
    return fd;
}

const backlog = 8;

/// A non-blocking stream socket that is connected. Errors: Host, also when there is no answer
/// within `limits.connect_wait_ms`.
pub fn connect(address: []align(8) const u8, failure: *errors.Failure) errors.HostError!i32 {
    const fd = try create(address, linux.SOCK.STREAM, failure);
    errdefer system.close(fd);
    const begun = system.result(linux.connect(fd, address.ptr, @intCast(address.len)));
    if (begun.ok()) return fd;
    if (begun.errno != in_progress) {
        return failure.set(.socket_connect, begun.errno, familyOf(address));
    }
    var poll: linux.pollfd = .{ .fd = fd, .events = linux.POLL.OUT, .revents = 0 };
    const answered = linux.poll(@ptrCast(&poll), 1, limits.connect_wait_ms) == 1;
    const again = system.result(linux.connect(fd, address.ptr, @intCast(address.len)));
    if (answered and again.ok()) return fd;
    const errno = if (answered) again.errno else timed_out;
    return failure.set(.socket_connect, errno, familyOf(address));
}

const timed_out = 110;
const in_progress = 115;

/// Whether a process holds the unix socket at an address: 1 or 0. A datagram socket cannot connect
/// to a stream socket and says why, so that nobody is disturbed (unix(7), EPROTOTYPE). Errors:
/// Host, when the kernel does not let us ask.
pub fn inUse(address: []align(8) const u8, failure: *errors.Failure) errors.HostError!u32 {
    const fd = try create(address, linux.SOCK.DGRAM, failure);
    defer system.close(fd);
    const answer = system.result(linux.connect(fd, address.ptr, @intCast(address.len)));
    if (answer.ok() or answer.errno == wrong_type) return 1;
    if (answer.errno == refused or answer.errno == no_entry) return 0;
    return failure.set(.socket_connect, answer.errno, familyOf(address));
}

const no_entry = 2;
const wrong_type = 91;
const refused = 111;

fn create(
    address: []align(8) const u8,
    kind: u32,
    failure: *errors.Failure,
) errors.HostError!i32 {
    const family = familyOf(address);
    const flags = linux.SOCK.CLOEXEC | linux.SOCK.NONBLOCK;
    const created = system.result(linux.socket(family, kind | flags, 0));
    if (!created.ok()) return failure.set(.socket_create, created.errno, family);
    // Keys are to arrive when they are pressed; clients inherit both from their listener.
    if (family != linux.AF.UNIX) {
        setOption(created.fd(), linux.IPPROTO.TCP, linux.TCP.NODELAY);
        setOption(created.fd(), linux.SOL.SOCKET, linux.SO.KEEPALIVE);
    }
    return created.fd();
}

fn familyOf(address: []align(8) const u8) u16 {
    return std.mem.readInt(u16, address[0..2], .little);
}

fn setOption(fd: i32, level: i32, option: u32) void {
    const on: i32 = 1;
    // A family without the option does without it.
    _ = linux.setsockopt(fd, level, option, std.mem.asBytes(&on), @sizeOf(i32));
}
