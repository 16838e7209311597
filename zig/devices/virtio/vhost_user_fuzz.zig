//! What a fuzzer knows of vhost-user devices: a back end that serves rings, leaves and comes back.
//! Every other one is as hostile as the guest: it spoils, cuts, doubles and invents messages, sends
//! descriptors that nobody asked for, and writes into the rings what it likes. Nothing may stay
//! open or be away after it all, and a back end that behaves is served again.

const std = @import("std");
const linux = std.os.linux;
const kinds = @import("vhost_user_kind.zig");
const net_fuzz = @import("net_fuzz.zig");
const protocol = @import("../../vhost_user/message.zig");
const system = @import("../../kernel/system.zig");
const Driver = @import("../../fuzz/driver.zig").Driver;
const FakeBackEnd = @import("../../vhost_user/test_back_end.zig").FakeBackEnd;
const Request = @import("../../fuzz/driver.zig").Request;
const Sharing = @import("../../fuzz/ground.zig").Sharing;

const ms = 1_000_000;
/// Of a thousand messages of a back end that misbehaves.
const spoiled_rate = 60;
const ring_count_max = 8;
const descriptor_count_max = 4096;
/// The cache mode of a disk, in its config space.
const write_back_register = 0x100 + 32;

const Temper = enum { friendly, hostile };

pub const Target = struct {
    back_end: FakeBackEnd,
    temper: Temper,
    made: kinds.Params,
    /// Descriptors that were open before.
    open_count: usize,

    pub const kind = .vhost_user;
    pub const sharing: Sharing = .all;
    pub const proof_queue = 0;

    pub fn open(self: *Target, random: std.Random) !void {
        self.* = .{
            .back_end = .{ .features = std.math.maxInt(u64), .rings = .{} },
            .temper = random.enumValue(Temper),
            .made = undefined,
            .open_count = openDescriptors(),
        };
        self.back_end.disorder = .{ .generator = .init(random.int(u64)) };
        try self.back_end.start();
        const served = random.enumValue(kinds.Kind);
        self.made = .{
            .kind = served,
            .queue_count = if (served == .fs) 1 else random.intRangeAtMost(u32, 1, 4),
            .queue_size = if (random.boolean()) 64 else 256,
            .flags = random.int(u1),
            .address = self.back_end.address,
            .address_size = @intCast(self.back_end.address_size),
        };
    }

    /// The device is gone.
    pub fn close(self: *Target) void {
        self.back_end.stop();
        if (openDescriptors() != self.open_count) std.debug.panic("descriptors stay open", .{});
    }

    pub fn params(self: *const Target, _: std.Random) kinds.Params {
        return self.made;
    }

    /// The first back end was met, who behaves.
    pub fn ready(self: *Target, driver: *Driver) void {
        setPatience(driver, if (self.temper == .hostile) 5 * ms else 10_000 * ms);
        if (self.temper == .hostile) self.spoil(spoiled_rate);
    }

    fn spoil(self: *Target, rate: u32) void {
        if (self.back_end.disorder) |*disorder| disorder.rate.store(rate, .release);
    }

    fn setPatience(driver: *Driver, answer_ns: u64) void {
        driver.loop.guard.lock();
        defer driver.loop.guard.unlock();
        driver.body.vhost_user.link.options.patience = .{
            .retry_first_ns = ms / 10,
            .retry_most_ns = ms / 2,
            .answer_ns = answer_ns,
            .map_ns = answer_ns,
            // A guest may write into its rings what no back end can finish.
            .stop_ns = 20 * ms,
        };
    }

    pub fn disturb(self: *Target, driver: *Driver, random: std.Random) void {
        switch (random.uintLessThan(u32, 32)) {
            0 => self.back_end.hangUp(),
            1 => self.back_end.request(protocol.back_end_config_change, &.{}),
            2...3 => driver.transport.write(write_back_register, &.{random.int(u1)}),
            4...5 => self.expectReturned(driver),
            6 => if (self.temper == .hostile) {
                self.back_end.showUsed(random.uintLessThan(usize, ring_count_max), random.int(u16));
            },
            7...16 => pause(random.uintLessThan(u32, ms)),
            else => for (0..random.uintLessThan(usize, 16)) |_| {
                _ = self.back_end.useChain(random.uintLessThan(usize, ring_count_max));
            },
        }
    }

    /// A device that was reset has its rings, and its back end knows it; but for one that was given
    /// up, or that does as it likes.
    fn expectReturned(self: *Target, driver: *Driver) void {
        if (self.temper == .hostile) return;
        const device = driver.device();
        device.registers.lock();
        defer device.registers.unlock();
        driver.loop.guard.lock();
        defer driver.loop.guard.unlock();
        if (device.status.load(.acquire) != 0 or !driver.body.vhost_user.link.isUp()) return;
        if (self.back_end.runsAny()) std.debug.panic("a back end has rings after a reset", .{});
    }

    pub fn request(self: *const Target, index: u16, random: std.Random) Request {
        const of_control = self.made.kind == .net and index == 2 * self.made.queue_count;
        if (of_control) return net_fuzz.Target.command(random);
        return .{
            .output_size = random.uintLessThan(u32, 64),
            .payload_size = random.uintLessThan(u32, 4096),
            .input_size = random.uintLessThan(u32, 4096),
            .status_size = random.int(u1),
        };
    }

    pub fn calm(self: *Target, driver: *Driver) void {
        self.spoil(0);
        setPatience(driver, 10_000 * ms);
        self.back_end.serveAll();
        driver.start(0, 64);
    }

    pub fn proof(_: *const Target) ?Request {
        return .{ .output_size = 16, .input_size = 16 };
    }
};

fn pause(time_ns: u32) void {
    _ = linux.nanosleep(&.{ .sec = 0, .nsec = time_ns }, null);
}

fn openDescriptors() usize {
    var count: usize = 0;
    for (0..descriptor_count_max) |fd| {
        if (system.result(linux.fcntl(@intCast(fd), linux.F.GETFD, 0)).ok()) count += 1;
    }
    return count;
}
