//! Guest memory: a few regions of host memory with their guest addresses. Every access of a device
//! to guest memory goes through `slice`, which is where addresses from the guest are checked.

const std = @import("std");
const limits = @import("../limits.zig");
const system = @import("../kernel/system.zig");
const errors = @import("../errors.zig");
const trace = @import("../trace/trace.zig");
const placement = @import("placement.zig");
const populate = @import("populate.zig").populate;

/// Guest memory without a gap, neither here nor there; it may consist of several pieces.
pub const Region = struct {
    guest_address: u64,
    size: u64,
    host_address: usize,
    /// Host addresses that are its own, some perhaps not mapped yet.
    span_size: u64,

    pub fn contains(self: Region, address: u64, size: u64) bool {
        if (address < self.guest_address) return false;
        const offset = address - self.guest_address;
        return offset < self.size and size <= self.size - offset;
    }
};

/// What a piece's pages come from, which decides how they go back to the host.
pub const Backing = enum { private, shared, huge_pages };

/// Host memory that went back, and why some did not (0: all went).
pub const Released = struct { size: u64 = 0, errno: i32 = 0 };

/// One mapping of guest memory.
pub const Piece = struct {
    guest_address: u64,
    size: u64,
    host_address: usize,
    backing: Backing,
    /// The caller's file that it shows from `offset` on; -1: anonymous.
    fd: i32,
    offset: u64,
    shared: bool,
};

pub const AddOptions = struct {
    guest_address: u64,
    size: u64,
    /// Host addresses to keep for this piece and those that follow it without a gap.
    span_size: u64 = 0,
    fd: i32 = -1,
    offset: u64 = 0,
    shared: bool = false,
    /// Whether a core dump of the process holds this memory.
    dump: bool = true,
    /// Whether the kernel promises all pages now.
    reserve: bool = false,
    /// Threads that touch all pages now; 0: each page comes with its first touch.
    populate_thread_count: u32 = 0,
    policy: placement.Policy = .default,
    nodes: placement.Nodes = .{ 0, 0 },
};

