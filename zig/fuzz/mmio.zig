//! Registers alone: accesses of every width and order from two processors at once, with the few
//! that build something up more often than chance would have them.

const std = @import("std");
const driver_module = @import("driver.zig");
const trial_module = @import("trial.zig");
const balloon = @import("../devices/virtio/balloon.zig");

const Driver = driver_module.Driver;
const Trial = trial_module.Trial;

/// Bytes of the window.
const window_size = 0x200;
const registers = [_]u64{
    0x10, 0x14, 0x20, 0x24, 0x30, 0x34, 0x38, 0x44,  0x50,  0x60, 0x64, 0x70, 0x70, 0x70,
    0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0xfc, 0x100, 0x104,
};

pub fn run(trial: *Trial) anyerror!void {
    const params: balloon.Params = .{ .flags = 3 };
    var driver: Driver = undefined;
    try driver.init(.{ .kind = .balloon, .details = std.mem.asBytes(&params) });
    defer driver.deinit();
    var over: std.atomic.Value(bool) = .init(false);
    const other = try std.Thread.spawn(.{}, playAlong, .{ &driver, trial.seed, &over });
    while (trial.next()) |seeded| {
        var generator = seeded;
        const random = generator.random();
        if (random.uintLessThan(u32, 64) == 0) driver.start(random.int(u64), 32);
        for (0..16) |_| access(&driver, random);
    }
    over.store(true, .monotonic);
    other.join();
    driver.start(0, 32);
    var generator: std.Random.DefaultPrng = .init(trial.seed);
    var request: driver_module.Request = .{};
    request.put(@as(u32, 0));
    try driver.prove(0, &request, generator.random());
    try driver.ground.check();
}

fn playAlong(driver: *Driver, seed: u64, over: *std.atomic.Value(bool)) void {
    var generator: std.Random.DefaultPrng = .init(~seed);
    while (!over.load(.monotonic)) access(driver, generator.random());
}

fn access(driver: *Driver, random: std.Random) void {
    var data: [8]u8 = undefined;
    const width: usize = switch (random.uintLessThan(u32, 8)) {
        0 => 1,
        1 => 2,
        2 => 8,
        else => 4,
    };
    std.mem.writeInt(u64, &data, randomValue(random), .little);
    const offset = if (random.uintLessThan(u32, 4) == 0)
        random.uintLessThan(u64, window_size - width + 1)
    else
        registers[random.uintLessThan(usize, registers.len)];
    if (random.boolean()) {
        driver.transport.write(offset, data[0..width]);
    } else {
        driver.transport.read(offset, data[0..width]);
    }
}

fn randomValue(random: std.Random) u64 {
    const statuses = [_]u64{ 0, 1, 3, 11, 15, 64, 128, 0xff };
    return switch (random.uintLessThan(u32, 6)) {
        0 => random.int(u64),
        1, 2 => statuses[random.uintLessThan(usize, statuses.len)],
        3 => driver_module.randomAddress(random),
        4 => driver_module.randomAddress(random) & ~@as(u64, 15),
        else => random.uintLessThan(u64, 64),
    };
}

test "registers in any order do no harm" {
    try trial_module.smoke("mmio", run, 1000);
}
