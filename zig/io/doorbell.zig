//! How the data plane wakes JavaScript: a level, not a queue. A bit is set for each kind of news
//! and one byte is written to a socket pair; the reader takes all bits at once. Nothing overflows.

const std = @import("std");
const linux = std.os.linux;
const system = @import("../kernel/system.zig");
const errors = @import("../errors.zig");

/// Kinds of news, as bits.
pub const News = enum(u32) {
    /// A vCPU is parked.
    park = 0,
    /// A device wants to be looked at (needs reset, I/O error).
    device = 1,
    /// The user left the console (Ctrl-A x).
    console_quit = 2,
    /// The guest wrote a boot-time mark.
    boot_mark = 3,
    /// Writing guest memory into a file has ended.
    migration = 4,
    /// A channel has something to receive.
    channel = 5,
    /// Trace events wait for the log.
    trace = 6,
    /// A character device's first client has come, or writing its output has failed.
    chardev = 7,
};

pub const Doorbell = struct {
    bits: std.atomic.Value(u32) = .init(0),
    /// Wake-ups so far, for the test that counts them.
    ring_count: std.atomic.Value(u64) = .init(0),
    write_fd: i32 = -1,
    /// Until JavaScript takes it, which closes it then.
    read_fd: i32 = -1,

    pub fn open(self: *Doorbell, failure: *errors.Failure) errors.HostError!void {
        var pair: [2]i32 = undefined;
        const kind = linux.SOCK.STREAM | linux.SOCK.CLOEXEC | linux.SOCK.NONBLOCK;
        const answer = system.result(linux.socketpair(linux.AF.UNIX, kind, 0, &pair));
        if (!answer.ok()) return failure.set(.socketpair, answer.errno, 0);
        self.write_fd = pair[0];
        self.read_fd = pair[1];
    }

    pub fn close(self: *Doorbell) void {
        if (self.write_fd >= 0) system.close(self.write_fd);
        if (self.read_fd >= 0) system.close(self.read_fd);
        self.write_fd = -1;
        self.read_fd = -1;
    }

    pub fn ring(self: *Doorbell, news: News) void {
        const bit = @as(u32, 1) << @intCast(@backingInt(news));
        if (self.bits.fetchOr(bit, .acq_rel) != 0) return;
        _ = self.ring_count.fetchAdd(1, .monotonic);
        _ = linux.write(self.write_fd, "!", 1);
    }

    /// All bits since the last call.
    pub fn take(self: *Doorbell) u32 {
        return self.bits.swap(0, .acq_rel);
    }
};

test "news that come before the reader looks cost one byte" {
    var failure: errors.Failure = .{};
    var bell: Doorbell = .{};
    try bell.open(&failure);
    defer bell.close();
    defer system.close(bell.read_fd);
    bell.ring(.park);
    bell.ring(.console_quit);
    bell.ring(.park);
    var buffer: [8]u8 = undefined;
    try std.testing.expectEqual(@as(usize, 1), linux.read(bell.read_fd, &buffer, buffer.len));
    try std.testing.expectEqual(@as(u32, 0b101), bell.take());
    try std.testing.expectEqual(@as(u32, 0), bell.take());
}
