//! Writes guest memory into a file, by several threads and with holes where it is zero. The guest
//! and its devices are at rest meanwhile. Pages that nobody ever touched are not touched here.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("../errors.zig");
const limits = @import("../limits.zig");
const seccomp = @import("../seccomp.zig");
const system = @import("../kernel/system.zig");
const Doorbell = @import("../io/doorbell.zig").Doorbell;
const Thread = @import("../thread.zig").Thread;
const checksum = @import("checksum.zig");
const guest_memory = @import("guest_memory.zig");

/// Bytes that have one checksum, and that one thread takes at once.
pub const chunk_size = 1024 * 1024;
/// Each piece of memory begins at a multiple of it in the file.
pub const piece_alignment = 2 * 1024 * 1024;

const page_size = 4096;
/// A shorter run of zeroes between data is written: a hole would cost more than it saves.
const hole_size_min = 32 * 1024;

pub const State = enum(u32) { running = 0, done = 1, failed = 2, cancelled = 3 };

pub const Options = struct {
    /// An empty file; stays the caller's, who keeps it open until the end.
    fd: i32,
    /// Where the memory begins in it: a multiple of `page_size`.
    offset: u64,
    thread_count: u32,
    /// /proc/self/pagemap, which tells what was never touched; -1: all is looked at.
    pagemap_fd: i32 = -1,
};

pub const Progress = extern struct {
    total: u64,
    /// With holes.
    written: u64,
    data_bytes: u64,
    state: State,
    /// Why it failed.
    errno: i32,
    chunk_count: u64,
};

/// How a piece's zeroes are found without making pages of them.
const Source = enum { touched, mapping, file };

const Piece = struct {
    memory: guest_memory.Piece,
    offset: u64,
    chunk_first: u64,
    source: Source,
};

