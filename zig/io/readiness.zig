//! What a descriptor of a character back end can do now, without waiting, and writing to it.

const linux = @import("std").os.linux;
const system = @import("../kernel/system.zig");

/// A pipe that polls as writable takes this much without blocking (pipe(7), PIPE_BUF).
pub const chunk_size_max = 4096;

/// Some descriptors of the user are shared with other programs and stay in blocking mode.
pub fn isWritable(fd: i32) bool {
    return pollNow(fd, linux.POLL.OUT) != 0;
}

/// Whether nobody is at the other end of a socket or pseudo terminal.
pub fn isHungUp(fd: i32) bool {
    return pollNow(fd, 0) != 0;
}

fn pollNow(fd: i32, events: i16) i16 {
    var poll: linux.pollfd = .{ .fd = fd, .events = events, .revents = 0 };
    return if (linux.poll(@ptrCast(&poll), 1, 0) == 1) poll.revents else 0;
}

/// Takes what is there to read, which says no more than that there is something.
pub fn drain(fd: i32) void {
    var buffer: [512]u8 align(8) = undefined;
    _ = linux.read(fd, &buffer, buffer.len);
}

/// Waits at most `timeout_ms` until a descriptor takes output.
pub fn awaitWritable(fd: i32, timeout_ms: i32) void {
    var poll: linux.pollfd = .{ .fd = fd, .events = linux.POLL.OUT, .revents = 0 };
    _ = linux.poll(@ptrCast(&poll), 1, timeout_ms);
}

/// A socket whose peer is gone must not raise SIGPIPE; other files take a plain write.
pub fn writeQuietly(fd: i32, data: []const u8) system.Result {
    const flags = linux.MSG.NOSIGNAL | linux.MSG.DONTWAIT;
    const sent = system.result(linux.sendto(fd, data.ptr, data.len, flags, null, 0));
    if (sent.errno != not_a_socket) return sent;
    return system.result(linux.write(fd, data.ptr, data.len));
}

const not_a_socket = 88;
