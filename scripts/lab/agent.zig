//! The lab's agent: process 1 of the lab's host. It listens on TCP, and serves each connection in
//! a process of its own, which runs one command. Arguments: port, file that holds the token, file
//! to write when ready.

const std = @import("std");
const linux = std.os.linux;
const command = @import("agent_command.zig");
const session = @import("agent_session.zig");

const backlog = 128;

pub fn main(init: std.process.Init.Minimal) void {
    const arguments = init.args.vector;
    if (arguments.len != 4) fail("usage: agent PORT TOKEN-FILE READY-FILE");
    const port = std.fmt.parseInt(u16, std.mem.span(arguments[1]), 10) catch fail("bad port");
    var token_bytes: [128]u8 = undefined;
    const token = readToken(arguments[2], &token_bytes);
    const listener = listen(port);
    announce(arguments[3]);
    // Orphans come to process 1: with SIGCHLD ignored the kernel takes them away (wait(2), NOTES).
    command.setSignal(.CHLD, linux.SIG.IGN);
    while (true) {
        const flags = linux.SOCK.CLOEXEC | linux.SOCK.NONBLOCK;
        const result = linux.accept4(listener, null, null, flags);
        if (linux.errno(result) != .SUCCESS) continue;
        const connection: linux.fd_t = @intCast(result);
        if (linux.fork() == 0) {
            command.setSignal(.CHLD, linux.SIG.DFL);
            _ = linux.close(listener);
            session.serve(connection, token);
            linux.exit_group(0);
        }
        _ = linux.close(connection);
    }
}

fn readToken(path: [*:0]const u8, into: []u8) []const u8 {
    const opened = linux.open(path, .{ .ACCMODE = .RDONLY, .CLOEXEC = true }, 0);
    if (linux.errno(opened) != .SUCCESS) fail("no token file");
    const fd: linux.fd_t = @intCast(opened);
    defer _ = linux.close(fd);
    const count = linux.read(fd, into.ptr, into.len);
    if (linux.errno(count) != .SUCCESS or count == 0) fail("empty token file");
    return into[0..count];
}

fn listen(port: u16) linux.fd_t {
    const kind = linux.SOCK.STREAM | linux.SOCK.CLOEXEC;
    const opened = linux.socket(linux.AF.INET, kind, 0);
    if (linux.errno(opened) != .SUCCESS) fail("no TCP");
    const fd: linux.fd_t = @intCast(opened);
    const address: linux.sockaddr.in = .{ .port = std.mem.nativeToBig(u16, port), .addr = 0 };
    const bound = linux.bind(fd, @ptrCast(&address), @sizeOf(linux.sockaddr.in));
    if (linux.errno(bound) != .SUCCESS) fail("port in use");
    if (linux.errno(linux.listen(fd, backlog)) != .SUCCESS) fail("cannot listen");
    return fd;
}

fn announce(path: [*:0]const u8) void {
    const flags: linux.O = .{ .ACCMODE = .WRONLY, .CREAT = true, .TRUNC = true, .CLOEXEC = true };
    const opened = linux.open(path, flags, 0o644);
    if (linux.errno(opened) != .SUCCESS) fail("cannot write the ready file");
    const fd: linux.fd_t = @intCast(opened);
    _ = linux.write(fd, "ready\n", 6);
    _ = linux.close(fd);
}

fn fail(reason: []const u8) noreturn {
    _ = linux.write(2, "agent: ", 7);
    _ = linux.write(2, reason.ptr, reason.len);
    _ = linux.write(2, "\n", 1);
    linux.exit_group(1);
}
