//! Thin calls of Linux system calls: a value or the errno, nothing else.

const std = @import("std");
const linux = std.os.linux;

/// Result of a system call: `value` when `errno` is 0.
pub const Result = struct {
    value: usize,
    errno: i32,

    pub fn ok(self: Result) bool {
        return self.errno == 0;
    }
    pub fn fd(self: Result) i32 {
        return @intCast(self.value);
    }
};

pub const EAGAIN = 11;
pub const EINTR = 4;
pub const EINVAL = 22;
pub const EIO = 5;
pub const ENOMEM = 12;
pub const EBUSY = 16;

pub fn result(raw: usize) Result {
    const signed: isize = @bitCast(raw);
    if (signed < 0 and signed > -4096) return .{ .value = 0, .errno = @intCast(-signed) };
    return .{ .value = raw, .errno = 0 };
}

pub fn ioctl(fd: i32, request: u32, argument: usize) Result {
    return result(linux.ioctl(fd, request, argument));
}

pub fn close(fd: i32) void {
    _ = linux.close(fd);
}

pub fn eventfd() Result {
    return result(linux.eventfd(0, linux.EFD.CLOEXEC | linux.EFD.NONBLOCK));
}

/// Adds one to an eventfd; a full counter is as good as a wake-up.
pub fn eventfdSignal(fd: i32) void {
    const one: u64 = 1;
    _ = linux.write(fd, @ptrCast(&one), 8);
}

/// Empties an eventfd.
pub fn eventfdDrain(fd: i32) void {
    _ = eventfdTake(fd);
}

/// Empties an eventfd; false when it was empty.
pub fn eventfdTake(fd: i32) bool {
    var count: u64 = 0;
    return result(linux.read(fd, @ptrCast(&count), 8)).ok();
}

pub const Protection = enum { none, read, read_write };

pub const MapOptions = struct {
    size: u64,
    fd: i32 = -1,
    offset: u64 = 0,
    shared: bool = false,
    protection: Protection = .read_write,
    /// Where it goes, over what is mapped there; 0: anywhere.
    address: usize = 0,
    /// Whether the kernel promises the pages now (huge pages, else swap); without it a touch may
    /// end the process.
    reserve: bool = false,
};

/// Maps memory; anonymous when `fd` is -1.
pub fn map(options: MapOptions) Result {
    const protection: linux.PROT = switch (options.protection) {
        .none => .{},
        .read => .{ .READ = true },
        .read_write => .{ .READ = true, .WRITE = true },
    };
    return result(linux.mmap(@ptrFromInt(options.address), options.size, protection, .{
        .TYPE = if (options.shared) .SHARED else .PRIVATE,
        .FIXED = options.address != 0,
        .ANONYMOUS = options.fd < 0,
        .NORESERVE = !options.reserve,
    }, options.fd, @intCast(options.offset)));
}

pub fn unmap(address: usize, size: u64) void {
    _ = linux.munmap(@ptrFromInt(address), size);
}

pub fn gettid() i32 {
    return linux.gettid();
}

pub fn monotonicNs() u64 {
    return clockNs(.MONOTONIC);
}

pub fn realtimeNs() u64 {
    return clockNs(.REALTIME);
}

fn clockNs(clock: linux.clockid_t) u64 {
    var time: linux.timespec = undefined;
    _ = linux.clock_gettime(clock, &time);
    return @as(u64, @intCast(time.sec)) * 1_000_000_000 + @as(u64, @intCast(time.nsec));
}

/// Waits while `word` holds `expected`, at most `timeout_ns` (0: without end).
pub fn futexWait(word: *const std.atomic.Value(u32), expected: u32, timeout_ns: u64) void {
    const time: linux.timespec = .{
        .sec = @intCast(timeout_ns / 1_000_000_000),
        .nsec = @intCast(timeout_ns % 1_000_000_000),
    };
    const pointer: usize = if (timeout_ns == 0) 0 else @intFromPtr(&time);
    _ = linux.syscall4(.futex, @intFromPtr(word), futex_wait_private, expected, pointer);
}

pub fn futexWake(word: *const std.atomic.Value(u32), count: u32) void {
    _ = linux.syscall3(.futex, @intFromPtr(word), futex_wake_private, count);
}

const futex_private = 128;
const futex_wait_private = 0 | futex_private;
const futex_wake_private = 1 | futex_private;

test "a failed call gives its errno" {
    const answer = ioctl(-1, 0, 0);
    try std.testing.expect(!answer.ok());
    try std.testing.expectEqual(@as(i32, 9), answer.errno);
}
