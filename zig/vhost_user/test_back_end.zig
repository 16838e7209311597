//! A back end for tests: answers as the protocol says, but for the one request that it is told to
//! answer badly, and keeps what it was asked. It serves rings where it is given some.

const std = @import("std");
const linux = std.os.linux;
const protocol = @import("message.zig");
const system = @import("../kernel/system.zig");
const Channel = @import("channel.zig").Channel;
const Lock = @import("../lock.zig").Lock;
const Message = protocol.Message;
const Protocol = protocol.Protocol;
const Request = protocol.Request;
const Rings = @import("test_rings.zig").Rings;

/// How an answer is wrong.
pub const Fault = enum {
    silent,
    close,
    other_request,
    no_reply_flag,
    other_version,
    short,
    long,
    refusal,
    descriptor,
    many_descriptors,
};

pub const Tamper = struct { request: Request, fault: Fault };

const message_count_max = 4096;
const serve_wait_ms = 1;

/// A back end that lies, stutters and leaves.
pub const Disorder = struct {
    generator: std.Random.DefaultPrng,
    /// Of a thousand messages, so many are spoiled; guarded by nothing, as one thread sets it.
    rate: std.atomic.Value(u32) = .init(0),

    /// False when the connection ends here.
    fn send(
        self: *Disorder,
        owner: *FakeBackEnd,
        channel: *Channel,
        reply: *Message,
    ) !bool {
        const random = self.generator.random();
        if (random.uintLessThan(u32, 1000) >= self.rate.load(.acquire)) {
            try FakeBackEnd.sendAll(channel, reply);
            return true;
        }
        switch (random.uintLessThan(u32, 11)) {
            0 => return false,
            1 => reply.payload[random.uintLessThan(usize, reply.payload.len)] ^= random.int(u8),
            2 => reply.size = random.uintLessThan(u32, reply.payload.len + 1),
            3 => reply.flags = random.int(u32),
            4 => reply.request = random.uintLessThan(u32, 50),
            5 => attach(reply, random.uintAtMost(usize, reply.fds.len - reply.fd_count)),
            6 => try FakeBackEnd.sendAll(channel, reply),
            7 => return writeRandom(channel.fd, random),
            8 => owner.request(random.uintLessThan(u32, 8), reply.payload[0..random.int(u3)]),
            9 => return random.uintLessThan(u32, 20) != 0,
            else => random.bytes(reply.payload[0..reply.size]),
        }
        try FakeBackEnd.sendAll(channel, reply);
        return true;
    }

    /// Bytes that are no message; the other side ends it.
    fn writeRandom(fd: i32, random: std.Random) bool {
        var bytes: [64]u8 = undefined;
        random.bytes(&bytes);
        const size = random.uintLessThan(usize, bytes.len);
        _ = linux.sendto(fd, &bytes, size, linux.MSG.NOSIGNAL, null, 0);
        return random.boolean();
    }
};

