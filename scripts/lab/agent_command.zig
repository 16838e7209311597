//! Starts one command inside the lab's host: pipes or a terminal, its own session and process
//! group.

const std = @import("std");
const linux = std.os.linux;
const frames = @import("agent_frames.zig");

const pointers_max = 8192;
const flag_stdin = 1;
const flag_terminal = 2;

/// What the client asked for, decoded from an 'R' frame:
/// flags u8, rows u16, columns u16, argument count u32, then the folder, the arguments and
/// the environment as strings that each end with a zero byte.
pub const Request = struct {
    wants_stdin: bool,
    wants_terminal: bool,
    rows: u16,
    columns: u16,
    folder: [*:0]const u8,
    argv: [*:null]const ?[*:0]const u8,
    envp: [*:null]const ?[*:0]const u8,
};

pub const Child = struct {
    pid: linux.pid_t,
    exit_fd: linux.fd_t,
    stdin: linux.fd_t = -1,
    stdout: linux.fd_t = -1,
    stderr: linux.fd_t = -1,
};

var storage: [frames.payload_size_max]u8 = undefined;
var pointers: [pointers_max]?[*:0]const u8 = undefined;

/// Decodes an 'R' payload into storage that lives as long as the process (one command a process).
pub fn decode(payload: []const u8) error{Malformed}!Request {
    if (payload.len < 10 or payload[payload.len - 1] != 0) return error.Malformed;
    @memcpy(storage[0..payload.len], payload);
    const bytes = storage[0..payload.len];
    const argument_count = std.mem.readInt(u32, bytes[5..9], .little);
    var at: usize = 9;
    const folder = nextString(bytes, &at);
    if (argument_count == 0 or argument_count > pointers_max / 2) return error.Malformed;
    for (pointers[0..argument_count]) |*pointer| {
        if (at >= bytes.len) return error.Malformed;
        pointer.* = nextString(bytes, &at);
    }
    pointers[argument_count] = null;
    var end: usize = argument_count + 1;
    while (at < bytes.len and end < pointers_max - 1) : (end += 1) {
        pointers[end] = nextString(bytes, &at);
    }
    pointers[end] = null;
    return .{
        .wants_stdin = bytes[0] & flag_stdin != 0,
        .wants_terminal = bytes[0] & flag_terminal != 0,
        .rows = std.mem.readInt(u16, bytes[1..3], .little),
        .columns = std.mem.readInt(u16, bytes[3..5], .little),
        .folder = folder,
        .argv = @ptrCast(&pointers),
        .envp = @ptrCast(pointers[argument_count + 1 ..].ptr),
    };
}

fn nextString(bytes: []const u8, at: *usize) [*:0]const u8 {
    const first = at.*;
    at.* = std.mem.indexOfScalarPos(u8, bytes, first, 0).? + 1;
    return @ptrCast(bytes[first..].ptr);
}

pub fn start(request: Request) error{StartFailed}!Child {
    return if (request.wants_terminal) startOnTerminal(request) else startOnPipes(request);
}

fn startOnPipes(request: Request) error{StartFailed}!Child {
    const output = try pipe();
    const errors = try pipe();
    const input = if (request.wants_stdin) try pipe() else [2]linux.fd_t{ try openNull(), -1 };
    const pid = try forkChild();
    if (pid == 0) {
        _ = linux.setsid();
        becomeCommand(request, .{ input[0], output[1], errors[1] });
    }
    for ([_]linux.fd_t{ input[0], output[1], errors[1] }) |fd| _ = linux.close(fd);
    for ([_]linux.fd_t{ input[1], output[0], errors[0] }) |fd| setNonblocking(fd);
    return .{
        .pid = pid,
        .exit_fd = try watchExit(pid),
        .stdin = input[1],
        .stdout = output[0],
        .stderr = errors[0],
    };
}

fn startOnTerminal(request: Request) error{StartFailed}!Child {
    const flags: linux.O = .{ .ACCMODE = .RDWR, .NOCTTY = true, .CLOEXEC = true };
    const main = try checked(linux.open("/dev/ptmx", flags, 0));
    var locked: i32 = 0;
    _ = linux.ioctl(main, linux.T.IOCSPTLCK, @intFromPtr(&locked));
    resizeTerminal(main, request.rows, request.columns);
    const open_flags: u32 = @bitCast(flags);
    const peer = try checked(linux.ioctl(main, linux.T.IOCGPTPEER, open_flags));
    const pid = try forkChild();
    if (pid == 0) {
        _ = linux.setsid();
        _ = linux.ioctl(peer, linux.T.IOCSCTTY, 0);
        becomeCommand(request, .{ peer, peer, peer });
    }
    _ = linux.close(peer);
    setNonblocking(main);
    return .{ .pid = pid, .exit_fd = try watchExit(pid), .stdin = main, .stdout = main };
}

