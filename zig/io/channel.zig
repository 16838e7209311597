//! A connected socket whose bytes may come with descriptors (SCM_RIGHTS, unix(7)), which the
//! runtime cannot receive. A loop waits until something is there and rings the doorbell, once;
//! TypeScript then receives, which has the loop wait again.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("../errors.zig");
const limits = @import("../limits.zig");
const system = @import("../kernel/system.zig");
const Doorbell = @import("doorbell.zig").Doorbell;
const loop_module = @import("loop.zig");

const f_dupfd_cloexec = 1030;
const errno_exists = 17;

pub const Received = struct {
    size: u32 = 0,
    fd_count: u32 = 0,
    /// More descriptors came than there was room for: the kernel closed those.
    truncated: bool = false,
};

/// A message's control part: one header and its descriptors (cmsg(3)).
const Control = extern struct {
    length: usize = 0,
    level: i32 = 0,
    type: i32 = 0,
    fds: [limits.channel_fd_count_max]i32 = undefined,

    const header_size = @offsetOf(Control, "fds");
    const rights = 1;
};

pub const Channel = struct {
    loop: *loop_module.Loop,
    doorbell: *Doorbell,
    source: loop_module.Source = undefined,

    /// Watches a duplicate of `fd`, which stays the caller's. `self` stays at one address until
    /// `close`. Errors: Host (fcntl, epoll).
    pub fn open(self: *Channel, fd: i32, failure: *errors.Failure) errors.CoreError!void {
        const duplicate = system.result(linux.fcntl(fd, f_dupfd_cloexec, 0));
        if (!duplicate.ok()) return failure.set(.channel, duplicate.errno, @as(u32, @bitCast(fd)));
        errdefer system.close(duplicate.fd());
        self.source = .{ .fd = duplicate.fd(), .context = self, .handler = handleReadable };
        try self.loop.add(&self.source, .readable, failure);
    }

    /// Not on the loop's thread.
    pub fn close(self: *Channel) void {
        self.loop.remove(&self.source);
        system.close(self.source.fd);
    }

    /// Takes what is there, at most `bytes.len` of it, and the descriptors that came with it, which
    /// are the caller's then. A size of 0 is the end of the stream. Error: Host, with EAGAIN when
    /// nothing is there. The doorbell rings when there is more.
    pub fn receive(
        self: *Channel,
        bytes: []u8,
        fds: *[limits.channel_fd_count_max]i32,
        failure: *errors.Failure,
    ) errors.CoreError!Received {
        var control: Control = .{};
        var piece = [_]std.posix.iovec{.{ .base = bytes.ptr, .len = bytes.len }};
        var message = std.mem.zeroes(linux.msghdr);
        message.iov = &piece;
        message.iovlen = piece.len;
        message.control = &control;
        message.controllen = @sizeOf(Control);
        const flags = linux.MSG.DONTWAIT | linux.MSG.CMSG_CLOEXEC;
        const answer = system.result(linux.recvmsg(self.source.fd, &message, flags));
        const count = if (answer.ok()) fdCount(&control, message.controllen) else 0;
        errdefer for (control.fds[0..count]) |fd| system.close(fd);
        if (answer.errno == system.EAGAIN or answer.value != 0) try self.watchAgain(failure);
        if (!answer.ok()) return failure.set(.channel, answer.errno, 0);
        @memcpy(fds[0..count], control.fds[0..count]);
        return .{
            .size = @intCast(answer.value),
            .fd_count = @intCast(count),
            .truncated = message.flags & linux.MSG.CTRUNC != 0,
        };
    }

    fn watchAgain(self: *Channel, failure: *errors.Failure) errors.CoreError!void {
        self.loop.add(&self.source, .readable, failure) catch |err| {
            // It was never away: nothing had come.
            if (failure.errno != errno_exists) return err;
        };
    }

    fn fdCount(control: *const Control, size: usize) usize {
        if (size < Control.header_size) return 0;
        if (control.level != linux.SOL.SOCKET or control.type != Control.rights) return 0;
        return (control.length - Control.header_size) / @sizeOf(i32);
    }

    fn handleReadable(context: *anyopaque, _: loop_module.Readiness) void {
        const self: *Channel = @ptrCast(@alignCast(context));
        // Until it is received from: a hang-up would come again and again.
        self.loop.removeFromHandler(&self.source);
        self.doorbell.ring(.channel);
    }
};

/// The channels of a machine by their numbers.
pub const Table = struct {
    channels: [limits.channel_count_max]?Channel = @splat(null),

    /// Errors: Limit, Host.
    pub fn open(
        self: *Table,
        loop: *loop_module.Loop,
        doorbell: *Doorbell,
        fd: i32,
        failure: *errors.Failure,
    ) errors.CoreError!u32 {
        for (&self.channels, 0..) |*slot, index| {
            if (slot.* != null) continue;
            slot.* = .{ .loop = loop, .doorbell = doorbell };
            errdefer slot.* = null;
            try slot.*.?.open(fd, failure);
            return @intCast(index);
        }
        return error.Limit;
    }

    pub fn get(self: *Table, index: u32) errors.CoreError!*Channel {
        if (index >= self.channels.len) return error.Invalid;
        return if (self.channels[index]) |*channel| channel else error.Stale;
    }

    pub fn close(self: *Table, index: u32) errors.CoreError!void {
        const channel = try self.get(index);
        channel.close();
        self.channels[index] = null;
    }

    pub fn closeAll(self: *Table) void {
        for (&self.channels) |*slot| {
            if (slot.*) |*channel| channel.close();
            slot.* = null;
        }
    }
};