pub const FakeBackEnd = struct {
    features: u64 = 1 << 32 | protocol.feature_protocol,
    protocol_features: u64 = Protocol.multi_queue | Protocol.reply_ack | Protocol.config |
        Protocol.inflight | Protocol.reset_device | Protocol.back_end_requests,
    queue_limit: u64 = 8,
    config: [60]u8 = @splat(7),
    /// What GET_VRING_BASE answers.
    base: u32 = 0,
    tamper: ?Tamper = null,
    /// Spoils messages at random, with the seed that it holds; null: none.
    disorder: ?Disorder = null,
    /// Ends each connection after this request.
    leave_after: ?Request = null,
    listen_fd: i32 = -1,
    address: [110]u8 = @splat(0),
    address_size: usize = 0,
    thread: ?std.Thread = null,
    stopping: std.atomic.Value(bool) = .init(false),
    connection_count: std.atomic.Value(u32) = .init(0),
    guard: Lock = .{},
    /// All below is guarded; requests of all connections.
    asked: [message_count_max]Message = undefined,
    asked_count: usize = 0,
    client_fd: i32 = -1,
    requests_fd: i32 = -1,
    /// Null: it serves none.
    rings: ?Rings = null,
    /// It uses all chains as they come.
    is_serving: bool = false,

    /// Listens at an abstract address that the kernel chooses (unix(7), autobind).
    pub fn start(self: *FakeBackEnd) !void {
        const kind = linux.SOCK.STREAM | linux.SOCK.CLOEXEC;
        self.listen_fd = system.result(linux.socket(linux.AF.UNIX, kind, 0)).fd();
        const family: u16 = linux.AF.UNIX;
        _ = linux.bind(self.listen_fd, @ptrCast(&family), 2);
        var size: linux.socklen_t = self.address.len;
        _ = linux.getsockname(self.listen_fd, @ptrCast(@alignCast(&self.address)), &size);
        self.address_size = size;
        if (!system.result(linux.listen(self.listen_fd, 1)).ok()) return error.Listen;
        self.thread = try std.Thread.spawn(.{}, run, .{self});
    }

    pub fn stop(self: *FakeBackEnd) void {
        self.stopping.store(true, .release);
        _ = linux.shutdown(self.listen_fd, linux.SHUT.RDWR);
        self.hangUp();
        if (self.thread) |thread| thread.join();
        system.close(self.listen_fd);
    }

    /// Ends the connection that there is.
    pub fn hangUp(self: *FakeBackEnd) void {
        self.guard.lock();
        defer self.guard.unlock();
        if (self.client_fd >= 0) _ = linux.shutdown(self.client_fd, linux.SHUT.RDWR);
    }

    /// A request of the back end's own.
    pub fn request(self: *FakeBackEnd, number: u32, payload: []const u8) void {
        self.guard.lock();
        defer self.guard.unlock();
        var channel: Channel = .{ .fd = self.requests_fd };
        var message: Message = .{ .request = number };
        message.append(payload);
        // Who does not take it has ended the connection, which the test sees.
        channel.send(&message) catch {};
    }

    pub fn countOf(self: *FakeBackEnd, wanted: Request) usize {
        self.guard.lock();
        defer self.guard.unlock();
        var count: usize = 0;
        for (self.asked[0..self.asked_count]) |*message| {
            if (message.request == @backingInt(wanted)) count += 1;
        }
        return count;
    }

    /// The last request of a kind.
    pub fn lastOf(self: *FakeBackEnd, wanted: Request) ?Message {
        self.guard.lock();
        defer self.guard.unlock();
        var index = self.asked_count;
        while (index != 0) {
            index -= 1;
            if (self.asked[index].request == @backingInt(wanted)) return self.asked[index];
        }
        return null;
    }

    /// See `Rings`; false where it serves none.
    pub fn useChain(self: *FakeBackEnd, index: usize) bool {
        self.guard.lock();
        defer self.guard.unlock();
        return if (self.rings) |*rings| rings.useChain(index) else false;
    }

    /// See `Rings`.
    pub fn showUsed(self: *FakeBackEnd, index: usize, value: u16) void {
        self.guard.lock();
        defer self.guard.unlock();
        if (self.rings) |*rings| rings.showUsed(index, value);
    }

    /// Whether it has a ring that it was not asked for yet.
    pub fn runsAny(self: *FakeBackEnd) bool {
        self.guard.lock();
        defer self.guard.unlock();
        const rings = if (self.rings) |*rings| rings else return false;
        for (0..rings.rings.len) |index| if (rings.isRunning(index)) return true;
        return false;
    }

    /// Uses all chains from now on.
    pub fn serveAll(self: *FakeBackEnd) void {
        self.guard.lock();
        defer self.guard.unlock();
        self.is_serving = true;
    }

    fn run(self: *FakeBackEnd) void {
        while (!self.stopping.load(.acquire)) {
            const client = system.result(linux.accept4(
                self.listen_fd,
                null,
                null,
                linux.SOCK.CLOEXEC,
            ));
            if (!client.ok()) return;
            self.guard.lock();
            self.client_fd = client.fd();
            self.guard.unlock();
            _ = self.connection_count.fetchAdd(1, .release);
            // How a connection ends is the front end's matter.
            if (!self.stopping.load(.acquire)) self.serve(client.fd()) catch {};
            self.guard.lock();
            self.client_fd = -1;
            if (self.rings) |*rings| rings.drop();
            if (self.requests_fd >= 0) system.close(self.requests_fd);
            self.requests_fd = -1;
            system.close(client.fd());
            self.guard.unlock();
        }
    }

    fn serve(self: *FakeBackEnd, fd: i32) !void {
        var channel: Channel = .{ .fd = fd };
        // Read blocking: nothing comes before a whole message.
        while (try self.receive(&channel)) |message| {
            self.keep(&message);
            const asked: Request = @fromBackingInt(message.request);
            if (self.leave_after == asked) return;
            const needs_reply = message.flags & protocol.flag_need_reply != 0;
            if (!needs_reply and !asked.hasAnswer()) continue;
            var reply = self.answer(asked, &message);
            defer if (reply.fd_count != 0) for (reply.fds[0..reply.fd_count]) |each| {
                system.close(each);
            };
            if (self.tamper) |tamper| if (tamper.request == asked) {
                if (!spoil(&reply, tamper.fault)) {
                    if (tamper.fault == .close) return;
                    continue;
                }
            };
            const disorder = if (self.disorder) |*disorder| disorder else {
                try sendAll(&channel, &reply);
                continue;
            };
            if (!try disorder.send(self, &channel, &reply)) return;
        }
    }

    fn receive(self: *FakeBackEnd, channel: *Channel) !?Message {
        var poll = [_]linux.pollfd{.{ .fd = channel.fd, .events = linux.POLL.IN, .revents = 0 }};
        while (self.rings != null and linux.poll(&poll, poll.len, serve_wait_ms) == 0) {
            self.guard.lock();
            defer self.guard.unlock();
            if (self.rings) |*rings| if (self.is_serving) rings.useAll();
        }
        return channel.receive();
    }

    fn sendAll(channel: *Channel, reply: *const Message) !void {
        try channel.send(reply);
        while (channel.isBlocked()) try channel.flush();
    }

    fn keep(self: *FakeBackEnd, message: *const Message) void {
        self.guard.lock();
        defer self.guard.unlock();
        if (self.asked_count < self.asked.len) {
            self.asked[self.asked_count] = message.*;
            self.asked_count += 1;
        }
        if (self.rings) |*rings| rings.take(message);
        const is_channel = message.request == @backingInt(Request.set_backend_req_fd);
        if (is_channel) self.requests_fd = message.fds[0];
        if (!is_channel) for (message.fds[0..message.fd_count]) |fd| system.close(fd);
    }

    fn answer(self: *FakeBackEnd, asked: Request, message: *const Message) Message {
        var reply: Message = .{
            .request = message.request,
            .flags = protocol.flag_version | protocol.flag_reply,
        };
        switch (asked) {
            .get_features => reply.append(std.mem.asBytes(&self.features)),
            .get_protocol_features => reply.append(std.mem.asBytes(&self.protocol_features)),
            .get_queue_num => reply.append(std.mem.asBytes(&self.queue_limit)),
            .get_vring_base => {
                const rings = if (self.rings) |*rings| rings else null;
                const base = if (rings) |held| held.baseOf(message.payload[0]) else self.base;
                reply.append(message.bytes()[0..4]);
                reply.append(std.mem.asBytes(&base));
            },
            .get_config => {
                reply.append(message.bytes()[0..@sizeOf(protocol.ConfigHeader)]);
                reply.append(self.config[0 .. message.size - @sizeOf(protocol.ConfigHeader)]);
            },
            .get_inflight_fd => {
                reply.append(std.mem.asBytes(&protocol.Inflight{
                    .size = 4096,
                    .queue_count = 1,
                    .queue_size = 1,
                }));
                attach(&reply, 1);
            },
            else => reply.append(std.mem.asBytes(&@as(u64, 0))),
        }
        return reply;
    }
};

fn attach(message: *Message, count: usize) void {
    for (0..count) |_| {
        message.fds[message.fd_count] = system.eventfd().fd();
        message.fd_count += 1;
    }
}

/// False when nothing is to be sent.
fn spoil(reply: *Message, fault: Fault) bool {
    switch (fault) {
        .silent, .close => return false,
        .other_request => reply.request += 1,
        .no_reply_flag => reply.flags &= ~protocol.flag_reply,
        .other_version => reply.flags ^= protocol.flag_version_mask,
        .short => reply.size -= 1,
        .long => reply.append(&.{0}),
        .refusal => reply.payload[0] = 1,
        .descriptor => attach(reply, 1),
        .many_descriptors => attach(reply, 3),
    }
    return true;
}
