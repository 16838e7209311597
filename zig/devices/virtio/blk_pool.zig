//! Requests of one virtio-blk queue with room for their buffers, mapped at once and touched only as
//! far as the guest uses them.

const std = @import("std");
const chain = @import("../../virtio/chain.zig");
const errors = @import("../../errors.zig");
const system = @import("../../kernel/system.zig");
const Request = @import("blk_request.zig").Request;

/// Pieces beyond one for each descriptor: for buffers that cross memory regions.
const spare_piece_count = 8;

pub const Pool = struct {
    memory: []u8 = &.{},
    requests: []Request = &.{},
    pieces: [*]chain.Iovec = undefined,
    piece_count: u32 = 0,
    queue_index: u16 = 0,
    /// Requests from here on were never used.
    fresh: u32 = 0,
    free: ?*Request = null,

    pub fn init(
        self: *Pool,
        queue_index: u16,
        queue_size: u16,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        const piece_count = @as(u32, queue_size) + spare_piece_count;
        const requests_size = @as(usize, queue_size) * @sizeOf(Request);
        const pieces_offset = std.mem.alignForward(usize, requests_size, @alignOf(chain.Iovec));
        const pieces_size = @as(usize, queue_size) * piece_count * @sizeOf(chain.Iovec);
        const size = pieces_offset + pieces_size;
        const mapped = system.map(.{ .size = size });
        if (!mapped.ok()) return failure.set(.memory_map, mapped.errno, size);
        const bytes: [*]u8 = @ptrFromInt(mapped.value);
        const requests: [*]Request = @ptrFromInt(mapped.value);
        self.* = .{
            .memory = bytes[0..size],
            .requests = requests[0..queue_size],
            .pieces = @ptrFromInt(mapped.value + pieces_offset),
            .piece_count = piece_count,
            .queue_index = queue_index,
        };
    }

    pub fn deinit(self: *Pool) void {
        if (self.memory.len != 0) system.unmap(@intFromPtr(self.memory.ptr), self.memory.len);
        self.* = .{};
    }

    /// A request of its own, or null when all are in flight.
    pub fn take(self: *Pool) ?*Request {
        if (self.free) |request| {
            self.free = request.next_free;
            request.* = .{ .queue_index = self.queue_index, .slot = request.slot };
            return request;
        }
        if (self.fresh == self.requests.len) return null;
        const request = &self.requests[self.fresh];
        request.* = .{ .queue_index = self.queue_index, .slot = self.fresh };
        self.fresh += 1;
        return request;
    }

    pub fn release(self: *Pool, request: *Request) void {
        request.next_free = self.free;
        self.free = request;
    }

    /// Room for the request's buffers.
    pub fn iovecs(self: *const Pool, request: *const Request) []chain.Iovec {
        return self.pieces[@as(usize, request.slot) * self.piece_count ..][0..self.piece_count];
    }
};
