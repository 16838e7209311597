//! A virtio device whose queues another process serves over vhost-user: a disk, a network, a shared
//! folder. The guest's notifications go straight to the back end; its interrupts come through the
//! loop, which keeps the interrupt status. A back end that is gone costs the guest time, not data.

const std = @import("std");
const chain = @import("../../virtio/chain.zig");
const errors = @import("../../errors.zig");
const kinds = @import("vhost_user_kind.zig");
const limits = @import("../../limits.zig");
const link_module = @import("../../vhost_user/link.zig");
const loop_module = @import("../../io/loop.zig");
const model = @import("../../virtio/model.zig");
const net_config = @import("net_config.zig");
const net_control = @import("net_control.zig");
const protocol = @import("../../vhost_user/message.zig");
const Device = @import("../../virtio/device.zig").Device;
const Filter = @import("net_filter.zig").Filter;
const Link = link_module.Link;
const Lock = @import("../../lock.zig").Lock;
const Queue = @import("../../virtio/device.zig").Queue;
const Ring = @import("../../virtio/served.zig").Ring;
const Table = @import("../../vhost_user/memory_table.zig").Table;

pub const Params = kinds.Params;

/// Descriptors of one command.
const piece_count_max = 64;

/// What a snapshot keeps.
pub const State = extern struct { pair_count: u32 = 1 };