pub const GuestMemory = struct {
    regions: [limits.memory_region_count_max]Region = undefined,
    count: usize = 0,
    pieces: [limits.memory_piece_count_max]Piece = undefined,
    piece_count: usize = 0,

    /// Maps a piece and takes it in: behind the region that ends where it begins if that kept room
    /// for it, else as a new region. Errors: Host, Invalid (overlap), Limit.
    pub fn add(
        self: *GuestMemory,
        options: AddOptions,
        failure: *errors.Failure,
    ) errors.CoreError!Piece {
        const mapping = trace.begin(.init_memory);
        defer mapping.end(.init_memory, .{ .addr = options.guest_address, .size = options.size });
        try self.check(options);
        const region = self.regionBefore(options) orelse try self.newRegion(options, failure);
        // A new region is there only when its first piece is.
        errdefer if (region.size == 0) self.dropLastRegion();
        const address = region.host_address + @as(usize, @intCast(region.size));
        try mapPiece(options, address, failure);
        region.size += options.size;
        const piece: Piece = .{
            .guest_address = options.guest_address,
            .size = options.size,
            .host_address = address,
            .backing = backingOf(&options),
            .fd = options.fd,
            .offset = options.offset,
            .shared = options.shared,
        };
        self.pieces[self.piece_count] = piece;
        self.piece_count += 1;
        return piece;
    }

    fn check(self: *const GuestMemory, options: AddOptions) errors.CoreError!void {
        if (self.piece_count == self.pieces.len) return error.Limit;
        const start = options.guest_address;
        const end = std.math.add(u64, start, options.size) catch return error.Invalid;
        if (options.size == 0) return error.Invalid;
        for (self.pieces[0..self.piece_count]) |piece| {
            const overlaps = start < piece.guest_address + piece.size and piece.guest_address < end;
            if (overlaps) return error.Invalid;
        }
    }

    fn regionBefore(self: *GuestMemory, options: AddOptions) ?*Region {
        for (self.regions[0..self.count]) |*region| {
            if (region.guest_address + region.size != options.guest_address) continue;
            if (region.span_size - region.size >= options.size) return region;
        }
        return null;
    }

    fn newRegion(
        self: *GuestMemory,
        options: AddOptions,
        failure: *errors.Failure,
    ) errors.CoreError!*Region {
        if (self.count == self.regions.len) return error.Limit;
        const span_size = @max(options.size, options.span_size);
        self.regions[self.count] = .{
            .guest_address = options.guest_address,
            .size = 0,
            .host_address = try placement.keepFree(span_size, failure),
            .span_size = span_size,
        };
        self.count += 1;
        return &self.regions[self.count - 1];
    }

    fn dropLastRegion(self: *GuestMemory) void {
        self.count -= 1;
        const region = self.regions[self.count];
        system.unmap(region.host_address, region.span_size);
    }

    pub fn deinit(self: *GuestMemory) void {
        while (self.count != 0) self.dropLastRegion();
        self.piece_count = 0;
    }

    /// Host view of guest memory, or null when the range is not wholly inside one region.
    pub fn slice(self: *const GuestMemory, address: u64, size: u64) ?[]u8 {
        for (self.regions[0..self.count]) |region| {
            if (!region.contains(address, size)) continue;
            const host: [*]u8 = @ptrFromInt(region.host_address + (address - region.guest_address));
            return host[0..size];
        }
        return null;
    }

    /// Gives the host pages that lie wholly inside a range back to the host; they are zero when the
    /// guest touches them again. Huge pages stay, and what is no memory is passed over.
    pub fn release(self: *const GuestMemory, address: u64, size: u64) Released {
        var released: Released = .{};
        trace.emit(.memory_release, .{ .addr = address, .size = size });
        const end = address +| size;
        for (self.pieces[0..self.piece_count]) |piece| {
            const from = @max(address, piece.guest_address);
            const to = @min(end, piece.guest_address + piece.size);
            if (from >= to) continue;
            const host = piece.host_address + (from - piece.guest_address);
            releaseHost(piece.backing, host, to - from, &released);
        }
        return released;
    }

    /// The same for a host view of guest memory, as descriptor chains give it.
    pub fn releaseView(self: *const GuestMemory, view: []const u8) Released {
        const host = @intFromPtr(view.ptr);
        for (self.regions[0..self.count]) |region| {
            if (host < region.host_address or host - region.host_address >= region.size) continue;
            return self.release(region.guest_address + (host - region.host_address), view.len);
        }
        return .{};
    }

    /// Pointer to a value that lies in guest memory at its natural alignment.
    pub fn pointer(self: *const GuestMemory, comptime T: type, address: u64) ?*T {
        if (address % @alignOf(T) != 0) return null;
        const bytes = self.slice(address, @sizeOf(T)) orelse return null;
        return @ptrCast(@alignCast(bytes.ptr));
    }

    /// Copies out of guest memory, from one region.
    pub fn read(self: *const GuestMemory, address: u64, target: []u8) error{OutOfRange}!void {
        const source = self.slice(address, target.len) orelse return error.OutOfRange;
        @memcpy(target, source);
    }

    pub fn write(
        self: *const GuestMemory,
        address: u64,
        source: []const u8,
    ) error{OutOfRange}!void {
        const target = self.slice(address, source.len) orelse return error.OutOfRange;
        @memcpy(target, source);
    }

    /// Reads a file's bytes straight into guest memory; stops early at the end of the file.
    pub fn load(
        self: *const GuestMemory,
        source: struct { fd: i32, offset: u64, size: u64 },
        address: u64,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        const target = self.slice(address, source.size) orelse return error.OutOfRange;
        var done: usize = 0;
        while (done < target.len) {
            const rest = target[done..];
            const answer = system.result(std.os.linux.pread(
                source.fd,
                rest.ptr,
                rest.len,
                @intCast(source.offset + done),
            ));
            if (answer.errno == system.EINTR) continue;
            if (!answer.ok()) return failure.set(.file_read, answer.errno, source.offset + done);
            if (answer.value == 0) return failure.set(.file_read, system.EIO, source.offset + done);
            done += answer.value;
        }
    }
};

