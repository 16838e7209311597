//! A raw image: file offset equals disk offset. What O_DIRECT does not take as it is (addresses,
//! offsets or lengths off its alignment) goes through one bounce buffer, in pieces, synchronously:
//! so that two changes of one block never interleave.

const std = @import("std");
const linux = std.os.linux;
const chain = @import("../virtio/chain.zig");
const engine = @import("../io/engine.zig");
const errors = @import("../errors.zig");
const system = @import("../kernel/system.zig");

const Iovec = std.posix.iovec;

/// Largest piece of a bounced transfer.
const bounce_size = 1024 * 1024;
const alignment_max = 64 * 1024;

pub const Options = struct { fd: i32, request_alignment: u32, buffer_alignment: u32 };

pub const Image = struct {
    options: Options,
    bounce: []u8 = &.{},

    /// Alignments are powers of two of at most 64 KiB. Errors: Invalid, Host (memory).
    pub fn init(
        self: *Image,
        options: Options,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        self.* = .{ .options = options };
        for ([_]u32{ options.request_alignment, options.buffer_alignment }) |alignment| {
            if (alignment == 0 or alignment > alignment_max) return error.Invalid;
            if (!std.math.isPowerOfTwo(alignment)) return error.Invalid;
        }
        if (options.request_alignment == 1 and options.buffer_alignment == 1) return;
        const mapped = system.map(.{ .size = bounce_size });
        if (!mapped.ok()) return failure.set(.memory_map, mapped.errno, bounce_size);
        const bytes: [*]u8 = @ptrFromInt(mapped.value);
        self.bounce = bytes[0..bounce_size];
    }

    pub fn deinit(self: *Image) void {
        if (self.bounce.len != 0) system.unmap(@intFromPtr(self.bounce.ptr), self.bounce.len);
        self.bounce = &.{};
    }

    /// Whether the kernel takes the job as it is.
    pub fn takes(self: *const Image, job: *const engine.Job) bool {
        if (self.bounce.len == 0 or job.operation == .flush) return true;
        const request_mask = self.options.request_alignment - 1;
        const buffer_mask = self.options.buffer_alignment - 1;
        if (job.offset & request_mask != 0) return false;
        if (job.operation == .punch_hole or job.operation == .zero_range) {
            return job.length & request_mask == 0;
        }
        for (job.iovecs) |piece| {
            if (piece.len & (request_mask | buffer_mask) != 0) return false;
            if (@intFromPtr(piece.base) & buffer_mask != 0) return false;
        }
        return true;
    }

    /// Moves a whole job through the bounce buffer: its bytes or a negative errno. A change of
    /// parts of blocks is refused: it could undo a bounced write of the rest that is under way.
    pub fn transfer(self: *Image, job: *const engine.Job) i64 {
        if (job.operation != .read and job.operation != .write) return -system.EINVAL;
        var total: u64 = 0;
        for (job.iovecs) |piece| total += piece.len;
        var done: u64 = 0;
        while (done < total) {
            const window = self.windowAt(job.offset + done, total - done);
            const errno = switch (job.operation) {
                .read => self.readWindow(window, job.iovecs, done),
                else => self.writeWindow(window, job, done),
            };
            if (errno != 0) return -@as(i64, errno);
            done += window.length;
        }
        return @intCast(total);
    }

    /// Whole blocks that hold `length` bytes of the job from `skew` on.
    const Window = struct { offset: u64, size: usize, skew: usize, length: usize };

    fn windowAt(self: *const Image, offset: u64, rest: u64) Window {
        const alignment: u64 = self.options.request_alignment;
        const start = std.mem.alignBackward(u64, offset, alignment);
        const skew: usize = @intCast(offset - start);
        const length: usize = @intCast(@min(rest, bounce_size - skew));
        return .{
            .offset = start,
            .size = std.mem.alignForward(usize, skew + length, @intCast(alignment)),
            .skew = skew,
            .length = length,
        };
    }

    fn readWindow(self: *Image, window: Window, iovecs: []const Iovec, done: u64) i32 {
        const answer = self.fill(window);
        if (!answer.ok()) return answer.errno;
        if (answer.value < window.skew + window.length) return system.EIO;
        copyAt(iovecs, done, self.bounce[window.skew..][0..window.length], .to_pieces);
        return 0;
    }

    /// Reads the window; the value is how far the file reaches into it.
    fn fill(self: *Image, window: Window) system.Result {
        var done: usize = 0;
        while (done < window.size) {
            const rest = self.bounce[done..window.size];
            const offset: i64 = @intCast(window.offset + done);
            // As all else reads: the filter of this thread allows no pread beside.
            const piece = [_]Iovec{.{ .base = rest.ptr, .len = rest.len }};
            const raw = linux.preadv2(self.options.fd, &piece, piece.len, offset, 0);
            const answer = system.result(raw);
            if (answer.errno == system.EINTR) continue;
            if (!answer.ok()) return answer;
            if (answer.value == 0) break;
            done += answer.value;
            if (answer.value % self.options.request_alignment != 0) break;
        }
        return .{ .value = done, .errno = 0 };
    }

    fn writeWindow(self: *Image, window: Window, job: *const engine.Job, done: u64) i32 {
        if (window.size != window.length) {
            const answer = self.fill(window);
            if (!answer.ok()) return answer.errno;
            @memset(self.bounce[answer.value..window.size], 0);
        }
        copyAt(job.iovecs, done, self.bounce[window.skew..][0..window.length], .from_pieces);
        var pieces = [_]Iovec{.{ .base = self.bounce.ptr, .len = window.size }};
        var write: engine.Job = .{
            .operation = .write,
            .durable = job.durable,
            .offset = window.offset,
            .iovecs = &pieces,
        };
        while (write.iovecs.len != 0) {
            const result = engine.perform(self.options.fd, &write);
            if (result < 0) return @intCast(-result);
            if (result == 0) return system.EIO;
            write.offset += @intCast(result);
            write.iovecs = chain.skip(write.iovecs, @intCast(result));
        }
        return 0;
    }
};

const Direction = enum { to_pieces, from_pieces };

/// Copies between `bytes` and the place `offset` of the pieces.
fn copyAt(pieces: []const Iovec, offset: u64, bytes: []u8, direction: Direction) void {
    var before = offset;
    var done: usize = 0;
    for (pieces) |piece| {
        if (before >= piece.len) {
            before -= piece.len;
            continue;
        }
        const size = @min(piece.len - before, bytes.len - done);
        const part = piece.base[before..][0..size];
        switch (direction) {
            .to_pieces => @memcpy(part, bytes[done..][0..size]),
            .from_pieces => @memcpy(bytes[done..][0..size], part),
        }
        before = 0;
        done += size;
        if (done == bytes.len) return;
    }
}
