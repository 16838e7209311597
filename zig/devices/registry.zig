//! Every device model of the data plane, in one tagged union with static dispatch. A model is found
//! by the same relative path here, in src/devices and in tests/bus.

const std = @import("std");
const Outcome = @import("../bus/outcome.zig").Outcome;
const Line = @import("../bus/interrupt.zig").Line;
const Serial = @import("platform/serial.zig").Serial;
const Cmos = @import("platform/cmos.zig").Cmos;
const I8042 = @import("platform/i8042.zig").I8042;
const power = @import("platform/power.zig");
const DebugPort = @import("platform/debug_port.zig").DebugPort;
const Mmio = @import("../virtio/mmio.zig").Mmio;
const Body = @import("virtio/body.zig").Body;

/// Models as TypeScript names them.
pub const ModelKind = enum(u32) {
    serial = 0,
    cmos = 1,
    i8042 = 2,
    power = 3,
    debug_port = 4,
    virtio_blk = 5,
    virtio_rng = 6,
    virtio_balloon = 7,
    virtio_net = 8,
    vhost_vsock = 9,
    vhost_user = 10,
    virtio_console = 11,
};

pub const Model = union(enum) {
    serial: Serial,
    cmos: Cmos,
    i8042: I8042,
    power: power.Power,
    debug_port: DebugPort,
    virtio_mmio: Transport,
};

/// A virtio device behind its registers.
pub const Transport = struct { mmio: Mmio, body: Body };

/// One device of the machine. It keeps its address for life: sources and windows point at it.
pub const Device = struct {
    line: Line = .{},
    model: Model,

    pub fn kind(self: *const Device) ModelKind {
        return switch (self.model) {
            .serial => .serial,
            .cmos => .cmos,
            .i8042 => .i8042,
            .power => .power,
            .debug_port => .debug_port,
            .virtio_mmio => |*transport| switch (transport.body) {
                .blk => .virtio_blk,
                .rng => .virtio_rng,
                .balloon => .virtio_balloon,
                .console => .virtio_console,
                .net => .virtio_net,
                .vsock => .vhost_vsock,
                .vhost_user => .vhost_user,
            },
        };
    }

    pub fn read(self: *Device, region: u32, offset: u64, data: []u8) void {
        switch (self.model) {
            .serial => |*serial| serial.read(offset, data),
            .cmos => |*cmos| cmos.read(offset, data),
            .i8042 => |*controller| controller.read(offset, data),
            .power => |*registers| registers.read(powerRegister(region), data),
            .debug_port => |*port| port.read(data),
            .virtio_mmio => |*transport| transport.mmio.read(offset, data),
        }
    }

    pub fn write(self: *Device, region: u32, offset: u64, data: []const u8) Outcome {
        switch (self.model) {
            .serial => |*serial| serial.write(offset, data),
            .cmos => |*cmos| cmos.write(offset, data),
            .i8042 => |*controller| return controller.write(offset, data),
            .power => |*registers| return registers.write(powerRegister(region), data),
            .debug_port => |*port| port.write(data),
            .virtio_mmio => |*transport| transport.mmio.write(offset, data),
        }
        return .none;
    }
};

fn powerRegister(region: u32) power.Register {
    return if (region == 0) .sleep_control else .reset_control;
}
