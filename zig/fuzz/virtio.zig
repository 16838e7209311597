//! A hostile guest for any virtio device: two processors, the one with chains, resets and pauses,
//! the other with registers of every width and order. A device's part of it is a `Target`: what its
//! back end is, which requests make sense, and one that must be answered after it all.

const std = @import("std");
const body = @import("../devices/virtio/body.zig");
const driver_module = @import("driver.zig");
const ground_module = @import("ground.zig");
const trial_module = @import("trial.zig");

const Driver = driver_module.Driver;
const Request = driver_module.Request;
const Trial = trial_module.Trial;

/// A fuzzer of the device that `Target` knows, which has `kind`, `open` and `close` for the back
/// end, `params`; `disturb`, the host's part; `request`; and `proof`, a request for `proof_queue`
/// that must be answered after it all (null: none must), once the host has done what `calm` says.
/// It may have `sharing`, of guest memory, and `ready`, for when there is a device.
pub fn Fuzzer(comptime Target: type) type {
    return struct {
        pub fn run(trial: *Trial) anyerror!void {
            var generator: std.Random.DefaultPrng = .init(trial.seed);
            const random = generator.random();
            var target: Target = undefined;
            try target.open(random);
            defer target.close();
            const params = target.params(random);
            var driver: Driver = undefined;
            try driver.init(.{
                .kind = Target.kind,
                .details = std.mem.asBytes(&params),
                .sharing = if (@hasDecl(Target, "sharing")) Target.sharing else .some,
            });
            defer driver.deinit();
            if (@hasDecl(Target, "ready")) target.ready(&driver);
            var other: OtherProcessor = .{ .driver = &driver, .seed = random.int(u64) };
            const thread = try std.Thread.spawn(.{}, OtherProcessor.run, .{&other});
            const played = play(trial, &driver, &target);
            other.over.store(true, .monotonic);
            thread.join();
            try played;
            driver.device().unpause();
            driver.start(0, 64);
            target.disturb(&driver, random);
            if (@hasDecl(Target, "calm")) target.calm(&driver);
            if (target.proof()) |request| {
                try driver.prove(Target.proof_queue, &request, random);
            }
            try driver.ground.check();
        }

        fn play(trial: *Trial, driver: *Driver, target: *Target) !void {
            while (trial.next()) |seeded| {
                var generator = seeded;
                const random = generator.random();
                const index = random.uintLessThan(u16, driver.queueCount());
                switch (random.uintLessThan(u32, 200)) {
                    0...149 => {
                        const request = target.request(index, random);
                        driver.offer(index, &request, random);
                        if (random.boolean()) driver.kick(index);
                    },
                    150...164 => target.disturb(driver, random),
                    else => |dice| step(driver, index, dice, random),
                }
                if (random.boolean()) driver.settle(index);
                const restart = random.boolean();
                if (restart and driver.isBroken()) begin(driver, random);
                if (random.uintLessThan(u32, 64) == 0) try driver.ground.check();
            }
        }

        test "hostile guests of some seeds do no harm" {
            try trial_module.smoke(@tagName(Target.kind), run, 1000);
        }
    };
}

fn begin(driver: *Driver, random: std.Random) void {
    const sizes = [_]u16{ 1, 2, 8, 16, 32, 64, 256 };
    driver.start(random.int(u64), sizes[random.uintLessThan(usize, sizes.len)]);
}

/// What a guest may do to any device.
fn step(driver: *Driver, index: u16, dice: u32, random: std.Random) void {
    switch (dice) {
        165...169 => {
            driver.offerRandom(index, random);
            driver.kick(index);
        },
        170...175 => driver.kick(index),
        176...179 => writeRandomRegister(driver, random),
        180...184 => readRandomRegister(driver, random),
        185...187 => begin(driver, random),
        188...189 => scribble(driver, random),
        190 => driver.publish(index, random.int(u16)),
        191...192 => driver.device().pause(),
        193...194 => {
            driver.writeRegister(0x30, index);
            driver.writeRegister(0x44, random.int(u1));
        },
        195 => moveRings(driver, index, random),
        else => driver.device().unpause(),
    }
}

/// A queue that is made anew at addresses of any kind.
fn moveRings(driver: *Driver, index: u16, random: std.Random) void {
    driver.writeRegister(0x30, index);
    driver.writeRegister(0x44, 0);
    driver.writeRegister(0x38, if (random.boolean()) 16 else random.int(u32) & 0x1ff);
    for ([_]u64{ 0x80, 0x90, 0xa0 }) |register| {
        const address = driver_module.randomAddress(random) & ~@as(u64, 15);
        driver.writeRegister(register, @truncate(address));
        driver.writeRegister(register + 4, @truncate(address >> 32));
    }
    driver.writeRegister(0x44, 1);
    if (random.boolean()) driver.setUpQueue(index, 32);
}

/// Random bytes over rings and tables while the device may be reading them.
fn scribble(driver: *Driver, random: std.Random) void {
    const offset = random.uintLessThan(u64, 0x10_0000 - 64);
    const size = 1 + random.uintLessThan(u64, 64);
    random.bytes(driver.ground.bytes(ground_module.first_address + offset, size));
}

fn writeRandomRegister(driver: *Driver, random: std.Random) void {
    var value: [8]u8 = undefined;
    random.bytes(&value);
    if (random.boolean()) @memset(value[1..], 0);
    const widths = [_]usize{ 1, 2, 4, 4, 4, 4, 8 };
    const width = widths[random.uintLessThan(usize, widths.len)];
    driver.transport.write(randomOffset(random), value[0..width]);
}

fn readRandomRegister(driver: *Driver, random: std.Random) void {
    var value: [8]u8 = undefined;
    const width = 1 + random.uintLessThan(usize, 8);
    driver.transport.read(randomOffset(random), value[0..width]);
}

fn randomOffset(random: std.Random) u64 {
    const offset = random.uintLessThan(u64, 0x200);
    return if (random.boolean()) offset & ~@as(u64, 3) else offset;
}

/// A second vCPU that pokes registers, rarely resets, while the first one drives the rings.
const OtherProcessor = struct {
    driver: *Driver,
    seed: u64,
    over: std.atomic.Value(bool) = .init(false),

    fn run(self: *OtherProcessor) void {
        var generator: std.Random.DefaultPrng = .init(self.seed);
        const random = generator.random();
        while (!self.over.load(.monotonic)) {
            readRandomRegister(self.driver, random);
            switch (random.uintLessThan(u32, 4000)) {
                0 => self.driver.writeRegister(0x70, 0),
                1...2 => writeRandomRegister(self.driver, random),
                3...99 => self.driver.writeRegister(0x64, random.int(u32)),
                100...199 => self.driver.kick(random.uintLessThan(u16, self.driver.queueCount())),
                else => std.Thread.yield() catch {},
            }
        }
    }
};
