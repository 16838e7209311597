//! Guest memory: a few regions of host memory with their guest addresses. Every access of a device
//! to guest memory goes through `slice`, which is where addresses from the guest are checked.

const std = @import("std");
const limits = @import("../limits.zig");
const system = @import("../kernel/system.zig");
const errors = @import("../errors.zig");

pub const Region = struct {
    guest_address: u64,
    size: u64,
    host_address: usize,
    backing: Backing = .private,

    pub fn contains(self: Region, address: u64, size: u64) bool {
        if (address < self.guest_address) return false;
        const offset = address - self.guest_address;
        return offset < self.size and size <= self.size - offset;
    }
};

/// What a region's pages come from, which decides how they go back to the host.
pub const Backing = enum { private, shared, huge_pages };

/// Host memory that went back, and why some did not (0: all went).
pub const Released = struct { size: u64 = 0, errno: i32 = 0 };

pub const AddOptions = struct {
    guest_address: u64,
    size: u64,
    fd: i32 = -1,
    offset: u64 = 0,
    shared: bool = false,
    /// Whether a core dump of the process holds this memory.
    dump: bool = true,
    /// Whether page tables are made now rather than at the first touch.
    prealloc: bool = false,
};

pub const GuestMemory = struct {
    regions: [limits.memory_region_count_max]Region = undefined,
    count: usize = 0,

    /// Maps a region and takes it in. Errors: Host (the mapping), Invalid (overlap), Limit.
    pub fn add(
        self: *GuestMemory,
        options: AddOptions,
        failure: *errors.Failure,
    ) errors.CoreError!Region {
        if (self.count == self.regions.len) return error.Limit;
        const end = std.math.add(u64, options.guest_address, options.size) catch return error.Invalid;
        if (options.size == 0) return error.Invalid;
        for (self.regions[0..self.count]) |region| {
            const region_end = region.guest_address + region.size;
            if (options.guest_address < region_end and region.guest_address < end) return error.Invalid;
        }
        const mapped = system.map(.{
            .size = options.size,
            .fd = options.fd,
            .offset = options.offset,
            .shared = options.shared,
        });
        if (!mapped.ok()) return failure.set(.memory_map, mapped.errno, options.size);
        if (!options.dump) advise(mapped.value, options.size, madvise_dontdump);
        if (options.prealloc) advise(mapped.value, options.size, madvise_populate_write);
        const region: Region = .{
            .guest_address = options.guest_address,
            .size = options.size,
            .host_address = mapped.value,
            .backing = backingOf(&options),
        };
        self.regions[self.count] = region;
        self.count += 1;
        return region;
    }

    pub fn deinit(self: *GuestMemory) void {
        for (self.regions[0..self.count]) |region| system.unmap(region.host_address, region.size);
        self.count = 0;
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
        const end = address +| size;
        for (self.regions[0..self.count]) |region| {
            const from = @max(address, region.guest_address);
            const to = @min(end, region.guest_address + region.size);
            if (from >= to) continue;
            const host = region.host_address + (from - region.guest_address);
            releaseHost(region.backing, host, to - from, &released);
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

    /// Copies out of guest memory, across regions when they touch.
    pub fn read(self: *const GuestMemory, address: u64, target: []u8) error{OutOfRange}!void {
        const source = self.slice(address, target.len) orelse return error.OutOfRange;
        @memcpy(target, source);
    }

    pub fn write(self: *const GuestMemory, address: u64, source: []const u8) error{OutOfRange}!void {
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
const madvise_populate_write = 23;

fn advise(address: usize, size: u64, advice: u32) void {
    _ = std.os.linux.madvise(@ptrFromInt(address), size, advice);
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

/// How many of a region's host pages are there (mincore(2)).
fn residentCount(region: Region) !usize {
    var resident: [64]u8 = undefined;
    const page_size = std.heap.pageSize();
    const vector = resident[0 .. region.size / page_size];
    const answer = system.result(std.os.linux.mincore(
        @ptrFromInt(region.host_address),
        region.size,
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
        const region = try memory.add(.{
            .guest_address = 0x10_0000,
            .size = 16 * page_size,
            .shared = shared,
        }, &failure);
        const bytes = memory.slice(0x10_0000, region.size) orelse return error.OutOfRange;
        @memset(bytes, 1);
        try std.testing.expectEqual(16, try residentCount(region));
        const released = memory.release(0x10_0000 + page_size / 2, 4 * page_size);
        try std.testing.expectEqual(Released{ .size = 3 * page_size }, released);
        try std.testing.expectEqual(13, try residentCount(region));
        const view = memory.releaseView(bytes[8 * page_size ..][0 .. 2 * page_size]);
        try std.testing.expectEqual(Released{ .size = 2 * page_size }, view);
        try std.testing.expectEqual(11, try residentCount(region));
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
    memory.regions[0].backing = .huge_pages;
    try std.testing.expectEqual(Released{}, memory.release(0x10_0000, 0x1_0000));
    memory.regions[0].backing = .private;
    const all = memory.release(0, std.math.maxInt(u64));
    try std.testing.expectEqual(Released{ .size = 0x1_0000 }, all);
}
