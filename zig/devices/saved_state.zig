//! A device's state as bytes, and back: that of its registers, and of a virtio device the queues
//! and the model beside. The device of a restore is new and of the same kind.

const std = @import("std");
const blob = @import("../blob.zig");
const errors = @import("../errors.zig");
const limits = @import("../limits.zig");
const queue = @import("../virtio/queue.zig");
const registry = @import("registry.zig");
const virtio_device = @import("../virtio/device.zig");
const virtio_mmio = @import("../virtio/mmio.zig");

/// Of a device of model 0; the other models follow.
const kind_first = 0x100;
const version = 1;

/// What all virtio devices have; the states of the queues follow, then the model's.
const Virtio = extern struct {
    selectors: virtio_mmio.State,
    device: virtio_device.State,
    queue_count: u32,
    padding: u32 = 0,
};

/// Limit when `buffer` is smaller than the writer's size. A virtio device is paused, else it is
/// Invalid; one whose model keeps no state is Unsupported.
pub fn save(
    device: *registry.Device,
    buffer: []u8,
    failure: *errors.Failure,
) errors.CoreError!blob.Writer {
    const kind = kind_first + @backingInt(device.kind());
    var writer: blob.Writer = .begin(buffer, kind, version);
    switch (device.model) {
        .virtio_mmio => |*transport| try saveVirtio(transport, &writer, failure),
        inline else => |*model| {
            const state = model.save();
            writer.put(&state);
        },
    }
    return writer;
}

fn saveVirtio(
    transport: *registry.Transport,
    writer: *blob.Writer,
    failure: *errors.Failure,
) errors.CoreError!void {
    const device = &transport.mmio.device;
    device.registers.lock();
    defer device.registers.unlock();
    device.work.lock();
    defer device.work.unlock();
    if (!device.paused) {
        failure.* = .{ .operation = .state_running };
        return error.Invalid;
    }
    const queues = device.queues[0..device.queue_count];
    const head: Virtio = .{
        .selectors = transport.mmio.state,
        .device = device.save(),
        .queue_count = device.queue_count,
    };
    writer.put(&head);
    for (queues) |*each| writer.put(&each.state);
    switch (transport.body) {
        inline else => |*model| {
            if (comptime !keepsState(@TypeOf(model.*))) return error.Unsupported;
            const state = model.save();
            writer.put(&state);
        },
    }
}

/// What others do for a device is not ours to save: such a model has no `save`.
fn keepsState(comptime Model: type) bool {
    return @hasDecl(Model, "save");
}

/// Puts a saved state into a device that no guest has used. A virtio device stays paused. After an
/// error the device must be reset before a guest uses it. Errors: Invalid.
pub fn restore(
    device: *registry.Device,
    bytes: []const u8,
    failure: *errors.Failure,
) errors.CoreError!void {
    const kind = kind_first + @backingInt(device.kind());
    var reader: blob.Reader = try .begin(bytes, kind, version, failure);
    switch (device.model) {
        .virtio_mmio => |*transport| try restoreVirtio(transport, &reader),
        inline else => |*model| try restoreModel(model, &reader),
    }
}

fn restoreVirtio(transport: *registry.Transport, reader: *blob.Reader) errors.CoreError!void {
    const head = try reader.take(Virtio);
    const device = &transport.mmio.device;
    if (head.queue_count != device.queue_count) return reader.senseless(@sizeOf(Virtio));
    var queues: [limits.queue_count_max]queue.State = undefined;
    try reader.takeInto(queues[0..head.queue_count]);
    transport.mmio.reset();
    transport.mmio.state = head.selectors;
    device.restore(head.device, queues[0..head.queue_count]) catch
        return reader.refuse(.state_content, @sizeOf(blob.Header));
    switch (transport.body) {
        inline else => |*model| {
            if (comptime !keepsState(@TypeOf(model.*))) return error.Unsupported;
            try restoreModel(model, reader);
        },
    }
    device.interruptAgain();
}

fn restoreModel(model: anytype, reader: *blob.Reader) error{Invalid}!void {
    const Model = @typeInfo(@TypeOf(model)).pointer.child;
    const State = @typeInfo(@TypeOf(Model.restore)).@"fn".param_types[1].?;
    const state = try reader.take(State);
    try reader.end();
    model.restore(state) catch return reader.senseless(@sizeOf(State));
}

comptime {
    std.debug.assert(@sizeOf(Virtio) == 16 + 24 + 8);
}
