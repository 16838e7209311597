//! Registers of a virtio device over MMIO, version 2 (virtio 1.2, section 4.2.2): a window of 0x200
//! bytes. Accesses of a width or order that the specification does not allow have no effect.

const std = @import("std");
const errors = @import("../errors.zig");
const device_module = @import("device.zig");
const trace = @import("../trace/trace.zig");

const Device = device_module.Device;
const Queue = device_module.Queue;

/// Offset of the queue notify register: where KVM's ioeventfds go, with the queue index as match.
pub const notify_offset = 0x50;

const config_offset = 0x100;
const magic = 0x7472_6976;
const vendor_id = 0;

const Register = enum(u32) {
    magic = 0x00,
    version = 0x04,
    device_id = 0x08,
    vendor_id = 0x0c,
    device_features = 0x10,
    device_features_select = 0x14,
    driver_features = 0x20,
    driver_features_select = 0x24,
    queue_select = 0x30,
    queue_size_max = 0x34,
    queue_size = 0x38,
    queue_ready = 0x44,
    queue_notify = 0x50,
    interrupt_status = 0x60,
    interrupt_acknowledge = 0x64,
    status = 0x70,
    descriptors_low = 0x80,
    descriptors_high = 0x84,
    available_low = 0x90,
    available_high = 0x94,
    used_low = 0xa0,
    used_high = 0xa4,
    shared_memory_select = 0xac,
    shared_memory_length_low = 0xb0,
    shared_memory_length_high = 0xb4,
    shared_memory_base_low = 0xb8,
    shared_memory_base_high = 0xbc,
    config_generation = 0xfc,
    _,
};

/// The selectors; a snapshot keeps them beside the device's state.
pub const State = extern struct {
    device_features_select: u32 = 0,
    driver_features_select: u32 = 0,
    queue_select: u32 = 0,
    reserved: u32 = 0,
};

