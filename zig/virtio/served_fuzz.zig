//! A hostile guest whose queues are served by a vhost of the fuzzer's own: rings leave and come
//! back at any moment, and the server uses chains, complains and refuses as it likes. When the
//! device is gone the server must have nothing left of it.

const std = @import("std");
const trial_module = @import("../fuzz/trial.zig");
const vsock = @import("../devices/virtio/vsock.zig");
const Driver = @import("../fuzz/driver.zig").Driver;
const FakeVhost = @import("test_vhost.zig").FakeVhost;
const Fuzzer = @import("../fuzz/virtio.zig").Fuzzer;
const Request = @import("../fuzz/driver.zig").Request;
const Trial = trial_module.Trial;

const Target = struct {
    kernel: FakeVhost,

    pub const kind = .vsock;
    pub const proof_queue = 1;

    pub fn open(self: *Target, _: std.Random) !void {
        try self.kernel.start();
    }

    /// The device is gone.
    pub fn close(self: *Target) void {
        if (self.kernel.running) std.debug.panic("a server still runs", .{});
        for (self.kernel.rings) |ring| {
            if (ring.kick_fd >= 0) std.debug.panic("a server still has a ring", .{});
        }
        self.kernel.stop();
    }

    pub fn params(self: *const Target, _: std.Random) vsock.Params {
        const features = std.math.maxInt(u64);
        return .{ .fd = self.kernel.fd, .guest_cid = 3, .features = features };
    }

    pub fn disturb(self: *Target, _: *Driver, random: std.Random) void {
        switch (random.uintLessThan(u32, 20)) {
            0 => self.kernel.complain(random.uintLessThan(usize, 2)),
            1 => self.kernel.refuse(refusals[random.uintLessThan(usize, refusals.len)]),
            2, 3 => self.kernel.refuse(null),
            else => for (0..random.uintLessThan(usize, 8)) |_| {
                _ = self.kernel.useChain(random.uintLessThan(usize, 2));
            },
        }
    }

    /// What the kernel may refuse: never to stop.
    const refusals = [_]u8{ 0x00, 0x03, 0x10, 0x11, 0x12, 0x21, 0x22 };

    pub fn request(_: *Target, _: u16, random: std.Random) Request {
        return .{ .input_size = random.uintLessThan(u32, 4096) };
    }

    pub fn proof(_: *const Target) ?Request {
        return null;
    }
};

/// On a thread of its own, for the filter of the fake stays on whoever asked for it.
pub fn run(trial: *Trial) anyerror!void {
    var turn: Turn = .{ .trial = trial };
    const thread = try std.Thread.spawn(.{}, Turn.run, .{&turn});
    thread.join();
    return turn.outcome;
}

const Turn = struct {
    trial: *Trial,
    outcome: anyerror!void = {},

    fn run(self: *Turn) void {
        self.outcome = Fuzzer(Target).run(self.trial);
    }
};

test "rings of hostile guests always come back" {
    try trial_module.smoke("served", run, 1000);
}
