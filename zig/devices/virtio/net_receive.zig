//! Chains of a receive queue that are taken and not yet filled: what one frame from the tap is read
//! into. A frame goes straight into the guest's buffers; only its header is looked at.

const std = @import("std");
const chain_module = @import("../../virtio/chain.zig");
const Device = @import("../../virtio/device.zig").Device;
const Fault = @import("../../virtio/device.zig").Fault;
const net_filter = @import("net_filter.zig");
const tap = @import("../../kernel/tap.zig");

const Iovec = chain_module.Iovec;

/// UIO_MAXIOV of the kernel; the last piece is not the guest's.
const piece_count_max = 1024;
const chain_count_max = 512;

/// A frame of 64 KiB with TSO, its Ethernet header with a VLAN tag, and the header before it
/// (virtio 1.2, section 5.1.6.3.1).
pub const frame_size_max = 65550 + 4 + tap.header_size;

/// The same without TSO.
const short_frame_size = 1514 + 4 + tap.header_size;
const short_run_min = 16;

/// How much room a frame will need: looking at chains for the longest costs more than a short frame
/// itself. One that is longer than expected is kept, which costs a copy.
pub const Expectation = struct {
    /// Short frames in a row.
    short_run: u8 = 0,

    pub fn room(self: *const Expectation) u64 {
        return if (self.short_run < short_run_min) frame_size_max else short_frame_size;
    }

    pub fn take(self: *Expectation, size: u64) void {
        self.short_run = if (size > short_frame_size) 0 else self.short_run +| 1;
    }
};

/// A frame that came when the guest had too few buffers for it: the tap cannot take it back.
pub const Rest = struct {
    bytes: []u8 = &.{},
    /// 0: there is none.
    size: usize = 0,
};

/// Bytes of a `Rest`: one more than a frame tells one that is too long for any guest.
pub const rest_size = frame_size_max + 1;

