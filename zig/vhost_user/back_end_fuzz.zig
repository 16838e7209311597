//! A hostile back end by seed: it spoils, cuts, doubles and invents messages, sends descriptors
//! that nobody asked for, and leaves when it likes, while a guest starts, stops and resets its
//! device. Nothing may crash, hang, or stay open; and a back end that behaves is served again.

const std = @import("std");
const linux = std.os.linux;
const device_module = @import("../virtio/device.zig");
const errors = @import("../errors.zig");
const kinds = @import("../devices/virtio/vhost_user_kind.zig");
const mmio = @import("../virtio/mmio.zig");
const protocol = @import("message.zig");
const system = @import("../kernel/system.zig");
const trial_module = @import("../fuzz/trial.zig");
const FakeBackEnd = @import("test_back_end.zig").FakeBackEnd;
const GuestMemory = @import("../memory/guest_memory.zig").GuestMemory;
const Line = @import("../bus/interrupt.zig").Line;
const Loop = @import("../io/loop.zig").Loop;
const Trial = trial_module.Trial;
const VhostUser = @import("../devices/virtio/vhost_user.zig").VhostUser;

const memory_base = 0x10_0000;
const memory_size = 1024 * 1024;
const queue_size = 16;
const ms = 1_000_000;
/// Of a thousand messages of a back end that misbehaves.
const spoiled_rate = 60;
const descriptor_count_max = 4096;

const Machine = struct {
    failure: errors.Failure = .{},
    memory: GuestMemory = .{},
    memory_fd: i32 = -1,
    loop: Loop = .{},
    line: Line = .{},
    back_end: FakeBackEnd = .{},
    model: VhostUser = undefined,
    transport: mmio.Mmio = undefined,

    fn init(self: *Machine, kind: kinds.Kind, seed: u64) !void {
        self.memory_fd = system.result(linux.memfd_create("ram", linux.MFD.CLOEXEC)).fd();
        _ = linux.ftruncate(self.memory_fd, memory_size);
        _ = try self.memory.add(.{
            .guest_address = memory_base,
            .size = memory_size,
            .fd = self.memory_fd,
            .shared = true,
        }, &self.failure);
        try self.loop.start("io-fuzz", &self.failure);
        self.back_end.features = std.math.maxInt(u64);
        self.back_end.disorder = .{ .generator = .init(seed) };
        try self.back_end.start();
        try self.model.initWith(.{
            .kind = kind,
            .queue_count = if (kind == .fs) 1 else 2,
            .address = self.back_end.address,
            .address_size = @intCast(self.back_end.address_size),
        }, &self.loop, .{ .retry_first_ns = ms / 10, .retry_most_ns = ms / 2 }, &self.failure);
        try self.transport.init(.{
            .memory = &self.memory,
            .loop = &self.loop,
            .interrupt = .{ .line = &self.line },
            .model = .{ .vhost_user = &self.model },
        }, &self.failure);
    }

    fn deinit(self: *Machine) void {
        self.transport.deinit();
        self.model.deinit();
        self.back_end.stop();
        self.loop.stop();
        self.memory.deinit();
        system.close(self.memory_fd);
    }

    /// Has the back end spoil so many of a thousand messages, and the link wait so long for it.
    fn misbehave(self: *Machine, rate: u32, patience_ns: u64) void {
        if (self.back_end.disorder) |*disorder| disorder.rate.store(rate, .release);
        self.loop.guard.lock();
        defer self.loop.guard.unlock();
        self.model.link.options.patience.answer_ns = patience_ns;
        self.model.link.options.patience.stop_ns = patience_ns;
    }

    fn write(self: *Machine, offset: u64, value: u32) void {
        self.transport.write(offset, std.mem.asBytes(&value));
    }

    /// From reset to DRIVER_OK with all queues.
    fn start(self: *Machine, features: u64) void {
        for ([_]u32{ 0, 1, 3 }) |status| self.write(0x70, status);
        self.write(0x24, 0);
        self.write(0x20, @truncate(features));
        self.write(0x24, 1);
        self.write(0x20, 1);
        self.write(0x70, 11);
        for (0..self.transport.device.queue_count) |queue| {
            const base: u32 = @intCast(memory_base + 0x4000 * queue);
            self.write(0x30, @intCast(queue));
            self.write(0x38, queue_size);
            self.write(0x80, base);
            self.write(0x90, base + 0x1000);
            self.write(0xa0, base + 0x2000);
            self.write(0x44, 1);
        }
        self.write(0x70, 15);
    }

    /// Waits until the back end has all rings, which needs one that behaves.
    fn awaitServed(self: *Machine) !void {
        for (0..10_000) |_| {
            self.loop.guard.lock();
            const dialogue = &self.model.link.dialogue;
            const served = dialogue.settled() and dialogue.rings[0].isRunning();
            self.loop.guard.unlock();
            if (served) return;
            pause(ms);
        }
        return error.NeverServed;
    }
};

