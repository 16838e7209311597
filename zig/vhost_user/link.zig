//! The connection to a back end of one device: connects, talks, notices when the other side is gone
//! or silent, and tries again, less and less often, until it is back. All of it is the loop's
//! thread's, or is done with the loop's lock held; only what is in `Report` may be read by others.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("../errors.zig");
const limits = @import("../limits.zig");
const loop_module = @import("../io/loop.zig");
const protocol = @import("message.zig");
const system = @import("../kernel/system.zig");
const Channel = @import("channel.zig").Channel;
const Dialogue = @import("dialogue.zig").Dialogue;
const dialogue_module = @import("dialogue.zig");
const Lock = @import("../lock.zig").Lock;
const Timer = @import("../io/timer.zig").Timer;

/// Why there is no connection, for a sentence.
pub const Cause = enum(u32) {
    none = 0,
    /// Nobody listens at the address; errno tells.
    unreachable_address = 1,
    closed = 2,
    silent = 3,
    /// A header that is no answer to what was asked.
    form = 4,
    size = 5,
    descriptors = 6,
    answer = 7,
    refused = 8,
    features = 9,
    queues = 10,
};

/// `struct sockaddr_un`.
pub const address_size_max = 110;

/// How long to wait: for the next try at first and at most, for an answer, for a stop.
pub const Patience = struct {
    retry_first_ns: u64 = limits.vhost_user_retry_first_ns,
    retry_most_ns: u64 = limits.vhost_user_retry_most_ns,
    answer_ns: u64 = limits.vhost_user_answer_ns,
    /// The same for the one that it has mapped memory.
    map_ns: u64 = limits.vhost_user_map_ns,
    /// For all rings to come back.
    stop_ns: u64 = limits.vhost_user_stop_ns,
};

pub const Options = struct {
    loop: *loop_module.Loop,
    /// A sockaddr.
    address: []const u8,
    needs: dialogue_module.Needs,
    /// Called on the loop's thread after anything happened: the place to look at what the dialogue
    /// has brought. No lock but the loop's is held.
    context: *anyopaque,
    turned: *const fn (context: *anyopaque) void,
    patience: Patience = .{},
};

/// How things stand, for people.
pub const Report = struct {
    is_up: bool = false,
    /// Why the last back end went, or why there never was one.
    cause: Cause = .none,
    errno: i32 = 0,
    /// Back ends that were known and are gone.
    loss_count: u64 = 0,
};

