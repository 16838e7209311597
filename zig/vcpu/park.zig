//! The one place where a guest waits for JavaScript. A vCPU posts its reason and sleeps until it is
//! answered; stopping the machine is an answer too, so nobody sleeps for ever.

const std = @import("std");
const system = @import("../kernel/system.zig");
const ParkReason = @import("../bus/outcome.zig").ParkReason;

pub const Park = struct {
    /// ParkReason as a number; 0 when the vCPU does not wait.
    reason: std.atomic.Value(u32) = .init(0),
    /// How often this vCPU has waited so far.
    count: std.atomic.Value(u64) = .init(0),

    pub fn post(self: *Park, reason: ParkReason) void {
        _ = self.count.fetchAdd(1, .monotonic);
        self.reason.store(@backingInt(reason), .release);
    }

    /// Sleeps until `answer`.
    pub fn wait(self: *Park) void {
        while (true) {
            const reason = self.reason.load(.acquire);
            if (reason == 0) return;
            system.futexWait(&self.reason, reason, 0);
        }
    }

    pub fn answer(self: *Park) void {
        self.reason.store(0, .release);
        system.futexWake(&self.reason, 1);
    }

    pub fn current(self: *const Park) ParkReason {
        return @fromBackingInt(self.reason.load(.acquire));
    }
};