pub const Save = struct {
    options: Options,
    doorbell: *Doorbell,
    method: checksum.Method,
    pieces: [limits.memory_piece_count_max]Piece = undefined,
    piece_count: usize = 0,
    total: u64 = 0,
    checksums: []u32,
    /// Of a chunk of zeroes.
    zero_checksum: u32,
    threads: [limits.save_thread_count_max]Thread = undefined,
    thread_count: u32 = 0,
    confinements: [limits.save_thread_count_max]seccomp.Confinement = @splat(.{}),
    workers: [limits.save_thread_count_max]Worker = undefined,
    next_chunk: std.atomic.Value(u64) = .init(0),
    written: std.atomic.Value(u64) = .init(0),
    data_bytes: std.atomic.Value(u64) = .init(0),
    errno: std.atomic.Value(i32) = .init(0),
    cancelled: std.atomic.Value(bool) = .init(false),
    running: std.atomic.Value(u32) = .init(0),
    state: std.atomic.Value(u32) = .init(@backingInt(State.running)),

    /// Starts the threads, each with `filter` on. Errors: Invalid, OutOfMemory, Host.
    pub fn start(
        allocator: std.mem.Allocator,
        memory: *const guest_memory.GuestMemory,
        options: Options,
        surroundings: struct { doorbell: *Doorbell, filter: ?*const seccomp.Program },
        failure: *errors.Failure,
    ) errors.CoreError!*Save {
        if (options.offset % page_size != 0) return error.Invalid;
        const self = allocator.create(Save) catch return error.OutOfMemory;
        errdefer allocator.destroy(self);
        const method: checksum.Method = .ofHost();
        self.* = .{
            .options = options,
            .doorbell = surroundings.doorbell,
            .method = method,
            .checksums = &.{},
            .zero_checksum = checksum.crc32cOfZeroes(method, chunk_size),
        };
        const chunk_count = try self.layOut(memory);
        self.checksums = allocator.alloc(u32, chunk_count) catch return error.OutOfMemory;
        errdefer allocator.free(self.checksums);
        try self.startThreads(surroundings.filter, failure);
        return self;
    }

    /// Places the pieces in the file; returns how many chunks there are.
    fn layOut(self: *Save, memory: *const guest_memory.GuestMemory) error{Invalid}!u64 {
        var chunk_count: u64 = 0;
        for (memory.pieces[0..memory.piece_count]) |piece| {
            if (piece.size % page_size != 0) return error.Invalid;
            const offset = std.mem.alignForward(u64, self.total, piece_alignment);
            self.pieces[self.piece_count] = .{
                .memory = piece,
                .offset = offset,
                .chunk_first = chunk_count,
                .source = self.sourceOf(piece),
            };
            self.piece_count += 1;
            self.total = offset + piece.size;
            chunk_count += chunkCount(piece.size);
        }
        return if (chunk_count == 0) error.Invalid else chunk_count;
    }

    fn sourceOf(self: *const Save, piece: guest_memory.Piece) Source {
        // To read shared memory through a mapping would fill the holes of its file.
        if (piece.shared and piece.fd >= 0) return .file;
        const plain = piece.fd < 0 and piece.backing == .private;
        return if (plain and self.options.pagemap_fd >= 0) .touched else .mapping;
    }

    fn startThreads(
        self: *Save,
        filter: ?*const seccomp.Program,
        failure: *errors.Failure,
    ) errors.HostError!void {
        const asked = @max(1, @min(self.options.thread_count, limits.save_thread_count_max));
        const wanted: u32 = @intCast(@min(asked, self.checksums.len));
        self.running.store(wanted, .release);
        for (self.workers[0..wanted], 0..) |*worker, index| {
            worker.* = .{ .save = self, .confinement = &self.confinements[index] };
            worker.confinement.ask(filter);
            self.threads[index] = Thread.spawn(Worker.run, worker) catch {
                // Fewer threads take longer, nothing else.
                const missing: u32 = @intCast(wanted - index);
                if (index == 0) return failure.set(.thread_spawn, system.EAGAIN, 0);
                self.leave(missing);
                break;
            };
            self.thread_count += 1;
        }
    }

    /// Ends the threads and frees everything; waits for the writes that run.
    pub fn destroy(self: *Save, allocator: std.mem.Allocator) void {
        self.cancel();
        for (self.threads[0..self.thread_count]) |thread| thread.join();
        allocator.free(self.checksums);
        allocator.destroy(self);
    }

    /// The threads stop after the chunk that each writes.
    pub fn cancel(self: *Save) void {
        self.cancelled.store(true, .release);
    }

    pub fn currentState(self: *const Save) State {
        return @fromBackingInt(self.state.load(.acquire));
    }

    pub fn checksumBytes(self: *const Save) []const u8 {
        return std.mem.sliceAsBytes(self.checksums);
    }

    pub fn progress(self: *const Save) Progress {
        return .{
            .state = self.currentState(),
            .total = self.total,
            .written = self.written.load(.monotonic),
            .data_bytes = self.data_bytes.load(.monotonic),
            .errno = self.errno.load(.monotonic),
            .chunk_count = self.checksums.len,
        };
    }

    fn stopped(self: *const Save) bool {
        return self.errno.load(.acquire) != 0 or self.cancelled.load(.acquire);
    }

    fn fail(self: *Save, errno: i32) void {
        _ = self.errno.cmpxchgStrong(0, errno, .acq_rel, .monotonic);
    }

    /// So many threads have nothing more to do; the last one ends the work.
    fn leave(self: *Save, count: u32) void {
        if (self.running.fetchSub(count, .acq_rel) != count) return;
        const whole = self.written.load(.acquire) == self.memorySize();
        if (whole) self.sync();
        const failed = self.errno.load(.acquire) != 0;
        const state: State = if (failed) .failed else if (whole) .done else .cancelled;
        self.state.store(@backingInt(state), .release);
        self.doorbell.ring(.migration);
    }

    fn sync(self: *Save) void {
        const synced = system.result(linux.fdatasync(self.options.fd));
        if (!synced.ok()) self.fail(synced.errno);
    }

    fn memorySize(self: *const Save) u64 {
        var size: u64 = 0;
        for (self.pieces[0..self.piece_count]) |piece| size += piece.memory.size;
        return size;
    }

    fn write(self: *Save, bytes: []const u8, offset: u64) void {
        var done: usize = 0;
        while (done < bytes.len) {
            const rest = [1]std.posix.iovec_const{.{
                .base = bytes[done..].ptr,
                .len = bytes.len - done,
            }};
            const at: i64 = @intCast(self.options.offset + offset + done);
            const raw = linux.pwritev2(self.options.fd, &rest, 1, at, 0);
            const answer = system.result(raw);
            if (answer.errno == system.EINTR) continue;
            if (!answer.ok()) return self.fail(answer.errno);
            if (answer.value == 0) return self.fail(system.EIO);
            done += answer.value;
        }
        _ = self.data_bytes.fetchAdd(bytes.len, .monotonic);
    }

    fn pieceOf(self: *const Save, chunk: u64) *const Piece {
        var index = self.piece_count - 1;
        while (self.pieces[index].chunk_first > chunk) index -= 1;
        return &self.pieces[index];
    }
};