pub const VhostUser = struct {
    /// Set by the device that carries this model; not there while the first back end is met.
    device: *Device = undefined,
    is_attached: std.atomic.Value(bool) = .init(false),
    params: Params,
    loop: *loop_module.Loop,
    link: Link = undefined,
    /// What the first back end offered of what a guest may see: its successors must, too.
    passed_features: u64 = 0,
    /// Guarded, as the next, by the device's work lock: what this driver negotiated.
    features: u64 = 0,
    /// The pairs of a network that the driver uses.
    pair_count: u16 = 1,
    /// The guest has reset its device since the dialogue was told of it.
    was_reset: std.atomic.Value(bool) = .init(false),
    /// As it was when the loop's thread last looked, for news to guest and people.
    is_up: std.atomic.Value(bool) = .init(false),
    guard: Lock = .{},
    /// Guarded by `guard`: config space of the back end, and what the driver wrote there.
    config: [protocol.config_size_max]u8 = @splat(0),
    written: ?Written = null,
    /// Control queue chains that the guest has not been told of.
    touched: bool = false,
    pieces: [piece_count_max]chain.Iovec = undefined,

    const Written = struct { offset: usize, value: u8 };

    /// Meets the back end, which takes as long as that needs, but not for ever. `self` stays at one
    /// address until `deinit`. Errors: Invalid, Host (back_end: value is a Cause).
    pub fn init(
        self: *VhostUser,
        params: Params,
        loop: *loop_module.Loop,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        if (!params.isValid()) return error.Invalid;
        self.* = .{ .params = params, .loop = loop };
        try self.link.init(.{
            .loop = loop,
            .address = self.params.address[0..params.address_size],
            .needs = params.needs(),
            .context = self,
            .turned = handleTurn,
        }, failure);
        errdefer self.link.deinit();
        const report = self.link.awaitFirst(limits.vhost_user_start_ns);
        if (!report.is_up) return failure.set(.back_end, report.errno, @backingInt(report.cause));
        self.settleQueues();
    }

    /// How many queues the device has, where that was left to its back end.
    fn settleQueues(self: *VhostUser) void {
        self.loop.guard.lock();
        defer self.loop.guard.unlock();
        const dialogue = &self.link.dialogue;
        const told = &dialogue.told;
        var passed = dialogue.offered & kinds.passedFeatures(self.params.kind);
        if (self.params.kind == .blk) {
            const exact = self.params.flags & kinds.flag_exact_queues != 0;
            if (!exact and passed & kinds.blk_multi_queue != 0) {
                const most = @min(told.queue_limit orelse 1, self.params.queue_count);
                dialogue.needs.ring_count = @intCast(@max(most, 1));
            }
            if (dialogue.needs.ring_count == 1) passed &= ~kinds.blk_multi_queue;
        }
        self.passed_features = passed;
        dialogue.required = passed;
    }

    /// After the device that carries it is gone. Not on the loop's thread.
    pub fn deinit(self: *VhostUser) void {
        self.link.deinit();
    }

    pub fn identity(self: *const VhostUser) model.Identity {
        const ring_count = self.link.dialogue.needs.ring_count;
        return .{
            .device_id = kinds.deviceId(self.params.kind),
            .features = self.passed_features | kinds.ownFeatures(&self.params),
            .queue_count = self.params.queueCount(ring_count),
            .queue_size_max = @intCast(self.params.queue_size),
            .served_queues = (@as(u64, 1) << @intCast(ring_count)) - 1,
        };
    }

    pub fn attach(self: *VhostUser, device: *Device) void {
        self.device = device;
        self.is_attached.store(true, .release);
        self.link.wake();
    }

    pub fn activate(self: *VhostUser, features: u64) void {
        self.features = features;
        self.pair_count = 1;
    }

    pub fn save(self: *const VhostUser) State {
        return .{ .pair_count = self.pair_count };
    }

    pub fn restore(self: *VhostUser, state: State) error{Invalid}!void {
        if (state.pair_count == 0 or state.pair_count > self.params.queue_count) {
            return error.Invalid;
        }
        self.pair_count = @intCast(state.pair_count);
    }

    /// See `Model.serve`.
    pub fn serve(self: *VhostUser, rings: []const Ring) bool {
        self.takeReset();
        if (!self.link.isUp()) return false;
        const dialogue = &self.link.dialogue;
        dialogue.memory = Table.of(self.device.memory) catch return self.refuse();
        for (rings) |*ring| {
            if (!isIn(&dialogue.memory, ring)) return self.refuse();
        }
        dialogue.active = true;
        dialogue.features = self.features & dialogue.offered;
        for (rings) |*given| {
            const ring = &dialogue.rings[given.queue_index];
            ring.place = .{
                .size = given.size,
                .descriptors = given.descriptors.host_address,
                .available = given.available.host_address,
                .used = given.used.host_address,
                .kick_fd = given.kick_fd,
                .call_fd = given.call_fd,
            };
            ring.base = given.next_available;
            ring.wanted = true;
        }
        self.enablePairs();
        self.link.wake();
        return true;
    }

    fn refuse(self: *VhostUser) bool {
        self.device.fail(.server);
        return false;
    }

    /// Whether each part of a ring lies in one region: only there its addresses follow each other
    /// for the back end too (virtio 1.2, 2.7 has the sizes).
    fn isIn(memory: *const Table, ring: *const Ring) bool {
        const size: u64 = ring.size;
        return memory.holds(ring.descriptors.host_address, 16 * size) and
            memory.holds(ring.available.host_address, 6 + 2 * size) and
            memory.holds(ring.used.host_address, 6 + 8 * size);
    }

    /// See `Model.release`; the rings come back when the back end has answered, or is given up.
    pub fn release(self: *VhostUser) void {
        for (&self.link.dialogue.rings) |*ring| ring.wanted = false;
        self.link.stopInTime();
    }

    /// Tells the dialogue of a reset that another thread has seen. Loop thread.
    fn takeReset(self: *VhostUser) void {
        if (self.was_reset.swap(false, .acq_rel)) self.link.dialogue.forget();
    }

    fn enablePairs(self: *VhostUser) void {
        if (self.params.kind != .net) return;
        for (&self.link.dialogue.rings, 0..) |*ring, index| {
            ring.enabled = index / 2 < self.pair_count;
        }
    }

    /// See `Model.drain`. The rings are back; a reset forgets what the driver has said.
    pub fn drain(self: *VhostUser, mode: model.DrainMode) void {
        if (mode == .finish) return self.endBatch();
        self.touched = false;
        self.was_reset.store(true, .release);
        self.link.wake();
    }

    /// Something happened between the link and its back end.
    fn handleTurn(context: *anyopaque) void {
        const self: *VhostUser = @ptrCast(@alignCast(context));
        self.takeReset();
        self.takeWritten();
        const changed = self.takeConfig();
        const is_up = self.link.isUp();
        const was_up = self.is_up.swap(is_up, .acq_rel);
        if (!self.is_attached.load(.acquire)) return;
        const device = self.device;
        device.work.lock();
        defer device.work.unlock();
        self.giveBack();
        if (is_up != was_up) device.tellHost();
        const is_net = self.params.kind == .net;
        if (changed or (is_net and is_up != was_up)) device.configChanged();
        if (is_up and device.served.away == 0) device.served.look();
    }

    fn giveBack(self: *VhostUser) void {
        const dialogue = &self.link.dialogue;
        for (dialogue.rings[0..dialogue.needs.ring_count], 0..) |*ring, position| {
            const index: u16 = @intCast(position);
            if (!self.device.served.has(index) or !dialogue.isBack(index)) continue;
            self.device.served.giveBack(self.device, index, ring.base);
            // A back end that went may have used buffers and not said so.
            if (!self.link.isUp()) self.device.interruptQueue(index);
        }
    }

    /// Keeps a changed config space for readers; true when the guest should look.
    fn takeConfig(self: *VhostUser) bool {
        const dialogue = &self.link.dialogue;
        if (!dialogue.config_changed) return false;
        dialogue.config_changed = false;
        self.guard.lock();
        defer self.guard.unlock();
        self.config = dialogue.config;
        return true;
    }

    fn takeWritten(self: *VhostUser) void {
        self.guard.lock();
        defer self.guard.unlock();
        const written = self.written orelse return;
        self.written = null;
        self.link.dialogue.writeConfig(written.offset, written.value);
        self.link.wake();
    }

    pub fn readConfig(self: *VhostUser, offset: usize, data: []u8) void {
        self.guard.lock();
        defer self.guard.unlock();
        kinds.readConfig(&self.params, .{
            .config = &self.config,
            .ring_count = self.link.dialogue.needs.ring_count,
            .is_up = self.is_up.load(.acquire),
        }, offset, data);
    }

    /// The cache mode of a disk goes to its back end; nothing else can be written.
    pub fn writeConfig(self: *VhostUser, offset: usize, data: []const u8) void {
        const features = self.device.driver_features;
        if (!kinds.mayWrite(self.params.kind, features, offset, data.len)) return;
        self.guard.lock();
        defer self.guard.unlock();
        self.config[offset] = data[0];
        self.written = .{ .offset = offset, .value = data[0] };
        self.link.wake();
    }

    /// Commands of a network's control queue, which is the one that is not served elsewhere.
    pub fn notify(self: *VhostUser, queue_index: u16) void {
        const queue = &self.device.queues[queue_index];
        for (0..limits.queue_pass_count_max) |_| {
            queue.disableNotifications();
            for (0..queue.state.size) |_| {
                const popped = queue.pop() catch |err| return self.device.fail(.{ .queue = err });
                const head = popped orelse break;
                if (!self.runCommand(queue, head)) return;
                self.touched = true;
            }
            if (!queue.enableNotifications()) return;
        }
        self.device.kick(queue_index);
    }

    /// False when the chain is not that of a command.
    fn runCommand(self: *VhostUser, queue: *Queue, head: u16) bool {
        const memory = self.device.memory;
        const found = chain.collect(queue, memory, head, &self.pieces) catch |err| {
            self.device.fail(.{ .chain = err });
            return false;
        };
        if (found.readable_length < net_control.header_size or found.writable_length == 0) {
            self.device.fail(.request_layout);
            return false;
        }
        var filter: Filter = .{};
        // Without the features for them, no other command is for this device.
        const answer: net_control.Answer = switch (net_control.execute(&filter, found.readable)) {
            .pair_count => |count| self.usePairs(count),
            .none, .refused, .address => .refused,
        };
        _ = chain.copyTo(found.writable, &.{@backingInt(answer)});
        queue.push(head, 1);
        return true;
    }

    fn usePairs(self: *VhostUser, count: u16) net_control.Answer {
        if (self.features & net_config.feature_multi_queue == 0) return .refused;
        if (count == 0 or count > self.params.queue_count) return .refused;
        self.pair_count = count;
        self.enablePairs();
        self.link.wake();
        return .ok;
    }

    pub fn endBatch(self: *VhostUser) void {
        if (!self.touched) return;
        self.touched = false;
        self.device.publishQueue(self.link.dialogue.needs.ring_count);
    }
};
