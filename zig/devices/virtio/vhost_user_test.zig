//! A vhost-user device between a driver and a back end of the test's own: what it hands over, and
//! what it does not.

const std = @import("std");
const linux = std.os.linux;
const ground = @import("../../fuzz/ground.zig");
const kinds = @import("vhost_user_kind.zig");
const Driver = @import("../../fuzz/driver.zig").Driver;
const FakeBackEnd = @import("../../vhost_user/test_back_end.zig").FakeBackEnd;

const expect = std.testing.expect;

const ring_size = 64;
const poll_ns = 1_000_000;

const Bench = struct {
    back_end: FakeBackEnd = .{ .rings = .{} },
    driver: Driver = undefined,

    fn init(self: *Bench, kind: kinds.Kind) !void {
        try self.back_end.start();
        const params: kinds.Params = .{
            .kind = kind,
            .address = self.back_end.address,
            .address_size = @intCast(self.back_end.address_size),
        };
        try self.driver.init(.{
            .kind = .vhost_user,
            .details = std.mem.asBytes(&params),
            .sharing = .all,
        });
    }

    fn deinit(self: *Bench) void {
        self.driver.deinit();
        self.back_end.stop();
    }

    /// Moves the descriptors of a queue, with all else as it was.
    fn moveDescriptors(self: *Bench, queue: u32, address: u64) void {
        self.driver.writeRegister(0x30, queue);
        self.driver.writeRegister(0x44, 0);
        self.driver.writeRegister(0x80, @intCast(address));
        self.driver.writeRegister(0x44, 1);
    }

    fn awaitThat(self: *Bench, comptime holds: fn (*Bench) bool) !void {
        for (0..10_000) |_| {
            if (holds(self)) return;
            _ = linux.nanosleep(&.{ .sec = 0, .nsec = poll_ns }, null);
        }
        return error.NeverHappened;
    }

    fn isServed(self: *Bench) bool {
        return self.back_end.runsAny();
    }

    fn isBroken(self: *Bench) bool {
        return self.driver.isBroken();
    }
};

test "a ring across two files of memory is refused, and after a reset all is well" {
    var bench: Bench = .{};
    try bench.init(.blk);
    defer bench.deinit();
    bench.driver.start(0, ring_size);
    try bench.awaitThat(Bench.isServed);
    bench.moveDescriptors(0, ground.data_address - 16);
    try bench.awaitThat(Bench.isBroken);
    try expect(!bench.isServed());
    bench.driver.start(0, ring_size);
    try bench.awaitThat(Bench.isServed);
    try expect(!bench.isBroken());
}
