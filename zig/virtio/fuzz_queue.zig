//! A hostile guest by seed: random registers, rings, descriptors and requests against virtio-blk,
//! with resets in the middle of I/O. Whatever it does, the device must not crash, hang or write
//! outside the guest's memory, and must work again after a reset.

const std = @import("std");
const blk = @import("../devices/virtio/blk.zig");
const blk_config = @import("../devices/virtio/blk_config.zig");
const device = @import("device.zig");
const engine = @import("../io/engine.zig");
const queue = @import("queue.zig");
const test_guest = @import("test_guest.zig");
const trial_module = @import("../fuzz/trial.zig");

const Guest = test_guest.Guest;
const ring_size = 16;

/// Runs a guest that the seed determines, and checks the device at the end.
pub fn run(trial: *trial_module.Trial) anyerror!void {
    var generator: std.Random.DefaultPrng = .init(trial.seed);
    const random = generator.random();
    var guest: Guest = undefined;
    try guest.init(parameters(random));
    defer guest.deinit();
    guest.queue_index = @intCast(random.uintLessThan(u32, guest.block.params.queue_count));
    guest.start(features(random), ring_size);
    const count = trial.step_count;
    var other: OtherProcessor = .{ .guest = &guest, .seed = random.int(u64), .count = count };
    const thread = try std.Thread.spawn(.{}, OtherProcessor.run, .{&other});
    while (trial.next()) |_| step(&guest, random);
    thread.join();
    guest.transport.device.unpause();
    guest.start(test_guest.version_1, ring_size);
    // There may be no file behind it now.
    const expected: u8 = if (guest.block.params.fd < 0) 1 else 0;
    if (guest.request(4, 0, &.{}) != expected) return error.BrokenAfterReset;
}

/// A second vCPU that pokes registers, rarely resets, while the first one drives the rings.
const OtherProcessor = struct {
    guest: *Guest,
    seed: u64,
    count: u64,

    fn run(self: *OtherProcessor) void {
        var generator: std.Random.DefaultPrng = .init(self.seed);
        const random = generator.random();
        for (0..self.count) |_| {
            readRandomRegister(self.guest, random);
            switch (random.uintLessThan(u32, 400)) {
                0 => self.guest.writeRegister(0x70, 0),
                1...2 => writeRandomRegister(self.guest, random),
                3...9 => self.guest.writeRegister(0x64, random.int(u32)),
                10 => self.guest.block.setCapacity(512 * random.uintLessThan(u64, 2048)),
                11...20 => self.guest.kick(),
                else => std.Thread.yield() catch {},
            }
        }
    }
};

fn parameters(random: std.Random) blk.Params {
    const alignment: u32 = if (random.boolean()) 1 else 512;
    return .{
        .engine = random.enumValue(engine.Kind),
        .request_alignment = alignment,
        .buffer_alignment = alignment,
        .queue_count = random.intRangeAtMost(u32, 1, 3),
        .flags = blk_config.flag_replaceable | (random.int(u32) & 15),
    };
}

fn features(random: std.Random) u64 {
    const optional = device.feature_indirect | device.feature_event_index |
        blk_config.feature_flush;
    return test_guest.version_1 | (random.int(u64) & optional);
}

fn step(guest: *Guest, random: std.Random) void {
    switch (random.uintLessThan(u32, 201)) {
        0...29 => offerRandom(guest, random),
        30...149 => offerPlausible(guest, random),
        150...159 => guest.kick(),
        160...169 => writeRandomRegister(guest, random),
        170...179 => readRandomRegister(guest, random),
        180...183 => guest.start(features(random), ring_size),
        184...195 => settle(guest),
        196 => scribble(guest, random),
        197 => guest.transport.device.pause(),
        198 => replaceDisk(guest, random),
        else => guest.transport.device.unpause(),
    }
    if (random.uintLessThan(u32, 4) != 0) settle(guest);
    if (broken(guest) and random.boolean()) guest.start(features(random), ring_size);
}

/// The same file again with another engine, or none at all, while requests run.
fn replaceDisk(guest: *Guest, random: std.Random) void {
    var backend = parameters(random);
    if (random.boolean()) {
        backend.fd = guest.disk_fd;
        backend.capacity_bytes = test_guest.disk_size;
    } else backend.engine = .sync;
    guest.block.replace(backend, &guest.failure) catch |err| {
        std.debug.panic("the disk could not be replaced: {t}", .{err});
    };
}

/// Lets the device catch up with what was offered, unless it is not going to.
fn settle(guest: *Guest) void {
    guest.kick();
    for (0..1000) |_| {
        if (!behind(guest)) return;
        std.Thread.yield() catch return;
    }
}

