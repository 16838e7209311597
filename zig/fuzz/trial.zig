//! One run of a fuzzer: a seed, a number of steps, and a watchdog that makes a step without an end
//! a failure. What a step does depends on the seed, its number and what was done before it.

const std = @import("std");
const linux = std.os.linux;
const system = @import("../kernel/system.zig");

/// Far more than any step takes, on a host that is busy with other things too.
const step_wait_ns = 60 * 1_000_000_000;

pub const Trial = struct {
    name: []const u8,
    seed: u64,
    step_count: u64,
    /// Steps begun.
    step: std.atomic.Value(u64) = .init(0),
    over: std.atomic.Value(u32) = .init(0),

    /// The generator of the next step; null when all are done.
    pub fn next(self: *Trial) ?std.Random.DefaultPrng {
        const number = self.step.fetchAdd(1, .monotonic);
        if (number == self.step_count) return null;
        return .init(std.hash.int(self.seed) ^ number);
    }

    fn watch(self: *Trial) void {
        while (true) {
            const before = self.step.load(.monotonic);
            system.futexWait(&self.over, 0, step_wait_ns);
            if (self.over.load(.acquire) != 0) return;
            if (self.step.load(.monotonic) != before) continue;
            std.debug.panic("{s} {} hangs in step {}", .{ self.name, self.seed, before });
        }
    }
};

/// Runs a fuzzer under the watchdog.
pub fn perform(trial: *Trial, comptime run: fn (*Trial) anyerror!void) !void {
    const watchdog = try std.Thread.spawn(.{}, Trial.watch, .{trial});
    defer {
        trial.over.store(1, .release);
        system.futexWake(&trial.over, 1);
        watchdog.join();
    }
    run(trial) catch |err| {
        const step = trial.step.load(.monotonic);
        std.debug.panic("{s} {} fails in step {}: {t}", .{ trial.name, trial.seed, step, err });
    };
}

/// A few seeds, for the unit tests.
pub fn smoke(name: []const u8, comptime run: fn (*Trial) anyerror!void, step_count: u64) !void {
    for (1..5) |seed| {
        var trial: Trial = .{ .name = name, .seed = seed, .step_count = step_count };
        try perform(&trial, run);
    }
}
