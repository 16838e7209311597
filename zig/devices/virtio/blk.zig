//! virtio-blk (virtio 1.2, section 5.2): takes requests from the queues, runs them on the file by
//! an engine, and completes them. Nothing is allocated after `init`.

const std = @import("std");
const blk_config = @import("blk_config.zig");
const blk_replace = @import("blk_replace.zig");
const blk_request = @import("blk_request.zig");
const chain = @import("../../virtio/chain.zig");
const engine_module = @import("../../io/engine.zig");
const errors = @import("../../errors.zig");
const limits = @import("../../limits.zig");
const loop_module = @import("../../io/loop.zig");
const model = @import("../../virtio/model.zig");
const raw = @import("../../block/raw.zig");
const system = @import("../../kernel/system.zig");
const uring = @import("../../io/uring.zig");
const trace = @import("../../trace/trace.zig");
const Device = @import("../../virtio/device.zig").Device;
const Gate = @import("../../block/throttle.zig").Gate;
const Pool = @import("blk_pool.zig").Pool;
const QueueSet = @import("../../virtio/queue_set.zig").QueueSet;

pub const Params = blk_config.Params;
const Request = blk_request.Request;
const Status = blk_request.Status;

const queue_count_max = 32;
const queue_size_min = 4;
const queue_size_max = 1024;
/// How often the kernel may say "try again" to one request.
const retry_count_max = 8;

const zero_size = 64 * 1024;
/// Keeps one write of zeroes to 16 MiB, and below the kernel's bound of pieces.
const zero_piece_count_max = 256;
const errno_not_supported = 95;

pub const Counters = struct {
    read_bytes: u64 = 0,
    written_bytes: u64 = 0,
    request_count: u64 = 0,
    /// Requests that the host failed, and why the last one did.
    error_count: u64 = 0,
    last_errno: i32 = 0,
};

/// What a snapshot keeps; the bytes of the disk are not among it.
pub const State = extern struct { capacity_bytes: u64 = 0, level_ns: u64 = 0 };

