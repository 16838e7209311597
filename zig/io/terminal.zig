//! The user's terminal in raw mode while the guest's console has it, and as it was afterwards
//! (termios(3), cfmakeraw).

const std = @import("std");
const linux = std.os.linux;
const system = @import("../kernel/system.zig");
const errors = @import("../errors.zig");
const rescue = @import("terminal_rescue.zig");

pub const Terminal = struct {
    fd: i32 = -1,
    saved: linux.termios = undefined,

    /// Output processing stays on, so that log lines of the host still begin at the left.
    pub fn setRaw(self: *Terminal, fd: i32, failure: *errors.Failure) errors.HostError!void {
        self.restore();
        var settings: linux.termios = undefined;
        const got = system.result(linux.tcgetattr(fd, &settings));
        if (!got.ok()) return failure.set(.terminal_get, got.errno, @as(u32, @bitCast(fd)));
        const saved = settings;
        settings.iflag.IGNBRK = false;
        settings.iflag.BRKINT = false;
        settings.iflag.PARMRK = false;
        settings.iflag.ISTRIP = false;
        settings.iflag.INLCR = false;
        settings.iflag.IGNCR = false;
        settings.iflag.ICRNL = false;
        settings.iflag.IXON = false;
        settings.lflag.ECHO = false;
        settings.lflag.ECHONL = false;
        settings.lflag.ICANON = false;
        settings.lflag.ISIG = false;
        settings.lflag.IEXTEN = false;
        const set = system.result(linux.tcsetattr(fd, .NOW, &settings));
        if (!set.ok()) return failure.set(.terminal_set, set.errno, @as(u32, @bitCast(fd)));
        self.saved = saved;
        self.fd = fd;
        try rescue.arm(fd, saved, failure);
    }

    pub fn restore(self: *Terminal) void {
        if (self.fd < 0) return;
        rescue.disarm();
        _ = linux.tcsetattr(self.fd, .NOW, &self.saved);
        self.fd = -1;
    }
};
