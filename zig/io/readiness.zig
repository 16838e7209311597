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

/// Writes as much as `fd` takes without waiting; returns how much that was.
pub fn writeNow(fd: i32, data: []const u8) usize {
    var done: usize = 0;
    while (done < data.len and isWritable(fd)) {
        const end = @min(data.len, done + chunk_size_max);
        const answer = writeQuietly(fd, data[done..end]);
        if (!answer.ok() or answer.value == 0) break;
        done += answer.value;
    }
    return done;
}

const not_a_socket = 88;

test "what a pipe or a socket takes is written, and the rest is not waited for" {
    const std = @import("std");
    var ends: [2]i32 = undefined;
    try std.testing.expect(system.result(linux.pipe2(&ends, .{ .CLOEXEC = true })).ok());
    defer for (ends) |fd| system.close(fd);
    const data: [256 * 1024]u8 = @splat('x');
    try std.testing.expectEqual(64 * 1024, writeNow(ends[1], &data));
    try std.testing.expectEqual(0, writeNow(ends[1], "y"));
    var page: [chunk_size_max]u8 = undefined;
    try std.testing.expectEqual(page.len, linux.read(ends[0], &page, page.len));
    try std.testing.expectEqual(1, writeNow(ends[1], "y"));

    var pair: [2]i32 = undefined;
    const kind = linux.SOCK.STREAM | linux.SOCK.CLOEXEC;
    const paired = system.result(linux.socketpair(linux.AF.UNIX, kind, 0, &pair));
    try std.testing.expect(paired.ok());
    defer system.close(pair[0]);
    const large: [4 * 1024 * 1024]u8 = @splat('x');
    const taken = writeNow(pair[0], &large);
    try std.testing.expect(taken > 0 and taken < large.len);
    system.close(pair[1]);
    try std.testing.expectEqual(0, writeNow(pair[0], "y"));
}