fn pause(time_ns: u32) void {
    _ = linux.nanosleep(&.{ .sec = 0, .nsec = time_ns }, null);
}

/// The deeds of a guest and of its back end, which the trial determines, but for their order.
pub fn run(trial: *Trial) anyerror!void {
    var generator: std.Random.DefaultPrng = .init(trial.seed);
    const random = generator.random();
    const before = openDescriptors();
    const machine = try std.heap.c_allocator.create(Machine);
    defer std.heap.c_allocator.destroy(machine);
    machine.* = .{};
    try machine.init(random.enumValue(kinds.Kind), random.int(u64));
    machine.misbehave(spoiled_rate, 5 * ms);
    while (trial.next()) |next| {
        var chosen = next;
        step(machine, chosen.random());
    }
    machine.misbehave(0, 10_000 * ms);
    machine.transport.device.unpause();
    machine.write(0x70, 0);
    @memset(machine.memory.slice(memory_base, memory_size) orelse unreachable, 0);
    machine.start(0);
    try machine.awaitServed();
    machine.deinit();
    if (openDescriptors() != before) return error.DescriptorsLeft;
}

fn step(machine: *Machine, random: std.Random) void {
    const device = &machine.transport.device;
    switch (random.uintLessThan(u32, 100)) {
        0...9 => machine.start(random.int(u64)),
        10...14 => machine.write(0x70, 0),
        15...19 => {
            machine.write(0x30, random.uintLessThan(u32, 6));
            machine.write(0x44, random.int(u1));
        },
        20...29 => readConfig(machine, random),
        30...34 => machine.transport.write(0x100 + 32, &.{random.int(u1)}),
        35...39 => machine.back_end.hangUp(),
        40...44 => device.pause(),
        45...54 => device.unpause(),
        55...59 => machine.back_end.request(protocol.back_end_config_change, &.{}),
        60...69 => machine.write(0x50, random.uintLessThan(u32, 6)),
        70...74 => scribble(machine, random),
        else => pause(random.uintLessThan(u32, ms / 10)),
    }
}

fn readConfig(machine: *Machine, random: std.Random) void {
    var data: [4]u8 = undefined;
    machine.transport.read(0x100 + random.uintLessThan(u64, 0x100), &data);
}

/// Indices and chains at random: of the control queue they are this process's to read.
fn scribble(machine: *Machine, random: std.Random) void {
    const address = memory_base + random.uintLessThan(u64, 0x4000 * 6);
    const target = machine.memory.slice(address, 64) orelse return;
    for (target) |*byte| byte.* = if (random.boolean()) 0 else random.int(u8);
}

fn openDescriptors() usize {
    var count: usize = 0;
    for (0..descriptor_count_max) |fd| {
        if (system.result(linux.fcntl(@intCast(fd), linux.F.GETFD, 0)).ok()) count += 1;
    }
    return count;
}

test "hostile back ends of some seeds do no harm" {
    try trial_module.smoke("vhost_user", run, 1000);
}