fn releaseHost(backing: Backing, address: usize, size: u64, released: *Released) void {
    const page_size = std.heap.pageSize();
    const start = std.mem.alignForward(usize, address, page_size);
    const end = std.mem.alignBackward(usize, address + size, page_size);
    if (start >= end) return;
    // In shared memory the pages belong to the file, and only a hole in it frees them.
    const advice: u32 = switch (backing) {
        .private => madvise_dontneed,
        .shared => madvise_remove,
        .huge_pages => return,
    };
    const answer = system.result(std.os.linux.madvise(@ptrFromInt(start), end - start, advice));
    if (answer.ok()) released.size += end - start else released.errno = answer.errno;
}

fn backingOf(options: *const AddOptions) Backing {
    if (options.fd >= 0) {
        // struct statfs begins with the type of the file system (statfs(2)).
        var status: [16]u64 = @splat(0);
        const fd: usize = @intCast(options.fd);
        const address = @intFromPtr(&status);
        _ = std.os.linux.syscall2(.fstatfs, fd, address);
        if (status[0] == hugetlbfs_magic) return .huge_pages;
    }
    return if (options.shared) .shared else .private;
}

const hugetlbfs_magic = 0x9584_58f6;

const madvise_dontneed = 4;
const madvise_remove = 9;
const madvise_dontdump = 16;

/// Maps over the kept address, and places, hides and touches the pages as asked.
fn mapPiece(
    options: AddOptions,
    address: usize,
    failure: *errors.Failure,
) errors.CoreError!void {
    const mapped = system.map(.{
        .size = options.size,
        .fd = options.fd,
        .offset = options.offset,
        .shared = options.shared,
        .reserve = options.reserve,
        .address = address,
    });
    if (!mapped.ok()) return failure.set(.memory_map, mapped.errno, options.size);
    const range: placement.Range = .{ .address = address, .size = options.size };
    try placement.bind(range, options.policy, options.nodes, failure);
    if (!options.dump) {
        const raw = std.os.linux.madvise(@ptrFromInt(address), options.size, madvise_dontdump);
        const hidden = system.result(raw);
        if (!hidden.ok()) return failure.set(.memory_advise, hidden.errno, options.size);
    }
    if (options.populate_thread_count == 0) return;
    const errno = populate(address, options.size, options.populate_thread_count);
    if (errno != 0) return failure.set(.memory_populate, errno, options.size);
}

test "ranges that overflow, straddle or leave a region give no slice" {
    var memory: GuestMemory = .{};
    defer memory.deinit();
    var failure: errors.Failure = .{};
    _ = try memory.add(.{ .guest_address = 0x1000, .size = 0x2000 }, &failure);
    try std.testing.expect(memory.slice(0x1000, 0x2000) != null);
    try std.testing.expect(memory.slice(0x1000, 0x2001) == null);
    try std.testing.expect(memory.slice(0xfff, 1) == null);
    try std.testing.expect(memory.slice(0x3000, 0) == null);
    try std.testing.expect(memory.slice(std.math.maxInt(u64), 2) == null);
    try std.testing.expect(memory.slice(0x2000, std.math.maxInt(u64)) == null);
    try std.testing.expectError(error.Invalid, memory.add(.{
        .guest_address = 0x2fff,
        .size = 1,
    }, &failure));
}

