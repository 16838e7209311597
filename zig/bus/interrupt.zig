//! Interrupt lines. With KVM a line is an irqfd; without it, its pulses are counted for the test.

const std = @import("std");
const system = @import("../kernel/system.zig");
const trace = @import("../trace/trace.zig");

/// An edge-triggered line of one device. Raising it is one write, from any thread.
pub const Line = struct {
    gsi: u32 = 0,
    /// irqfd of the line; -1 with accel=test.
    fd: i32 = -1,
    /// Pulses so far: what a test reads, and a counter for people.
    count: std.atomic.Value(u64) = .init(0),

    pub fn pulse(self: *Line) void {
        _ = self.count.fetchAdd(1, .monotonic);
        trace.emit(.kvm_trigger_irqfd, .{ .irq_fd = self.fd, .gsi = self.gsi });
        if (self.fd >= 0) system.eventfdSignal(self.fd);
    }
};
