//! Linux native asynchronous I/O (io_submit and friends): the calls and their structures, no policy.
//! Only with O_DIRECT files does the kernel run it asynchronously.

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

/// What one call of `getEvents` takes at most.
pub const event_count_max = 64;

pub const Context = struct {
    id: usize = 0,
    event_fd: i32 = -1,

    /// The errno of what failed, 0 when all is well.
    pub fn init(self: *Context, depth: u32) i32 {
        const event = system.eventfd();
        if (!event.ok()) return event.errno;
        self.event_fd = event.fd();
        const answer = system.result(linux.syscall2(.io_setup, depth, @intFromPtr(&self.id)));
        if (answer.ok()) return 0;
        system.close(self.event_fd);
        self.event_fd = -1;
        return answer.errno;
    }

    pub fn deinit(self: *Context) void {
        if (self.event_fd < 0) return;
        _ = linux.syscall1(.io_destroy, self.id);
        system.close(self.event_fd);
        self.event_fd = -1;
    }

    /// How many of `blocks`, from the front, the kernel took.
    pub fn submit(self: *const Context, blocks: []const *ControlBlock) system.Result {
        const pointers = @intFromPtr(blocks.ptr);
        return system.result(linux.syscall3(.io_submit, self.id, blocks.len, pointers));
    }

    /// Events that are there; does not wait.
    pub fn getEvents(self: *const Context, events: *[event_count_max]Event) []Event {
        const none: linux.timespec = .{ .sec = 0, .nsec = 0 };
        const answer = system.result(linux.syscall5(
            .io_getevents,
            self.id,
            0,
            events.len,
            @intFromPtr(events),
            @intFromPtr(&none),
        ));
        return events[0..answer.value];
    }
};

comptime {
    std.debug.assert(@sizeOf(ControlBlock) == 64);
    std.debug.assert(@sizeOf(Event) == 32);
}