pub const Link = struct {
    loop: *loop_module.Loop,
    options: Options,
    address: [address_size_max]u8 = undefined,
    dialogue: Dialogue,
    channel: Channel = .{},
    source: loop_module.Source = undefined,
    is_watching_output: bool = false,
    /// The back end's own requests; each back end gets the other end of a new pair.
    requests: Channel = .{},
    requests_source: loop_module.Source = undefined,
    timer: Timer = .{},
    wake_fd: i32 = -1,
    woken: loop_module.Source = undefined,
    /// When an answer is late; 0: none is awaited.
    deadline_ns: u64 = 0,
    /// When rings that are not wanted must be back; 0: none is out.
    stop_deadline_ns: u64 = 0,
    retry_ns: u64,
    up_since_ns: u64 = 0,
    guard: Lock = .{},
    /// Guarded by `guard`.
    report: Report = .{},
    /// Goes up whenever a try to connect ends, well or not.
    try_count: std.atomic.Value(u32) = .init(0),

    /// Begins to connect. `self` stays at one address until `deinit`. Errors: Host, Invalid.
    pub fn init(
        self: *Link,
        options: Options,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        const size = options.address.len;
        if (size < @sizeOf(linux.sa_family_t) or size > address_size_max) return error.Invalid;
        self.* = .{
            .loop = options.loop,
            .options = options,
            .dialogue = .{ .needs = options.needs },
            .retry_ns = options.patience.retry_first_ns,
        };
        @memcpy(self.address[0..size], options.address);
        self.options.address = self.address[0..size];
        const event = system.eventfd();
        if (!event.ok()) return failure.set(.eventfd, event.errno, 0);
        self.wake_fd = event.fd();
        errdefer system.close(self.wake_fd);
        self.woken = .{ .fd = self.wake_fd, .context = self, .handler = handleWake };
        const expired: loop_module.Source = .{ .fd = -1, .context = self, .handler = handleTimer };
        try self.timer.init(self.loop, expired, failure);
        errdefer self.timer.deinit(self.loop);
        try self.loop.add(&self.woken, .readable, failure);
        self.timer.arm(0);
    }

    /// Not on the loop's thread.
    pub fn deinit(self: *Link) void {
        self.loop.remove(&self.woken);
        self.timer.deinit(self.loop);
        self.loop.guard.lock();
        defer self.loop.guard.unlock();
        self.disconnect();
        self.dialogue.dropInflight();
        system.close(self.wake_fd);
    }

    /// Waits until the first try has ended, and tells how. Not on the loop's thread.
    pub fn awaitFirst(self: *Link, patience_ns: u64) Report {
        const deadline = system.monotonicNs() + patience_ns;
        while (self.try_count.load(.acquire) == 0) {
            const now = system.monotonicNs();
            if (now >= deadline) return .{ .cause = .silent };
            system.futexWait(&self.try_count, 0, deadline - now);
        }
        return self.state();
    }

    /// From any thread.
    pub fn state(self: *Link) Report {
        self.guard.lock();
        defer self.guard.unlock();
        return self.report;
    }

    /// Whether there is a back end that is known and fit. Loop thread.
    pub fn isUp(self: *const Link) bool {
        return self.report.is_up;
    }

    /// What the dialogue should say has changed. From any thread.
    pub fn wake(self: *const Link) void {
        system.eventfdSignal(self.wake_fd);
    }

    /// Rings are not wanted any more: a back end that does not stop in time is given up. Loop
    /// thread.
    pub fn stopInTime(self: *Link) void {
        if (self.channel.fd < 0) return;
        self.stop_deadline_ns = system.monotonicNs() + self.options.patience.stop_ns;
        self.armDeadline();
        self.wake();
    }

    fn handleWake(context: *anyopaque, _: loop_module.Readiness) void {
        const self: *Link = @ptrCast(@alignCast(context));
        system.eventfdDrain(self.wake_fd);
        self.go();
    }

    fn handleTimer(context: *anyopaque, _: loop_module.Readiness) void {
        const self: *Link = @ptrCast(@alignCast(context));
        self.timer.acknowledge();
        if (self.channel.fd < 0) {
            self.connect();
        } else if (self.nextDeadline()) |deadline| {
            // It may have been armed for an answer that came.
            if (system.monotonicNs() >= deadline) self.lose(.silent, 0) else self.armDeadline();
        }
        self.go();
    }

    fn handleSocket(context: *anyopaque, _: loop_module.Readiness) void {
        const self: *Link = @ptrCast(@alignCast(context));
        self.hear() catch |err| self.lose(causeOf(err), 0);
        self.go();
    }

    fn nextDeadline(self: *const Link) ?u64 {
        if (self.deadline_ns == 0 and self.stop_deadline_ns == 0) return null;
        if (self.deadline_ns == 0) return self.stop_deadline_ns;
        if (self.stop_deadline_ns == 0) return self.deadline_ns;
        return @min(self.deadline_ns, self.stop_deadline_ns);
    }

    fn armDeadline(self: *Link) void {
        const deadline = self.nextDeadline() orelse return;
        self.timer.arm(deadline -| system.monotonicNs());
    }

    /// Takes what the back end says, and says what follows.
    fn hear(self: *Link) !void {
        try self.channel.flush();
        for (0..limits.vhost_user_turn_count_max) |_| {
            const message = try self.channel.receive() orelse return;
            try self.dialogue.answer(&message);
            self.deadline_ns = 0;
            try self.speak();
        }
    }

    /// Says all that can be said without an answer.
    fn speak(self: *Link) !void {
        while (!self.channel.isBlocked()) {
            const message = self.dialogue.next() orelse break;
            try self.channel.send(&message);
            self.dialogue.sent();
            if (self.dialogue.asked != null or self.channel.isBlocked()) self.awaitAnswer();
        }
        if (self.dialogue.asked == null and !self.channel.isBlocked()) self.deadline_ns = 0;
        if (self.channel.isBlocked() == self.is_watching_output) return;
        self.is_watching_output = self.channel.isBlocked();
        self.loop.modify(&self.source, if (self.is_watching_output) .both else .readable);
    }

    fn awaitAnswer(self: *Link) void {
        const patience = &self.options.patience;
        const asked = self.dialogue.asked;
        const maps = if (asked) |step| step.request == .set_mem_table else false;
        const most = if (maps) patience.map_ns else patience.answer_ns;
        self.deadline_ns = system.monotonicNs() + most;
        self.armDeadline();
    }

    /// After anything happened: speaks, and has the owner look.
    fn go(self: *Link) void {
        if (self.channel.fd >= 0) {
            self.speak() catch |err| self.lose(causeOf(err), 0);
        }
        if (self.channel.fd >= 0 and !self.report.is_up and self.dialogue.introduced()) {
            self.up_since_ns = system.monotonicNs();
            self.guard.lock();
            self.report.is_up = true;
            self.guard.unlock();
            self.endTry();
        }
        if (self.dialogue.drain()) self.timer.arm(limits.vhost_user_drain_look_ns);
        if (self.dialogue.quiet()) self.stop_deadline_ns = 0;
        self.options.turned(self.options.context);
    }

    fn endTry(self: *Link) void {
        _ = self.try_count.fetchAdd(1, .acq_rel);
        system.futexWake(&self.try_count, std.math.maxInt(i32));
    }

    fn connect(self: *Link) void {
        const kind = linux.SOCK.STREAM | linux.SOCK.CLOEXEC | linux.SOCK.NONBLOCK;
        const made = system.result(linux.socket(linux.AF.UNIX, kind, 0));
        if (!made.ok()) return self.lose(.unreachable_address, made.errno);
        self.channel.fd = made.fd();
        self.source = .{ .fd = made.fd(), .context = self, .handler = handleSocket };
        self.is_watching_output = false;
        const address = self.options.address;
        const raw = linux.connect(made.fd(), address.ptr, @intCast(address.len));
        var failure: errors.Failure = .{ .errno = system.result(raw).errno };
        // `failure` keeps why.
        if (failure.errno == 0) self.watch(&failure) catch {};
        if (failure.errno != 0) self.lose(.unreachable_address, failure.errno);
    }

    fn watch(self: *Link, failure: *errors.Failure) errors.CoreError!void {
        try self.loop.add(&self.source, .readable, failure);
        if (self.options.needs.config_size == 0) return;
        var pair: [2]i32 = undefined;
        const kind = linux.SOCK.STREAM | linux.SOCK.CLOEXEC | linux.SOCK.NONBLOCK;
        const answer = system.result(linux.socketpair(linux.AF.UNIX, kind, 0, &pair));
        if (!answer.ok()) return failure.set(.socketpair, answer.errno, 0);
        self.requests.fd = pair[0];
        self.dialogue.requests_fd = pair[1];
        self.requests_source = .{ .fd = pair[0], .context = self, .handler = handleRequests };
        try self.loop.add(&self.requests_source, .readable, failure);
    }

    /// Loop lock held, and no source of this connection is called after it.
    fn disconnect(self: *Link) void {
        if (self.channel.fd >= 0) self.loop.removeFromHandler(&self.source);
        if (self.requests.fd >= 0) self.loop.removeFromHandler(&self.requests_source);
        self.channel.close();
        self.requests.close();
        if (self.dialogue.requests_fd >= 0) system.close(self.dialogue.requests_fd);
        self.dialogue.requests_fd = -1;
    }

    /// The back end is gone, or has to be; the next try comes later.
    fn lose(self: *Link, cause: Cause, errno: i32) void {
        self.disconnect();
        self.dialogue.lose();
        self.deadline_ns = 0;
        self.stop_deadline_ns = 0;
        const most = self.options.patience.retry_most_ns;
        if (self.report.is_up and system.monotonicNs() - self.up_since_ns >= most) {
            self.retry_ns = self.options.patience.retry_first_ns;
        }
        self.timer.arm(self.retry_ns);
        self.retry_ns = @min(2 * self.retry_ns, most);
        self.note(cause, errno);
        self.endTry();
    }

    /// Keeps why there is no back end: of those tries that fail one after the other, the first one.
    fn note(self: *Link, cause: Cause, errno: i32) void {
        self.guard.lock();
        defer self.guard.unlock();
        const report = &self.report;
        if (report.is_up or report.cause == .none) {
            report.cause = cause;
            report.errno = errno;
        }
        if (report.is_up) report.loss_count += 1;
        report.is_up = false;
    }

    fn handleRequests(context: *anyopaque, _: loop_module.Readiness) void {
        const self: *Link = @ptrCast(@alignCast(context));
        self.hearRequests() catch |err| self.lose(causeOf(err), 0);
        self.go();
    }

    fn hearRequests(self: *Link) !void {
        try self.requests.flush();
        for (0..limits.vhost_user_turn_count_max) |_| {
            const message = try self.requests.receive() orelse return;
            try self.takeRequest(&message);
        }
    }

    /// The one request that a back end may make: that config space be read again.
    fn takeRequest(self: *Link, message: *const protocol.Message) !void {
        for (message.fds[0..message.fd_count]) |fd| system.close(fd);
        if (message.fd_count != 0) return error.Descriptors;
        if (message.request != protocol.back_end_config_change) return error.Form;
        if (message.size != 0) return error.Size;
        self.dialogue.told.config = false;
        if (message.flags & protocol.flag_need_reply == 0) return;
        var reply: protocol.Message = .{
            .request = message.request,
            .flags = protocol.flag_version | protocol.flag_reply,
        };
        reply.append(std.mem.asBytes(&@as(u64, 0)));
        // The back end asks and does not listen.
        if (self.requests.isBlocked()) return error.Closed;
        try self.requests.send(&reply);
    }
};

fn causeOf(err: anyerror) Cause {
    return switch (err) {
        error.Closed => .closed,
        error.Form => .form,
        error.Size => .size,
        error.Descriptors => .descriptors,
        error.Answer => .answer,
        error.Refused => .refused,
        error.Features => .features,
        error.Queues => .queues,
        else => unreachable,
    };
}
