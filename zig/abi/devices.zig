//! Calls for devices, the address map, and register accesses from outside.

const std = @import("std");
const errors = @import("../errors.zig");
const outcome = @import("../bus/outcome.zig");
const table = @import("../devices/table.zig");
const debug_port = @import("../devices/platform/debug_port.zig");
const balloon = @import("../devices/virtio/balloon.zig");
const body = @import("../devices/virtio/body.zig");
const types = @import("../abi_types.zig");
const answers = @import("answers.zig");
const Core = @import("../core.zig").Core;
const Status = errors.Status;
const done = answers.done;
const given = answers.given;

pub fn device_create(
    core: *Core,
    params: *const table.DeviceParams,
    out: *u32,
) callconv(.c) Status {
    return given(out, core.devices.create(core, params));
}

/// The device's windows must be gone from the map.
pub fn device_destroy(core: *Core, id: u32) callconv(.c) Status {
    return done(core.devices.destroy(core, id));
}

pub fn device_info(core: *Core, id: u32, out: *types.DeviceInfo) callconv(.c) Status {
    const device = core.devices.get(id) catch |err| return errors.statusOf(err);
    out.* = .{ .interrupt_count = device.line.count.load(.acquire) };
    switch (device.model) {
        .virtio_mmio => |*transport| {
            out.fault_count = transport.mmio.device.fault_count;
            // The longest words fit; a shorter text is as good for the log.
            _ = std.fmt.bufPrint(&out.fault, "{f}", .{transport.mmio.device.fault}) catch {};
            const errors_seen = transport.body.errorCounters();
            out.error_count = errors_seen.count;
            out.last_errno = errors_seen.last_errno;
        },
        else => {},
    }
    return .ok;
}

/// How things stand between a vhost-user device and its back end.
pub fn device_back_end(core: *Core, id: u32, out: *types.BackEndInfo) callconv(.c) Status {
    const device = core.devices.get(id) catch |err| return errors.statusOf(err);
    switch (device.model) {
        .virtio_mmio => |*transport| switch (transport.body) {
            .vhost_user => |*held| {
                const report = held.link.state();
                out.* = .{
                    .is_up = @intFromBool(report.is_up),
                    .cause = report.cause,
                    .errno = report.errno,
                    .loss_count = report.loss_count,
                };
                return .ok;
            },
            else => return .invalid,
        },
        else => return .invalid,
    }
}

/// What a virtio device has done so far.
pub fn device_metrics(core: *Core, id: u32, out: *body.Metrics) callconv(.c) Status {
    const device = core.devices.get(id) catch |err| return errors.statusOf(err);
    switch (device.model) {
        .virtio_mmio => |*transport| {
            out.* = transport.body.metrics();
            out.notification_count = transport.mmio.device.notification_count;
        },
        else => return .invalid,
    }
    return .ok;
}

/// Puts another back end behind a disk or a network device, described by its model's own parameter
/// struct of `size` bytes. What the old one had open may be closed then.
pub fn device_replace(
    core: *Core,
    id: u32,
    details: [*]const u8,
    size: u32,
) callconv(.c) Status {
    const device = core.devices.get(id) catch |err| return errors.statusOf(err);
    return done(switch (device.model) {
        .virtio_mmio => |*transport| transport.body.replace(details[0..size], &core.failure),
        else => error.Invalid,
    });
}

/// Asks a balloon's guest to give up so many pages altogether.
pub fn device_set_balloon(core: *Core, id: u32, page_count: u32) callconv(.c) Status {
    const model = balloonAt(core, id) catch |err| return errors.statusOf(err);
    model.setTarget(page_count);
    return .ok;
}

/// What a balloon holds, and whether that changed since the last call.
pub fn device_balloon(core: *Core, id: u32, out: *balloon.Info) callconv(.c) Status {
    const model = balloonAt(core, id) catch |err| return errors.statusOf(err);
    out.* = model.takeInfo();
    return .ok;
}

/// Boot-time marks of the debug port.
pub fn device_marks(core: *Core, id: u32, out: *debug_port.Marks) callconv(.c) Status {
    const device = core.devices.get(id) catch |err| return errors.statusOf(err);
    out.* = switch (device.model) {
        .debug_port => |*port| port.marks(),
        else => return .invalid,
    };
    return .ok;
}

/// Replaces the whole address map by an array of WindowParams.
pub fn map_publish(
    core: *Core,
    windows: [*]const table.WindowParams,
    count: u32,
) callconv(.c) Status {
    return done(core.devices.publish(core, windows[0..count]));
}

pub fn bus_read(core: *Core, access: *types.AccessParams) callconv(.c) Status {
    var data: [8]u8 = @splat(0);
    if (!isAccess(access)) return .invalid;
    core.bus.read(&core.reader, access.space, access.address, data[0..access.size]);
    access.value = @fromBackingInt(std.mem.readInt(u64, &data, .little));
    return .ok;
}

/// A write that asks for power-off or reset reports its reason in `value`, otherwise 0.
pub fn bus_write(core: *Core, access: *types.AccessParams) callconv(.c) Status {
    var data: [8]u8 = undefined;
    if (!isAccess(access)) return .invalid;
    std.mem.writeInt(u64, &data, @backingInt(access.value), .little);
    const bytes = data[0..access.size];
    const asked = core.bus.write(&core.reader, access.space, access.address, bytes);
    const reason: outcome.ParkReason = switch (asked) {
        .none => .none,
        .park => |reason| reason,
    };
    access.value = @fromBackingInt(@backingInt(reason));
    return .ok;
}

fn balloonAt(core: *Core, id: u32) errors.CoreError!*balloon.Balloon {
    const device = try core.devices.get(id);
    return switch (device.model) {
        .virtio_mmio => |*transport| switch (transport.body) {
            .balloon => |*held| held,
            else => error.Invalid,
        },
        else => error.Invalid,
    };
}

fn isAccess(access: *const types.AccessParams) bool {
    return access.size >= 1 and access.size <= 8 and @backingInt(access.space) <= 1;
}
