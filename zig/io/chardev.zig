//! A character back end: the host side of a serial port or console. TypeScript opened its file
//! descriptors; here the bytes move. Output waits in a ring: for a slow reader nothing is lost, the
//! port tells its guest to wait; for an absent one the newest bytes are kept and the guest runs on.

const std = @import("std");
const linux = std.os.linux;
const limits = @import("../limits.zig");
const system = @import("../kernel/system.zig");
const errors = @import("../errors.zig");
const Lock = @import("../lock.zig").Lock;
const readiness = @import("readiness.zig");
const types = @import("chardev_types.zig");
const Frontend = types.Frontend;
const Info = types.Info;
const Doorbell = @import("doorbell.zig").Doorbell;
const Escape = @import("escape.zig").Escape;
const OutputRing = @import("output_ring.zig").OutputRing;
const loop_module = @import("loop.zig");
const Loop = loop_module.Loop;
const Source = loop_module.Source;

pub const Chardev = struct {
    loop: *Loop,
    doorbell: *Doorbell,
    options: types.Options,
    guard: Lock = .{},
    ring: OutputRing = .{},
    /// Guarded by `guard`.
    news: Info = .{},
    was_full: bool = false,
    /// The last words were waited for long enough.
    has_given_up: bool = false,
    /// The peer hung up or input ended.
    input_closed: bool = false,
    input_paused: bool = false,
    /// Input is a regular file, which epoll refuses.
    always_ready: bool = false,
    escape: Escape = .{},
    frontend: ?Frontend = null,
    wake_fd: i32 = -1,
    wake: Source = undefined,
    input: Source = undefined,
    output: Source = undefined,
    listener: Source = undefined,
    peer: Source = undefined,
    /// What the loop watches: all of a socket or terminal by `input`, else each by its own source.
    input_interest: loop_module.Interest = .none,
    output_interest: loop_module.Interest = .none,
    output_blocked: bool = false,
    /// Somebody takes output, at once or later. Guarded by `guard`.
    has_reader: bool = false,
    client_fd: i32 = -1,
    /// Input that the port has not taken; reading goes on until this is full, so that the escape
    /// is heard also when a guest takes nothing. Its length is guarded by `guard`.
    held: [limits.chardev_held_size]u8 = undefined,
    held_length: usize = 0,
    /// Descriptors ran out: the listener is watched again when there may be some.
    listener_resting: bool = false,

    pub fn start(self: *Chardev, failure: *errors.Failure) errors.CoreError!void {
        self.wake = .{ .fd = -1, .context = self, .handler = onWake };
        try self.loop.addEvent(&self.wake, 0, failure);
        self.wake_fd = self.wake.fd;
        if (self.options.listen_fd >= 0) {
            self.listener = .{
                .fd = self.options.listen_fd,
                .context = self,
                .handler = onConnect,
            };
            try self.loop.add(&self.listener, .readable, failure);
        }
        self.client_fd = self.options.client_fd;
        if (self.isTerminal()) {
            self.peer = .{ .fd = self.options.peer_fd, .context = self, .handler = onPeer };
            try self.loop.add(&self.peer, .readable, failure);
        }
        self.input_closed = self.isTerminal() and readiness.isHungUp(self.options.input_fd);
        self.has_reader = self.outputFd() >= 0 and !self.input_closed;
        self.openInput();
    }

    fn isTerminal(self: *const Chardev) bool {
        return self.options.peer_fd >= 0;
    }

    pub fn stop(self: *Chardev) void {
        if (self.wake_fd < 0) return;
        self.loop.guard.lock();
        defer self.loop.guard.unlock();
        self.flushForExit();
        self.loop.removeFromHandler(&self.wake);
        if (self.options.listen_fd >= 0 and !self.listener_resting) {
            self.loop.removeFromHandler(&self.listener);
        }
        if (self.isTerminal()) self.loop.removeFromHandler(&self.peer);
        self.watch(&self.input, &self.input_interest, .none);
        self.watch(&self.output, &self.output_interest, .none);
        system.close(self.wake_fd);
        self.wake_fd = -1;
        if (self.client_fd >= 0) system.close(self.client_fd);
        self.client_fd = -1;
    }

    /// After this returns the former port is not called any more. Input that nobody was there for
    /// has waited.
    pub fn setFrontend(self: *Chardev, frontend: ?Frontend) void {
        self.loop.guard.lock();
        defer self.loop.guard.unlock();
        self.frontend = frontend;
        if (self.always_ready or self.held_length > 0) system.eventfdSignal(self.wake_fd);
    }

    fn inputFd(self: *const Chardev) i32 {
        return if (self.client_fd >= 0) self.client_fd else self.options.input_fd;
    }

    fn outputFd(self: *const Chardev) i32 {
        return if (self.client_fd >= 0) self.client_fd else self.options.output_fd;
    }

    pub fn hasRoom(self: *Chardev) bool {
        self.guard.lock();
        defer self.guard.unlock();
        return !self.has_reader or !self.ring.isFull();
    }

    /// Queues output of the guest; with no room the oldest byte goes.
    pub fn send(self: *Chardev, data: []const u8) void {
        self.guard.lock();
        defer self.guard.unlock();
        self.put(data);
    }

    /// Queues what there is room for and returns how much: the rest waits for `drained`. While
    /// nobody reads all is taken, and the newest bytes are kept.
    pub fn sendSome(self: *Chardev, data: []const u8) usize {
        self.guard.lock();
        defer self.guard.unlock();
        const room = if (self.has_reader) self.ring.room() else data.len;
        const count = @min(data.len, room);
        if (count != 0) self.put(data[0..count]);
        if (count < data.len) self.was_full = true;
        return count;
    }

    /// Guard held.
    fn put(self: *Chardev, data: []const u8) void {
        if (self.ring.length == 0) system.eventfdSignal(self.wake_fd);
        self.ring.put(data);
        if (self.ring.isFull()) self.was_full = true;
    }

    /// What has happened so far.
    pub fn info(self: *Chardev) Info {
        self.guard.lock();
        defer self.guard.unlock();
        return self.news;
    }

    /// Whether somebody is on the other side, as far as can be told.
    pub fn isConnected(self: *Chardev) bool {
        self.guard.lock();
        defer self.guard.unlock();
        return self.has_reader;
    }

    /// The guest has room for input again.
    pub fn resumeInput(self: *Chardev) void {
        self.guard.lock();
        const waiting = self.held_length > 0;
        self.guard.unlock();
        if (waiting) system.eventfdSignal(self.wake_fd);
    }

    fn onWake(context: *anyopaque, _: loop_module.Readiness) void {
        const self: *Chardev = @ptrCast(@alignCast(context));
        system.eventfdDrain(self.wake_fd);
        self.flush();
        self.watchListener();
        if (self.held_length > 0) self.offerHeld();
        if (self.isTerminal() and self.input_closed) self.checkPeer();
        if (self.always_ready) self.readAlwaysReady();
    }

    fn onOutput(context: *anyopaque, _: loop_module.Readiness) void {
        const self: *Chardev = @ptrCast(@alignCast(context));
        self.flush();
    }

    /// Writes what the reader takes; the rest waits for EPOLLOUT, or for the next client.
    fn flush(self: *Chardev) void {
        const fd = self.outputFd();
        if (fd < 0 or (self.isTerminal() and self.input_closed)) return;
        self.guard.lock();
        const answer = self.writeOut(fd);
        if (answer == .gone) self.has_reader = false;
        const drained = self.was_full and (!self.ring.isFull() or !self.has_reader);
        if (drained) self.was_full = false;
        self.guard.unlock();
        self.output_blocked = answer == .blocked;
        self.watchBoth();
        if (drained) self.tellDrained();
        if (answer == .gone) self.tellConnected();
    }

    fn tellConnected(self: *Chardev) void {
        const frontend = self.frontend orelse return;
        if (frontend.connected) |tell| tell(frontend.context);
    }

    fn tellDrained(self: *Chardev) void {
        const frontend = self.frontend orelse return;
        frontend.drained(frontend.context);
    }

    const Written = enum { all, blocked, gone };

    /// Guard held.
    fn writeOut(self: *Chardev, fd: i32) Written {
        while (self.ring.length > 0) {
            const chunk = self.ring.oldest(readiness.chunk_size_max);
            if (!readiness.isWritable(fd)) return .blocked;
            const answer = readiness.writeQuietly(fd, chunk);
            if (answer.errno == system.EINTR) continue;
            if (answer.errno == system.EAGAIN) return .blocked;
            // A client that has left: the next one gets it.
            if (!answer.ok() and fd == self.client_fd) return .gone;
            if (!answer.ok()) self.noteLost(chunk.len, answer.errno);
            self.ring.drop(if (answer.ok()) answer.value else chunk.len);
        }
        return .all;
    }

    /// JavaScript is told of the first failure alone: a guest could make many.
    fn noteLost(self: *Chardev, count: usize, errno: i32) void {
        const is_first = self.news.lost_byte_count == 0;
        self.news.lost_byte_count += count;
        self.news.last_errno = errno;
        if (is_first) self.doorbell.ring(.chardev);
    }

    /// Watches for what is wanted now. A descriptor with no interest is not watched at all: its
    /// hang-up would be reported again and again.
    fn watchBoth(self: *Chardev) void {
        const reads = !self.input_closed and !self.input_paused and !self.always_ready;
        const shared = self.inputFd() == self.outputFd();
        if (self.inputFd() >= 0) {
            const writes = shared and self.output_blocked and !self.input_closed;
            self.watch(&self.input, &self.input_interest, interestOf(reads, writes));
        }
        if (shared) return;
        self.output.fd = self.outputFd();
        self.watch(&self.output, &self.output_interest, interestOf(false, self.output_blocked));
    }

    fn interestOf(reads: bool, writes: bool) loop_module.Interest {
        if (reads and writes) return .both;
        if (writes) return .writable;
        return if (reads) .readable else .none;
    }

    fn watch(
        self: *Chardev,
        source: *Source,
        current: *loop_module.Interest,
        wanted: loop_module.Interest,
    ) void {
        if (current.* == wanted) return;
        var ignored: errors.Failure = .{};
        if (wanted == .none) {
            self.loop.removeFromHandler(source);
        } else if (current.* == .none) {
            self.loop.add(source, wanted, &ignored) catch return;
        } else self.loop.modify(source, wanted);
        current.* = wanted;
    }

    fn onClient(context: *anyopaque, ready: loop_module.Readiness) void {
        const self: *Chardev = @ptrCast(@alignCast(context));
        if (ready.hung_up and self.isTerminal()) return self.checkPeer();
        if (ready.writable) self.flush();
        if (ready.readable or ready.hung_up) self.readInput();
    }

    fn onConnect(context: *anyopaque, _: loop_module.Readiness) void {
        const self: *Chardev = @ptrCast(@alignCast(context));
        const flags = linux.SOCK.CLOEXEC | linux.SOCK.NONBLOCK;
        const answer = system.result(linux.accept4(self.options.listen_fd, null, null, flags));
        if (!answer.ok()) return self.restListener(answer.errno);
        self.finishWithLeftClient();
        if (self.client_fd >= 0) return system.close(answer.fd());
        self.client_fd = answer.fd();
        self.takeReader();
    }

    /// Somebody has come to the other side. JavaScript waits for the first one alone.
    fn takeReader(self: *Chardev) void {
        self.input_closed = false;
        self.guard.lock();
        self.has_reader = true;
        self.news.client_count += 1;
        const is_first = self.news.client_count == 1;
        self.guard.unlock();
        if (is_first) self.doorbell.ring(.chardev);
        self.openInput();
        self.flush();
        self.tellConnected();
    }

    fn onPeer(context: *anyopaque, _: loop_module.Readiness) void {
        const self: *Chardev = @ptrCast(@alignCast(context));
        readiness.drain(self.options.peer_fd);
        self.checkPeer();
    }

    /// Looks whether anybody has the other end of the pseudo terminal open. What somebody wrote
    /// who has left already is taken first.
    fn checkPeer(self: *Chardev) void {
        for (0..limits.chardev_read_count_max) |_| {
            if (!readiness.isHungUp(self.options.input_fd)) {
                if (self.input_closed) self.takeReader();
                return;
            }
            if (self.input_paused or !self.readOnce()) break;
        }
        self.closeInput();
    }

    /// A connection that cannot be taken now would be reported again and again.
    fn restListener(self: *Chardev, errno: i32) void {
        switch (errno) {
            system.EAGAIN, system.EINTR, connection_aborted => return,
            else => {},
        }
        self.loop.removeFromHandler(&self.listener);
        self.listener_resting = true;
    }

    fn watchListener(self: *Chardev) void {
        if (!self.listener_resting) return;
        var ignored: errors.Failure = .{};
        self.loop.add(&self.listener, .readable, &ignored) catch return;
        self.listener_resting = false;
    }

    /// A client that has left makes room for the next one, also when the guest has not taken all of
    /// its input: what fits is kept.
    fn finishWithLeftClient(self: *Chardev) void {
        if (self.client_fd < 0 or !readiness.isHungUp(self.client_fd)) return;
        while (self.client_fd >= 0 and !self.input_paused) self.readInput();
        if (self.client_fd >= 0) self.closeInput();
    }

    fn openInput(self: *Chardev) void {
        const fd = self.inputFd();
        self.output = .{ .fd = self.outputFd(), .context = self, .handler = onOutput };
        if (fd < 0) return;
        self.input = .{ .fd = fd, .context = self, .handler = onClient };
        self.watchBoth();
        if (self.input_interest != .none or self.input_paused or self.input_closed) return;
        // A regular file is always ready and cannot be watched: it is read from the wake-up.
        self.always_ready = true;
        system.eventfdSignal(self.wake_fd);
    }

    /// Other sources of the loop get their turn between its reads.
    fn readAlwaysReady(self: *Chardev) void {
        if (self.frontend == null or self.input_closed or self.input_paused) return;
        self.readInput();
        if (!self.input_closed and !self.input_paused) system.eventfdSignal(self.wake_fd);
    }

    fn readInput(self: *Chardev) void {
        if (!self.input_paused and !self.readOnce()) self.closeInput();
    }

    /// False when nothing more can come.
    fn readOnce(self: *Chardev) bool {
        const room = self.held[self.held_length..];
        const answer = system.result(linux.read(self.inputFd(), room.ptr, room.len));
        if (answer.errno == system.EAGAIN or answer.errno == system.EINTR) return true;
        if (!answer.ok() or answer.value == 0) return false;
        const read = room[0..answer.value];
        const escapes = self.options.escape;
        const data = if (escapes) self.escape.filter(read, self.doorbell) else read;
        self.setHeldLength(self.held_length + data.len);
        self.offerHeld();
        return true;
    }

    fn setHeldLength(self: *Chardev, length: usize) void {
        self.guard.lock();
        defer self.guard.unlock();
        self.held_length = length;
    }

    /// Gives the port what was read; what it does not take waits, and when that is all that can be
    /// held, reading waits with it.
    fn offerHeld(self: *Chardev) void {
        const length = self.held_length;
        const taken = if (self.frontend) |frontend|
            frontend.receive(frontend.context, self.held[0..length])
        else
            0;
        const rest = length - taken;
        std.mem.copyForwards(u8, self.held[0..rest], self.held[taken..length]);
        self.setHeldLength(rest);
        const pause = rest == self.held.len;
        if (pause == self.input_paused) return;
        self.input_paused = pause;
        self.watchBoth();
    }

    fn closeInput(self: *Chardev) void {
        self.watch(&self.input, &self.input_interest, .none);
        self.input_closed = true;
        if (self.client_fd < 0 and !self.isTerminal()) return;
        self.output_blocked = false;
        if (self.client_fd >= 0) system.close(self.client_fd);
        self.client_fd = -1;
        self.watchListener();
        self.guard.lock();
        const left = self.has_reader;
        self.has_reader = false;
        const drained = self.was_full;
        self.was_full = false;
        self.guard.unlock();
        if (drained) self.tellDrained();
        if (left) self.tellConnected();
    }

    /// Last words of the guest reach a reader that is there, within a bound.
    fn flushForExit(self: *Chardev) void {
        const fd = self.outputFd();
        if (fd < 0 or !self.has_reader or self.has_given_up) return;
        self.guard.lock();
        defer self.guard.unlock();
        for (0..exit_flush_try_count) |_| {
            if (self.writeOut(fd) != .blocked) return;
            readiness.awaitWritable(fd, exit_flush_wait_ms);
        }
        self.has_given_up = true;
    }

    /// Writes what there is, as `stop` does: afterwards `info` has the whole account.
    pub fn finish(self: *Chardev) void {
        self.loop.guard.lock();
        defer self.loop.guard.unlock();
        self.flushForExit();
    }

    const exit_flush_try_count = 20;
    const exit_flush_wait_ms = 50;
};

const connection_aborted = 103;
