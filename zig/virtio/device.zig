//! A virtio device apart from its registers (virtio 1.2, section 2): status, features, queues,
//! notifications, interrupts. Transports translate registers into calls of it; it calls the model.
//!
//! Locks, in order: the loop's guard, `registers`, `work`. A vCPU holds `registers` for a register
//! access and `work` when it touches queues; the loop's thread takes `work` only.

const std = @import("std");
const errors = @import("../errors.zig");
const limits = @import("../limits.zig");
const loop_module = @import("../io/loop.zig");
const system = @import("../kernel/system.zig");
const trace = @import("../trace/trace.zig");
const GuestMemory = @import("../memory/guest_memory.zig").GuestMemory;
const Doorbell = @import("../io/doorbell.zig").Doorbell;
const Line = @import("../bus/interrupt.zig").Line;
const Lock = @import("../lock.zig").Lock;
const QueueSet = @import("queue_set.zig").QueueSet;
const Served = @import("served.zig").Served;
const queue_module = @import("queue.zig");

pub const Model = @import("model.zig").Model;
pub const DrainMode = @import("model.zig").DrainMode;
pub const Queue = queue_module.Queue;

/// Device status bits (2.1).
const status_acknowledge = 1;
const status_driver = 2;
const status_driver_ok = 4;
pub const status_features_ok = 8;
pub const status_needs_reset = 64;
const status_failed = 128;

const status_all: u32 = status_acknowledge | status_driver | status_driver_ok | status_features_ok |
    status_needs_reset | status_failed;

/// Feature bits that no device type owns (6).
pub const feature_indirect: u64 = 1 << 28;
pub const feature_event_index: u64 = 1 << 29;
pub const feature_version_1: u64 = 1 << 32;

/// Bits of the interrupt status (4.2.2.1).
const interrupt_queue = 1;
const interrupt_config = 2;
const interrupt_all: u32 = interrupt_queue | interrupt_config;

/// How a transport raises an interrupt.
pub const Interrupt = union(enum) {
    line: *Line,

    fn queue(self: Interrupt, _: u16) void {
        switch (self) {
            .line => |line| line.pulse(),
        }
    }

    fn config(self: Interrupt) void {
        switch (self) {
            .line => |line| line.pulse(),
        }
    }

    /// The descriptor that raises a queue's interrupt when it is signalled; null without KVM.
    pub fn descriptor(self: Interrupt, _: u16) ?i32 {
        return switch (self) {
            .line => |line| if (line.fd >= 0) line.fd else null,
        };
    }
};

/// What a snapshot keeps beside the queues' states.
pub const State = extern struct {
    driver_features: u64 = 0,
    status: u32 = 0,
    interrupt_status: u32 = 0,
    config_generation: u32 = 0,
    broken: u32 = 0,
};

pub const Options = struct {
    memory: *const GuestMemory,
    loop: *loop_module.Loop,
    interrupt: Interrupt,
    model: Model,
    /// Rung when there is something to tell people: a fault or an I/O error.
    doorbell: ?*Doorbell = null,
};

/// What made a device ask for a reset, for the log and the tests.
pub const Fault = union(enum) {
    none,
    enable: queue_module.EnableError,
    queue: queue_module.Error,
    chain: @import("chain.zig").Error,
    /// A request that has no room for its header or its status.
    request_layout,
    /// Who serves the queues met something that it cannot use.
    server,

    /// Words for the log, such as "chain: ChainLength".
    pub fn format(self: Fault, writer: *std.Io.Writer) std.Io.Writer.Error!void {
        switch (self) {
            .none, .request_layout, .server => try writer.writeAll(@tagName(self)),
            inline else => |cause, tag| {
                try writer.print("{s}: {s}", .{ @tagName(tag), @errorName(cause) });
            },
        }
    }
};

const Notification = struct {
    source: loop_module.Source,
    device: *Device,
    queue_index: u16,
};

