//! The fuzzers in one program, by name and seed: `zig build fuzz -- NAME SEED [STEPS|SECONDSs]`.
//! With steps, one run of that seed; with seconds ("600s"), runs of this seed and those behind it
//! until the time is up. What fails is told with its name, seed and step.

const std = @import("std");
const linux = std.os.linux;
const system = @import("kernel/system.zig");
const trial_module = @import("fuzz/trial.zig");
const Fuzzer = @import("fuzz/virtio.zig").Fuzzer;
const Trial = trial_module.Trial;

const fuzzers = .{
    .queue = @import("virtio/fuzz_queue.zig"),
    .state = @import("fuzz_state.zig"),
    .mmio = @import("fuzz/mmio.zig"),
    .platform = @import("fuzz/platform.zig"),
    .blk = Fuzzer(@import("devices/virtio/blk_fuzz.zig").Target),
    .net = Fuzzer(@import("devices/virtio/net_fuzz.zig").Target),
    .rng = Fuzzer(@import("devices/virtio/rng_fuzz.zig").Target),
    .balloon = Fuzzer(@import("devices/virtio/balloon_fuzz.zig").Target),
    .console = Fuzzer(@import("devices/virtio/console_fuzz.zig").Target),
    .vhost_vsock = @import("virtio/served_fuzz.zig").OverVsock,
    .vhost_net = @import("virtio/served_fuzz.zig").OverNet,
    .vsock = Fuzzer(@import("devices/virtio/vsock_fuzz.zig").Target),
    .vhost_user = Fuzzer(@import("devices/virtio/vhost_user_fuzz.zig").Target),
};

const names = @typeInfo(@TypeOf(fuzzers)).@"struct".field_names;
/// Steps of one run when nothing is said of them, and of each within a time.
const default_step_count = 100_000;
const timed_step_count = 20_000;

pub fn main(init: std.process.Init.Minimal) !void {
    var arguments = init.args.iterate();
    _ = arguments.skip();
    const name = arguments.next() orelse "";
    inline for (names) |known| {
        if (std.mem.eql(u8, name, known)) return runNamed(known, &arguments);
    }
    say("name a fuzzer:", .{});
    inline for (names) |known| say("  {s}", .{known});
    return error.BadArguments;
}

fn runNamed(comptime name: [:0]const u8, arguments: *std.process.Args.Iterator) !void {
    const seed = try std.fmt.parseInt(u64, arguments.next() orelse "1", 0);
    const amount = arguments.next() orelse std.fmt.comptimePrint("{}", .{default_step_count});
    const run = @field(fuzzers, name).run;
    if (!std.mem.endsWith(u8, amount, "s")) {
        const count = try std.fmt.parseInt(u64, amount, 0);
        var trial: Trial = .{ .name = name, .seed = seed, .step_count = count };
        return trial_module.perform(&trial, run);
    }
    const seconds = try std.fmt.parseInt(u64, amount[0 .. amount.len - 1], 0);
    const end_ns = system.monotonicNs() + seconds * 1_000_000_000;
    var next_seed = seed;
    while (system.monotonicNs() < end_ns) : (next_seed += 1) {
        say("{s} {} {}", .{ name, next_seed, timed_step_count });
        var trial: Trial = .{ .name = name, .seed = next_seed, .step_count = timed_step_count };
        try trial_module.perform(&trial, run);
    }
    say("{s}: {} seeds of {} steps", .{ name, next_seed - seed, timed_step_count });
}

fn say(comptime format: []const u8, values: anytype) void {
    var buffer: [200]u8 = undefined;
    // A line that does not fit is one that nobody needs.
    const line = std.fmt.bufPrint(&buffer, format ++ "\n", values) catch return;
    _ = linux.write(2, line.ptr, line.len);
}

test {
    inline for (names) |name| _ = @field(fuzzers, name);
}
