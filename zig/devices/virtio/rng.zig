//! virtio-rng (virtio 1.2, section 5.4): fills the guest's buffers from a character device of the
//! host. A chain that must wait, for the limit or for the source, stays in the ring.

const std = @import("std");
const linux = std.os.linux;
const chain = @import("../../virtio/chain.zig");
const device_module = @import("../../virtio/device.zig");
const errors = @import("../../errors.zig");
const limits = @import("../../limits.zig");
const loop_module = @import("../../io/loop.zig");
const model = @import("../../virtio/model.zig");
const system = @import("../../kernel/system.zig");
const trace = @import("../../trace/trace.zig");
const Device = device_module.Device;
const Queue = device_module.Queue;
const Throttle = @import("../../block/throttle.zig").Throttle;
const Timer = @import("../../io/timer.zig").Timer;

const queue_size = 256;
/// Pieces beyond one for each descriptor: for buffers that cross memory regions.
const spare_piece_count = 8;

pub const Params = extern struct {
    /// Open without blocking; stays the caller's, who keeps it open for the device's life.
    fd: i32 = -1,
    padding: u32 = 0,
    /// Bytes a second; 0: no limit.
    rate: u64 = 0,
};

/// What a snapshot keeps. No random byte is among it: a clone reads its own.
pub const State = extern struct { level_ns: u64 = 0 };

