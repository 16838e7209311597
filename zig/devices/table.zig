//! The devices of a machine by id. An id carries a generation, so that a stale one is an error and
//! never another device. Windows and notify descriptors of a device come and go with it.

const std = @import("std");
const limits = @import("../limits.zig");
const errors = @import("../errors.zig");
const trace = @import("../trace/trace.zig");
const system = @import("../kernel/system.zig");
const Vm = @import("../kernel/vm.zig").Vm;
const core_module = @import("../core.zig");
const Core = core_module.Core;
const address_map = @import("../bus/address_map.zig");
const registry = @import("registry.zig");
const Device = registry.Device;
const Cmos = @import("platform/cmos.zig").Cmos;
const body = @import("virtio/body.zig");
const mmio = @import("../virtio/mmio.zig");
const VirtioDevice = @import("../virtio/device.zig").Device;

const Pointer = @import("../abi_scalars.zig").Pointer;

/// What TypeScript says of a new device. `details` is the model's own parameter struct.
pub const DeviceParams = extern struct {
    model: registry.ModelKind,
    /// Interrupt line, or `no_line`.
    gsi: u32,
    /// Character back end of a serial port, or `no_chardev`.
    chardev: u32,
    iothread: u32,
    details: Pointer,
    details_size: u64,
};

/// Above every model's parameter struct.
const details_size_max = 64 * 1024;

pub const no_line = std.math.maxInt(u32);
pub const no_chardev = std.math.maxInt(u32);

/// A range of addresses that a device answers.
pub const WindowParams = extern struct {
    base: u64,
    size: u64,
    space: address_map.Space,
    device: u32,
    region: u32,
    padding: u32 = 0,
};

/// The low half of an id is the slot, the high half its generation.
const slot_bits = 16;

pub const DeviceTable = struct {
    slots: [limits.device_count_max]?*Device = @splat(null),
    generations: [limits.device_count_max]u16 = @splat(0),
    notifies: [limits.window_count_max]Vm.Notify = undefined,
    notify_count: usize = 0,

    pub fn create(
        self: *DeviceTable,
        core: *Core,
        params: *const DeviceParams,
    ) errors.CoreError!u32 {
        const slot = for (self.slots, 0..) |device, index| {
            if (device == null) break index;
        } else return error.Limit;
        const device = core_module.allocator.create(Device) catch return error.OutOfMemory;
        errdefer core_module.allocator.destroy(device);
        device.line = .{};
        if (params.gsi != no_line) {
            device.line.gsi = params.gsi;
            if (core.vm) |vm| device.line.fd = try vm.createIrqfd(params.gsi, &core.failure);
        }
        errdefer closeLine(device);
        try initModel(core, device, params);
        const id = @as(u32, self.generations[slot]) << slot_bits | @as(u32, @intCast(slot));
        switch (device.model) {
            .virtio_mmio => |*transport| transport.mmio.device.id = id,
            else => {},
        }
        self.slots[slot] = device;
        return id;
    }

    pub fn get(self: *const DeviceTable, id: u32) errors.CoreError!*Device {
        const slot = id & (1 << slot_bits) - 1;
        if (slot >= self.slots.len) return error.Invalid;
        if (self.generations[slot] != id >> slot_bits) return error.Stale;
        return self.slots[slot] orelse error.Stale;
    }

    /// The device must have no window any more: publish a map without it first.
    pub fn destroy(self: *DeviceTable, core: *Core, id: u32) errors.CoreError!void {
        const device = try self.get(id);
        const slot = id & (1 << slot_bits) - 1;
        self.slots[slot] = null;
        self.generations[slot] +%= 1;
        if (core.vm) |vm| if (device.line.fd >= 0) vm.removeIrqfd(device.line.fd, device.line.gsi);
        free(device);
    }

    /// Lets every virtio device finish what is in flight and take nothing new. Not on a loop's
    /// thread.
    pub fn pauseAll(self: *const DeviceTable) void {
        for (self.slots) |slot| if (virtioOf(slot)) |device| device.pause();
    }

    pub fn unpauseAll(self: *const DeviceTable) void {
        for (self.slots) |slot| if (virtioOf(slot)) |device| device.unpause();
    }

    /// KVM lets go of notifies and lines when the machine itself goes: taking each away before
    /// would wait for a grace period each time.
    pub fn destroyAll(self: *DeviceTable) void {
        self.notify_count = 0;
        for (&self.slots) |*slot| {
            if (slot.*) |device| free(device);
            slot.* = null;
        }
    }

    /// Publishes the whole address map and moves the queue notifies along with it.
    pub fn publish(
        self: *DeviceTable,
        core: *Core,
        windows: []const WindowParams,
    ) errors.CoreError!void {
        var entries: [2][limits.window_count_max]address_map.Entry = undefined;
        var counts = [2]usize{ 0, 0 };
        if (windows.len > limits.window_count_max) return error.Limit;
        const update = trace.begin(.address_update_topology);
        defer update.end(.address_update_topology, .{ .count = windows.len });
        for (windows) |window| {
            const space = @backingInt(window.space);
            if (space > 1) return error.Invalid;
            entries[space][counts[space]] = .{
                .base = window.base,
                .size = window.size,
                .device = try self.get(window.device),
                .region = window.region,
            };
            counts[space] += 1;
        }
        var readers: [limits.vcpu_count_max]*const address_map.Reader = undefined;
        for (core.vcpus.all(), 0..) |vcpu, index| readers[index] = &vcpu.reader;
        try core.bus.map.publish(
            core_module.allocator,
            entries[0][0..counts[0]],
            entries[1][0..counts[1]],
            readers[0..core.vcpus.count],
        );
        self.removeNotifies(core);
        for (entries[0][0..counts[0]]) |entry| try self.addNotifies(core, entry);
    }

    fn addNotifies(
        self: *DeviceTable,
        core: *Core,
        entry: address_map.Entry,
    ) errors.CoreError!void {
        const vm = core.vm orelse return;
        const transport = switch (entry.device.model) {
            .virtio_mmio => |*transport| &transport.mmio.device,
            else => return,
        };
        for (0..transport.queue_count) |queue| {
            if (self.notify_count == self.notifies.len) return error.Limit;
            const notify: Vm.Notify = .{
                .fd = transport.notificationFd(@intCast(queue)),
                .address = entry.base + mmio.notify_offset,
                .length = 4,
                .value = queue,
            };
            try vm.addIoeventfd(notify, &core.failure);
            self.notifies[self.notify_count] = notify;
            self.notify_count += 1;
        }
    }

    fn removeNotifies(self: *DeviceTable, core: *Core) void {
        if (core.vm) |vm| {
            for (self.notifies[0..self.notify_count]) |notify| vm.removeIoeventfd(notify);
        }
        self.notify_count = 0;
    }
};