pub const Device = struct {
    registers: Lock = .{},
    work: Lock = .{},
    memory: *const GuestMemory,
    loop: *loop_module.Loop,
    interrupt: Interrupt,
    model: Model,
    doorbell: ?*Doorbell,
    /// Features that the device offers.
    features: u64,
    device_id: u32,
    /// What the device table calls it.
    id: u32 = 0,
    queue_count: u16,
    status: std.atomic.Value(u32) = .init(0),
    interrupt_status: std.atomic.Value(u32) = .init(0),
    config_generation: std.atomic.Value(u32) = .init(0),
    /// Guarded by `registers`.
    driver_features: u64 = 0,
    /// Guarded by `work`: the model may take chains.
    active: bool = false,
    broken: bool = false,
    paused: bool = false,
    fault: Fault = .none,
    /// Faults so far, over resets.
    fault_count: u64 = 0,
    /// Notifications handled so far.
    notification_count: u64 = 0,
    queues: [limits.queue_count_max]Queue = @splat(.{}),
    notifications: [limits.queue_count_max]Notification = undefined,
    served: Served = .{},

    /// `self` stays at one address until `deinit`.
    pub fn init(self: *Device, options: Options, failure: *errors.Failure) errors.CoreError!void {
        const identity = options.model.identity();
        if (identity.queue_count > limits.queue_count_max) return error.Limit;
        self.* = .{
            .memory = options.memory,
            .loop = options.loop,
            .interrupt = options.interrupt,
            .model = options.model,
            .doorbell = options.doorbell,
            .features = identity.features | feature_version_1,
            .device_id = identity.device_id,
            .queue_count = 0,
        };
        self.model.attach(self);
        errdefer self.removeNotifications();
        for (0..identity.queue_count) |index| {
            self.queues[index].size_max = identity.queue_size_max;
            self.queues[index].reset();
            try self.addNotification(@intCast(index), failure);
            self.queue_count += 1;
        }
        try self.served.open(self, identity.served_queues, failure);
        errdefer self.served.close(self);
        try self.loop.addBatch(.{ .context = self, .handler = endBatch });
    }

    fn addNotification(
        self: *Device,
        index: u16,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        const notification = &self.notifications[index];
        notification.* = .{
            .source = .{ .fd = -1, .context = notification, .handler = handleNotification },
            .device = self,
            .queue_index = index,
        };
        try self.loop.addEvent(&notification.source, index, failure);
    }

    /// Comes to rest and lets everything go. Not on the loop's thread, before the loop ends, and
    /// after the transport's windows are gone.
    pub fn deinit(self: *Device) void {
        self.reset();
        self.loop.removeBatch(self);
        self.served.close(self);
        self.removeNotifications();
    }

    fn removeNotifications(self: *Device) void {
        for (self.notifications[0..self.queue_count]) |*notification| {
            self.loop.remove(&notification.source);
            system.close(notification.source.fd);
        }
        self.queue_count = 0;
    }

    /// The eventfd that a guest's notification of a queue signals: for KVM's ioeventfd.
    pub fn notificationFd(self: *const Device, queue_index: u16) i32 {
        return self.notifications[queue_index].source.fd;
    }

    /// A notification that came as a register write. Takes no lock.
    pub fn kick(self: *const Device, queue_index: u32) void {
        if (queue_index >= self.queue_count) return;
        system.eventfdSignal(self.notifications[queue_index].source.fd);
    }

    pub fn negotiated(self: *const Device, feature: u64) bool {
        return self.driver_features & feature != 0;
    }

    /// A guest's write of the status register (2.1, 3.1.1); steps out of order are ignored.
    pub fn writeStatus(self: *Device, value: u32) void {
        self.registers.lock();
        defer self.registers.unlock();
        if (value == 0) return self.resetLocked();
        const before = self.status.load(.acquire);
        const asked = value & ~before;
        const plain = asked & (status_acknowledge | status_driver | status_failed);
        var now = self.status.fetchOr(plain, .acq_rel) | plain;
        const introduced = status_acknowledge | status_driver;
        if (asked & status_features_ok != 0 and now & introduced == introduced) {
            if (self.acceptFeatures()) now = self.addStatus(status_features_ok);
        }
        if (asked & status_driver_ok != 0 and now & status_features_ok != 0) self.activate();
    }

    fn addStatus(self: *Device, bits: u32) u32 {
        return self.status.fetchOr(bits, .acq_rel) | bits;
    }

    fn acceptFeatures(self: *Device) bool {
        if (self.driver_features & ~self.features != 0) return false;
        return self.driver_features & feature_version_1 != 0;
    }

    fn activate(self: *Device) void {
        self.work.lock();
        defer self.work.unlock();
        _ = self.addStatus(status_driver_ok);
        for (self.queues[0..self.queue_count]) |*queue| self.passFeatures(queue);
        trace.emit(.virtio_activate, .{ .device = self.id, .features = self.driver_features });
        self.model.activate(self.driver_features);
        self.active = true;
        self.served.look();
        self.kickAll();
    }

    fn passFeatures(self: *const Device, queue: *Queue) void {
        queue.setFeatures(.{
            .event_index = self.negotiated(feature_event_index),
            .indirect = self.negotiated(feature_indirect),
        });
    }

    /// Notifies the device of all queues that are ready. From any thread.
    pub fn kickAll(self: *const Device) void {
        for (0..self.queue_count) |index| {
            if (self.queues[index].ready()) self.kick(@intCast(index));
        }
    }

    /// Back to the state after `init`; waits until nothing is in flight. Not on the loop's thread.
    pub fn reset(self: *Device) void {
        self.registers.lock();
        defer self.registers.unlock();
        self.resetLocked();
    }

    fn resetLocked(self: *Device) void {
        trace.emit(.virtio_reset, .{ .device = self.id });
        self.work.lock();
        defer self.work.unlock();
        self.active = false;
        self.served.awaitReturn(self);
        self.model.drain(.abandon);
        for (self.queues[0..self.queue_count]) |*queue| queue.reset();
        self.driver_features = 0;
        self.broken = false;
        self.fault = .none;
        self.interrupt_status.store(0, .release);
        self.status.store(0, .release);
    }

    /// Finishes what is in flight and takes no new chains until `unpause`: for snapshots. Not on
    /// the loop's thread.
    pub fn pause(self: *Device) void {
        self.registers.lock();
        defer self.registers.unlock();
        self.work.lock();
        defer self.work.unlock();
        self.paused = true;
        self.served.awaitReturn(self);
        self.model.drain(.finish);
    }

    pub fn unpause(self: *Device) void {
        self.work.lock();
        defer self.work.unlock();
        self.paused = false;
        self.served.look();
        self.kickAll();
    }

    /// A guest's write of a queue's ready register. Register lock held.
    pub fn setQueueReady(self: *Device, queue: *Queue, wanted: Queue.Readiness) void {
        if (queue.ready() == (wanted == .ready)) return;
        self.work.lock();
        defer self.work.unlock();
        if (wanted == .off) {
            self.settle();
            return queue.disable();
        }
        queue.state.next_available = 0;
        queue.state.next_used = 0;
        queue.state.published_used = 0;
        self.passFeatures(queue);
        queue.enable(self.memory) catch |err| return self.fail(.{ .enable = err });
        // A server gets it together with the others.
        if (self.active and self.served.queues != 0) self.settle();
    }

    /// What a snapshot keeps beside the queues' states; the device is paused.
    pub fn save(self: *const Device) State {
        return .{
            .driver_features = self.driver_features,
            .status = self.status.load(.acquire),
            .interrupt_status = self.interrupt_status.load(.acquire),
            .config_generation = self.config_generation.load(.acquire),
            .broken = @intFromBool(self.broken),
        };
    }

    /// Takes over a saved state; the device is new and its memory restored. It runs at `unpause`.
    /// Error: Invalid, when the state is none that this device could have. The model follows.
    pub fn restore(
        self: *Device,
        state: State,
        queues: []const queue_module.State,
    ) errors.CoreError!void {
        if (queues.len != self.queue_count) return error.Invalid;
        if (state.driver_features & ~self.features != 0) return error.Invalid;
        if (state.status & ~status_all != 0 or state.broken > 1) return error.Invalid;
        if (state.interrupt_status & ~interrupt_all != 0) return error.Invalid;
        self.registers.lock();
        defer self.registers.unlock();
        self.work.lock();
        defer self.work.unlock();
        self.paused = true;
        self.driver_features = state.driver_features;
        for (self.queues[0..self.queue_count], queues) |*queue, saved| {
            queue.state = saved;
            queue.state.ready = 0;
            self.passFeatures(queue);
            if (saved.ready != 0) queue.enable(self.memory) catch return error.Invalid;
        }
        self.broken = state.broken != 0;
        self.status.store(state.status, .release);
        self.interrupt_status.store(state.interrupt_status, .release);
        self.config_generation.store(state.config_generation, .release);
        if (state.status & status_driver_ok == 0) return;
        self.model.activate(state.driver_features);
        self.active = true;
    }

    /// An interrupt that the guest has not acknowledged may have been on its way when it was saved:
    /// it comes again, and one too many does no harm.
    pub fn interruptAgain(self: *Device) void {
        if (self.interrupt_status.load(.acquire) != 0) self.interrupt.config();
    }

    /// Finishes what is in flight while the device stays active. Both locks held.
    fn settle(self: *Device) void {
        const paused = self.paused;
        self.paused = true;
        self.served.awaitReturn(self);
        self.model.drain(.finish);
        self.paused = paused;
        self.served.look();
        if (self.active) self.kickAll();
    }

    /// The guest broke the rules: no more chains are taken until it resets the device. Work lock
    /// held.
    pub fn fail(self: *Device, fault: Fault) void {
        self.fault_count += 1;
        trace.emit(.virtio_fault, .{ .device = self.id, .count = self.fault_count });
        if (self.broken) return;
        self.fault = fault;
        self.broken = true;
        self.served.look();
        self.tellHost();
        const status = self.addStatus(status_needs_reset);
        if (status & status_driver_ok != 0) self.interruptConfig();
    }

    /// There is news for the log. From any thread.
    pub fn tellHost(self: *const Device) void {
        if (self.doorbell) |doorbell| doorbell.ring(.device);
    }

    /// Shows the guest what was pushed to each queue of the set, which is empty then. Work lock
    /// held.
    pub fn publish(self: *Device, touched: *QueueSet) void {
        while (touched.takeFirst()) |index| self.publishQueue(index);
    }

    /// As `publish`, for one queue.
    pub fn publishQueue(self: *Device, queue_index: u16) void {
        const queue = &self.queues[queue_index];
        if (queue.ready() and queue.publish()) self.interruptQueue(queue_index);
    }

    /// Used buffers are there (2.7.7). From any thread.
    pub fn interruptQueue(self: *Device, queue_index: u16) void {
        trace.emit(.virtqueue_send_interrupt, .{ .device = self.id, .queue = queue_index });
        self.markUsed();
        self.interrupt.queue(queue_index);
    }

    /// As `interruptQueue`, for an interrupt that is raised already.
    pub fn markUsed(self: *Device) void {
        _ = self.interrupt_status.fetchOr(interrupt_queue, .acq_rel);
    }

    /// The interrupt status as a driver reads it.
    pub fn interruptStatus(self: *const Device) u32 {
        // In this order: the bit is set before it stands no more.
        const standing: u32 = if (self.served.standing.load(.acquire)) interrupt_queue else 0;
        return self.interrupt_status.load(.acquire) | standing;
    }

    fn interruptConfig(self: *Device) void {
        _ = self.interrupt_status.fetchOr(interrupt_config, .acq_rel);
        self.interrupt.config();
    }

    /// Config space has changed (2.5): to be called by the model after the change.
    pub fn configChanged(self: *Device) void {
        trace.emit(.virtio_config_changed, .{ .device = self.id });
        _ = self.config_generation.fetchAdd(1, .acq_rel);
        if (self.status.load(.acquire) & status_driver_ok != 0) self.interruptConfig();
    }

    /// Whether the model may take chains from the queue now. Work lock held.
    pub fn runnable(self: *const Device, queue_index: u16) bool {
        if (!self.mayRun() or self.served.serves(queue_index)) return false;
        return self.queues[queue_index].ready();
    }

    /// Whether chains may be taken, by the model or who serves its queues. Work lock held.
    pub fn mayRun(self: *const Device) bool {
        return self.active and !self.broken and !self.paused;
    }
};

fn handleNotification(context: *anyopaque, _: loop_module.Readiness) void {
    const notification: *Notification = @ptrCast(@alignCast(context));
    const device = notification.device;
    device.work.lock();
    defer device.work.unlock();
    const queue_index = notification.queue_index;
    // It is the server's to read, even what this turn of the loop fetched before.
    if (device.served.has(queue_index)) return;
    system.eventfdDrain(notification.source.fd);
    device.notification_count += 1;
    trace.emit(.virtio_receive_request, .{ .device = device.id, .queue = queue_index });
    if (device.runnable(queue_index)) device.model.notify(queue_index);
}

fn endBatch(context: *anyopaque) void {
    const device: *Device = @ptrCast(@alignCast(context));
    device.work.lock();
    defer device.work.unlock();
    device.model.endBatch();
}
