//! Frames of the lab's client and agent: a type byte, a little-endian u32 length, the payload.
//! From the client: 'H' token, 'R' run, 'I' stdin (empty: its end), 'S' signal, 'W' rows and
//! columns of the terminal, 'P' ping.
//! From the agent: 'H' version, 'O' stdout, 'E' stderr, 'K' stdin bytes taken, 'Z' exit code,
//! 'P' pong.

const std = @import("std");
const linux = std.os.linux;

pub const protocol_version = "1";
pub const header_size = 5;
pub const payload_size_max = 1 << 20;
/// Stdin bytes the client may send before the agent says that it took them ('K').
pub const stdin_window_size = 64 * 1024;

pub const Frame = struct { kind: u8, payload: []const u8 };

/// What one read or write did.
pub const Transfer = union(enum) { bytes: usize, again, closed };

/// Bytes received and not yet handled; room for one whole frame of the largest size.
pub const Inbox = struct {
    bytes: [header_size + payload_size_max]u8 = undefined,
    start: usize = 0,
    end: usize = 0,

    pub fn fill(inbox: *Inbox, fd: linux.fd_t) Transfer {
        if (inbox.start > 0) {
            const rest = inbox.end - inbox.start;
            std.mem.copyForwards(u8, inbox.bytes[0..rest], inbox.bytes[inbox.start..inbox.end]);
            inbox.start = 0;
            inbox.end = rest;
        }
        const outcome = readSome(fd, inbox.bytes[inbox.end..]);
        if (outcome == .bytes) inbox.end += outcome.bytes;
        return outcome;
    }

    /// The next whole frame; its payload is valid until the next `fill`. A frame over the limit
    /// is an error.
    pub fn next(inbox: *Inbox) error{FrameTooLong}!?Frame {
        const bytes = inbox.bytes[inbox.start..inbox.end];
        if (bytes.len < header_size) return null;
        const length = std.mem.readInt(u32, bytes[1..header_size], .little);
        if (length > payload_size_max) return error.FrameTooLong;
        if (bytes.len < header_size + length) return null;
        inbox.start += header_size + length;
        return .{ .kind = bytes[0], .payload = bytes[header_size..][0..length] };
    }
};

/// Bytes to send. Readers of the command's output stop while `room` is small, so it cannot
/// overflow.
pub const Outbox = struct {
    bytes: [256 * 1024]u8 = undefined,
    start: usize = 0,
    end: usize = 0,

    pub fn isEmpty(outbox: *const Outbox) bool {
        return outbox.start == outbox.end;
    }

    /// Room for output, with some kept back for the short frames (pong, stdin taken, exit code).
    pub fn room(outbox: *const Outbox) usize {
        const reserve = 64 * 1024;
        const free = outbox.bytes.len - outbox.end;
        return if (free > reserve) free - reserve else 0;
    }

    /// Appends a frame. False when it does not fit: the other side floods us without reading.
    pub fn put(outbox: *Outbox, kind: u8, payload: []const u8) bool {
        if (outbox.bytes.len - outbox.end < header_size + payload.len) return false;
        const to = outbox.bytes[outbox.end..];
        to[0] = kind;
        std.mem.writeInt(u32, to[1..header_size], @intCast(payload.len), .little);
        @memcpy(to[header_size..][0..payload.len], payload);
        outbox.end += header_size + payload.len;
        return true;
    }

    pub fn flush(outbox: *Outbox, fd: linux.fd_t) Transfer {
        if (outbox.isEmpty()) return .again;
        const outcome = writeSome(fd, outbox.bytes[outbox.start..outbox.end]);
        if (outcome == .bytes) outbox.start += outcome.bytes;
        if (outbox.isEmpty()) {
            outbox.start = 0;
            outbox.end = 0;
        }
        return outcome;
    }
};

pub fn readSome(fd: linux.fd_t, into: []u8) Transfer {
    const result = linux.read(fd, into.ptr, into.len);
    return switch (linux.errno(result)) {
        .SUCCESS => if (result == 0) .closed else .{ .bytes = result },
        .AGAIN, .INTR => .again,
        else => .closed,
    };
}

pub fn writeSome(fd: linux.fd_t, from: []const u8) Transfer {
    const result = linux.write(fd, from.ptr, from.len);
    return switch (linux.errno(result)) {
        .SUCCESS => .{ .bytes = result },
        .AGAIN, .INTR => .again,
        else => .closed,
    };
}
