//! Whole messages over a unix stream socket that never blocks: what cannot be sent yet waits, what
//! has not come wholly is waited for, and whatever breaks the form of a message is refused, with
//! the descriptors that came along closed.

const std = @import("std");
const linux = std.os.linux;
const limits = @import("../limits.zig");
const system = @import("../kernel/system.zig");
const protocol = @import("message.zig");

const Header = protocol.Header;
const Message = protocol.Message;

/// What ends a connection.
pub const Error = error{
    /// The other side closed it, or the kernel did.
    Closed,
    /// A header of another version.
    Form,
    /// A payload longer than any message has.
    Size,
    /// More descriptors than any message has, or with bytes that begin no message.
    Descriptors,
};

const buffer_size = @sizeOf(Header) + protocol.payload_size_max;

pub const Channel = struct {
    fd: i32 = -1,
    output: [buffer_size]u8 = undefined,
    output_start: usize = 0,
    output_end: usize = 0,
    /// Go with the first byte of the output; their owner keeps them open.
    output_fds: [protocol.region_count_max]i32 = undefined,
    output_fd_count: usize = 0,
    input: [buffer_size]u8 = undefined,
    input_length: usize = 0,
    fds: [limits.vhost_user_fd_count_max]i32 = undefined,
    fd_count: usize = 0,

    /// Ends the connection and forgets what was on its way.
    pub fn close(self: *Channel) void {
        if (self.fd >= 0) system.close(self.fd);
        self.closeReceived();
        self.* = .{};
    }

    fn closeReceived(self: *Channel) void {
        for (self.fds[0..self.fd_count]) |fd| system.close(fd);
        self.fd_count = 0;
    }

    /// Something waits until the socket takes it: `flush` then.
    pub fn isBlocked(self: *const Channel) bool {
        return self.output_start != self.output_end;
    }

    /// Sends a message, as much as the socket takes. Nothing must be waiting.
    pub fn send(self: *Channel, message: *const Message) Error!void {
        std.debug.assert(!self.isBlocked());
        const header: Header = .{
            .request = message.request,
            .flags = message.flags,
            .size = message.size,
        };
        @memcpy(self.output[0..@sizeOf(Header)], std.mem.asBytes(&header));
        @memcpy(self.output[@sizeOf(Header)..][0..message.size], message.bytes());
        self.output_start = 0;
        self.output_end = @sizeOf(Header) + message.size;
        self.output_fd_count = message.fd_count;
        @memcpy(self.output_fds[0..message.fd_count], message.fds[0..message.fd_count]);
        try self.flush();
    }

    /// Sends what waits, as much as the socket takes.
    pub fn flush(self: *Channel) Error!void {
        if (!self.isBlocked()) return;
        const fds = self.output_fds[0..if (self.output_start == 0) self.output_fd_count else 0];
        const rest = self.output[self.output_start..self.output_end];
        const piece: std.posix.iovec_const = .{ .base = rest.ptr, .len = rest.len };
        var control: Control = .{};
        const size = control.fill(fds);
        const header: linux.msghdr_const = .{
            .name = null,
            .namelen = 0,
            .iov = @ptrCast(&piece),
            .iovlen = 1,
            .control = if (size == 0) null else &control,
            .controllen = size,
            .flags = 0,
        };
        const answer = system.result(linux.sendmsg(self.fd, &header, linux.MSG.NOSIGNAL));
        switch (answer.errno) {
            0 => self.output_start += answer.value,
            system.EAGAIN, system.EINTR => {},
            else => return error.Closed,
        }
    }

    /// The next message, or null until more comes. Its descriptors are the caller's then.
    pub fn receive(self: *Channel) Error!?Message {
        while (self.missing() != 0) {
            if (!try self.receiveSome()) return null;
        }
        const header = self.inputHeader();
        var message: Message = .{ .request = header.request, .flags = header.flags };
        message.append(self.input[@sizeOf(Header)..self.input_length]);
        message.fd_count = self.fd_count;
        @memcpy(message.fds[0..self.fd_count], self.fds[0..self.fd_count]);
        self.fd_count = 0;
        self.input_length = 0;
        return message;
    }

    fn inputHeader(self: *const Channel) Header {
        return std.mem.bytesToValue(Header, self.input[0..@sizeOf(Header)]);
    }

    /// Bytes to the end of the header, or behind it to that of the payload.
    fn missing(self: *const Channel) usize {
        if (self.input_length < @sizeOf(Header)) return @sizeOf(Header) - self.input_length;
        return @sizeOf(Header) + self.inputHeader().size - self.input_length;
    }

    /// False when there is nothing yet.
    fn receiveSome(self: *Channel) Error!bool {
        const before = self.input_length;
        const target = self.input[before..][0..self.missing()];
        const piece: std.posix.iovec = .{ .base = target.ptr, .len = target.len };
        var control: Control = .{};
        var pieces = [1]std.posix.iovec{piece};
        var header_in: linux.msghdr = .{
            .name = null,
            .namelen = 0,
            .iov = &pieces,
            .iovlen = 1,
            .control = &control,
            .controllen = @sizeOf(Control),
            .flags = 0,
        };
        const raw = linux.recvmsg(self.fd, &header_in, linux.MSG.CMSG_CLOEXEC);
        const answer = system.result(raw);
        switch (answer.errno) {
            0 => {},
            system.EAGAIN, system.EINTR => return false,
            else => return error.Closed,
        }
        const came = control.take(header_in.controllen, &self.fds, self.fd_count);
        self.fd_count += came.count;
        if (came.excess or header_in.flags & linux.MSG.CTRUNC != 0) return error.Descriptors;
        if (came.count != 0 and before != 0) return error.Descriptors;
        if (answer.value == 0) return error.Closed;
        self.input_length += answer.value;
        if (self.input_length == @sizeOf(Header)) try self.checkHeader();
        return true;
    }

    fn checkHeader(self: *const Channel) Error!void {
        const got = self.inputHeader();
        const version = got.flags & protocol.flag_version_mask;
        if (version != protocol.flag_version) return error.Form;
        if (got.size > protocol.payload_size_max) return error.Size;
    }
};