pub const Mmio = struct {
    device: Device,
    /// Guarded by the device's register lock.
    state: State = .{},

    /// `self` stays at one address until `deinit`. Errors: Host (eventfd, epoll), Limit.
    pub fn init(
        self: *Mmio,
        options: device_module.Options,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        self.state = .{};
        try self.device.init(options, failure);
    }

    /// Not on the loop's thread; waits for what is in flight.
    pub fn deinit(self: *Mmio) void {
        self.device.deinit();
    }

    /// A machine reset: as the guest's reset, and the selectors too.
    pub fn reset(self: *Mmio) void {
        self.device.reset();
        self.state = .{};
    }

    /// A guest's read at `offset` of the window; bytes that nothing answers for are 0.
    pub fn read(self: *Mmio, offset: u64, data: []u8) void {
        @memset(data, 0);
        if (offset >= config_offset) {
            self.device.registers.lock();
            defer self.device.registers.unlock();
            trace.emit(.virtio_tpt_read_config, .{
                .device = self.device.id,
                .offset = offset - config_offset,
                .len = data.len,
            });
            return self.device.model.readConfig(@intCast(offset - config_offset), data);
        }
        if (data.len != 4 or offset % 4 != 0) return;
        const register: Register = @fromBackingInt(@as(u32, @intCast(offset)));
        const value = self.readRegister(register);
        trace.emit(.virtio_tpt_read_common_config, .{
            .device = self.device.id,
            .offset = offset,
            .value = value,
        });
        std.mem.writeInt(u32, data[0..4], value, .little);
    }

    /// A guest's write at `offset` of the window.
    pub fn write(self: *Mmio, offset: u64, data: []const u8) void {
        if (offset >= config_offset) {
            self.device.registers.lock();
            defer self.device.registers.unlock();
            trace.emit(.virtio_tpt_write_config, .{
                .device = self.device.id,
                .offset = offset - config_offset,
                .len = data.len,
            });
            return self.device.model.writeConfig(@intCast(offset - config_offset), data);
        }
        if (data.len != 4 or offset % 4 != 0) return;
        const register: Register = @fromBackingInt(@as(u32, @intCast(offset)));
        const value = std.mem.readInt(u32, data[0..4], .little);
        trace.emit(.virtio_tpt_write_common_config, .{
            .device = self.device.id,
            .offset = offset,
            .value = value,
        });
        self.writeRegister(register, value);
    }

    fn readRegister(self: *Mmio, register: Register) u32 {
        return switch (register) {
            .magic => magic,
            .version => 2,
            .device_id => self.device.device_id,
            .vendor_id => vendor_id,
            .interrupt_status => self.device.interruptStatus(),
            .status => self.device.status.load(.acquire),
            .config_generation => self.device.config_generation.load(.acquire),
            .shared_memory_length_low,
            .shared_memory_length_high,
            .shared_memory_base_low,
            .shared_memory_base_high,
            => std.math.maxInt(u32),
            .device_features => self.featureWord(),
            .queue_size_max, .queue_ready => self.readQueueRegister(register),
            else => 0,
        };
    }

    fn featureWord(self: *Mmio) u32 {
        self.device.registers.lock();
        defer self.device.registers.unlock();
        return switch (self.state.device_features_select) {
            0 => @truncate(self.device.features),
            1 => @truncate(self.device.features >> 32),
            else => 0,
        };
    }

    fn readQueueRegister(self: *Mmio, register: Register) u32 {
        self.device.registers.lock();
        defer self.device.registers.unlock();
        const queue = self.selectedQueue() orelse return 0;
        return if (register == .queue_ready) queue.state.ready else queue.size_max;
    }

    fn selectedQueue(self: *Mmio) ?*Queue {
        const index = self.state.queue_select;
        return if (index < self.device.queue_count) &self.device.queues[index] else null;
    }

    fn writeRegister(self: *Mmio, register: Register, value: u32) void {
        switch (register) {
            .queue_notify => self.device.kick(value),
            .interrupt_acknowledge => {
                _ = self.device.interrupt_status.fetchAnd(~value, .acq_rel);
            },
            .status => self.device.writeStatus(value),
            else => self.writeLocked(register, value),
        }
    }

    fn writeLocked(self: *Mmio, register: Register, value: u32) void {
        self.device.registers.lock();
        defer self.device.registers.unlock();
        switch (register) {
            .device_features_select => self.state.device_features_select = value,
            .driver_features_select => self.state.driver_features_select = value,
            .driver_features => self.writeFeatures(value),
            .queue_select => self.state.queue_select = value,
            .queue_ready => if (self.selectedQueue()) |queue| {
                self.device.setQueueReady(queue, if (value & 1 != 0) .ready else .off);
            },
            else => self.writeQueueRegister(register, value),
        }
    }

    fn writeFeatures(self: *Mmio, value: u32) void {
        if (self.device.status.load(.acquire) & device_module.status_features_ok != 0) return;
        switch (self.state.driver_features_select) {
            0 => setLow(&self.device.driver_features, value),
            1 => setHigh(&self.device.driver_features, value),
            else => {},
        }
    }

    fn writeQueueRegister(self: *Mmio, register: Register, value: u32) void {
        const queue = self.selectedQueue() orelse return;
        if (queue.ready()) return;
        const state = &queue.state;
        switch (register) {
            .queue_size => state.size = value,
            .descriptors_low => setLow(&state.descriptor_address, value),
            .descriptors_high => setHigh(&state.descriptor_address, value),
            .available_low => setLow(&state.available_address, value),
            .available_high => setHigh(&state.available_address, value),
            .used_low => setLow(&state.used_address, value),
            .used_high => setHigh(&state.used_address, value),
            else => {},
        }
    }
};

fn setLow(target: *u64, value: u32) void {
    target.* = (target.* & 0xffff_ffff_0000_0000) | value;
}

fn setHigh(target: *u64, value: u32) void {
    target.* = (target.* & 0xffff_ffff) | (@as(u64, value) << 32);
}