pub const Rng = struct {
    /// Set by the device that carries this model.
    device: *Device = undefined,
    fd: i32,
    loop: *loop_module.Loop,
    throttle: Throttle,
    timer: Timer = .{},
    source: loop_module.Source,
    /// Whether the source can say when it has bytes: many character devices cannot (epoll_ctl(2)).
    watched: bool = false,
    /// Whether the last read failed.
    failing: bool = false,
    byte_count: u64 = 0,
    error_count: u64 = 0,
    last_errno: i32 = 0,
    /// Whether there are completions that the guest has not been told of.
    touched: bool = false,
    pieces: [queue_size + spare_piece_count]chain.Iovec = undefined,

    /// `self` stays at one address until `deinit`. Errors: Host (timer, epoll).
    pub fn init(
        self: *Rng,
        params: Params,
        loop: *loop_module.Loop,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        self.* = .{
            .fd = params.fd,
            .loop = loop,
            .throttle = .init(params.rate),
            .source = .{ .fd = params.fd, .context = self, .handler = handleSource },
        };
        const expired: loop_module.Source = .{
            .fd = -1,
            .context = self,
            .handler = handleTimer,
        };
        try self.timer.init(loop, expired, failure);
        var unwatchable: errors.Failure = .{};
        if (loop.add(&self.source, .none, &unwatchable)) {
            self.watched = true;
        } else |_| {}
    }

    /// After the device that carries it is gone. Not on the loop's thread.
    pub fn deinit(self: *Rng) void {
        if (self.watched) self.loop.remove(&self.source);
        self.timer.deinit(self.loop);
    }

    pub fn identity(_: *const Rng) model.Identity {
        return .{
            .device_id = 4,
            .features = device_module.feature_indirect | device_module.feature_event_index,
            .queue_count = 1,
            .queue_size_max = queue_size,
        };
    }

    pub fn activate(_: *Rng, _: u64) void {}

    pub fn save(self: *const Rng) State {
        return .{ .level_ns = self.throttle.levelNs(system.monotonicNs()) };
    }

    pub fn restore(self: *Rng, state: State) error{Invalid}!void {
        self.throttle.setLevel(system.monotonicNs(), state.level_ns);
    }

    /// There is no config space (5.4.4).
    pub fn readConfig(_: *const Rng, _: usize, _: []u8) void {}

    pub fn writeConfig(_: *Rng, _: usize, _: []const u8) void {}

    pub fn notify(self: *Rng, queue_index: u16) void {
        const queue = &self.device.queues[queue_index];
        var rest: u64 = limits.random_size_max;
        for (0..limits.queue_pass_count_max) |_| {
            queue.disableNotifications();
            while (rest != 0) {
                const head = queue.pop() catch |err| return self.device.fail(.{ .queue = err });
                rest -= self.answer(queue, head orelse break, rest) orelse return;
            } else break;
            if (!queue.enableNotifications()) return;
        }
        // Other devices of the loop get their turn first.
        self.device.kick(queue_index);
    }

    /// Fills one chain with at most `size_max` bytes, or with what the limit and the source give:
    /// a driver must take fewer (5.4.6.1). Null: nothing more for now.
    fn answer(self: *Rng, queue: *Queue, head: u16, size_max: u64) ?u64 {
        const device = self.device;
        const found = chain.collect(queue, device.memory, head, &self.pieces) catch |err| {
            device.fail(.{ .chain = err });
            return null;
        };
        if (found.writable_length == 0) {
            device.fail(.request_layout);
            return null;
        }
        const size = self.sizeNow(@min(found.writable_length, size_max)) orelse {
            queue.putBack(1);
            return null;
        };
        const got = self.read(chain.first(found.writable, size)) orelse {
            queue.putBack(1);
            return null;
        };
        if (self.throttle.limited()) self.throttle.charge(system.monotonicNs(), got);
        self.byte_count += got;
        trace.emit(.virtio_rng_write_req_data, .{ .device = self.device.id, .size = got });
        queue.push(head, @intCast(got));
        self.touched = true;
        return got;
    }

    /// What the limit allows of a request now: all of it, or a second's worth if that is less; null
    /// when that much must wait.
    fn sizeNow(self: *Rng, wanted: u64) ?u64 {
        if (!self.throttle.limited()) return wanted;
        const size = @min(wanted, self.throttle.rate);
        const delay_ns = self.throttle.delayNs(system.monotonicNs(), size);
        if (delay_ns == 0) return size;
        self.timer.arm(delay_ns);
        return null;
    }

    /// Bytes read, at least one; null when the source has none, and it will be looked at again.
    fn read(self: *Rng, pieces: []chain.Iovec) ?u64 {
        while (true) {
            // An offset of -1 is the file's own, as with readv.
            const raw = linux.preadv2(self.fd, pieces.ptr, pieces.len, -1, 0);
            const result = system.result(raw);
            if (result.errno == system.EINTR) continue;
            if (result.errno == system.EAGAIN) {
                self.awaitSource();
                return null;
            }
            if (result.ok() and result.value != 0) {
                self.failing = false;
                return result.value;
            }
            // A source that ends is no better than one that fails.
            self.sourceFailed(if (result.ok()) system.EIO else result.errno);
            return null;
        }
    }

    fn awaitSource(self: *Rng) void {
        if (self.watched) {
            self.loop.modify(&self.source, .readable);
        } else {
            self.timer.arm(limits.random_look_ns);
        }
    }

    /// A chain must not end without bytes (5.4.6.2), so the guest waits until the source is well
    /// again; people are told once.
    fn sourceFailed(self: *Rng, errno: i32) void {
        self.timer.arm(limits.random_retry_ns);
        if (self.failing) return;
        self.failing = true;
        self.error_count += 1;
        self.last_errno = errno;
        self.device.tellHost();
    }

    pub fn endBatch(self: *Rng) void {
        if (!self.touched) return;
        self.touched = false;
        self.device.publishQueue(0);
    }

    /// See `Model.drain`: nothing is ever in flight.
    pub fn drain(self: *Rng, mode: model.DrainMode) void {
        if (mode == .finish) self.endBatch();
        self.touched = false;
    }

    fn handleTimer(context: *anyopaque, _: loop_module.Readiness) void {
        const self: *Rng = @ptrCast(@alignCast(context));
        self.timer.acknowledge();
        self.device.kick(0);
    }

    fn handleSource(context: *anyopaque, ready: loop_module.Readiness) void {
        const self: *Rng = @ptrCast(@alignCast(context));
        if (ready.hung_up) {
            // It would be reported over and over, whatever is asked for.
            self.loop.removeFromHandler(&self.source);
            self.watched = false;
        } else {
            self.loop.modify(&self.source, .none);
        }
        self.device.kick(0);
    }
};
