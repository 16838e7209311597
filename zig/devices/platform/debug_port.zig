//! The boot-time probe at port 0x3FF: the guest's kernel writes 1 when it is entered and 2 when it
//! has booted; the times are kept for the report (guidebook chapter 8). The port is also the serial
//! port's scratch register, so what was written can be read back.

const std = @import("std");
const trace = @import("../../trace/trace.zig");
const Clock = @import("../../io/clock.zig").Clock;
const Doorbell = @import("../../io/doorbell.zig").Doorbell;

const kernel_entered = 1;
const boot_complete = 2;

pub const Marks = extern struct {
    /// Monotonic time of the first write of each value; 0: not yet.
    kernel_entered_ns: u64 = 0,
    boot_complete_ns: u64 = 0,
};

/// What a snapshot keeps: the times are those of another start.
pub const State = extern struct { scratch: u8 = 0 };

pub const DebugPort = struct {
    clock: *const Clock,
    doorbell: *Doorbell,
    kernel_entered_ns: std.atomic.Value(u64) = .init(0),
    boot_complete_ns: std.atomic.Value(u64) = .init(0),
    scratch: std.atomic.Value(u8) = .init(0),

    pub fn save(self: *const DebugPort) State {
        return .{ .scratch = self.scratch.load(.monotonic) };
    }

    pub fn restore(self: *DebugPort, state: State) error{Invalid}!void {
        self.scratch.store(state.scratch, .monotonic);
    }

    pub fn read(self: *const DebugPort, data: []u8) void {
        @memset(data, 0xff);
        data[0] = self.scratch.load(.monotonic);
    }

    pub fn write(self: *DebugPort, data: []const u8) void {
        trace.emit(.debug_port_write, .{ .value = data[0] });
        self.scratch.store(data[0], .monotonic);
        const mark = switch (data[0]) {
            kernel_entered => &self.kernel_entered_ns,
            boot_complete => &self.boot_complete_ns,
            else => return,
        };
        const now_ns = @max(1, self.clock.monotonicNs());
        if (mark.cmpxchgStrong(0, now_ns, .monotonic, .monotonic) == null) {
            self.doorbell.ring(.boot_mark);
        }
    }

    pub fn marks(self: *const DebugPort) Marks {
        return .{
            .kernel_entered_ns = self.kernel_entered_ns.load(.monotonic),
            .boot_complete_ns = self.boot_complete_ns.load(.monotonic),
        };
    }
};

const News = @import("../../io/doorbell.zig").News;

test "the first write of each mark counts" {
    var clock: Clock = .{ .virtual = true };
    var doorbell: Doorbell = .{};
    var port: DebugPort = .{ .clock = &clock, .doorbell = &doorbell };
    _ = clock.moveTo(5);
    port.write(&.{kernel_entered});
    _ = clock.moveTo(9);
    port.write(&.{kernel_entered});
    port.write(&.{boot_complete});
    port.write(&.{77});
    const marks: Marks = .{ .kernel_entered_ns = 5, .boot_complete_ns = 9 };
    try std.testing.expectEqual(marks, port.marks());
    try std.testing.expectEqual(@as(u32, 1 << @backingInt(News.boot_mark)), doorbell.take());
}
