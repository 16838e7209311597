//! File I/O of one file behind three engines: synchronous, io_uring, native (libaio). Jobs wait in
//! a list until `submit` hands them over, as many as fit, with one system call.

const std = @import("std");
const linux = std.os.linux;
const aio = @import("aio.zig");
const errors = @import("../errors.zig");
const limits = @import("../limits.zig");
const system = @import("../kernel/system.zig");
const trace = @import("../trace/trace.zig");
const uring = @import("uring.zig");

pub const Kind = enum(u32) { sync = 0, io_uring = 1, native = 2 };

pub const Operation = enum { read, write, flush, punch_hole, zero_range };

/// One piece of I/O. The owner keeps it at one address from `add` to `jobDone`.
pub const Job = struct {
    operation: Operation = .flush,
    /// A write that is on stable storage when it is done.
    durable: bool = false,
    /// Bytes from the start of the file.
    offset: u64 = 0,
    /// Buffers of read and write.
    iovecs: []std.posix.iovec = &.{},
    /// Bytes of punch_hole and zero_range.
    length: u64 = 0,
    next: ?*Job = null,
    control: aio.ControlBlock = .{},
};

/// Jobs in the order in which they came.
pub const List = struct {
    first: ?*Job = null,
    last: *Job = undefined,

    pub fn append(self: *List, job: *Job) void {
        job.next = null;
        if (self.first == null) self.first = job else self.last.next = job;
        self.last = job;
    }

    pub fn takeFirst(self: *List) ?*Job {
        const job = self.first orelse return null;
        self.first = job.next;
        return job;
    }
};

/// Guarded by the owner's lock. The owner has `jobDone(job: *Job, result: i64)`, which gets the
/// bytes moved or a negative errno and may `add` jobs, the same one too.
pub const Engine = struct {
    backend: union(Kind) { sync, io_uring: uring.Ring, native: aio.Context } = .sync,
    fd: i32 = -1,
    /// Jobs that were not handed over yet.
    waiting: List = .{},
    in_flight: u32 = 0,

    pub const depth = limits.uring_entry_count;

    pub const Options = struct {
        kind: Kind,
        /// The file.
        fd: i32,
        /// For the native engine, which signals it; all stay the caller's.
        event_fd: i32,
        /// For the io_uring engine, which takes it over; it makes its own without.
        ring: ?uring.Ring = null,
    };

    /// Errors: Invalid (native without an event_fd), Host.
    pub fn init(
        self: *Engine,
        options: Options,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        self.* = .{ .fd = options.fd };
        switch (options.kind) {
            .sync => {},
            .io_uring => {
                var ring: uring.Ring = options.ring orelse .{};
                const errno = if (options.ring == null) ring.init(depth) else 0;
                if (errno != 0) return failure.set(.io_uring_setup, errno, depth);
                self.backend = .{ .io_uring = ring };
            },
            .native => {
                if (options.event_fd < 0) return error.Invalid;
                var context: aio.Context = .{};
                const errno = context.init(depth, options.event_fd);
                if (errno != 0) return failure.set(.aio_setup, errno, depth);
                self.backend = .{ .native = context };
            },
        }
    }

    /// Only without jobs in flight.
    pub fn deinit(self: *Engine) void {
        switch (self.backend) {
            .sync => {},
            .io_uring => |*ring| ring.deinit(),
            .native => |*context| context.deinit(),
        }
        self.* = .{};
    }

    /// As `deinit`, but for the ring, which is the caller's then; null of another engine.
    pub fn takeRing(self: *Engine) ?uring.Ring {
        switch (self.backend) {
            .sync, .native => return null,
            .io_uring => |ring| {
                self.* = .{};
                return ring;
            },
        }
    }

    /// Readable when there is something to reap; -1 when all is done within `submit`.
    pub fn pollFd(self: *const Engine) i32 {
        return switch (self.backend) {
            .sync => -1,
            .io_uring => |ring| ring.fd,
            .native => |context| context.event_fd,
        };
    }

    pub fn add(self: *Engine, job: *Job) void {
        traceJob(self.fd, job);
        self.waiting.append(job);
    }

    /// Hands waiting jobs over. Those that do not fit go when others are done.
    pub fn submit(self: *Engine, owner: anytype) void {
        while (self.waiting.first) |job| {
            const room = depth - self.in_flight;
            const answer: system.Result = switch (self.backend) {
                .sync => .{ .value = 0, .errno = system.EINVAL },
                .io_uring => |*ring| self.submitRing(ring, room),
                .native => |*context| self.submitNative(context, room),
            };
            if (answer.ok()) {
                trace.emit(.aio_submit_request, .{ .fd = self.fd, .count = answer.value });
                self.in_flight += @intCast(answer.value);
                for (0..answer.value) |_| _ = self.waiting.takeFirst();
                if (answer.value == 0) return;
                continue;
            }
            const busy = answer.errno == system.EAGAIN or answer.errno == system.EBUSY;
            if (busy and self.in_flight != 0) return;
            if (answer.errno == system.EINTR) continue;
            // No such engine, or it refuses this job: the plain call tells what is wrong.
            _ = self.waiting.takeFirst();
            owner.jobDone(job, perform(self.fd, job));
        }
    }

    fn submitRing(self: *Engine, ring: *uring.Ring, room: u32) system.Result {
        var next = self.waiting.first;
        while (next) |job| : (next = job.next) {
            if (ring.prepared == room) break;
            ring.prepare(ringEntry(self.fd, job));
        }
        if (ring.prepared == 0) return .{ .value = 0, .errno = 0 };
        return ring.submit();
    }

    fn submitNative(self: *Engine, context: *aio.Context, room: u32) system.Result {
        var blocks: [depth]*aio.ControlBlock = undefined;
        var count: u32 = 0;
        var next = self.waiting.first;
        while (next) |job| : (next = job.next) {
            if (count == room) break;
            job.control = controlBlock(self.fd, context.event_fd, job) orelse break;
            blocks[count] = &job.control;
            count += 1;
        }
        if (count == 0) {
            return .{ .value = 0, .errno = if (room == 0) 0 else system.EINVAL };
        }
        return context.submit(blocks[0..count]);
    }

    /// Reports what is done to the owner; returns how many jobs that were.
    pub fn reap(self: *Engine, owner: anytype) u32 {
        var count: u32 = 0;
        switch (self.backend) {
            .sync => {},
            .io_uring => |*ring| while (ring.next()) |completion| {
                count += 1;
                self.finish(owner, completion.user_data, completion.result);
            },
            .native => |*context| {
                while (context.next()) |event| {
                    count += 1;
                    self.finish(owner, event.data, event.result);
                }
            },
        }
        return count;
    }

    fn finish(self: *Engine, owner: anytype, user_data: u64, result: i64) void {
        self.in_flight -= 1;
        owner.jobDone(@as(*Job, @ptrFromInt(user_data)), result);
    }

    /// Empties the counter of a native engine's event file descriptor.
    pub fn acknowledge(self: *Engine) void {
        switch (self.backend) {
            .native => |context| system.eventfdDrain(context.event_fd),
            .sync, .io_uring => {},
        }
    }
};

