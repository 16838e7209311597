//! One connection over AF_VSOCK (vsock(7)), for a guest and its host: `vsock_pipe listen PORT` or
//! `vsock_pipe connect CID PORT`, then `send`, which passes standard input on, or `receive`, which
//! writes to standard output. A static program of system calls alone.

const std = @import("std");
const linux = std.os.linux;

const Address = extern struct {
    family: u16 = linux.AF.VSOCK,
    reserved: u16 = 0,
    port: u32,
    cid: u32,
    padding: u32 = 0,
};

const any_cid = 0xffff_ffff;
/// Who connects may be earlier than who listens.
const attempt_count = 600;
const attempt_interval_ns = 50_000_000;

pub fn main(init: std.process.Init.Minimal) u8 {
    var arguments = init.args.iterate();
    _ = arguments.next();
    const socket = open(&arguments) orelse return 1;
    const sends = std.mem.eql(u8, arguments.next() orelse return 2, "send");
    const done = if (sends) copy(0, socket) else copy(socket, 1);
    // Closing a socket with bytes on their way may lose them: wait for the other's end.
    _ = linux.shutdown(socket, linux.SHUT.WR);
    var byte: [1]u8 = undefined;
    if (sends) _ = linux.read(socket, &byte, 1);
    return if (done) 0 else 3;
}

fn open(arguments: anytype) ?i32 {
    const word = arguments.next() orelse return null;
    if (std.mem.eql(u8, word, "listen")) return listen(number(arguments) orelse return null);
    const cid = number(arguments) orelse return null;
    return connect(cid, number(arguments) orelse return null);
}

fn number(arguments: anytype) ?u32 {
    return std.fmt.parseInt(u32, arguments.next() orelse return null, 10) catch null;
}

fn newSocket() ?i32 {
    const raw = linux.socket(linux.AF.VSOCK, linux.SOCK.STREAM | linux.SOCK.CLOEXEC, 0);
    return if (ok(raw)) @intCast(raw) else null;
}

fn listen(port: u32) ?i32 {
    const socket = newSocket() orelse return null;
    const address: Address = .{ .port = port, .cid = any_cid };
    if (!ok(linux.bind(socket, @ptrCast(&address), @sizeOf(Address)))) return null;
    if (!ok(linux.listen(socket, 1))) return null;
    const raw = linux.accept4(socket, null, null, 0);
    return if (ok(raw)) @intCast(raw) else null;
}

fn connect(cid: u32, port: u32) ?i32 {
    const address: Address = .{ .port = port, .cid = cid };
    for (0..attempt_count) |_| {
        const socket = newSocket() orelse return null;
        if (ok(linux.connect(socket, @ptrCast(&address), @sizeOf(Address)))) return socket;
        _ = linux.close(socket);
        const interval: linux.timespec = .{ .sec = 0, .nsec = attempt_interval_ns };
        _ = linux.nanosleep(&interval, null);
    }
    return null;
}

/// Until the end of `source`; false when something failed.
fn copy(source: i32, target: i32) bool {
    var buffer: [65536]u8 = undefined;
    while (true) {
        const count = linux.read(source, &buffer, buffer.len);
        if (!ok(count)) return false;
        if (count == 0) return true;
        var done: usize = 0;
        while (done < count) {
            const written = linux.write(target, buffer[done..].ptr, count - done);
            if (!ok(written)) return false;
            done += written;
        }
    }
}

fn ok(raw: usize) bool {
    return @as(isize, @bitCast(raw)) >= 0;
}