pub fn resizeTerminal(fd: linux.fd_t, rows: u16, columns: u16) void {
    const size = [4]u16{ rows, columns, 0, 0 };
    _ = linux.ioctl(fd, linux.T.IOCSWINSZ, @intFromPtr(&size));
}

fn becomeCommand(request: Request, streams: [3]linux.fd_t) noreturn {
    for (streams, 0..) |fd, target| _ = linux.dup2(fd, @intCast(target));
    setSignal(.PIPE, linux.SIG.DFL);
    if (linux.errno(linux.chdir(request.folder)) != .SUCCESS) {
        complain("lab: no such folder in the lab: ", request.folder);
        linux.exit_group(126);
    }
    const name = std.mem.span(request.argv[0].?);
    var denied = false;
    if (std.mem.indexOfScalar(u8, name, '/') != null) {
        denied = linux.errno(linux.execve(request.argv[0].?, request.argv, request.envp)) == .ACCES;
    } else {
        var folders = std.mem.splitScalar(u8, searchPath(request.envp), ':');
        while (folders.next()) |folder| {
            var path: [4096]u8 = undefined;
            if (folder.len + name.len + 2 > path.len) continue;
            @memcpy(path[0..folder.len], folder);
            path[folder.len] = '/';
            @memcpy(path[folder.len + 1 ..][0..name.len], name);
            path[folder.len + 1 + name.len] = 0;
            const result = linux.execve(@ptrCast(&path), request.argv, request.envp);
            if (linux.errno(result) == .ACCES) denied = true;
        }
    }
    const reason = if (denied) "lab: not executable: " else "lab: no such command: ";
    complain(reason, request.argv[0].?);
    linux.exit_group(if (denied) 126 else 127);
}

fn searchPath(envp: [*:null]const ?[*:0]const u8) []const u8 {
    var index: usize = 0;
    while (envp[index]) |entry| : (index += 1) {
        const text = std.mem.span(entry);
        if (std.mem.startsWith(u8, text, "PATH=")) return text["PATH=".len..];
    }
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

fn complain(reason: []const u8, subject: [*:0]const u8) void {
    const text = std.mem.span(subject);
    _ = linux.write(2, reason.ptr, reason.len);
    _ = linux.write(2, text.ptr, text.len);
    _ = linux.write(2, "\n", 1);
}

pub fn setSignal(signal: linux.SIG, handler: ?linux.Sigaction.handler_fn) void {
    const action: linux.Sigaction = .{
        .handler = .{ .handler = handler },
        .mask = linux.sigemptyset(),
        .flags = 0,
    };
    _ = linux.sigaction(signal, &action, null);
}

fn forkChild() error{StartFailed}!linux.pid_t {
    return checked(linux.fork());
}

fn watchExit(pid: linux.pid_t) error{StartFailed}!linux.fd_t {
    return checked(linux.pidfd_open(pid, 0)); // close-on-exec by itself: pidfd_open(2)
}

fn openNull() error{StartFailed}!linux.fd_t {
    return checked(linux.open("/dev/null", .{ .ACCMODE = .RDONLY, .CLOEXEC = true }, 0));
}

fn pipe() error{StartFailed}![2]linux.fd_t {
    var ends: [2]linux.fd_t = undefined;
    _ = try checked(linux.pipe2(&ends, .{ .CLOEXEC = true }));
    return ends;
}

fn setNonblocking(fd: linux.fd_t) void {
    if (fd < 0) return;
    const nonblocking: u32 = @bitCast(linux.O{ .NONBLOCK = true });
    _ = linux.fcntl(fd, linux.F.SETFL, linux.fcntl(fd, linux.F.GETFL, 0) | nonblocking);
}

fn checked(result: usize) error{StartFailed}!linux.fd_t {
    if (linux.errno(result) != .SUCCESS) return error.StartFailed;
    return @intCast(result);
}
