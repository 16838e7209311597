//! One connection of the lab's client: says hello, runs one command, passes bytes and signals.
//! Nothing here blocks but poll, so that a signal or a ping gets through whatever the streams do.

const std = @import("std");
const linux = std.os.linux;
const frames = @import("agent_frames.zig");
const command = @import("agent_command.zig");

const grace_ms = 2000;

var inbox: frames.Inbox = .{};
var outbox: frames.Outbox = .{};
var stdin_pending: [frames.stdin_window_size]u8 = undefined;

const Session = struct {
    socket: linux.fd_t,
    token: []const u8,
    greeted: bool = false,
    child: ?command.Child = null,
    terminal: bool = false,
    exit_code: ?u32 = null,
    finished: bool = false,
    pending_start: usize = 0,
    pending_end: usize = 0,
    stdin_ended: bool = false,

    fn handle(session: *Session, frame: frames.Frame) error{Closed}!void {
        if (!session.greeted) {
            const known = frame.kind == 'H' and std.mem.eql(u8, frame.payload, session.token);
            if (!known) return error.Closed;
            session.greeted = true;
            return send('H', frames.protocol_version);
        }
        switch (frame.kind) {
            'P' => try send('P', ""),
            'R' => {
                if (session.child != null) return error.Closed;
                const request = command.decode(frame.payload) catch return error.Closed;
                session.terminal = request.wants_terminal;
                session.child = command.start(request) catch return error.Closed;
            },
            'I' => try session.takeStdin(frame.payload),
            'S' => if (frame.payload.len == 1) session.signal(frame.payload[0]),
            'W' => if (frame.payload.len == 4 and session.terminal) command.resizeTerminal(
                session.child.?.stdin,
                std.mem.readInt(u16, frame.payload[0..2], .little),
                std.mem.readInt(u16, frame.payload[2..4], .little),
            ),
            else => return error.Closed,
        }
    }

    fn takeStdin(session: *Session, payload: []const u8) error{Closed}!void {
        if (payload.len == 0) {
            session.stdin_ended = true;
        } else if (session.child == null or session.child.?.stdin < 0) {
            try session.acknowledge(payload.len);
        } else {
            if (payload.len > stdin_pending.len - session.pending_end) session.compactStdin();
            if (payload.len > stdin_pending.len - session.pending_end) return error.Closed;
            @memcpy(stdin_pending[session.pending_end..][0..payload.len], payload);
            session.pending_end += payload.len;
        }
        session.closeStdinAtEnd();
    }

    fn compactStdin(session: *Session) void {
        const rest = session.pending_end - session.pending_start;
        const from = stdin_pending[session.pending_start..session.pending_end];
        std.mem.copyForwards(u8, stdin_pending[0..rest], from);
        session.pending_start = 0;
        session.pending_end = rest;
    }

    fn hasStdin(session: *const Session) bool {
        return session.pending_start < session.pending_end;
    }

    fn acknowledge(session: *Session, count: usize) error{Closed}!void {
        _ = session;
        var bytes: [4]u8 = undefined;
        std.mem.writeInt(u32, &bytes, @intCast(count), .little);
        try send('K', &bytes);
    }

    fn feedStdin(session: *Session, child: *command.Child) error{Closed}!void {
        const rest = stdin_pending[session.pending_start..session.pending_end];
        switch (frames.writeSome(child.stdin, rest)) {
            .again => return,
            .bytes => |count| {
                session.pending_start += count;
                try session.acknowledge(count);
            },
            .closed => {
                session.pending_start = session.pending_end;
                try session.acknowledge(rest.len);
                session.stdin_ended = true;
            },
        }
        session.closeStdinAtEnd();
    }

    fn closeStdinAtEnd(session: *Session) void {
        if (!session.stdin_ended or session.hasStdin() or session.terminal) return;
        if (session.child) |*child| {
            if (child.stdin >= 0) _ = linux.close(child.stdin);
            child.stdin = -1;
        }
    }

    fn signal(session: *Session, number: u8) void {
        if (session.exit_code != null) return;
        if (session.child) |child| _ = linux.kill(-child.pid, @fromBackingInt(number));
    }

    /// Passes output on. True when nothing more is to be had now.
    fn drain(fd: *linux.fd_t, kind: u8) error{Closed}!bool {
        if (fd.* < 0) return true;
        var bytes: [32 * 1024]u8 = undefined;
        const room = outbox.room();
        if (room <= frames.header_size) return false;
        const into = bytes[0..@min(bytes.len, room - frames.header_size)];
        switch (frames.readSome(fd.*, into)) {
            .again => return true,
            .bytes => |count| {
                try send(kind, bytes[0..count]);
                return false;
            },
            .closed => {
                _ = linux.close(fd.*);
                fd.* = -1;
                return true;
            },
        }
    }

    /// After the command's end: takes what is left in its pipes, then the exit code goes out.
    fn finish(session: *Session, child: *command.Child) error{Closed}!void {
        const output_empty = try drain(&child.stdout, 'O');
        const errors_empty = try drain(&child.stderr, 'E');
        if (!output_empty or !errors_empty) return;
        var bytes: [4]u8 = undefined;
        std.mem.writeInt(u32, &bytes, session.exit_code.?, .little);
        try send('Z', &bytes);
        session.finished = true;
    }

    fn step(session: *Session) error{Closed}!void {
        const in: i16 = linux.POLL.IN;
        const out: i16 = linux.POLL.OUT;
        const readable = outbox.room() > frames.header_size;
        var polled = [5]linux.pollfd{
            .{ .fd = session.socket, .events = if (outbox.isEmpty()) in else in | out },
            .{ .fd = -1, .events = in },
            .{ .fd = -1, .events = in },
            .{ .fd = -1, .events = in },
            .{ .fd = -1, .events = out },
        };
        if (session.child) |child| {
            if (readable) polled[1].fd = child.stdout;
            if (readable) polled[2].fd = child.stderr;
            if (session.exit_code == null) polled[3].fd = child.exit_fd;
            if (session.hasStdin()) polled[4].fd = child.stdin;
        }
        const draining = session.exit_code != null and readable;
        _ = linux.poll(&polled, polled.len, if (draining) 0 else -1);
        if (polled[0].revents & out != 0) {
            if (outbox.flush(session.socket) == .closed) return error.Closed;
        }
        if (polled[0].revents & ~out != 0) try session.receive();
        const child = if (session.child) |*child| child else return;
        if (polled[4].fd >= 0 and polled[4].revents != 0) try session.feedStdin(child);
        if (session.exit_code != null) return session.finish(child);
        if (polled[1].fd >= 0 and polled[1].revents != 0) _ = try drain(&child.stdout, 'O');
        if (polled[2].fd >= 0 and polled[2].revents != 0) _ = try drain(&child.stderr, 'E');
        if (polled[3].fd >= 0 and polled[3].revents != 0) session.exit_code = reap(child.pid);
    }

    fn receive(session: *Session) error{Closed}!void {
        if (inbox.fill(session.socket) == .closed) return error.Closed;
        while (inbox.next() catch return error.Closed) |frame| try session.handle(frame);
    }

    /// The client went away: its command gets a chance to clean up, then it is killed.
    fn abandon(session: *Session) void {
        const child = session.child orelse return;
        if (session.exit_code != null) return;
        _ = linux.kill(-child.pid, .TERM);
        var polled = [1]linux.pollfd{.{ .fd = child.exit_fd, .events = linux.POLL.IN }};
        _ = linux.poll(&polled, 1, grace_ms);
        _ = linux.kill(-child.pid, .KILL);
    }
};

fn send(kind: u8, payload: []const u8) error{Closed}!void {
    if (!outbox.put(kind, payload)) return error.Closed;
}

/// The exit code as a shell gives it: the command's own, or 128 and the signal's number.
fn reap(pid: linux.pid_t) u32 {
    var status: i32 = 0;
    _ = linux.waitpid(pid, &status, 0);
    const bits: u32 = @bitCast(status);
    const signal_number = bits & 0x7f;
    return if (signal_number == 0) (bits >> 8) & 0xff else 128 + signal_number;
}

/// Serves one connection until its command has ended or the client is gone.
pub fn serve(socket: linux.fd_t, token: []const u8) void {
    command.setSignal(.PIPE, linux.SIG.IGN);
    var session: Session = .{ .socket = socket, .token = token };
    while (!session.finished) session.step() catch return session.abandon();
    while (!outbox.isEmpty()) {
        var polled = [1]linux.pollfd{.{ .fd = socket, .events = linux.POLL.OUT }};
        _ = linux.poll(&polled, 1, -1);
        if (outbox.flush(socket) == .closed) return;
    }
}
