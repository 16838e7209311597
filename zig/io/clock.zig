//! The machine's time: the host's clocks, or a virtual clock that only the test moves (accel=test).

const std = @import("std");
const system = @import("../kernel/system.zig");

pub const Clock = struct {
    virtual: bool = false,
    now_ns: std.atomic.Value(u64) = .init(0),

    /// Virtual time begins at this wall clock time: 2026-01-01T00:00:00Z.
    const virtual_epoch_ns = 1_767_225_600 * 1_000_000_000;

    pub fn monotonicNs(self: *const Clock) u64 {
        return if (self.virtual) self.now_ns.load(.acquire) else system.monotonicNs();
    }

    pub fn wallNs(self: *const Clock) u64 {
        if (self.virtual) return virtual_epoch_ns + self.now_ns.load(.acquire);
        return system.realtimeNs();
    }

    /// Moves virtual time to `target_ns`, never backwards; returns the time after.
    pub fn moveTo(self: *Clock, target_ns: u64) u64 {
        const now = @max(self.now_ns.load(.acquire), target_ns);
        self.now_ns.store(now, .release);
        return now;
    }
};
