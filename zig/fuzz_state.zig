//! Damaged snapshots by seed: states of every device with bits flipped, words replaced and ends
//! cut off go into a machine, which a guest then uses. It must not crash, hang or leave its
//! memory, and must work again after a reset.

const std = @import("std");
const linux = std.os.linux;
const balloon = @import("devices/virtio/balloon.zig");
const blk = @import("devices/virtio/blk.zig");
const blob = @import("blob.zig");
const console_config = @import("devices/virtio/console_config.zig");
const errors = @import("errors.zig");
const net_config = @import("devices/virtio/net_config.zig");
const rng = @import("devices/virtio/rng.zig");
const snapshot = @import("snapshot.zig");
const system = @import("kernel/system.zig");
const vhost_user = @import("devices/virtio/vhost_user_kind.zig");
const vsock = @import("devices/virtio/vsock.zig");
const table = @import("devices/table.zig");
const trial_module = @import("fuzz/trial.zig");
const Core = @import("core.zig").Core;
const FakeBackEnd = @import("vhost_user/test_back_end.zig").FakeBackEnd;
const ModelKind = @import("devices/registry.zig").ModelKind;

const memory_size = 2 * 1024 * 1024;
const state_size_max = 16 * 1024;
const queue_size = 16;

/// One device of each kind, without KVM.
const Machine = struct {
    core: *Core,
    devices: [model_count]u32 = undefined,
    disk_fd: i32,
    random_fd: i32,
    frames: [2]i32,
    back_end: FakeBackEnd = .{},

    const model_count = @typeInfo(ModelKind).@"enum".field_names.len;

    fn init(self: *Machine) !void {
        var failure: errors.Failure = .{};
        self.* = .{
            .core = try Core.create(-1, null, &failure),
            .disk_fd = system.result(linux.memfd_create("disk", linux.MFD.CLOEXEC)).fd(),
            .random_fd = system.result(linux.open("/dev/urandom", .{ .NONBLOCK = true }, 0)).fd(),
            .frames = undefined,
        };
        const kind = linux.SOCK.DGRAM | linux.SOCK.CLOEXEC | linux.SOCK.NONBLOCK;
        _ = linux.socketpair(linux.AF.UNIX, kind, 0, &self.frames);
        try self.back_end.start();
        try self.core.addMemory(.{ .guest_address = 0, .size = memory_size }, &failure);
        inline for (@typeInfo(ModelKind).@"enum".field_names, 0..) |name, index| {
            self.devices[index] = try self.create(@field(ModelKind, name));
        }
    }

    fn create(self: *Machine, kind: ModelKind) !u32 {
        return switch (kind) {
            .serial, .cmos, .i8042, .power, .debug_port => self.createOf(kind, &.{}),
            .virtio_blk => self.createOf(kind, std.mem.asBytes(&blk.Params{
                .fd = self.disk_fd,
                .capacity_bytes = memory_size,
                .queue_count = 2,
                .iops_limit = 1000,
            })),
            .virtio_rng => self.createOf(kind, std.mem.asBytes(&rng.Params{
                .fd = self.random_fd,
                .rate = 1024 * 1024,
            })),
            // Nobody serves its queues: that is a device that fails.
            .vhost_vsock => self.createOf(kind, std.mem.asBytes(&vsock.Params{
                .fd = -1,
                .guest_cid = 3,
                .features = std.math.maxInt(u64),
            })),
            // Its memory is private, so that it fails as well, but its back end is there.
            .vhost_user => self.createOf(kind, std.mem.asBytes(&vhost_user.Params{
                .kind = .net,
                .queue_count = 2,
                .address = self.back_end.address,
                .address_size = @intCast(self.back_end.address_size),
            })),
            .virtio_console => {
                const chardev = try self.core.addChardev(.{}, &self.core.failure);
                var params: console_config.Params = .{ .port_limit = 2, .port_count = 1 };
                const port = std.mem.asBytes(&console_config.PortParams{
                    .chardev = chardev,
                    .number = 1,
                    .console = 1,
                    .name_size = 4,
                    .name = @splat('n'),
                });
                @memcpy(params.ports[0..port.len], port);
                return self.createOf(kind, std.mem.asBytes(&params));
            },
            .virtio_balloon => self.createOf(kind, std.mem.asBytes(&balloon.Params{ .flags = 3 })),
            .virtio_net => {
                var params: net_config.Params = .{};
                std.mem.writeInt(i32, params.fds[0..4], self.frames[0], .little);
                return self.createOf(kind, std.mem.asBytes(&params));
            },
        };
    }

    fn createOf(self: *Machine, kind: ModelKind, details: []const u8) errors.CoreError!u32 {
        return self.core.devices.create(self.core, &.{
            .model = kind,
            .gsi = 5,
            .chardev = table.no_chardev,
            .iothread = 0,
            .details = @fromBackingInt(@intFromPtr(details.ptr)),
            .details_size = details.len,
        });
    }

    fn deinit(self: *Machine) void {
        self.core.destroy();
        self.back_end.stop();
        for ([_]i32{ self.disk_fd, self.random_fd, self.frames[0], self.frames[1] }) |fd| {
            system.close(fd);
        }
    }

    fn write(self: *Machine, index: usize, offset: u64, data: []const u8) void {
        const device = self.core.devices.get(self.devices[index]) catch unreachable;
        // A reset or power-off that the guest asks for is nobody's business here.
        _ = device.write(0, offset, data);
    }

    fn writeRegister(self: *Machine, index: usize, offset: u64, value: u32) void {
        self.write(index, offset, std.mem.asBytes(&value));
    }

    /// As a driver of a virtio device does it, with two queues; of another device, some writes.
    fn start(self: *Machine, index: usize) void {
        for ([_]u32{ 0, 1, 3 }) |status| self.writeRegister(index, 0x70, status);
        self.writeRegister(index, 0x24, 1);
        self.writeRegister(index, 0x20, 1);
        self.writeRegister(index, 0x70, 11);
        for (0..2) |queue| {
            const base: u32 = @intCast(0x1_0000 * (1 + 2 * index + queue));
            self.writeRegister(index, 0x30, @intCast(queue));
            self.writeRegister(index, 0x38, queue_size);
            self.writeRegister(index, 0x80, base);
            self.writeRegister(index, 0x90, base + 0x1000);
            self.writeRegister(index, 0xa0, base + 0x2000);
            self.writeRegister(index, 0x44, 1);
        }
        self.writeRegister(index, 0x70, 15);
    }

    fn save(self: *Machine, index: usize, buffer: []u8) ![]u8 {
        const subject: snapshot.Subject = .{ .part = .device, .id = self.devices[index] };
        return buffer[0..try snapshot.saveState(self.core, subject, buffer)];
    }

    fn restore(self: *Machine, index: usize, state: []const u8) errors.CoreError!void {
        const subject: snapshot.Subject = .{ .part = .device, .id = self.devices[index] };
        return snapshot.restoreState(self.core, subject, state);
    }
};

