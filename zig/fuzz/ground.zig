//! Guest memory with traps around it: next to one range lie pages that nobody can touch, which end
//! the process when the device does; next to the other, pages with a pattern, for what the kernel
//! would write on the device's behalf. Ranges touch each other, so that buffers fall into pieces.

const std = @import("std");
const linux = std.os.linux;
const guest_memory = @import("../memory/guest_memory.zig");
const system = @import("../kernel/system.zig");

const Backing = guest_memory.Backing;

const mebi = 1024 * 1024;
/// Longer than what a request moves, so that nothing jumps over it.
const guard_size = 4 * mebi;
const canary_size = 64 * 1024;
const pattern = 0xa5;

/// Rings, then tables and headers, then a piece that is always shared, then a range elsewhere.
pub const first_address = 0x10_0000;
pub const scratch_address = first_address + 0x8_0000;
pub const scratch_size = 0x8_0000;
pub const data_address = first_address + mebi;
pub const data_size = 2 * mebi;
const second_address = data_address + mebi;
const high_address = 0x1_0000_0000;
const high_size = 64 * 1024;

/// Where something begins or ends.
pub const edges = [_]u64{
    first_address,            data_address, second_address, second_address + mebi, high_address,
    high_address + high_size,
};

const piece_count = 4;

/// Which of it other processes can map: a piece, or everything, each piece from a file of its own.
pub const Sharing = enum { some, all };

pub const Ground = struct {
    memory: guest_memory.GuestMemory = .{},
    reserved: usize = 0,
    fds: [piece_count]i32 = @splat(-1),
    canaries: [2][]u8 = undefined,

    const total_size = 3 * mebi + high_size + 2 * canary_size + 4 * guard_size;

    pub fn init(self: *Ground, sharing: Sharing) !void {
        const reserved = system.map(.{ .size = total_size, .protection = .none });
        if (!reserved.ok()) return error.NoMemory;
        self.* = .{ .reserved = reserved.value };
        const rest: Backing = if (sharing == .all) .shared else .private;
        var host = self.reserved + guard_size;
        self.addRegion(first_address, 2 * mebi, host);
        try self.addPiece(rest, .{ .address = first_address, .size = mebi, .host = host });
        host += mebi;
        try self.addPiece(.shared, .{ .address = data_address, .size = mebi, .host = host });
        host += mebi + guard_size;
        self.canaries[0] = try mapCanary(host);
        host += canary_size;
        self.addRegion(second_address, mebi, host);
        try self.addPiece(rest, .{ .address = second_address, .size = mebi, .host = host });
        host += mebi;
        self.canaries[1] = try mapCanary(host);
        host += canary_size + guard_size;
        self.addRegion(high_address, high_size, host);
        try self.addPiece(rest, .{ .address = high_address, .size = high_size, .host = host });
    }

    pub fn deinit(self: *Ground) void {
        system.unmap(self.reserved, total_size);
        for (self.fds) |fd| if (fd >= 0) system.close(fd);
    }

    fn addRegion(self: *Ground, address: u64, size: u64, host: usize) void {
        self.memory.regions[self.memory.count] = .{
            .guest_address = address,
            .size = size,
            .host_address = host,
            .span_size = size,
        };
        self.memory.count += 1;
    }

    const Piece = struct { address: u64, size: u64, host: usize };

    fn addPiece(self: *Ground, backing: Backing, piece: Piece) !void {
        const is_shared = backing == .shared;
        const fd = &self.fds[self.memory.piece_count];
        if (is_shared) {
            fd.* = system.result(linux.memfd_create("guest", linux.MFD.CLOEXEC)).fd();
            _ = linux.ftruncate(fd.*, @intCast(piece.size));
        }
        const mapped = system.map(.{
            .size = piece.size,
            .address = piece.host,
            .fd = fd.*,
            .shared = is_shared,
        });
        if (!mapped.ok()) return error.NoMemory;
        self.memory.pieces[self.memory.piece_count] = .{
            .guest_address = piece.address,
            .size = piece.size,
            .host_address = piece.host,
            .backing = backing,
            .fd = fd.*,
            .offset = 0,
            .shared = is_shared,
        };
        self.memory.piece_count += 1;
    }

    fn mapCanary(host: usize) ![]u8 {
        const mapped = system.map(.{ .size = canary_size, .address = host });
        if (!mapped.ok()) return error.NoMemory;
        const canary: [*]u8 = @ptrFromInt(host);
        @memset(canary[0..canary_size], pattern);
        return canary[0..canary_size];
    }

    /// Guest memory that is known to be there.
    pub fn bytes(self: *const Ground, address: u64, size: u64) []u8 {
        return self.memory.slice(address, size) orelse unreachable;
    }

    pub fn check(self: *const Ground) !void {
        for (self.canaries) |canary| {
            if (!std.mem.allEqual(u8, canary, pattern)) return error.WroteOutsideGuestMemory;
        }
    }
};