/// One thread, with room for a chunk of a file that is read rather than mapped.
const Worker = struct {
    save: *Save,
    confinement: *seccomp.Confinement,
    buffer: []align(page_size) u8 = &.{},

    fn run(self: *Worker) void {
        const save = self.save;
        _ = linux.prctl(@backingInt(linux.PR.SET_NAME), @intFromPtr("snapshot"), 0, 0, 0);
        self.takeBuffer();
        self.confinement.apply();
        while (!save.stopped()) {
            const chunk = save.next_chunk.fetchAdd(1, .monotonic);
            if (chunk >= save.checksums.len) break;
            self.writeChunk(chunk);
        }
        if (self.buffer.len != 0) system.unmap(@intFromPtr(self.buffer.ptr), self.buffer.len);
        save.leave(1);
    }

    fn takeBuffer(self: *Worker) void {
        const save = self.save;
        for (save.pieces[0..save.piece_count]) |piece| {
            if (piece.source != .file) continue;
            const mapped = system.map(.{ .size = chunk_size });
            if (!mapped.ok()) return save.fail(mapped.errno);
            const bytes: [*]align(page_size) u8 = @ptrFromInt(mapped.value);
            self.buffer = bytes[0..chunk_size];
            return;
        }
    }

    fn writeChunk(self: *Worker, chunk: u64) void {
        const save = self.save;
        const piece = save.pieceOf(chunk);
        const inside = (chunk - piece.chunk_first) * chunk_size;
        const size: usize = @intCast(@min(chunk_size, piece.memory.size - inside));
        const address = piece.memory.host_address + @as(usize, @intCast(inside));
        const mapped: [*]const u8 = @ptrFromInt(address);
        const bytes: ?[]const u8 = switch (piece.source) {
            .mapping => mapped[0..size],
            .touched => if (self.wasTouched(address, size)) mapped[0..size] else null,
            .file => self.readFile(piece, inside, size) orelse return,
        };
        const last_page = piece.offset + inside + size - page_size;
        // The length of the file comes from its last page: a hole would not give it.
        if (last_page + page_size == save.total) save.write(&zero_page, last_page);
        save.checksums[@intCast(chunk)] = if (bytes) |data|
            checksum.crc32c(save.method, data)
        else if (size == chunk_size)
            save.zero_checksum
        else
            checksum.crc32cOfZeroes(save.method, size);
        if (bytes) |data| self.writeData(data, piece.offset + inside);
        _ = save.written.fetchAdd(size, .monotonic);
    }

    /// All runs of `bytes` that are not zero.
    fn writeData(self: *Worker, bytes: []const u8, offset: u64) void {
        var run_start: usize = 0;
        var run_end: usize = 0;
        var position: usize = 0;
        while (position < bytes.len) : (position += page_size) {
            if (isZero(bytes[position..][0..page_size])) continue;
            if (position - run_end >= hole_size_min or run_end == 0) {
                self.save.write(bytes[run_start..run_end], offset + run_start);
                run_start = position;
            }
            run_end = position + page_size;
        }
        self.save.write(bytes[run_start..run_end], offset + run_start);
    }

    /// Whether any page was ever touched: 64 bits a page, of which one tells that it is there and
    /// one that it was moved to swap (Documentation/admin-guide/mm/pagemap.rst).
    fn wasTouched(self: *Worker, address: usize, size: usize) bool {
        var entries: [chunk_size / page_size]u64 = undefined;
        const wanted = std.mem.sliceAsBytes(entries[0 .. size / page_size]);
        const offset = address / page_size * @sizeOf(u64);
        const answer = readAt(self.save.options.pagemap_fd, wanted, offset);
        if (!answer.ok() or answer.value != wanted.len) return true;
        for (entries[0 .. size / page_size]) |entry| if (entry >> 62 != 0) return true;
        return false;
    }

    fn readFile(self: *Worker, piece: *const Piece, inside: u64, size: usize) ?[]const u8 {
        const target = self.buffer[0..size];
        const errno = readFully(piece.memory.fd, piece.memory.offset + inside, target);
        if (errno == 0) return target;
        self.save.fail(errno);
        return null;
    }
};