const Pair = struct {
    failure: errors.Failure = .{},
    loop: loop_module.Loop = .{},
    doorbell: Doorbell = .{},
    table: Table = .{},
    ours: i32 = -1,
    theirs: i32 = -1,
    index: u32 = 0,

    fn init(self: *Pair) !void {
        self.* = .{};
        try self.doorbell.open(&self.failure);
        try self.loop.start("probe", &self.failure);
        var fds: [2]i32 = undefined;
        const kind = linux.SOCK.STREAM | linux.SOCK.CLOEXEC;
        _ = linux.socketpair(linux.AF.UNIX, kind, 0, &fds);
        self.ours = fds[0];
        self.theirs = fds[1];
        self.index = try self.table.open(&self.loop, &self.doorbell, fds[0], &self.failure);
    }

    fn deinit(self: *Pair) void {
        self.table.closeAll();
        self.loop.stop();
        system.close(self.doorbell.read_fd);
        self.doorbell.read_fd = -1;
        self.doorbell.close();
        system.close(self.ours);
        system.close(self.theirs);
    }

    /// Waits for the bell, then receives.
    fn receive(self: *Pair, bytes: []u8, fds: *[limits.channel_fd_count_max]i32) !Received {
        var poll = [_]linux.pollfd{
            .{ .fd = self.doorbell.read_fd, .events = linux.POLL.IN, .revents = 0 },
        };
        _ = linux.poll(&poll, poll.len, -1);
        var byte: [8]u8 = undefined;
        _ = linux.read(self.doorbell.read_fd, &byte, byte.len);
        try std.testing.expectEqual(@as(u32, 1 << @backingInt(news)), self.doorbell.take());
        return (try self.table.get(self.index)).receive(bytes, fds, &self.failure);
    }

    const news: @import("doorbell.zig").News = .channel;

    /// Sends a byte with as many duplicates of `fd`.
    fn sendFds(self: *Pair, fd: i32, count: usize) void {
        var control: extern struct { length: usize, level: i32, type: i32, fds: [64]i32 } = .{
            .length = Control.header_size + count * @sizeOf(i32),
            .level = linux.SOL.SOCKET,
            .type = Control.rights,
            .fds = @splat(fd),
        };
        var piece = [_]std.posix.iovec_const{.{ .base = "x", .len = 1 }};
        var message = std.mem.zeroes(linux.msghdr_const);
        message.iov = &piece;
        message.iovlen = piece.len;
        message.control = &control;
        message.controllen = control.length;
        _ = linux.sendmsg(self.theirs, &message, 0);
    }
};

test "bytes and descriptors come together, and too many descriptors are told" {
    var pair: Pair = undefined;
    try pair.init();
    defer pair.deinit();
    var bytes: [16]u8 = undefined;
    var fds: [limits.channel_fd_count_max]i32 = undefined;
    pair.sendFds(pair.theirs, 2);
    const two = try pair.receive(&bytes, &fds);
    try std.testing.expectEqual(Received{ .size = 1, .fd_count = 2 }, two);
    for (fds[0..two.fd_count]) |fd| {
        const flags = linux.fcntl(fd, linux.F.GETFD, 0);
        try std.testing.expectEqual(@as(usize, linux.FD_CLOEXEC), flags);
        system.close(fd);
    }
    pair.sendFds(pair.theirs, limits.channel_fd_count_max + 3);
    const many = try pair.receive(&bytes, &fds);
    try std.testing.expect(many.truncated);
    try std.testing.expectEqual(@as(u32, limits.channel_fd_count_max), many.fd_count);
    for (fds[0..many.fd_count]) |fd| system.close(fd);
}

test "the bell rings again for what is left, and for the end" {
    var pair: Pair = undefined;
    try pair.init();
    defer pair.deinit();
    var bytes: [2]u8 = undefined;
    var fds: [limits.channel_fd_count_max]i32 = undefined;
    _ = linux.write(pair.theirs, "abc", 3);
    try std.testing.expectEqual(Received{ .size = 2 }, try pair.receive(&bytes, &fds));
    try std.testing.expectEqual(Received{ .size = 1 }, try pair.receive(&bytes, &fds));
    const channel = try pair.table.get(pair.index);
    const nothing = channel.receive(&bytes, &fds, &pair.failure);
    try std.testing.expectError(error.Host, nothing);
    try std.testing.expectEqual(@as(i32, system.EAGAIN), pair.failure.errno);
    _ = linux.shutdown(pair.theirs, linux.SHUT.WR);
    try std.testing.expectEqual(Received{}, try pair.receive(&bytes, &fds));
}

test "a closed channel is stale, and the table has an end" {
    var pair: Pair = undefined;
    try pair.init();
    defer pair.deinit();
    for (1..limits.channel_count_max) |_| {
        _ = try pair.table.open(&pair.loop, &pair.doorbell, pair.ours, &pair.failure);
    }
    const more = pair.table.open(&pair.loop, &pair.doorbell, pair.ours, &pair.failure);
    try std.testing.expectError(error.Limit, more);
    try pair.table.close(pair.index);
    try std.testing.expectError(error.Stale, pair.table.get(pair.index));
    const missing = pair.table.open(&pair.loop, &pair.doorbell, -1, &pair.failure);
    try std.testing.expectError(error.Host, missing);
    try std.testing.expectError(error.Invalid, pair.table.get(limits.channel_count_max));
}
