//! Linux native asynchronous I/O (io_submit and friends): calls and structures, no policy. Only
//! with O_DIRECT files does the kernel run it asynchronously. Events are taken from the ring that
//! the kernel maps at the context's address, as io_getevents does, but without a call.

const std = @import("std");
const linux = std.os.linux;
const system = @import("../kernel/system.zig");

/// `struct iocb` of linux/aio_abi.h (little endian).
pub const ControlBlock = extern struct {
    data: u64 = 0,
    key: u32 = 0,
    rw_flags: u32 = 0,
    opcode: u16 = 0,
    priority: i16 = 0,
    fd: u32 = 0,
    buffer: u64 = 0,
    count: u64 = 0,
    offset: i64 = 0,
    reserved: u64 = 0,
    flags: u32 = 0,
    event_fd: u32 = 0,
};

/// `struct io_event`.
pub const Event = extern struct { data: u64, control_block: u64, result: i64, result2: i64 };

pub const opcode_fdatasync = 3;
pub const opcode_readv = 7;
pub const opcode_writev = 8;
pub const flag_event_fd = 1;

/// `struct aio_ring` of the kernel's fs/aio.c, part of its ABI since libaio reads it.
const RingHeader = extern struct {
    id: u32,
    event_count: u32,
    head: u32,
    tail: u32,
    magic: u32,
    compatible_features: u32,
    incompatible_features: u32,
    header_size: u32,

    const magic_value = 0xa10a_10a1;
};

pub const Context = struct {
    id: usize = 0,
    event_fd: i32 = -1,

    /// `event_fd` is the caller's and signalled for what is done. Returns the errno of what failed,
    /// 0 when all is well.
    pub fn init(self: *Context, depth: u32, event_fd: i32) i32 {
        self.event_fd = event_fd;
        return system.result(linux.syscall2(.io_setup, depth, @intFromPtr(&self.id))).errno;
    }

    /// Waits for what is in flight.
    pub fn deinit(self: *Context) void {
        _ = linux.syscall1(.io_destroy, self.id);
    }

    /// How many of `blocks`, from the front, the kernel took.
    pub fn submit(self: *const Context, blocks: []const *ControlBlock) system.Result {
        const pointers = @intFromPtr(blocks.ptr);
        return system.result(linux.syscall3(.io_submit, self.id, blocks.len, pointers));
    }

    /// The next finished event, if one is there.
    pub fn next(self: *const Context) ?Event {
        const ring: *RingHeader = @ptrFromInt(self.id);
        if (ring.magic != RingHeader.magic_value or ring.incompatible_features != 0) {
            return self.getEvent();
        }
        const head = ring.head;
        if (head == @atomicLoad(u32, &ring.tail, .acquire)) return null;
        const events: [*]const Event = @ptrFromInt(self.id + ring.header_size);
        const event = events[head];
        @atomicStore(u32, &ring.head, (head + 1) % ring.event_count, .release);
        return event;
    }

    fn getEvent(self: *const Context) ?Event {
        const none: linux.timespec = .{ .sec = 0, .nsec = 0 };
        var event: Event = undefined;
        const answer = system.result(linux.syscall5(
            .io_getevents,
            self.id,
            0,
            1,
            @intFromPtr(&event),
            @intFromPtr(&none),
        ));
        return if (answer.value == 1) event else null;
    }
};

comptime {
    std.debug.assert(@sizeOf(ControlBlock) == 64);
    std.debug.assert(@sizeOf(Event) == 32);
    std.debug.assert(@sizeOf(RingHeader) == 32);
}
