//! The board's own devices on the bus: serial port, clock, keyboard controller, reset register
//! and debug port, with accesses of every width in and across their windows, and a peer of the
//! serial port that writes and reads when it likes.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("../errors.zig");
const system = @import("../kernel/system.zig");
const table = @import("../devices/table.zig");
const trial_module = @import("trial.zig");
const Core = @import("../core.zig").Core;
const ModelKind = @import("../devices/registry.zig").ModelKind;
const Trial = trial_module.Trial;

const Place = struct { model: ModelKind, base: u64, size: u64, region: u32 = 0, gsi: u32 = 4 };

/// As the microvm board has them.
const places = [_]Place{
    .{ .model = .serial, .base = 0x3f8, .size = 7 },
    .{ .model = .debug_port, .base = 0x3ff, .size = 1 },
    .{ .model = .cmos, .base = 0x70, .size = 2 },
    .{ .model = .i8042, .base = 0x60, .size = 5 },
    .{ .model = .power, .base = 0xcf9, .size = 1, .region = 1 },
};

const Machine = struct {
    core: *Core,
    /// The serial port's end of the line, and its peer's.
    line: [2]i32,

    fn init(self: *Machine) !void {
        var failure: errors.Failure = .{};
        self.* = .{ .core = try Core.create(-1, null, &failure), .line = undefined };
        const kind = linux.SOCK.STREAM | linux.SOCK.CLOEXEC | linux.SOCK.NONBLOCK;
        const made = system.result(linux.socketpair(linux.AF.UNIX, kind, 0, &self.line));
        if (!made.ok()) return error.NoSocket;
        const chardev = try self.core.addChardev(.{
            .input_fd = self.line[0],
            .output_fd = self.line[0],
            .escape = true,
        }, &failure);
        var windows: [places.len]table.WindowParams = undefined;
        for (places, &windows) |place, *window| {
            window.* = .{
                .base = place.base,
                .size = place.size,
                .space = .pio,
                .region = place.region,
                .device = try self.core.devices.create(self.core, &.{
                    .model = place.model,
                    .gsi = place.gsi,
                    .chardev = if (place.model == .serial) chardev else table.no_chardev,
                    .iothread = 0,
                    .details = @fromBackingInt(0),
                    .details_size = 0,
                }),
            };
        }
        try self.core.devices.publish(self.core, &windows);
    }

    fn deinit(self: *Machine) void {
        self.core.destroy();
        for (self.line) |fd| system.close(fd);
    }

    fn access(self: *Machine, random: std.Random) void {
        var data: [8]u8 = undefined;
        random.bytes(&data);
        const widths = [_]usize{ 1, 1, 1, 1, 2, 4, 8 };
        const width = widths[random.uintLessThan(usize, widths.len)];
        const place = places[random.uintLessThan(usize, places.len)];
        const address = place.base + random.uintLessThan(u64, place.size + 1);
        if (random.boolean()) {
            self.core.bus.read(&self.core.reader, .pio, address, data[0..width]);
        } else {
            // A reset or power-off that the guest asks for is nobody's business here.
            _ = self.core.bus.write(&self.core.reader, .pio, address, data[0..width]);
        }
        if (random.uintLessThan(u32, 8) == 0) self.usePeer(random);
    }

    fn usePeer(self: *Machine, random: std.Random) void {
        var bytes: [4096]u8 = undefined;
        const size = random.uintLessThan(usize, bytes.len);
        random.bytes(bytes[0..size]);
        const flags = linux.MSG.DONTWAIT | linux.MSG.NOSIGNAL;
        if (random.boolean()) _ = linux.sendto(self.line[1], &bytes, size, flags, null, 0);
        if (random.boolean()) _ = linux.read(self.line[1], &bytes, bytes.len);
        _ = self.core.doorbell.take();
    }
};

pub fn run(trial: *Trial) anyerror!void {
    var machine: Machine = undefined;
    try machine.init();
    defer machine.deinit();
    while (trial.next()) |seeded| {
        var generator = seeded;
        for (0..16) |_| machine.access(generator.random());
    }
    try expectEcho(&machine);
}

/// The serial port still loops back what it sends, once its guest asks for that.
fn expectEcho(machine: *Machine) !void {
    const bus = &machine.core.bus;
    const reader = &machine.core.reader;
    const base = places[0].base;
    for ([_][2]u8{ .{ 3, 0 }, .{ 4, 0x10 }, .{ 2, 3 } }) |pair| {
        _ = bus.write(reader, .pio, base + pair[0], pair[1..2]);
    }
    var value: [1]u8 = undefined;
    // What a peer that is still there has sent comes first.
    for (0..64 * 1024) |_| bus.read(reader, .pio, base, &value);
    _ = bus.write(reader, .pio, base, &.{0x5a});
    bus.read(reader, .pio, base, &value);
    if (value[0] != 0x5a) return error.BrokenAfterAll;
}

test "accesses of every kind to the board's devices do no harm" {
    try trial_module.smoke("platform", run, 1000);
}