fn behind(guest: *Guest) bool {
    const target = &guest.transport.device;
    target.work.lock();
    defer target.work.unlock();
    if (!target.runnable(guest.queue_index)) return false;
    return target.queues[guest.queue_index].state.next_available != guest.available_index;
}

fn broken(guest: *Guest) bool {
    return guest.readRegister(0x70) & device.status_needs_reset != 0;
}

/// Descriptors of any content, some of them near what is valid.
fn offerRandom(guest: *Guest, random: std.Random) void {
    for (0..4) |_| {
        const index = random.uintLessThan(u16, ring_size);
        guest.descriptor(index).* = randomDescriptor(random);
    }
    const table = guest.bytes(test_guest.scratch_address, 256);
    const target = table[16 * random.uintLessThan(usize, 16) ..][0..16];
    @memcpy(target, std.mem.asBytes(&randomDescriptor(random)));
    const wild = random.uintLessThan(u32, 50) == 0;
    const head = if (wild) random.int(u16) else random.int(u16) % ring_size;
    guest.offerHead(head);
    if (random.boolean()) guest.kick();
}

fn randomDescriptor(random: std.Random) queue.Descriptor {
    const end = test_guest.memory_base + test_guest.memory_size;
    const address: u64 = switch (random.uintLessThan(u32, 8)) {
        0 => random.int(u64),
        1 => end - random.uintLessThan(u64, 64),
        2 => test_guest.descriptors_address + 16 * random.uintLessThan(u64, ring_size),
        3 => test_guest.scratch_address + 16 * random.uintLessThan(u64, 16),
        4 => test_guest.used_address + random.uintLessThan(u64, 64),
        else => test_guest.data_address + random.uintLessThan(u64, 4096),
    };
    const length: u32 = switch (random.uintLessThan(u32, 8)) {
        0 => random.int(u32),
        1 => 0,
        2 => 16 * random.uintLessThan(u32, 20),
        3 => 1,
        else => 512 * random.uintLessThan(u32, 16),
    };
    const rare = random.uintLessThan(u32, 20) == 0;
    const flags: u16 = if (rare) random.int(u16) else random.int(u16) & 7;
    const next = if (rare) random.int(u16) else random.int(u16) % ring_size;
    return .{ .address = address, .length = length, .flags = flags, .next = next };
}

/// A request of a good layout with a random type, place and length.
fn offerPlausible(guest: *Guest, random: std.Random) void {
    const types = [_]u32{ 0, 0, 1, 1, 4, 8, 11, 13, 99 };
    const slot = 16 + random.uintLessThan(u64, 64);
    const request_type = types[random.uintLessThan(usize, types.len)];
    const address = guest.header(slot, request_type, random.uintLessThan(u64, 2100));
    const range = guest.bytes(test_guest.data_address, 16);
    std.mem.writeInt(u64, range[0..8], random.uintLessThan(u64, 2100), .little);
    std.mem.writeInt(u32, range[8..12], random.uintLessThan(u32, 64), .little);
    std.mem.writeInt(u32, range[12..16], random.uintLessThan(u32, 3), .little);
    const lengths = [_]u32{ 16, 20, 512, 512, 4096, 12345, 65536 };
    const skew = if (random.boolean()) 0 else random.uintLessThan(u64, 600);
    _ = guest.offer(&.{
        .{ .address = address, .length = 16 },
        .{
            .address = test_guest.data_address + skew,
            .length = lengths[random.uintLessThan(usize, lengths.len)],
            .writable = request_type == 0 or request_type == 8,
        },
        .{ .address = address + 16, .length = 1, .writable = true },
    });
    if (random.boolean()) guest.kick();
}

fn writeRandomRegister(guest: *Guest, random: std.Random) void {
    const offset = random.uintLessThan(u64, 0x200);
    var value: [8]u8 = undefined;
    random.bytes(&value);
    const widths = [_]usize{ 1, 2, 4, 4, 4, 4, 8 };
    const width = widths[random.uintLessThan(usize, widths.len)];
    const aligned = if (random.boolean()) offset & ~@as(u64, 3) else offset;
    if (random.boolean()) @memset(value[1..], 0);
    guest.transport.write(aligned, value[0..width]);
}

fn readRandomRegister(guest: *Guest, random: std.Random) void {
    var value: [8]u8 = undefined;
    const width = random.uintAtMost(usize, 8);
    guest.transport.read(random.uintLessThan(u64, 0x200), value[0..width]);
}

/// Random bytes over rings and tables while the device may be reading them.
fn scribble(guest: *Guest, random: std.Random) void {
    const address = test_guest.memory_base + random.uintLessThan(u64, 0xb000);
    random.bytes(guest.bytes(address, 1 + random.uintLessThan(u64, 64)));
}

test "hostile guests of some seeds do no harm" {
    try trial_module.smoke("queue", run, 4000);
}
