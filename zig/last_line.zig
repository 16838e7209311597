//! The line that tells why a process ends at once, from wherever that happens: everything here is
//! safe in a signal handler. Where the log is and which process this is are globals, because a
//! signal handler has no other argument.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("errors.zig");
const rescue = @import("io/terminal_rescue.zig");
const system = @import("kernel/system.zig");

var log_fd: std.atomic.Value(i32) = .init(2);
/// Not every filter allows to ask for it.
var process_id: std.atomic.Value(u32) = .init(0);

/// Where the line goes; -1: standard error.
pub fn setLog(fd: i32) void {
    log_fd.store(if (fd < 0) 2 else fd, .release);
}

/// Has `handler`, which ends the process with a line, replace the runtime's for a signal.
pub fn installHandler(
    signal: linux.SIG,
    handler: linux.Sigaction.sigaction_fn,
    failure: *errors.Failure,
) errors.HostError!void {
    process_id.store(@intCast(linux.getpid()), .release);
    const action: linux.Sigaction = .{
        .handler = .{ .sigaction = handler },
        .mask = @splat(std.math.maxInt(usize)),
        .flags = linux.SA.SIGINFO | linux.SA.ONSTACK,
    };
    const answer = system.result(linux.sigaction(signal, &action, null));
    if (!answer.ok()) return failure.set(.signal_action, answer.errno, @backingInt(signal));
}

pub const Line = struct {
    buffer: [320]u8 = undefined,
    length: usize = 0,

    /// As every line of the log begins: time, process, thread, level.
    pub fn begin(self: *Line) void {
        self.time(system.realtimeNs());
        self.text(": [");
        self.number(process_id.load(.acquire));
        self.text("][");
        self.number(@intCast(system.gettid()));
        self.text("]:ERROR: ");
    }

    /// YYYY-MM-DDTHH:MM:SS.nnnnnnnnn in UTC.
    fn time(self: *Line, time_ns: u64) void {
        const seconds: std.time.epoch.EpochSeconds = .{ .secs = time_ns / std.time.ns_per_s };
        const date = seconds.getEpochDay().calculateYearDay();
        const month = date.calculateMonthDay();
        const day = seconds.getDaySeconds();
        self.padded(date.year, 4);
        self.text("-");
        self.padded(month.month.numeric(), 2);
        self.text("-");
        self.padded(month.day_index + 1, 2);
        self.text("T");
        self.padded(day.getHoursIntoDay(), 2);
        self.text(":");
        self.padded(day.getMinutesIntoHour(), 2);
        self.text(":");
        self.padded(day.getSecondsIntoMinute(), 2);
        self.text(".");
        self.padded(@intCast(time_ns % std.time.ns_per_s), 9);
    }

    /// With zeroes before it, in so many digits.
    fn padded(self: *Line, value: u32, digit_count: u32) void {
        var bound: u32 = 10;
        for (1..digit_count) |_| {
            if (value < bound) self.text("0");
            bound *|= 10;
        }
        self.number(value);
    }

    pub fn text(self: *Line, words: []const u8) void {
        const count = @min(words.len, self.buffer.len - self.length);
        @memcpy(self.buffer[self.length..][0..count], words[0..count]);
        self.length += count;
    }

    pub fn number(self: *Line, value: u32) void {
        var digits: [10]u8 = undefined;
        var first: usize = digits.len;
        var rest = value;
        while (first == digits.len or rest != 0) {
            first -= 1;
            digits[first] = '0' + @as(u8, @intCast(rest % 10));
            rest /= 10;
        }
        self.text(digits[first..]);
    }

    pub fn hexadecimal(self: *Line, value: u64) void {
        var digits: [2 + 16]u8 = undefined;
        const written = std.fmt.bufPrint(&digits, "0x{x}", .{value}) catch return;
        self.text(written);
    }

    pub fn threadName(self: *Line) void {
        var name: [16]u8 = @splat(0);
        _ = linux.prctl(@backingInt(linux.PR.GET_NAME), @intFromPtr(&name), 0, 0, 0);
        self.text(std.mem.sliceTo(&name, 0));
    }

    pub fn end(self: *const Line, code: i32) noreturn {
        _ = linux.write(log_fd.load(.acquire), &self.buffer, self.length);
        rescue.restore();
        linux.exit_group(code);
    }
};

test "a line begins with the time as the log tells it" {
    var line: Line = .{};
    line.time(1_795_517_202_052_000_007);
    try std.testing.expectEqualStrings(
        "2026-11-24T10:46:42.052000007",
        line.buffer[0..line.length],
    );
    line = .{};
    line.time(951_782_400 * std.time.ns_per_s);
    try std.testing.expectEqualStrings(
        "2000-02-29T00:00:00.000000000",
        line.buffer[0..line.length],
    );
}

test "a line holds numbers and never overflows" {
    var line: Line = .{};
    line.number(0);
    line.text(" ");
    line.number(4294967295);
    try std.testing.expectEqualStrings("0 4294967295", line.buffer[0..line.length]);
    for (0..20) |_| line.text("a long text that repeats");
    try std.testing.expectEqual(line.buffer.len, line.length);
}
