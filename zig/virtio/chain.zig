//! Descriptor chains (virtio 1.2, sections 2.7.4 and 2.7.5): from a head to host views of the
//! guest's buffers, readable ones first. What a descriptor says is the guest's word and checked.

const std = @import("std");
const GuestMemory = @import("../memory/guest_memory.zig").GuestMemory;
const queue_module = @import("queue.zig");
const trace = @import("../trace/trace.zig");

const Queue = queue_module.Queue;
const Descriptor = queue_module.Descriptor;
pub const Iovec = std.posix.iovec;

pub const Error = error{
    /// An index outside the table it belongs to.
    DescriptorIndex,
    /// More descriptors than the queue has: a loop, or a driver that does not know its limit.
    ChainLength,
    /// Indirect without negotiation, inside an indirect table, with NEXT, or of a wrong length.
    Indirect,
    /// A readable buffer after a writable one.
    Order,
    /// A buffer or table outside guest memory.
    Memory,
    /// The buffers fall into more pieces than the storage takes.
    PieceCount,
};

pub const Chain = struct {
    head: u16,
    readable: []Iovec,
    writable: []Iovec,
    readable_length: u64,
    writable_length: u64,
};

const Walk = struct {
    memory: *const GuestMemory,
    storage: []Iovec,
    count: usize = 0,
    readable_count: usize = 0,
    readable_length: u64 = 0,
    writable_length: u64 = 0,

    /// Adds a buffer; one that crosses memory regions becomes several pieces.
    fn add(self: *Walk, descriptor: Descriptor) Error!void {
        const writable = descriptor.flags & queue_module.flag_write != 0;
        if (!writable and self.writable_length != 0) return error.Order;
        var address = descriptor.address;
        var rest: u64 = descriptor.length;
        while (rest != 0) {
            const piece = prefix(self.memory, address, rest) orelse return error.Memory;
            if (self.count == self.storage.len) return error.PieceCount;
            self.storage[self.count] = .{ .base = piece.ptr, .len = piece.len };
            self.count += 1;
            rest -= piece.len;
            address += piece.len;
        }
        if (writable) {
            self.writable_length += descriptor.length;
        } else {
            self.readable_length += descriptor.length;
            self.readable_count = self.count;
        }
    }
};

/// Walks the chain that starts at `head` and puts its buffers into `storage`.
pub fn collect(
    queue: *const Queue,
    memory: *const GuestMemory,
    head: u16,
    storage: []Iovec,
) Error!Chain {
    var walk: Walk = .{ .memory = memory, .storage = storage };
    var table: [*]align(1) const volatile Descriptor = queue.descriptors;
    var table_size = queue.state.size;
    var index: u32 = head;
    var in_indirect = false;
    for (0..queue.state.size) |_| {
        if (index >= table_size) return error.DescriptorIndex;
        // One copy, so that the guest cannot change it between check and use.
        const descriptor = table[index];
        if (descriptor.flags & queue_module.flag_indirect != 0) {
            if (in_indirect or queue.state.indirect == 0) return error.Indirect;
            const bytes = try indirectTable(memory, descriptor);
            table = @ptrCast(bytes.ptr);
            table_size = @intCast(bytes.len / @sizeOf(Descriptor));
            index = 0;
            in_indirect = true;
            continue;
        }
        try walk.add(descriptor);
        if (descriptor.flags & queue_module.flag_next == 0) return finish(queue, &walk, head);
        index = descriptor.next;
    }
    // The indirect descriptor itself does not count: allow its table one more step.
    if (!in_indirect or index >= table_size) return error.ChainLength;
    const last = table[index];
    if (last.flags & (queue_module.flag_indirect | queue_module.flag_next) != 0) {
        return error.ChainLength;
    }
    try walk.add(last);
    return finish(queue, &walk, head);
}

fn finish(queue: *const Queue, walk: *const Walk, head: u16) Chain {
    trace.emit(.virtqueue_pop_avail, .{
        .vring = queue.state.descriptor_address,
        .head = head,
        .in_num = walk.count - walk.readable_count,
        .out_num = walk.readable_count,
    });
    return .{
        .head = head,
        .readable = walk.storage[0..walk.readable_count],
        .writable = walk.storage[walk.readable_count..walk.count],
        .readable_length = walk.readable_length,
        .writable_length = walk.writable_length,
    };
}

fn indirectTable(memory: *const GuestMemory, descriptor: Descriptor) Error![]u8 {
    if (descriptor.flags & queue_module.flag_next != 0) return error.Indirect;
    const length = descriptor.length;
    if (length == 0 or length % @sizeOf(Descriptor) != 0) return error.Indirect;
    return memory.slice(descriptor.address, length) orelse error.Memory;
}

/// The part of a range that lies in the region of its first byte; null when that is not memory.
fn prefix(memory: *const GuestMemory, address: u64, size: u64) ?[]u8 {
    for (memory.regions[0..memory.count]) |region| {
        if (!region.contains(address, 1)) continue;
        const offset = address - region.guest_address;
        const host: [*]u8 = @ptrFromInt(region.host_address + offset);
        return host[0..@min(size, region.size - offset)];
    }
    return null;
}

/// Copies from the front of `pieces`; returns the bytes copied, fewer when they are shorter.
pub fn copyFrom(pieces: []const Iovec, target: []u8) usize {
    var done: usize = 0;
    for (pieces) |piece| {
        const size = @min(piece.len, target.len - done);
        @memcpy(target[done..][0..size], piece.base[0..size]);
        done += size;
        if (done == target.len) break;
    }
    return done;
}

/// Copies into the front of `pieces`; returns the bytes copied.
pub fn copyTo(pieces: []const Iovec, source: []const u8) usize {
    var done: usize = 0;
    for (pieces) |piece| {
        const size = @min(piece.len, source.len - done);
        @memcpy(piece.base[0..size], source[done..][0..size]);
        done += size;
        if (done == source.len) break;
    }
    return done;
}

/// The pieces' first `size` bytes; changes the piece that is cut.
pub fn first(pieces: []Iovec, size: u64) []Iovec {
    var rest = size;
    for (pieces, 0..) |*piece, index| {
        if (rest <= piece.len) {
            piece.len = rest;
            return pieces[0 .. index + 1];
        }
        rest -= piece.len;
    }
    return pieces;
}

/// The pieces without their first `size` bytes; changes the piece that is cut.
pub fn skip(pieces: []Iovec, size: u64) []Iovec {
    var rest = size;
    for (pieces, 0..) |*piece, index| {
        if (rest < piece.len) {
            piece.base += rest;
            piece.len -= rest;
            return pieces[index..];
        }
        rest -= piece.len;
    }
    return pieces[pieces.len..];
}

pub const LastByte = struct { pieces: []Iovec, byte: *u8 };

/// Takes the last byte away from the pieces (none of them is empty); null when there is none.
pub fn takeLastByte(pieces: []Iovec) ?LastByte {
    if (pieces.len == 0) return null;
    const last = &pieces[pieces.len - 1];
    last.len -= 1;
    const byte = &last.base[last.len];
    return .{ .pieces = if (last.len == 0) pieces[0 .. pieces.len - 1] else pieces, .byte = byte };
}