/// Runs damaged states that the seed determines.
pub fn run(trial: *trial_module.Trial) anyerror!void {
    var generator: std.Random.DefaultPrng = .init(trial.seed);
    const random = generator.random();
    var machine: Machine = undefined;
    try machine.init();
    defer machine.deinit();
    var buffer: [state_size_max]u8 = undefined;
    while (trial.next()) |_| {
        const index = random.uintLessThan(usize, Machine.model_count);
        if (random.uintLessThan(u32, 8) == 0) machine.start(index);
        scribble(&machine, random);
        machine.core.devices.pauseAll();
        const state = try machine.save(index, &buffer);
        const damaged = damage(random, state);
        machine.restore(index, damaged) catch |err| switch (err) {
            error.Invalid => {},
            else => return err,
        };
        machine.core.devices.unpauseAll();
        for (0..random.uintLessThan(u32, 8)) |_| use(&machine, index, random);
    }
    for (0..Machine.model_count) |index| {
        machine.start(index);
        machine.core.devices.pauseAll();
        const state = try machine.save(index, &buffer);
        try machine.restore(index, state);
        machine.core.devices.unpauseAll();
    }
}

/// Random bytes where the rings are: small numbers, which are indices and lengths that fit.
fn scribble(machine: *Machine, random: std.Random) void {
    const address = random.uintLessThan(u64, memory_size - 64);
    const target = machine.core.memory.slice(address, random.uintLessThan(u64, 64)) orelse return;
    for (target) |*byte| byte.* = if (random.boolean()) 0 else random.int(u8);
}

/// Flips bits, puts numbers of interest in place of words, cuts off the end; mostly it leaves the
/// header alone, which is checked first.
fn damage(random: std.Random, state: []u8) []const u8 {
    const first: usize = if (random.uintLessThan(u32, 10) == 0) 0 else @sizeOf(blob.Header);
    const body = state[@min(first, state.len)..];
    for (0..random.uintLessThan(u32, 4)) |_| {
        const position = random.uintLessThan(usize, body.len);
        switch (random.uintLessThan(u32, 3)) {
            0 => body[position] ^= @as(u8, 1) << random.int(u3),
            1 => body[position] = random.int(u8),
            else => {
                const word = body[position & ~@as(usize, 3) ..];
                const numbers = [_]u32{ 0, 1, 15, 0xffff, 0x8000_0000, memory_size, 0xffff_ffff };
                const number = numbers[random.uintLessThan(usize, numbers.len)];
                if (word.len >= 4) std.mem.writeInt(u32, word[0..4], number, .little);
            },
        }
    }
    if (random.uintLessThan(u32, 20) != 0) return state;
    return state[0..random.uintLessThan(usize, state.len)];
}

fn use(machine: *Machine, index: usize, random: std.Random) void {
    const device = machine.core.devices.get(machine.devices[index]) catch unreachable;
    var data: [4]u8 = undefined;
    random.bytes(&data);
    const offset = random.uintLessThan(u64, 0x140);
    const width: usize = if (random.boolean()) 4 else 1;
    switch (random.uintLessThan(u32, 4)) {
        0 => machine.writeRegister(index, 0x50, random.uintLessThan(u32, 4)),
        1 => machine.write(index, offset & ~@as(u64, 3), data[0..width]),
        else => device.read(0, offset & ~@as(u64, 3), data[0..width]),
    }
}

test "damaged states of some seeds do no harm" {
    try trial_module.smoke("state", run, 2000);
}
