//! File descriptors that Bun cannot make: pseudo terminals, locks of open files, files in memory;
//! what O_DIRECT needs of them.

const std = @import("std");
const linux = std.os.linux;
const system = @import("../kernel/system.zig");
const errors = @import("../errors.zig");

/// Unlocks the other end of a pseudo terminal, makes it raw, and gives its number in /dev/pts.
pub fn preparePty(fd: i32, failure: *errors.Failure) errors.HostError!u32 {
    var unlock: i32 = 0;
    const unlocked = system.ioctl(fd, tiocsptlck, @intFromPtr(&unlock));
    if (!unlocked.ok()) return failure.set(.terminal_set, unlocked.errno, @as(u32, @bitCast(fd)));
    var settings: linux.termios = undefined;
    const got = system.result(linux.tcgetattr(fd, &settings));
    if (!got.ok()) return failure.set(.terminal_get, got.errno, @as(u32, @bitCast(fd)));
    settings.iflag.ICRNL = false;
    settings.iflag.IXON = false;
    settings.oflag.OPOST = false;
    settings.lflag.ECHO = false;
    settings.lflag.ICANON = false;
    settings.lflag.ISIG = false;
    settings.lflag.IEXTEN = false;
    const set = system.result(linux.tcsetattr(fd, .NOW, &settings));
    if (!set.ok()) return failure.set(.terminal_set, set.errno, @as(u32, @bitCast(fd)));
    var number: u32 = 0;
    const numbered = system.ioctl(fd, tiocgptn, @intFromPtr(&number));
    if (!numbered.ok()) return failure.set(.terminal_get, numbered.errno, @as(u32, @bitCast(fd)));
    return number;
}

/// An inotify descriptor that is readable when the other end of a pseudo terminal was opened or
/// closed: its open end tells of a reader who leaves, but not of one who comes (pty(7)).
pub fn watchPty(number: u32, failure: *errors.Failure) errors.HostError!i32 {
    const created = system.result(linux.inotify_init1(linux.IN.CLOEXEC | linux.IN.NONBLOCK));
    if (!created.ok()) return failure.set(.terminal_watch, created.errno, number);
    const fd = created.fd();
    errdefer system.close(fd);
    var buffer: [32]u8 = undefined;
    // The longest number has ten digits, so that the path has room.
    const path = std.fmt.bufPrintSentinel(&buffer, "/dev/pts/{d}", .{number}, 0) catch unreachable;
    const events = linux.IN.OPEN | linux.IN.CLOSE_WRITE | linux.IN.CLOSE_NOWRITE;
    const added = system.result(linux.inotify_add_watch(fd, path, events));
    if (!added.ok()) return failure.set(.terminal_watch, added.errno, number);
    return fd;
}

const tiocsptlck = 0x4004_5431;
const tiocgptn = 0x8004_5430;

const FileLock = extern struct {
    type: i16,
    whence: i16 = 0,
    start: i64 = 0,
    /// 0 locks to the end of the file, wherever that is.
    length: i64 = 0,
    pid: i32 = 0,
};

const lock_read = 0;
const lock_write = 1;
const ofd_setlk = 37;

pub const LockMode = enum { shared, exclusive };

/// Locks an open file against other machines: shared for readers, alone for a writer. The lock
/// belongs to the open file (OFD), so it ends with its last descriptor.
pub fn lockFile(fd: i32, mode: LockMode, failure: *errors.Failure) errors.HostError!void {
    const request: FileLock = .{ .type = switch (mode) {
        .shared => lock_read,
        .exclusive => lock_write,
    } };
    const answer = system.result(linux.fcntl(fd, ofd_setlk, @intFromPtr(&request)));
    if (!answer.ok()) return failure.set(.file_lock, answer.errno, @as(u32, @bitCast(fd)));
}

/// What O_DIRECT needs of offsets and lengths, and of addresses, in bytes.
pub const DirectAlignment = extern struct { request: u32 = 0, buffer: u32 = 0 };

/// What the kernel says of an open file (since Linux 6.1); all 0 when it or the file system says
/// nothing, or does no direct I/O there. Errors: Host (the call itself).
pub fn directAlignment(fd: i32, failure: *errors.Failure) errors.HostError!DirectAlignment {
    var status: linux.Statx = undefined;
    const mask: linux.STATX = .{ .DIOALIGN = true };
    const answer = system.result(linux.statx(fd, "", linux.AT.EMPTY_PATH, mask, &status));
    if (!answer.ok()) return failure.set(.file_status, answer.errno, 0);
    if (!status.mask.DIOALIGN) return .{};
    return .{ .request = status.dio_offset_align, .buffer = status.dio_mem_align };
}

const memory_file_name = "stratovirt_anon_mem";
const f_add_seals = 1033;
/// F_SEAL_SEAL, F_SEAL_SHRINK and F_SEAL_GROW (fcntl(2)).
const seals = 1 | 2 | 4;

/// A memfd of fixed size: another process that maps it cannot cut it off under the guest.
pub fn memoryFile(size: u64, failure: *errors.Failure) errors.HostError!i32 {
    const flags = linux.MFD.CLOEXEC | linux.MFD.ALLOW_SEALING;
    const created = system.result(linux.memfd_create(memory_file_name, flags));
    if (!created.ok()) return failure.set(.memory_file, created.errno, size);
    const fd = created.fd();
    errdefer system.close(fd);
    const sized = system.result(linux.ftruncate(fd, @intCast(size)));
    if (!sized.ok()) return failure.set(.memory_file, sized.errno, size);
    const sealed = system.result(linux.fcntl(fd, f_add_seals, seals));
    if (!sealed.ok()) return failure.set(.memory_file, sealed.errno, size);
    return fd;
}
