//! Hostile guests whose queues are served by a vhost of the fuzzer's own: rings leave and come back
//! at any moment, and the server uses chains, complains and refuses as it likes. When the device is
//! gone the server must have nothing left of it, and one that behaves serves again.

const std = @import("std");
const net_config = @import("../devices/virtio/net_config.zig");
const net_fuzz = @import("../devices/virtio/net_fuzz.zig");
const trial_module = @import("../fuzz/trial.zig");
const vsock = @import("../devices/virtio/vsock.zig");
const Driver = @import("../fuzz/driver.zig").Driver;
const FakeVhost = @import("test_vhost.zig").FakeVhost;
const Fuzzer = @import("../fuzz/virtio.zig").Fuzzer;
const Request = @import("../fuzz/driver.zig").Request;
const Trial = trial_module.Trial;

/// What the kernel may refuse; to stop it never does.
const refusals = [_]u8{ 0x00, 0x03, 0x10, 0x11, 0x12, 0x21, 0x22, 0x30 };

fn disturbKernel(kernel: *FakeVhost, ring_count: usize, random: std.Random) void {
    switch (random.uintLessThan(u32, 20)) {
        0 => kernel.complain(random.uintLessThan(usize, ring_count)),
        1 => kernel.refuse(refusals[random.uintLessThan(usize, refusals.len)]),
        2, 3 => kernel.refuse(null),
        else => for (0..random.uintLessThan(usize, 8)) |_| {
            _ = kernel.useChain(random.uintLessThan(usize, ring_count));
        },
    }
}

fn calmKernel(kernel: *FakeVhost, driver: *Driver) void {
    kernel.refuse(null);
    kernel.serveAll();
    driver.start(0, 64);
}

fn closeKernel(kernel: *FakeVhost) void {
    for (0..kernel.rings.len) |index| {
        if (kernel.runs(index)) std.debug.panic("a server still runs ring {}", .{index});
        if (kernel.rings[index].kick_fd >= 0) std.debug.panic("it still has ring {}", .{index});
    }
    kernel.stop();
}

const Vsock = struct {
    kernel: FakeVhost,

    pub const kind = .vsock;
    pub const proof_queue = 1;

    pub fn open(self: *Vsock, _: std.Random) !void {
        try self.kernel.start(1);
    }

    /// The device is gone.
    pub fn close(self: *Vsock) void {
        closeKernel(&self.kernel);
    }

    pub fn params(self: *const Vsock, _: std.Random) vsock.Params {
        const features = std.math.maxInt(u64);
        return .{ .fd = self.kernel.fds[0], .guest_cid = 3, .features = features };
    }

    pub fn disturb(self: *Vsock, _: *Driver, random: std.Random) void {
        disturbKernel(&self.kernel, 2, random);
    }

    pub fn request(_: *Vsock, _: u16, random: std.Random) Request {
        return .{ .input_size = random.uintLessThan(u32, 4096) };
    }

    pub fn calm(self: *Vsock, driver: *Driver) void {
        calmKernel(&self.kernel, driver);
    }

    pub fn proof(_: *const Vsock) ?Request {
        return .{ .output_size = 44 };
    }
};

const Net = struct {
    kernel: FakeVhost,
    wires: net_fuzz.Target,

    pub const kind = .net;
    pub const proof_queue = 1;

    pub fn open(self: *Net, random: std.Random) !void {
        try self.wires.open(random);
        try self.kernel.start(self.wires.pair_count);
    }

    /// The device is gone.
    pub fn close(self: *Net) void {
        closeKernel(&self.kernel);
        self.wires.close();
    }

    pub fn params(self: *const Net, random: std.Random) net_config.Params {
        var made = self.wires.params(random);
        made.flags |= net_config.flag_vhost;
        made.vhost_features = std.math.maxInt(u64);
        for (self.kernel.fds, 0..) |fd, index| {
            std.mem.writeInt(i32, made.vhost_fds[4 * index ..][0..4], fd, .little);
        }
        return made;
    }

    pub fn disturb(self: *Net, _: *Driver, random: std.Random) void {
        disturbKernel(&self.kernel, 2 * self.wires.pair_count, random);
        if (random.uintLessThan(u32, 1000) == 0) self.wires.cut(random);
    }

    pub fn request(self: *Net, index: u16, random: std.Random) Request {
        return self.wires.request(index, random);
    }

    pub fn calm(self: *Net, driver: *Driver) void {
        calmKernel(&self.kernel, driver);
    }

    pub fn proof(self: *const Net) ?Request {
        return self.wires.proof();
    }
};

/// On a thread of its own, for the filter of the fake stays on whoever asked for it.
fn Served(comptime Target: type) type {
    return struct {
        trial: *Trial,
        outcome: anyerror!void = {},

        const Turn = @This();

        pub fn run(trial: *Trial) anyerror!void {
            var turn: Turn = .{ .trial = trial };
            const thread = try std.Thread.spawn(.{}, play, .{&turn});
            thread.join();
            return turn.outcome;
        }

        fn play(self: *Turn) void {
            self.outcome = Fuzzer(Target).run(self.trial);
        }
    };
}

pub const OverVsock = Served(Vsock);
pub const OverNet = Served(Net);

test "rings of hostile guests always come back" {
    try trial_module.smoke("vhost_vsock", OverVsock.run, 1000);
    try trial_module.smoke("vhost_net", OverNet.run, 1000);
}
