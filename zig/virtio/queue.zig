//! Split virtqueue (virtio 1.2, section 2.7). The rings' addresses are checked once, when the queue
//! becomes ready, and kept as host pointers; what the guest writes into them is checked each time.

const std = @import("std");
const GuestMemory = @import("../memory/guest_memory.zig").GuestMemory;
const trace = @import("../trace/trace.zig");

pub const Descriptor = extern struct { address: u64, length: u32, flags: u16, next: u16 };

/// Descriptor flags (2.7.5).
pub const flag_next = 1;
pub const flag_write = 2;
pub const flag_indirect = 4;

const flag_no_interrupt = 1;
const flag_no_notify = 1;

const descriptor_alignment = 16;

/// All that a snapshot keeps of a queue. Guest addresses, indices as they run (modulo 2^16).
pub const State = extern struct {
    descriptor_address: u64 = 0,
    available_address: u64 = 0,
    used_address: u64 = 0,
    /// Entries, as the driver wrote it: checked by `enable`.
    size: u32 = 0,
    next_available: u16 = 0,
    next_used: u16 = 0,
    /// Used index that the guest has been shown.
    published_used: u16 = 0,
    ready: u8 = 0,
    /// Negotiated: VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC.
    event_index: u8 = 0,
    indirect: u8 = 0,
    reserved: [7]u8 = @splat(0),
};

pub const Features = struct { event_index: bool, indirect: bool };

/// What makes a queue broken until reset: all of it is the guest's doing.
pub const Error = error{
    /// The available index is further ahead than the ring is long.
    AvailableIndex,
    /// A descriptor index is not below the queue size.
    DescriptorIndex,
};

pub const EnableError = error{ Size, Alignment, Memory };

pub const Queue = struct {
    pub const Readiness = enum { ready, off };

    state: State = .{},
    size_max: u16 = 0,
    mask: u16 = 0,
    /// The available index as last read: the ring is read again only when it is used up.
    seen_available: u16 = 0,
    descriptors: [*]const volatile Descriptor = undefined,
    available: [*]const u16 = undefined,
    used: [*]u16 = undefined,

    pub fn ready(self: *const Queue) bool {
        return self.state.ready != 0;
    }

    /// Makes the queue ready after checking size and addresses; keeps the indices of `state`, so
    /// that restore uses it too. Memory must stay mapped until `disable`.
    pub fn enable(self: *Queue, memory: *const GuestMemory) EnableError!void {
        const size = self.state.size;
        if (size == 0 or size > self.size_max or !std.math.isPowerOfTwo(size)) return error.Size;
        const state = &self.state;
        if (state.descriptor_address % descriptor_alignment != 0) return error.Alignment;
        if (state.available_address % 2 != 0 or state.used_address % 4 != 0) return error.Alignment;
        const table = memory.slice(state.descriptor_address, size * @sizeOf(Descriptor));
        const available = memory.slice(state.available_address, 6 + 2 * size);
        const used = memory.slice(state.used_address, 6 + 8 * size);
        self.descriptors = @ptrCast(@alignCast((table orelse return error.Memory).ptr));
        self.available = @ptrCast(@alignCast((available orelse return error.Memory).ptr));
        self.used = @ptrCast(@alignCast((used orelse return error.Memory).ptr));
        self.mask = @intCast(size - 1);
        self.seen_available = state.next_available;
        state.ready = 1;
    }

    pub fn setFeatures(self: *Queue, features: Features) void {
        self.state.event_index = @intFromBool(features.event_index);
        self.state.indirect = @intFromBool(features.indirect);
    }

    pub fn disable(self: *Queue) void {
        self.state.ready = 0;
    }

    pub fn reset(self: *Queue) void {
        self.state = .{ .size = self.size_max };
    }

    /// Goes on behind whoever served the queue: `next_available` is where it stopped, and what it
    /// used it has shown.
    pub fn takeBack(self: *Queue, next_available: u16) void {
        const used = self.usedIndex();
        self.state.next_available = next_available;
        self.seen_available = next_available;
        self.state.next_used = used;
        self.state.published_used = used;
    }

    /// The used index as the guest sees it.
    pub fn usedIndex(self: *const Queue) u16 {
        return @atomicLoad(u16, &self.used[1], .acquire);
    }

    /// Head of the next chain, or null when the guest has offered nothing more.
    pub fn pop(self: *Queue) Error!?u16 {
        const next = self.state.next_available;
        if (self.seen_available == next) {
            const available = @atomicLoad(u16, &self.available[1], .acquire);
            const ahead = available -% next;
            if (ahead == 0) return null;
            if (ahead > self.state.size) return error.AvailableIndex;
            self.seen_available = available;
        }
        const slot = 2 + @as(usize, next & self.mask);
        const head = @atomicLoad(u16, &self.available[slot], .monotonic);
        if (head >= self.state.size) return error.DescriptorIndex;
        self.state.next_available = next +% 1;
        return head;
    }

    /// Takes the last `count` pops back: the chains stay offered.
    pub fn putBack(self: *Queue, count: u16) void {
        self.state.next_available -%= count;
    }

    /// Puts a finished chain into the used ring; the guest sees it after `publish`.
    pub fn push(self: *Queue, head: u16, length: u32) void {
        const element = self.usedElement(self.state.next_used);
        @atomicStore(u32, &element[0], head, .monotonic);
        @atomicStore(u32, &element[1], length, .monotonic);
        trace.emit(.virtqueue_add_used, .{
            .vring = self.state.descriptor_address,
            .next_used = self.state.next_used,
            .index = head,
            .len = length,
        });
        self.state.next_used +%= 1;
    }

    /// Shows what was pushed to the guest; true when it wants an interrupt for it (2.7.7). The
    /// sequentially consistent pair orders the index before the reading of the guest's wish.
    pub fn publish(self: *Queue) bool {
        const new = self.state.next_used;
        const old = self.state.published_used;
        if (new == old) return false;
        @atomicStore(u16, &self.used[1], new, .seq_cst);
        self.state.published_used = new;
        if (self.state.event_index == 0) {
            return @atomicLoad(u16, &self.available[0], .seq_cst) & flag_no_interrupt == 0;
        }
        const event = @atomicLoad(u16, &self.available[2 + @as(usize, self.state.size)], .seq_cst);
        return new -% event -% 1 < new -% old;
    }

    /// Tells the guest that its notifications are not needed for now. With the event index an old
    /// index in the ring does that by itself.
    pub fn disableNotifications(self: *Queue) void {
        if (self.state.event_index != 0) return;
        @atomicStore(u16, &self.used[0], flag_no_notify, .monotonic);
    }

    /// Asks for a notification of the next chain; true when one has already arrived (2.7.10).
    pub fn enableNotifications(self: *Queue) bool {
        if (self.state.event_index != 0) {
            const event = &self.used[2 + 4 * @as(usize, self.state.size)];
            @atomicStore(u16, event, self.state.next_available, .seq_cst);
            trace.emit(.virtqueue_set_avail_event, .{
                .vring = self.state.descriptor_address,
                .event_idx = self.state.next_available,
            });
        } else {
            @atomicStore(u16, &self.used[0], 0, .seq_cst);
        }
        return @atomicLoad(u16, &self.available[1], .seq_cst) != self.state.next_available;
    }

    fn usedElement(self: *Queue, index: u16) [*]u32 {
        const elements: [*]u32 = @ptrCast(@alignCast(self.used + 2));
        return elements + 2 * @as(usize, index & self.mask);
    }
};

comptime {
    std.debug.assert(@sizeOf(Descriptor) == 16);
    std.debug.assert(@sizeOf(State) == 48);
}