test "pieces that follow each other are one range for a device" {
    var memory: GuestMemory = .{};
    defer memory.deinit();
    var failure: errors.Failure = .{};
    const start = 0x10_0000;
    _ = try memory.add(.{ .guest_address = start, .size = 0x1000, .span_size = 0x3000 }, &failure);
    _ = try memory.add(.{ .guest_address = start + 0x1000, .size = 0x2000 }, &failure);
    _ = try memory.add(.{ .guest_address = start + 0x3000, .size = 0x1000 }, &failure);
    const across = memory.slice(start + 0xff0, 0x20) orelse return error.NoSlice;
    @memset(across, 7);
    try std.testing.expectEqual(memory.pieces[1].host_address + 15, @intFromPtr(&across[31]));
    try std.testing.expect(memory.slice(start, 0x3000) != null);
    // The third found no room behind them.
    try std.testing.expect(memory.slice(start, 0x3001) == null);
    try std.testing.expectEqual(@as(usize, 2), memory.count);
}

test "a piece that cannot be mapped leaves nothing" {
    var memory: GuestMemory = .{};
    defer memory.deinit();
    var failure: errors.Failure = .{};
    const bad: AddOptions = .{ .guest_address = 0, .size = 0x1000, .fd = 1 << 20, .shared = true };
    try std.testing.expectError(error.Host, memory.add(bad, &failure));
    try std.testing.expectEqual(errors.Operation.memory_map, failure.operation);
    try std.testing.expectEqual(@as(usize, 0), memory.count);
    _ = try memory.add(.{ .guest_address = 0, .size = 0x1000 }, &failure);
}

/// How many of a piece's host pages are there (mincore(2)).
fn residentCount(piece: Piece) !usize {
    var resident: [64]u8 = undefined;
    const page_size = std.heap.pageSize();
    const vector = resident[0 .. piece.size / page_size];
    const answer = system.result(std.os.linux.mincore(
        @ptrFromInt(piece.host_address),
        piece.size,
        vector.ptr,
    ));
    try std.testing.expect(answer.ok());
    var count: usize = 0;
    for (vector) |page| count += page & 1;
    return count;
}

test "released pages leave the host, of private and of shared memory, and only whole ones" {
    const page_size = std.heap.pageSize();
    for ([_]bool{ false, true }) |shared| {
        var memory: GuestMemory = .{};
        defer memory.deinit();
        var failure: errors.Failure = .{};
        const piece = try memory.add(.{
            .guest_address = 0x10_0000,
            .size = 16 * page_size,
            .shared = shared,
        }, &failure);
        const bytes = memory.slice(0x10_0000, piece.size) orelse return error.OutOfRange;
        @memset(bytes, 1);
        try std.testing.expectEqual(16, try residentCount(piece));
        const released = memory.release(0x10_0000 + page_size / 2, 4 * page_size);
        try std.testing.expectEqual(Released{ .size = 3 * page_size }, released);
        try std.testing.expectEqual(13, try residentCount(piece));
        const view = memory.releaseView(bytes[8 * page_size ..][0 .. 2 * page_size]);
        try std.testing.expectEqual(Released{ .size = 2 * page_size }, view);
        try std.testing.expectEqual(11, try residentCount(piece));
        try std.testing.expectEqual(1, bytes[page_size - 1]);
        try std.testing.expectEqual(0, bytes[page_size]);
        try std.testing.expectEqual(1, bytes[10 * page_size]);
    }
}

test "what is no memory, or lies in huge pages, is passed over when it is released" {
    var memory: GuestMemory = .{};
    defer memory.deinit();
    var failure: errors.Failure = .{};
    _ = try memory.add(.{ .guest_address = 0x10_0000, .size = 0x1_0000 }, &failure);
    @memset(memory.slice(0x10_0000, 0x1_0000) orelse return error.OutOfRange, 1);
    try std.testing.expectEqual(Released{}, memory.release(0, 0x10_0000));
    try std.testing.expectEqual(Released{}, memory.release(0x11_0000, std.math.maxInt(u64)));
    try std.testing.expectEqual(Released{}, memory.releaseView("not guest memory"));
    memory.pieces[0].backing = .huge_pages;
    try std.testing.expectEqual(Released{}, memory.release(0x10_0000, 0x1_0000));
    memory.pieces[0].backing = .private;
    const all = memory.release(0, std.math.maxInt(u64));
    try std.testing.expectEqual(Released{ .size = 0x1_0000 }, all);
}
