//! Reads a sparse file into memory that is zero already: its holes are passed over, so that they
//! cost no memory.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("../errors.zig");
const system = @import("../kernel/system.zig");
const GuestMemory = @import("guest_memory.zig").GuestMemory;

/// Part of a file.
pub const Source = struct { fd: i32, offset: u64, size: u64 };

/// lseek(2).
const seek_data = 3;
const seek_hole = 4;

/// Loads all data of `source` to `address` on. Errors: OutOfRange, Host.
pub fn loadData(
    memory: *const GuestMemory,
    source: Source,
    address: u64,
    failure: *errors.Failure,
) errors.CoreError!void {
    const end = source.offset + source.size;
    var position = source.offset;
    while (position < end) {
        const start = seek(source.fd, position, seek_data, end);
        if (start >= end) return;
        position = @min(end, seek(source.fd, start, seek_hole, end));
        try memory.load(
            .{ .fd = source.fd, .offset = start, .size = position - start },
            address + (start - source.offset),
            failure,
        );
    }
}

/// Where the next data or hole begins. A file system that cannot tell shows data alone.
fn seek(fd: i32, position: u64, whence: u32, end: u64) u64 {
    const answer = system.result(linux.lseek(fd, @intCast(position), whence));
    if (answer.ok()) return answer.value;
    // ENXIO: there is no data from here on.
    const is_last = answer.errno == @backingInt(linux.E.NXIO);
    return if (whence == seek_data and !is_last) position else end;
}

test "a hole costs no memory, and data comes to its place" {
    const page_size = 4096;
    const size = 16 * page_size;
    const fd: i32 = @intCast(linux.memfd_create("sparse", 0));
    defer _ = linux.close(fd);
    _ = linux.ftruncate(fd, size);
    for ([_]u64{ 3, 4, 9 }) |page| {
        _ = linux.pwrite(fd, &[1]u8{@intCast(page)}, 1, @intCast(page * page_size));
    }
    var failure: errors.Failure = .{};
    var memory: GuestMemory = .{};
    defer memory.deinit();
    _ = try memory.add(.{ .guest_address = 0, .size = size }, &failure);
    try loadData(&memory, .{
        .fd = fd,
        .offset = 2 * page_size,
        .size = size - 2 * page_size,
    }, 2 * page_size, &failure);
    const bytes = memory.slice(0, size).?;
    var present: [16]u8 = undefined;
    _ = linux.mincore(bytes.ptr, size, &present);
    for (present, 0..) |each, page| {
        const is_data = page == 3 or page == 4 or page == 9;
        try std.testing.expectEqual(is_data, each & 1 != 0);
        const expected: u8 = if (is_data) @intCast(page) else 0;
        try std.testing.expectEqual(expected, bytes[page * page_size]);
    }
}
