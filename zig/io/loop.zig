//! One iothread: a thread that waits in epoll and calls the handlers of the file descriptors it
//! watches. A handler runs with the loop's lock held, so that removing a source from another thread
//! means that its handler is not running and will not run again.

const std = @import("std");
const linux = std.os.linux;
const limits = @import("../limits.zig");
const system = @import("../kernel/system.zig");
const errors = @import("../errors.zig");
const seccomp = @import("../seccomp.zig");
const trace = @import("../trace/trace.zig");
const Lock = @import("../lock.zig").Lock;
const fatal_signals = @import("terminal_rescue.zig").fatal;
const Thread = @import("../thread.zig").Thread;

pub const Readiness = struct { readable: bool, writable: bool, hung_up: bool };

/// A watched file descriptor. The owner keeps it at one address until `Loop.remove`.
pub const Source = struct {
    fd: i32,
    context: *anyopaque,
    handler: *const fn (context: *anyopaque, ready: Readiness) void,
};

pub const Interest = enum { readable, writable, both, none };

/// Called once after each batch of events: the place to submit what the batch queued.
pub const Batch = struct {
    context: *anyopaque,
    handler: *const fn (context: *anyopaque) void,
};

pub const Loop = struct {
    epoll_fd: i32 = -1,
    wake_fd: i32 = -1,
    thread: ?Thread = null,
    thread_id: std.atomic.Value(u32) = .init(0),
    stopping: std.atomic.Value(bool) = .init(false),
    /// Held while handlers run.
    guard: Lock = .{},
    /// Sources removed so far: events that were fetched before a removal are dropped, for they may
    /// name what is gone; those of others come again.
    removals: std.atomic.Value(u32) = .init(0),
    batches: [limits.device_count_max]?Batch = @splat(null),
    batch_count: usize = 0,
    name: [16]u8 = @splat(0),
    confinement: seccomp.Confinement = .{},

    pub fn start(self: *Loop, name: []const u8, failure: *errors.Failure) errors.CoreError!void {
        const length = @min(name.len, self.name.len - 1);
        @memcpy(self.name[0..length], name[0..length]);
        const epoll = system.result(linux.epoll_create1(linux.EPOLL.CLOEXEC));
        if (!epoll.ok()) return failure.set(.epoll, epoll.errno, 0);
        self.epoll_fd = epoll.fd();
        errdefer self.closeDescriptors();
        const wake = system.eventfd();
        if (!wake.ok()) return failure.set(.eventfd, wake.errno, 0);
        self.wake_fd = wake.fd();
        try self.control(linux.EPOLL.CTL_ADD, self.wake_fd, .readable, 0, failure);
        self.thread = Thread.spawn(runThread, self) catch
            return failure.set(.thread_spawn, system.EAGAIN, 0);
    }

    /// Ends the thread; sources are left to their owners.
    pub fn stop(self: *Loop) void {
        self.stopping.store(true, .release);
        if (self.wake_fd >= 0) system.eventfdSignal(self.wake_fd);
        if (self.thread) |thread| thread.join();
        self.thread = null;
        self.closeDescriptors();
    }

    /// Asks the thread to install its filter before its next event.
    pub fn confine(self: *Loop, program: ?*const seccomp.Program) void {
        self.confinement.ask(program);
        system.eventfdSignal(self.wake_fd);
    }

    fn closeDescriptors(self: *Loop) void {
        if (self.wake_fd >= 0) system.close(self.wake_fd);
        if (self.epoll_fd >= 0) system.close(self.epoll_fd);
        self.wake_fd = -1;
        self.epoll_fd = -1;
    }

    pub fn add(
        self: *Loop,
        source: *Source,
        interest: Interest,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        try self.control(linux.EPOLL.CTL_ADD, source.fd, interest, @intFromPtr(source), failure);
    }

    /// Watches a new eventfd, which `source` gets as its descriptor; `number` tells errors apart.
    pub fn addEvent(
        self: *Loop,
        source: *Source,
        number: u64,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        const event = system.eventfd();
        if (!event.ok()) return failure.set(.eventfd, event.errno, number);
        errdefer system.close(event.fd());
        source.fd = event.fd();
        try self.add(source, .readable, failure);
    }

    /// The end of `addEvent`; as with `remove`, not from a handler of the same loop.
    pub fn removeEvent(self: *Loop, source: *Source) void {
        self.remove(source);
        system.close(source.fd);
    }

    pub fn modify(self: *Loop, source: *Source, interest: Interest) void {
        var ignored: errors.Failure = .{};
        const address = @intFromPtr(source);
        // The source is watched already, so the kernel has nothing to refuse.
        self.control(linux.EPOLL.CTL_MOD, source.fd, interest, address, &ignored) catch {};
    }

    /// After this returns the source's handler is not running and will not be called again.
    /// Must not be called from a handler of the same loop: there, use `removeFromHandler`.
    pub fn remove(self: *Loop, source: *Source) void {
        self.guard.lock();
        defer self.guard.unlock();
        self.removeFromHandler(source);
    }

    pub fn removeFromHandler(self: *Loop, source: *Source) void {
        if (self.epoll_fd < 0) return;
        const operation: u32 = linux.EPOLL.CTL_DEL;
        trace.emit(.update_event, .{ .raw_fd = source.fd, .operation = operation });
        _ = linux.epoll_ctl(self.epoll_fd, linux.EPOLL.CTL_DEL, source.fd, null);
        // Not before: a turn that sees this number must not be able to fetch the source any more.
        _ = self.removals.fetchAdd(1, .release);
    }

    pub fn addBatch(self: *Loop, batch: Batch) errors.CoreError!void {
        self.guard.lock();
        defer self.guard.unlock();
        if (self.batch_count == self.batches.len) return error.Limit;
        self.batches[self.batch_count] = batch;
        self.batch_count += 1;
    }

    pub fn removeBatch(self: *Loop, context: *anyopaque) void {
        self.guard.lock();
        defer self.guard.unlock();
        for (self.batches[0..self.batch_count], 0..) |batch, index| {
            if (batch.?.context != context) continue;
            self.batch_count -= 1;
            self.batches[index] = self.batches[self.batch_count];
            return;
        }
    }

    fn control(
        self: *Loop,
        operation: u32,
        fd: i32,
        interest: Interest,
        data: usize,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        var event: linux.epoll_event = .{
            .events = switch (interest) {
                .readable => linux.EPOLL.IN,
                .writable => linux.EPOLL.OUT,
                .both => linux.EPOLL.IN | linux.EPOLL.OUT,
                .none => 0,
            },
            .data = .{ .ptr = data },
        };
        trace.emit(.update_event, .{ .raw_fd = fd, .operation = operation });
        const answer = system.result(linux.epoll_ctl(self.epoll_fd, operation, fd, &event));
        if (!answer.ok()) return failure.set(.epoll, answer.errno, @as(u32, @bitCast(fd)));
    }

    fn runThread(self: *Loop) void {
        self.thread_id.store(@intCast(system.gettid()), .release);
        _ = linux.prctl(@backingInt(linux.PR.SET_NAME), @intFromPtr(&self.name), 0, 0, 0);
        blockSignals();
        while (!self.stopping.load(.acquire)) {
            self.confinement.apply();
            self.turn();
        }
    }

    fn turn(self: *Loop) void {
        var events: [limits.loop_event_count_max]linux.epoll_event = undefined;
        const removals = self.removals.load(.acquire);
        const answer = system.result(linux.epoll_wait(self.epoll_fd, &events, events.len, -1));
        // Interrupted means that io_uring had work for this thread: the batches look for it.
        if (!answer.ok() and answer.errno != system.EINTR) return;
        trace.emit(.loop_turn, .{ .count = answer.value });
        self.guard.lock();
        defer self.guard.unlock();
        for (events[0..answer.value]) |event| {
            if (self.removals.load(.acquire) != removals) break;
            if (event.data.ptr == 0) {
                system.eventfdDrain(self.wake_fd);
                continue;
            }
            const source: *Source = @ptrFromInt(event.data.ptr);
            source.handler(source.context, .{
                .readable = event.events & linux.EPOLL.IN != 0,
                .writable = event.events & linux.EPOLL.OUT != 0,
                .hung_up = event.events & (linux.EPOLL.HUP | linux.EPOLL.ERR) != 0,
            });
        }
        for (self.batches[0..self.batch_count]) |batch| batch.?.handler(batch.?.context);
    }
};