fn traceJob(fd: i32, job: *const Job) void {
    const count = job.iovecs.len;
    switch (job.operation) {
        .read => trace.emit(.block_read_vectored, .{
            .fd = fd,
            .offset = job.offset,
            .iovecs = count,
        }),
        .write => trace.emit(.block_write_vectored, .{
            .fd = fd,
            .offset = job.offset,
            .iovecs = count,
        }),
        .flush => trace.emit(.block_datasync, .{ .fd = fd }),
        .punch_hole => trace.emit(.block_discard, .{
            .fd = fd,
            .offset = job.offset,
            .nbytes = job.length,
        }),
        .zero_range => trace.emit(.block_write_zeroes, .{
            .fd = fd,
            .offset = job.offset,
            .nbytes = job.length,
        }),
    }
}

fn writeFlags(job: *const Job) u32 {
    return if (job.durable) linux.RWF.DSYNC else 0;
}

fn ringEntry(fd: i32, job: *const Job) uring.Entry {
    var entry: uring.Entry = std.mem.zeroes(uring.Entry);
    entry.fd = fd;
    entry.off = job.offset;
    entry.user_data = @intFromPtr(job);
    switch (job.operation) {
        .read => setBuffers(&entry, job, .READ, .READV),
        .write => {
            setBuffers(&entry, job, .WRITE, .WRITEV);
            entry.rw_flags = writeFlags(job);
        },
        .flush => {
            entry.opcode = .FSYNC;
            entry.off = 0;
            entry.rw_flags = linux.IORING_FSYNC_DATASYNC;
        },
        .punch_hole, .zero_range => {
            entry.opcode = .FALLOCATE;
            entry.addr = job.length;
            entry.len = allocationMode(job.operation);
        },
    }
    return entry;
}

fn setBuffers(
    entry: *uring.Entry,
    job: *const Job,
    single: linux.IORING_OP,
    several: linux.IORING_OP,
) void {
    const one = job.iovecs.len == 1 and job.iovecs[0].len <= std.math.maxInt(i32);
    entry.opcode = if (one) single else several;
    entry.addr = if (one) @intFromPtr(job.iovecs[0].base) else @intFromPtr(job.iovecs.ptr);
    entry.len = @intCast(if (one) job.iovecs[0].len else job.iovecs.len);
}

/// Null for what libaio cannot do.
fn controlBlock(fd: i32, event_fd: i32, job: *const Job) ?aio.ControlBlock {
    var block: aio.ControlBlock = .{
        .data = @intFromPtr(job),
        .fd = @intCast(fd),
        .flags = aio.flag_event_fd,
        .event_fd = @intCast(event_fd),
    };
    switch (job.operation) {
        .read, .write => {
            block.opcode = if (job.operation == .read) aio.opcode_readv else aio.opcode_writev;
            block.buffer = @intFromPtr(job.iovecs.ptr);
            block.count = job.iovecs.len;
            block.offset = @intCast(job.offset);
            block.rw_flags = if (job.operation == .write) writeFlags(job) else 0;
        },
        .flush => block.opcode = aio.opcode_fdatasync,
        .punch_hole, .zero_range => return null,
    }
    return block;
}

const falloc_keep_size = 1;
const falloc_punch_hole = 2;
const falloc_zero_range = 16;

fn allocationMode(operation: Operation) u32 {
    return falloc_keep_size | @as(u32, if (operation == .punch_hole)
        falloc_punch_hole
    else
        falloc_zero_range);
}

/// Does a job at once: bytes moved or a negative errno.
pub fn perform(fd: i32, job: *const Job) i64 {
    const offset: i64 = @intCast(job.offset);
    while (true) {
        const raw = switch (job.operation) {
            .read => linux.preadv2(fd, job.iovecs.ptr, job.iovecs.len, offset, 0),
            .write => linux.pwritev2(
                fd,
                @ptrCast(job.iovecs.ptr),
                job.iovecs.len,
                offset,
                writeFlags(job),
            ),
            .flush => linux.fdatasync(fd),
            .punch_hole, .zero_range => linux.fallocate(
                fd,
                @intCast(allocationMode(job.operation)),
                offset,
                @intCast(job.length),
            ),
        };
        const answer = system.result(raw);
        if (answer.errno == system.EINTR) continue;
        return if (answer.ok()) @intCast(answer.value) else -@as(i64, answer.errno);
    }
}