/// The control part of a socket message: descriptors and nothing else (cmsg(3)).
const Control = extern struct {
    header: linux.cmsghdr = .{ .len = 0, .level = linux.SOL.SOCKET, .type = linux.SCM.RIGHTS },
    fds: [protocol.region_count_max]i32 = undefined,

    /// Takes descriptors in to be sent; returns the bytes used.
    fn fill(self: *Control, fds: []const i32) usize {
        if (fds.len == 0) return 0;
        @memcpy(self.fds[0..fds.len], fds);
        self.header.len = @sizeOf(linux.cmsghdr) + fds.len * @sizeOf(i32);
        return std.mem.alignForward(usize, self.header.len, linux.cmsg_align);
    }

    const Came = struct { count: usize, excess: bool };

    /// Adds the descriptors that came, of which `size` bytes tell, to those that `target` holds;
    /// those without room there are closed.
    fn take(self: *const Control, size: usize, target: []i32, held: usize) Came {
        if (size < @sizeOf(linux.cmsghdr) or self.header.len < @sizeOf(linux.cmsghdr)) {
            return .{ .count = 0, .excess = false };
        }
        const right = self.header.level == linux.SOL.SOCKET and
            self.header.type == linux.SCM.RIGHTS;
        if (!right) return .{ .count = 0, .excess = false };
        const bytes = @min(self.header.len, size) - @sizeOf(linux.cmsghdr);
        const came = self.fds[0..@min(bytes / @sizeOf(i32), self.fds.len)];
        const room = @min(came.len, target.len - held);
        @memcpy(target[held..][0..room], came[0..room]);
        for (came[room..]) |fd| system.close(fd);
        return .{ .count = room, .excess = came.len != room };
    }
};