/// The core's threads take no signal but those aimed at them: the runtime has its own for them.
/// SIGSYS stays open, so that its handler can name a forbidden system call, and so do defects,
/// whose handler gives the user the terminal back.
fn blockSignals() void {
    var mask: linux.sigset_t = @splat(std.math.maxInt(usize));
    linux.sigdelset(&mask, .SYS);
    for (fatal_signals) |signal| linux.sigdelset(&mask, signal);
    _ = linux.sigprocmask(linux.SIG.SETMASK, &mask, null);
}

const Probe = struct {
    source: Source,
    calls: std.atomic.Value(u32) = .init(0),

    fn init(self: *Probe) void {
        const fd = system.eventfd().fd();
        self.* = .{ .source = .{ .fd = fd, .context = self, .handler = handle } };
    }

    fn handle(context: *anyopaque, _: Readiness) void {
        const self: *Probe = @ptrCast(@alignCast(context));
        system.eventfdDrain(self.source.fd);
        _ = self.calls.fetchAdd(1, .release);
        system.futexWake(&self.calls, 1);
    }

    fn awaitCall(self: *Probe) void {
        while (self.calls.load(.acquire) == 0) system.futexWait(&self.calls, 0, 0);
    }
};

test "a source's handler runs on the loop's thread and never after remove" {
    var failure: errors.Failure = .{};
    var loop: Loop = .{};
    try loop.start("probe", &failure);
    defer loop.stop();
    var probe: Probe = undefined;
    probe.init();
    defer system.close(probe.source.fd);
    try loop.add(&probe.source, .readable, &failure);
    system.eventfdSignal(probe.source.fd);
    probe.awaitCall();
    loop.remove(&probe.source);
    system.eventfdSignal(probe.source.fd);
    try std.testing.expectEqual(@as(u32, 1), probe.calls.load(.acquire));
}

test "an event that was fetched before its source was removed is dropped" {
    var failure: errors.Failure = .{};
    var loop: Loop = .{};
    try loop.start("probe", &failure);
    defer loop.stop();
    var removed: Probe = undefined;
    removed.init();
    defer system.close(removed.source.fd);
    var other: Probe = undefined;
    other.init();
    defer system.close(other.source.fd);
    try loop.add(&removed.source, .readable, &failure);
    try loop.add(&other.source, .readable, &failure);
    loop.guard.lock();
    system.eventfdSignal(removed.source.fd);
    while (loop.guard.state.load(.acquire) != 2) try std.Thread.yield();
    loop.removeFromHandler(&removed.source);
    loop.guard.unlock();
    system.eventfdSignal(other.source.fd);
    other.awaitCall();
    try std.testing.expectEqual(@as(u32, 0), removed.calls.load(.acquire));
}