pub const Gathered = struct {
    heads: [chain_count_max]u16 = undefined,
    lengths: [chain_count_max]u32 = undefined,
    piece_counts: [chain_count_max]u16 = undefined,
    pieces: [piece_count_max]Iovec = undefined,
    first: usize = 0,
    end: usize = 0,
    first_piece: usize = 0,
    end_piece: usize = 0,
    /// Bytes that the chains have room for.
    room: u64 = 0,
    /// The guest had no more chains when the last one was asked for.
    starved: bool = false,

    /// Takes chains until there is room for `size` bytes or the queue is empty. False when the
    /// guest broke a rule, which the device knows then.
    pub fn fill(self: *Gathered, device: *Device, queue_index: u16, size: u64) bool {
        const queue = &device.queues[queue_index];
        self.moveToFront();
        self.starved = false;
        while (self.room < size and self.end < chain_count_max) {
            const head = queue.pop() catch |err| return broken(device, .{ .queue = err });
            self.starved = head == null;
            self.take(device, queue_index, head orelse return true) catch |err| {
                if (err == error.PieceCount and self.end != 0) {
                    queue.putBack(1);
                    return true;
                }
                return broken(device, .{ .chain = err });
            } orelse return broken(device, .request_layout);
        }
        return true;
    }

    fn broken(device: *Device, fault: Fault) bool {
        device.fail(fault);
        return false;
    }

    /// Null when the chain is not one of a receive queue.
    fn take(
        self: *Gathered,
        device: *Device,
        queue_index: u16,
        head: u16,
    ) chain_module.Error!?void {
        const queue = &device.queues[queue_index];
        const storage = self.pieces[self.end_piece .. piece_count_max - 1];
        const found = try chain_module.collect(queue, device.memory, head, storage);
        if (found.readable_length != 0 or found.writable_length < tap.header_size) return null;
        self.heads[self.end] = head;
        self.lengths[self.end] = std.math.lossyCast(u32, found.writable_length);
        self.piece_counts[self.end] = @intCast(found.writable.len);
        self.end += 1;
        self.end_piece += found.writable.len;
        self.room += found.writable_length;
    }

    fn moveToFront(self: *Gathered) void {
        if (self.first == 0) return;
        const count = self.end - self.first;
        const piece_count = self.end_piece - self.first_piece;
        @memmove(self.heads[0..count], self.heads[self.first..self.end]);
        @memmove(self.lengths[0..count], self.lengths[self.first..self.end]);
        @memmove(self.piece_counts[0..count], self.piece_counts[self.first..self.end]);
        @memmove(self.pieces[0..piece_count], self.pieces[self.first_piece..self.end_piece]);
        self.first = 0;
        self.end = count;
        self.first_piece = 0;
        self.end_piece = piece_count;
    }

    /// Where to read a frame: all the room, and what is longer than that into `rest`.
    pub fn target(self: *Gathered, rest: *Rest) []const Iovec {
        const start: usize = @intCast(@min(self.room, frame_size_max));
        const tail = rest.bytes[start..];
        self.pieces[self.end_piece] = .{ .base = tail.ptr, .len = tail.len };
        return self.pieces[self.first_piece .. self.end_piece + 1];
    }

    /// Keeps a frame of which a part only found room.
    pub fn keep(self: *const Gathered, rest: *Rest, size: usize) void {
        _ = chain_module.copyFrom(self.guestPieces(), rest.bytes[0..@intCast(self.room)]);
        rest.size = size;
    }

    /// Writes the frame that was kept into the chains, which have room for it.
    pub fn write(self: *const Gathered, rest: *Rest) void {
        _ = chain_module.copyTo(self.guestPieces(), rest.bytes[0..rest.size]);
    }

    /// The whole ring is here, or as much as there is place for: there will never be more room.
    pub fn cannotGrow(self: *const Gathered, queue_size: u32) bool {
        return !self.starved or self.end - self.first == queue_size;
    }

    fn guestPieces(self: *const Gathered) []const Iovec {
        return self.pieces[self.first_piece..self.end_piece];
    }

    /// The beginning of the frame that was read into the pieces of `target`: the guest's may be too
    /// short even for that.
    pub fn look(self: *const Gathered, bytes: *[net_filter.look_size]u8, size: u64) []const u8 {
        var start: [tap.header_size + net_filter.look_size]u8 = undefined;
        const length: usize = @intCast(@min(size, start.len));
        const pieces = self.pieces[self.first_piece .. self.end_piece + 1];
        const copied = chain_module.copyFrom(pieces, start[0..length]);
        const frame = start[tap.header_size..copied];
        @memcpy(bytes[0..frame.len], frame);
        return bytes[0..frame.len];
    }

    /// Gives the frame's chains to the guest, each filled but the last, and their number with it.
    pub fn deliver(self: *Gathered, device: *Device, queue_index: u16, size: u64) void {
        const queue = &device.queues[queue_index];
        const first = self.first;
        const pieces = self.guestPieces();
        var rest = size;
        while (rest != 0) {
            const length = self.lengths[self.first];
            const used: u32 = @intCast(@min(rest, length));
            queue.push(self.heads[self.first], used);
            rest -= used;
            self.room -= length;
            self.first_piece += self.piece_counts[self.first];
            self.first += 1;
        }
        writeCount(pieces, @intCast(self.first - first));
    }

    /// What no frame came for is the guest's again.
    pub fn giveBack(self: *Gathered, device: *Device, queue_index: u16) void {
        device.queues[queue_index].putBack(@intCast(self.end - self.first));
        self.first = 0;
        self.end = 0;
        self.first_piece = 0;
        self.end_piece = 0;
        self.room = 0;
    }
};

/// num_buffers, the last two bytes of the header.
fn writeCount(pieces: []const Iovec, count: u16) void {
    const bytes = std.mem.toBytes(std.mem.nativeToLittle(u16, count));
    var at: usize = tap.header_size - bytes.len;
    var done: usize = 0;
    for (pieces) |piece| {
        if (at >= piece.len) {
            at -= piece.len;
            continue;
        }
        const size = @min(piece.len - at, bytes.len - done);
        @memcpy(piece.base[at..][0..size], bytes[done..][0..size]);
        at = 0;
        done += size;
        if (done == bytes.len) return;
    }
}