pub const Block = struct {
    /// Set by the device that carries this model.
    device: *Device = undefined,
    params: Params,
    /// Flags of the start, which the guest's driver knows.
    offered_flags: u32,
    config: blk_config.Config,
    image: raw.Image,
    engine: engine_module.Engine,
    /// Of the native engine, now or later.
    event_fd: i32 = -1,
    /// For an io_uring engine to come: the filters allow no new one.
    spare_ring: ?uring.Ring = null,
    /// Jobs for the bounce buffer.
    unaligned: engine_module.List = .{},
    gate: Gate = .{},
    source: loop_module.Source = undefined,
    loop: *loop_module.Loop,
    pools: [queue_count_max]Pool = @splat(.{}),
    /// A run of zeroes for files that cannot zero a range; not there unless a command needs it.
    zeroes: []u8 = &.{},
    /// Requests taken and not completed: a thread that drains waits on it.
    in_flight: std.atomic.Value(u32) = .init(0),
    drain_waits: bool = false,
    abandoning: bool = false,
    /// No FLUSH negotiated: each write is durable before it completes.
    write_through: bool = false,
    /// Queues with completions that the guest has not been told of.
    touched: QueueSet = .{},
    /// Queues that this turn of the loop takes requests from; their notifications are off.
    taking: QueueSet = .{},
    counters: Counters = .{},

    /// `self` stays at one address until `deinit`, and `params.fd` open. Errors: Invalid, Host.
    pub fn init(
        self: *Block,
        params: Params,
        loop: *loop_module.Loop,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        try check(&params);
        self.* = .{
            .params = params,
            .offered_flags = params.flags,
            .config = .init(&params),
            .image = undefined,
            .engine = .{},
            .loop = loop,
        };
        try self.image.init(imageOptions(&params), failure);
        errdefer self.image.deinit();
        errdefer self.freeMemory();
        for (self.pools[0..params.queue_count], 0..) |*pool, index| {
            try pool.init(@intCast(index), @intCast(params.queue_size), failure);
        }
        try self.mapZeroes(params.flags, failure);
        try self.openEvent(failure);
        errdefer self.closeEvent();
        try self.engine.init(self.engineOptions(&params), failure);
        errdefer self.engine.deinit();
        self.makeSpareRing();
        errdefer self.closeSpareRing();
        const opened: loop_module.Source = .{ .fd = -1, .context = self, .handler = handleGate };
        try self.gate.init(params.iops_limit, loop, opened, failure);
        errdefer self.gate.deinit(loop);
        if (params.has(blk_config.flag_replaceable)) {
            try self.gate.addTimer(loop, opened, failure);
        }
        try self.watchEngine(failure);
    }

    /// Made at the start: the filters allow none later.
    fn openEvent(self: *Block, failure: *errors.Failure) errors.CoreError!void {
        const replaceable = self.params.has(blk_config.flag_replaceable);
        if (self.params.engine != .native and !replaceable) return;
        const event = system.eventfd();
        if (!event.ok()) return failure.set(.eventfd, event.errno, 0);
        self.event_fd = event.fd();
    }

    fn closeEvent(self: *Block) void {
        if (self.event_fd >= 0) system.close(self.event_fd);
        self.event_fd = -1;
    }

    /// A host that allows none tells so when one is asked for.
    fn makeSpareRing(self: *Block) void {
        if (!self.params.has(blk_config.flag_replaceable)) return;
        if (self.params.engine == .io_uring) return;
        var ring: uring.Ring = .{};
        if (ring.init(engine_module.Engine.depth) == 0) self.spare_ring = ring;
    }

    fn closeSpareRing(self: *Block) void {
        if (self.spare_ring) |*ring| ring.deinit();
        self.spare_ring = null;
    }

    pub fn engineOptions(self: *const Block, params: *const Params) engine_module.Engine.Options {
        return .{
            .kind = params.engine,
            .fd = params.fd,
            .event_fd = self.event_fd,
            .ring = self.spare_ring,
        };
    }

    fn check(params: *const Params) errors.CoreError!void {
        if (params.queue_count == 0 or params.queue_count > queue_count_max) return error.Invalid;
        const size = params.queue_size;
        if (size < queue_size_min or size > queue_size_max) return error.Invalid;
        if (!std.math.isPowerOfTwo(size)) return error.Invalid;
        if (params.capacity_bytes > std.math.maxInt(i64)) return error.Invalid;
    }

    /// Has zeroes at hand if a disk with these flags needs them.
    pub fn mapZeroes(self: *Block, flags: u32, failure: *errors.Failure) errors.CoreError!void {
        const needed = blk_config.flag_write_zeroes | blk_config.flag_detect_zeroes;
        if (flags & needed == 0 or self.zeroes.len != 0) return;
        const mapped = system.map(.{ .size = zero_size, .protection = .read });
        if (!mapped.ok()) return failure.set(.memory_map, mapped.errno, zero_size);
        const bytes: [*]u8 = @ptrFromInt(mapped.value);
        self.zeroes = bytes[0..zero_size];
    }

    /// After the device that carries it is gone. Not on the loop's thread.
    pub fn deinit(self: *Block) void {
        if (self.engine.pollFd() >= 0) self.loop.remove(&self.source);
        self.gate.deinit(self.loop);
        self.engine.deinit();
        self.closeSpareRing();
        self.closeEvent();
        self.image.deinit();
        self.freeMemory();
    }

    fn freeMemory(self: *Block) void {
        for (&self.pools) |*pool| pool.deinit();
        if (self.zeroes.len != 0) system.unmap(@intFromPtr(self.zeroes.ptr), self.zeroes.len);
        self.zeroes = &.{};
    }

    pub fn identity(self: *const Block) model.Identity {
        return .{
            .device_id = 2,
            .features = blk_config.offeredFeatures(&self.params),
            .queue_count = @intCast(self.params.queue_count),
            .queue_size_max = @intCast(self.params.queue_size),
        };
    }

    pub fn activate(self: *Block, features: u64) void {
        self.write_through = features & blk_config.feature_flush == 0;
    }

    pub fn save(self: *const Block) State {
        return .{
            .capacity_bytes = self.params.capacity_bytes,
            .level_ns = self.gate.throttle.levelNs(system.monotonicNs()),
        };
    }

    /// A disk that has another size now tells its guest so.
    pub fn restore(self: *Block, state: State) error{Invalid}!void {
        self.gate.throttle.setLevel(system.monotonicNs(), state.level_ns);
        if (state.capacity_bytes != self.params.capacity_bytes) self.device.configChanged();
    }

    pub fn readConfig(self: *const Block, offset: usize, data: []u8) void {
        const bytes = self.config.visible(self.offered_flags);
        if (offset >= bytes.len) return;
        const size = @min(data.len, bytes.len - offset);
        @memcpy(data[0..size], bytes[offset..][0..size]);
    }

    /// The driver's writes have no effect: the cache mode is not its choice.
    pub fn writeConfig(_: *Block, _: usize, _: []const u8) void {}

    /// A new size of the file: the guest is told.
    pub fn setCapacity(self: *Block, capacity_bytes: u64) void {
        self.device.registers.lock();
        defer self.device.registers.unlock();
        self.device.work.lock();
        defer self.device.work.unlock();
        self.params.capacity_bytes = capacity_bytes;
        self.config.capacity = capacity_bytes / blk_config.sector_size;
        self.device.configChanged();
    }

    pub const replace = blk_replace.replace;

    pub fn imageOptions(params: *const Params) raw.Options {
        return .{
            .fd = params.fd,
            .request_alignment = params.request_alignment,
            .buffer_alignment = params.buffer_alignment,
        };
    }

    /// Has the loop wake for the engine's completions.
    pub fn watchEngine(self: *Block, failure: *errors.Failure) errors.CoreError!void {
        const fd = self.engine.pollFd();
        if (fd < 0) return;
        self.source = .{ .fd = fd, .context = self, .handler = handleCompletions };
        try self.loop.add(&self.source, .readable, failure);
    }

    pub fn notify(self: *Block, queue_index: u16) void {
        self.device.queues[queue_index].disableNotifications();
        self.taking.add(queue_index);
        _ = self.takeAll(queue_index);
    }

    /// Starts what the guest has offered; false when that was nothing.
    fn takeAll(self: *Block, queue_index: u16) bool {
        const queue = &self.device.queues[queue_index];
        var found = false;
        while (!self.device.broken) {
            if (!self.gate.open(1)) {
                // What does not pass stays in the ring, and the gate kicks the queue again.
                self.taking.remove(queue_index);
                break;
            }
            const popped = queue.pop() catch |err| {
                self.device.fail(.{ .queue = err });
                break;
            };
            self.take(queue_index, popped orelse break);
            self.gate.charge(1);
            found = true;
        }
        return found;
    }

    fn take(self: *Block, queue_index: u16, head: u16) void {
        const device = self.device;
        const pool = &self.pools[queue_index];
        // Each chain in flight holds a descriptor: only a guest that offers one twice gets here.
        const request = pool.take() orelse return device.fail(.{ .queue = error.AvailableIndex });
        const queue = &device.queues[queue_index];
        const found = chain.collect(queue, device.memory, head, pool.iovecs(request)) catch |err| {
            pool.release(request);
            return device.fail(.{ .chain = err });
        };
        const action = blk_request.parse(request, found, .{
            .params = &self.params,
            .sector_count = self.config.capacity,
            .durable = self.write_through,
        }) catch {
            pool.release(request);
            return device.fail(.request_layout);
        };
        self.counters.request_count += 1;
        _ = self.in_flight.fetchAdd(1, .monotonic);
        switch (action) {
            // Without a file behind it there is nothing that could fail.
            .start => if (self.params.fd < 0) {
                self.complete(request, .io_error);
            } else self.start(request),
            .done => |status| self.complete(request, status),
        }
    }

    fn start(self: *Block, request: *Request) void {
        const job = &request.job;
        trace.emit(.virtio_blk_execute, .{
            .device = self.device.id,
            .operation = job.operation,
            .len = job.iovecs.len,
            .offset = job.offset,
        });
        if (self.image.takes(job)) self.engine.add(job) else self.unaligned.append(job);
    }

    /// The engine's report of a job: bytes moved or a negative errno.
    pub fn jobDone(self: *Block, job: *engine_module.Job, result: i64) void {
        const request: *Request = @alignCast(@fieldParentPtr("job", job));
        if (self.abandoning) return self.release(request);
        if (result < 0) return self.jobFailed(request, @intCast(-result));
        switch (job.operation) {
            .read, .write => self.advance(request, @intCast(result)),
            .flush => self.complete(request, .ok),
            .punch_hole, .zero_range => self.finishChange(request),
        }
    }

    fn advance(self: *Block, request: *Request, size: u64) void {
        const job = &request.job;
        // The file ends before the disk does.
        if (size == 0) return self.jobFailed(request, system.EIO);
        const total = if (job.operation == .read)
            &self.counters.read_bytes
        else
            &self.counters.written_bytes;
        total.* += size;
        job.offset += size;
        job.iovecs = chain.skip(job.iovecs, size);
        if (job.iovecs.len != 0) return self.start(request);
        if (request.zero_rest != 0) return self.writeZeroes(request);
        self.complete(request, .ok);
    }

    /// A change of allocation is durable at once when no flush can follow.
    fn finishChange(self: *Block, request: *Request) void {
        if (!self.write_through) return self.complete(request, .ok);
        request.job.operation = .flush;
        self.start(request);
    }

    fn jobFailed(self: *Block, request: *Request, errno: i32) void {
        const job = &request.job;
        const again = errno == system.EAGAIN or errno == system.EINTR;
        if (again and request.retry_count < retry_count_max) {
            request.retry_count += 1;
            return self.start(request);
        }
        const change = job.operation == .zero_range or job.operation == .punch_hole;
        // The file has no such operation, or not at this alignment.
        if (change and (errno == errno_not_supported or errno == system.EINVAL)) {
            // A discard is a hint and obeyed by leaving things as they are.
            if (!request.zeroing) return self.complete(request, .ok);
            request.zero_rest = job.length;
            return self.writeZeroes(request);
        }
        self.counters.error_count += 1;
        self.counters.last_errno = errno;
        self.device.tellHost();
        self.complete(request, .io_error);
    }

    /// Zeroes by writing them, as many at once as the request has room for.
    fn writeZeroes(self: *Block, request: *Request) void {
        const room = self.pools[request.queue_index].iovecs(request);
        const pieces = room[0..@min(room.len, zero_piece_count_max)];
        var count: usize = 0;
        while (count < pieces.len and request.zero_rest != 0) : (count += 1) {
            const size: usize = @intCast(@min(request.zero_rest, self.zeroes.len));
            pieces[count] = .{ .base = self.zeroes.ptr, .len = size };
            request.zero_rest -= size;
        }
        request.job.operation = .write;
        request.job.iovecs = pieces[0..count];
        self.start(request);
    }

    fn complete(self: *Block, request: *Request, status: Status) void {
        const index = request.queue_index;
        const id = self.device.id;
        trace.emit(.virtio_blk_complete_request, .{ .device = id, .status = status });
        trace.emit(.virtio_blk_complete_one_request, .{
            .device = id,
            .index = request.head,
            .len = request.writable_length,
        });
        request.status.* = @backingInt(status);
        self.device.queues[index].push(request.head, request.writable_length);
        self.touched.add(index);
        self.release(request);
    }

    fn release(self: *Block, request: *Request) void {
        self.pools[request.queue_index].release(request);
        const before = self.in_flight.fetchSub(1, .release);
        if (before == 1 and self.drain_waits) system.futexWake(&self.in_flight, 1);
    }

    /// A guest that goes on offering while its requests are served gets one interrupt for several.
    pub fn endBatch(self: *Block) void {
        for (0..limits.queue_pass_count_max) |_| {
            self.progress();
            if (self.takeMore()) continue;
            self.device.publish(&self.touched);
            if (!self.awaitNotifications()) return;
        }
        self.progress();
        self.device.publish(&self.touched);
        // Other devices of the loop get their turn first.
        while (self.taking.takeFirst()) |index| self.device.kick(index);
    }

    /// Runs what can run now.
    fn progress(self: *Block) void {
        while (true) {
            self.engine.submit(self);
            if (self.unaligned.takeFirst()) |job| {
                self.jobDone(job, self.image.transfer(job));
            } else if (self.engine.reap(self) == 0) return;
        }
    }

    fn takeMore(self: *Block) bool {
        var queues = self.taking;
        var found = false;
        while (queues.takeFirst()) |index| {
            if (self.device.runnable(index) and self.takeAll(index)) found = true;
        }
        return found;
    }

    /// Asks for notifications again; true when there are requests of which none will tell.
    fn awaitNotifications(self: *Block) bool {
        var queues = self.taking;
        while (queues.takeFirst()) |index| {
            const more = self.device.runnable(index) and
                self.device.queues[index].enableNotifications();
            if (!more) self.taking.remove(index);
        }
        return !self.taking.isEmpty();
    }

    /// See `Model.drain`. The loop's thread goes on completing while this one waits.
    pub fn drain(self: *Block, mode: model.DrainMode) void {
        self.abandoning = mode == .abandon;
        trace.emit(.block_drain_request, .{
            .device = self.device.id,
            .in_flight = self.in_flight.load(.monotonic),
        });
        if (self.abandoning) {
            while (self.engine.waiting.takeFirst()) |job| self.jobDone(job, 0);
            while (self.unaligned.takeFirst()) |job| self.jobDone(job, 0);
        }
        self.drain_waits = true;
        while (true) {
            const count = self.in_flight.load(.acquire);
            if (count == 0) break;
            self.device.work.unlock();
            system.futexWait(&self.in_flight, count, 0);
            self.device.work.lock();
        }
        self.drain_waits = false;
        self.abandoning = false;
        self.taking = .{};
        if (mode == .abandon) self.touched = .{} else self.device.publish(&self.touched);
    }

    fn handleGate(context: *anyopaque, _: loop_module.Readiness) void {
        const self: *Block = @ptrCast(@alignCast(context));
        self.gate.acknowledge();
        self.device.kickAll();
    }

    fn handleCompletions(context: *anyopaque, _: loop_module.Readiness) void {
        const self: *Block = @ptrCast(@alignCast(context));
        // What is there is reaped by `endBatch`, which follows.
        self.engine.acknowledge();
    }
};