fn virtioOf(slot: ?*Device) ?*VirtioDevice {
    const device = slot orelse return null;
    return switch (device.model) {
        .virtio_mmio => |*transport| &transport.mmio.device,
        else => null,
    };
}

fn initModel(core: *Core, device: *Device, params: *const DeviceParams) errors.CoreError!void {
    switch (params.model) {
        .serial => {
            const chardev = if (params.chardev == no_chardev)
                null
            else
                try core.chardevAt(params.chardev);
            device.model = .{ .serial = .{ .line = &device.line, .chardev = chardev } };
            device.model.serial.attach();
        },
        .cmos => device.model = .{ .cmos = Cmos.init(&core.clock) },
        .i8042 => device.model = .{ .i8042 = .{} },
        .power => device.model = .{ .power = .{} },
        .debug_port => device.model = .{
            .debug_port = .{ .clock = &core.clock, .doorbell = &core.doorbell },
        },
        .virtio_blk => try initVirtio(core, device, .blk, params),
        .virtio_rng => try initVirtio(core, device, .rng, params),
        .virtio_balloon => try initVirtio(core, device, .balloon, params),
        .virtio_net => try initVirtio(core, device, .net, params),
        .vhost_vsock => try initVirtio(core, device, .vsock, params),
        .vhost_user => try initVirtio(core, device, .vhost_user, params),
        .virtio_console => try initVirtio(core, device, .console, params),
    }
}

fn initVirtio(
    core: *Core,
    device: *Device,
    kind: body.Kind,
    params: *const DeviceParams,
) errors.CoreError!void {
    const loop = try core.loopAt(params.iothread);
    if (params.details_size == 0) return error.Invalid;
    if (params.details_size > details_size_max) return error.Limit;
    const details: [*]const u8 = @ptrFromInt(@backingInt(params.details));
    device.model = .{ .virtio_mmio = undefined };
    const transport = &device.model.virtio_mmio;
    try transport.body.init(.{
        .kind = kind,
        .details = details[0..params.details_size],
        .loop = loop,
        .chardevs = core.chardevs[0..core.chardev_count],
    }, &core.failure);
    errdefer transport.body.deinit();
    try transport.mmio.init(.{
        .memory = &core.memory,
        .loop = loop,
        .interrupt = .{ .line = &device.line },
        .model = transport.body.model(),
        .doorbell = &core.doorbell,
    }, &core.failure);
}

fn closeLine(device: *Device) void {
    if (device.line.fd >= 0) system.close(device.line.fd);
}

fn free(device: *Device) void {
    switch (device.model) {
        .virtio_mmio => |*transport| {
            transport.mmio.deinit();
            transport.body.deinit();
        },
        .serial => |*serial| serial.detach(),
        .cmos, .i8042, .power, .debug_port => {},
    }
    closeLine(device);
    core_module.allocator.destroy(device);
}
