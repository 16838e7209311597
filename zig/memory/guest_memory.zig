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

    pub fn contains(self: Region, address: u64, size: u64) bool {
        if (address < self.guest_address) return false;
        const offset = address - self.guest_address;
        return offset < self.size and size <= self.size - offset;
    }
};

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