/// Checksums that a range of so many bytes has.
pub fn chunkCount(size: u64) u64 {
    return size / chunk_size + @intFromBool(size % chunk_size != 0);
}

/// A range of a file.
pub const FileRange = struct { fd: i32, offset: u64, size: u64 };

/// Fills `target` with the checksums of a range of at most `limits.transfer_size_max` bytes, as u32
/// each. Errors: Host (a file that ends early among them), Limit, OutOfMemory.
pub fn checksumsOfFile(
    range: FileRange,
    target: []u8,
    failure: *errors.Failure,
) errors.CoreError!void {
    if (range.size > limits.transfer_size_max) return error.Limit;
    const mapped = system.map(.{ .size = chunk_size });
    if (!mapped.ok()) return error.OutOfMemory;
    defer system.unmap(mapped.value, chunk_size);
    const buffer: [*]u8 = @ptrFromInt(mapped.value);
    const method: checksum.Method = .ofHost();
    var done: u64 = 0;
    while (done < range.size) : (done += chunk_size) {
        const part = buffer[0..@intCast(@min(chunk_size, range.size - done))];
        const errno = readFully(range.fd, range.offset + done, part);
        if (errno != 0) return failure.set(.file_read, errno, range.offset + done);
        const slot = target[@intCast(done / chunk_size * 4)..][0..4];
        std.mem.writeInt(u32, slot, checksum.crc32c(method, part), .little);
    }
}

/// The filter of these threads allows no pread beside.
fn readAt(fd: i32, target: []u8, offset: u64) system.Result {
    const piece = [1]std.posix.iovec{.{ .base = target.ptr, .len = target.len }};
    return system.result(linux.preadv2(fd, &piece, piece.len, @intCast(offset), 0));
}

/// Returns 0 or why the bytes could not be had.
fn readFully(fd: i32, start: u64, target: []u8) i32 {
    var done: usize = 0;
    while (done < target.len) {
        const rest = target[done..];
        const answer = readAt(fd, rest, start + done);
        if (answer.errno == system.EINTR) continue;
        if (!answer.ok()) return answer.errno;
        if (answer.value == 0) return system.EIO;
        done += answer.value;
    }
    return 0;
}

const zero_page: [page_size]u8 align(page_size) = @splat(0);

fn isZero(page: *const [page_size]u8) bool {
    const words: [*]align(1) const @Vector(8, u64) = @ptrCast(page);
    const per_page = page_size / @sizeOf(@Vector(8, u64));
    for (0..per_page) |index| {
        if (@reduce(.Or, words[index]) != 0) return false;
    }
    return true;
}
