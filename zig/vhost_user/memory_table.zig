//! Guest memory as a back end is told of it: regions of files that both map. Pieces that follow
//! each other in one file are one region, for a table has room for few.

const std = @import("std");
const protocol = @import("message.zig");
const guest_memory = @import("../memory/guest_memory.zig");

pub const Table = struct {
    regions: protocol.MemoryTable = .{},
    fds: [protocol.region_count_max]i32 = undefined,

    /// Errors: Private, when another process cannot map all of it; Limit, when it has too many
    /// regions. The files stay their owner's.
    pub fn of(memory: *const guest_memory.GuestMemory) error{ Private, Limit }!Table {
        var table: Table = .{};
        for (memory.pieces[0..memory.piece_count]) |*each| {
            if (each.fd < 0 or !each.shared) return error.Private;
            if (table.joins(each)) {
                table.last().size += each.size;
                continue;
            }
            if (table.regions.count == protocol.region_count_max) return error.Limit;
            table.regions.count += 1;
            table.last().* = .{
                .guest_address = each.guest_address,
                .size = each.size,
                .user_address = each.host_address,
                .offset = each.offset,
            };
            table.fds[table.regions.count - 1] = each.fd;
        }
        return table;
    }

    fn last(self: *Table) *protocol.MemoryRegion {
        return &self.regions.regions[self.regions.count - 1];
    }

    fn joins(self: *Table, next: *const guest_memory.Piece) bool {
        if (self.regions.count == 0) return false;
        const region = self.last();
        return self.fds[self.regions.count - 1] == next.fd and
            region.guest_address + region.size == next.guest_address and
            region.user_address + region.size == next.host_address and
            region.offset + region.size == next.offset;
    }

    /// Whether a range of this process's addresses lies in one region.
    pub fn holds(self: *const Table, address: usize, size: u64) bool {
        for (self.regions.regions[0..self.regions.count]) |*region| {
            if (address < region.user_address) continue;
            const offset = address - region.user_address;
            if (offset < region.size and size <= region.size - offset) return true;
        }
        return false;
    }

    pub fn message(self: *const Table) protocol.Message {
        var composed: protocol.Message = .of(.set_mem_table, self.regions.bytes());
        composed.fd_count = self.regions.count;
        @memcpy(composed.fds[0..composed.fd_count], self.fds[0..composed.fd_count]);
        return composed;
    }
};

/// A piece at the same host addresses as guest addresses plus `host_base`.
fn piece(address: u64, size: u64, file: File) guest_memory.Piece {
    return .{
        .guest_address = address,
        .size = size,
        .host_address = host_base + address,
        .backing = .shared,
        .fd = file.fd,
        .offset = file.offset,
        .shared = file.shared,
    };
}

const File = struct { fd: i32, offset: u64, shared: bool = true };
const host_base = 0x7000_0000_0000;

fn memoryOf(pieces: []const guest_memory.Piece) guest_memory.GuestMemory {
    var memory: guest_memory.GuestMemory = .{};
    @memcpy(memory.pieces[0..pieces.len], pieces);
    memory.piece_count = pieces.len;
    return memory;
}

test "pieces that follow each other in one file are one region" {
    const memory = memoryOf(&.{
        piece(0, 0x1000, .{ .fd = 9, .offset = 0 }),
        piece(0x1000, 0x1000, .{ .fd = 9, .offset = 0x1000 }),
        piece(0x2000, 0x1000, .{ .fd = 9, .offset = 0x5000 }),
        piece(0x3000, 0x1000, .{ .fd = 8, .offset = 0x6000 }),
        piece(0x5000, 0x1000, .{ .fd = 8, .offset = 0x7000 }),
    });
    const table = try Table.of(&memory);
    try std.testing.expectEqual(4, table.regions.count);
    try std.testing.expectEqual(protocol.MemoryRegion{
        .guest_address = 0,
        .size = 0x2000,
        .user_address = host_base,
        .offset = 0,
    }, table.regions.regions[0]);
    const message = table.message();
    try std.testing.expectEqual(8 + 4 * 32, message.size);
    try std.testing.expectEqualSlices(i32, &.{ 9, 9, 8, 8 }, message.fds[0..message.fd_count]);
}

test "memory that another process cannot map, or in too many regions, has no table" {
    const private = memoryOf(&.{piece(0, 0x1000, .{ .fd = 9, .offset = 0, .shared = false })});
    try std.testing.expectError(error.Private, Table.of(&private));
    const anonymous = memoryOf(&.{piece(0, 0x1000, .{ .fd = -1, .offset = 0 })});
    try std.testing.expectError(error.Private, Table.of(&anonymous));
    var pieces: [9]guest_memory.Piece = undefined;
    for (&pieces, 0..) |*each, index| each.* = piece(0x2000 * index, 0x1000, .{
        .fd = 9,
        .offset = 0,
    });
    const memory = memoryOf(&pieces);
    try std.testing.expectError(error.Limit, Table.of(&memory));
}
