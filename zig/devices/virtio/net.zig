//! virtio-net (virtio 1.2, section 5.1): moves frames between the queues and a tap, each with one
//! system call straight from or to the guest's buffers. Nothing is in flight between two calls.

const std = @import("std");
const linux = std.os.linux;
const chain = @import("../../virtio/chain.zig");
const errors = @import("../../errors.zig");
const limits = @import("../../limits.zig");
const loop_module = @import("../../io/loop.zig");
const model = @import("../../virtio/model.zig");
const net_config = @import("net_config.zig");
const net_commands = @import("net_commands.zig");
const net_filter = @import("net_filter.zig");
const net_receive = @import("net_receive.zig");
const net_replace = @import("net_replace.zig");
const net_state = @import("net_state.zig");
const net_vhost = @import("net_vhost.zig");
const system = @import("../../kernel/system.zig");
const tap = @import("../../kernel/tap.zig");
const trace = @import("../../trace/trace.zig");
const Device = @import("../../virtio/device.zig").Device;
const QueueSet = @import("../../virtio/queue_set.zig").QueueSet;
const Ring = @import("../../virtio/served.zig").Ring;

pub const Params = net_config.Params;
const Counters = net_config.Counters;

/// UIO_MAXIOV of the kernel.
const piece_count_max = 1024;

/// A tap queue with its receive queue (2 * index) and its send queue (one more).
const Pair = struct {
    net: *Net,
    index: u16,
    source: loop_module.Source,
    /// The guest has buffers for frames.
    wants_input: bool = false,
    /// The tap is full: the next frame waits in the send queue.
    wants_output: bool = false,
    /// Null until a driver wants something of the tap.
    watched: ?loop_module.Interest = null,
    /// The interface does not exist any more.
    gone: bool = false,
    attached: bool = true,
    /// The next frame for the guest, which waits for more buffers.
    rest: net_receive.Rest = .{},
    expectation: net_receive.Expectation = .{},

    /// Has the loop watch for what is wanted. Loop thread.
    fn watch(self: *Pair) void {
        if (self.gone) return;
        const interest: loop_module.Interest = if (self.wants_input)
            (if (self.wants_output) .both else .readable)
        else
            (if (self.wants_output) .writable else .none);
        if (self.watched) |watched| {
            if (interest == watched) return;
            self.watched = interest;
            return self.net.loop.modify(&self.source, interest);
        }
        var failure: errors.Failure = .{};
        self.net.loop.add(&self.source, interest, &failure) catch
            return self.net.hostFailed(failure.errno);
        self.watched = interest;
    }
};

pub const Net = struct {
    /// Set by the device that carries this model.
    device: *Device = undefined,
    params: Params,
    /// Flags of the start, from which the features were made.
    offered_flags: u32,
    loop: *loop_module.Loop,
    /// Guarded, like all below, by the device's work lock.
    pairs: [net_config.pair_count_max]Pair = undefined,
    /// Pairs that the driver uses.
    active_count: u16 = 1,
    /// The tap knows what this driver negotiated. Its calls are the loop thread's alone.
    configured: bool = false,
    features: u64 = 0,
    filter: net_filter.Filter = .{},
    /// Little endian in the low six bytes; config space reads it without the lock.
    mac: std.atomic.Value(u64),
    link_up: std.atomic.Value(bool) = .init(true),
    /// Queues with used chains that the guest has not been told of.
    touched: QueueSet = .{},
    pieces: [piece_count_max]chain.Iovec = undefined,
    gathered: net_receive.Gathered = .{},
    /// For the frames that wait, one a pair; touched when the first does.
    rests: []u8 = &.{},
    counters: Counters = .{},
    /// Who moves the frames instead: the kernel. Null: this model.
    vhost: ?net_vhost.NetVhost = null,

    /// `self` stays at one address until `deinit`, and the descriptors open. Errors: Invalid, Host.
    pub fn init(
        self: *Net,
        params: Params,
        loop: *loop_module.Loop,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        if (params.pair_count == 0) return error.Invalid;
        if (params.pair_count > net_config.pair_count_max) return error.Invalid;
        const size = params.queue_size;
        if (size < net_config.queue_size_min or size > limits.queue_size_max) return error.Invalid;
        if (!std.math.isPowerOfTwo(size)) return error.Invalid;
        self.* = .{
            .params = params,
            .offered_flags = params.flags,
            .loop = loop,
            .mac = .init(addressBits(params.mac)),
            .link_up = .init(params.fd(0) >= 0),
        };
        if (params.has(net_config.flag_vhost)) {
            self.vhost = .{};
            try self.vhost.?.vhost.open(loop, failure);
        }
        errdefer if (self.vhost) |*held| held.vhost.close();
        const mapped = system.map(.{ .size = params.pair_count * net_receive.rest_size });
        if (!mapped.ok()) return failure.set(.memory_map, mapped.errno, net_receive.rest_size);
        const bytes: [*]u8 = @ptrFromInt(mapped.value);
        self.rests = bytes[0 .. params.pair_count * net_receive.rest_size];
        for (self.pairs[0..params.pair_count], 0..) |*pair, index| {
            const rest = self.rests[index * net_receive.rest_size ..][0..net_receive.rest_size];
            pair.* = .{
                .net = self,
                .index = @intCast(index),
                .rest = .{ .bytes = rest },
                .gone = params.fd(index) < 0,
                .source = .{ .fd = params.fd(index), .context = pair, .handler = handleTap },
            };
        }
    }

    /// After the device that carries it is gone. Not on the loop's thread.
    pub fn deinit(self: *Net) void {
        for (self.pairs[0..self.params.pair_count]) |*pair| {
            if (pair.watched != null and !pair.gone) self.loop.remove(&pair.source);
        }
        if (self.vhost) |*held| held.vhost.close();
        system.unmap(@intFromPtr(self.rests.ptr), self.rests.len);
    }

    pub fn identity(self: *const Net) model.Identity {
        return .{
            .device_id = 1,
            .features = net_config.offeredFeatures(&self.params),
            .queue_count = self.params.queueCount(),
            .queue_size_max = @intCast(self.params.queue_size),
            .served_queues = self.params.servedQueues(),
        };
    }

    pub fn serve(self: *Net, rings: []const Ring) bool {
        if (!self.configured) self.configure();
        // Not for frames: an interface that is removed shows here.
        for (self.pairs[0..self.params.pair_count]) |*pair| pair.watch();
        const held = if (self.vhost) |*held| held else return false;
        const errno = held.serve(self, rings);
        if (errno == 0) return true;
        self.hostFailed(errno);
        self.device.fail(.server);
        return false;
    }

    pub fn release(self: *Net) void {
        if (self.vhost) |*held| held.release(self);
    }

    pub fn activate(self: *Net, features: u64) void {
        self.features = features;
        self.configured = false;
        self.filter.by_vlan = features & net_config.feature_control_vlan != 0;
    }

    pub const replace = net_replace.replace;
    pub const save = net_state.save;
    pub const restore = net_state.restore;

    pub fn readConfig(self: *const Net, offset: usize, data: []u8) void {
        const bits = self.mac.load(.acquire);
        const config: net_config.Config = .{
            .mac = std.mem.asBytes(&std.mem.nativeToLittle(u64, bits))[0..6].*,
            .status = if (self.link_up.load(.acquire)) net_config.status_link_up else 0,
            .pair_count_max = @intCast(self.params.pair_count),
        };
        const bytes = std.mem.asBytes(&config);
        if (offset >= bytes.len) return;
        const size = @min(data.len, bytes.len - offset);
        @memcpy(data[0..size], bytes[offset..][0..size]);
    }

    /// The address is changed by the control queue; nothing here can be written (5.1.4.2).
    pub fn writeConfig(_: *Net, _: usize, _: []const u8) void {}

    pub fn notify(self: *Net, queue_index: u16) void {
        if (!self.configured) self.configure();
        const pair_index = queue_index / 2;
        if (pair_index == self.params.pair_count) return net_commands.run(self, queue_index);
        if (pair_index >= self.active_count) return;
        const pair = &self.pairs[pair_index];
        if (queue_index % 2 == 1) {
            if (!pair.wants_output) self.send(pair);
        } else {
            self.device.queues[queue_index].disableNotifications();
            pair.wants_input = true;
            // The tap does not know of a frame that waits here.
            if (pair.rest.size != 0) self.receive(pair);
        }
        pair.watch();
    }

    /// Tells the tap what this driver takes. Loop thread.
    fn configure(self: *Net) void {
        self.configured = true;
        _ = self.attachQueues();
        if (!self.params.has(net_config.flag_offload)) return;
        for (self.pairs[0..self.params.pair_count]) |*pair| {
            const errno = tap.setOffload(pair.source.fd, net_config.offloads(self.features));
            if (errno != 0 and !pair.gone) self.hostFailed(errno);
        }
    }

    /// Has the interface use the active pairs' queues and no others; false when it does not.
    fn attachQueues(self: *Net) bool {
        if (!self.params.has(net_config.flag_tap_queues)) return true;
        for (self.pairs[0..self.params.pair_count]) |*pair| {
            const wanted = pair.index < self.active_count;
            if (pair.attached == wanted or pair.gone) continue;
            const errno = tap.setQueue(pair.source.fd, if (wanted) .attached else .detached);
            if (errno != 0) {
                self.hostFailed(errno);
                return false;
            }
            pair.attached = wanted;
        }
        return true;
    }

    fn hostFailed(self: *Net, errno: i32) void {
        self.counters.error_count += 1;
        // One line in the log for a run of the same failure.
        if (self.counters.last_errno == errno) return;
        self.counters.last_errno = errno;
        self.device.tellHost();
    }

    fn send(self: *Net, pair: *Pair) void {
        const queue_index = 2 * pair.index + 1;
        const queue = &self.device.queues[queue_index];
        var rest: u32 = limits.net_frame_count_max;
        for (0..limits.queue_pass_count_max) |_| {
            queue.disableNotifications();
            while (rest != 0) : (rest -= 1) {
                const popped = queue.pop() catch |err| return self.device.fail(.{ .queue = err });
                const head = popped orelse break;
                switch (self.sendFrame(pair, head)) {
                    .done => queue.push(head, 0),
                    .full => {
                        queue.putBack(1);
                        pair.wants_output = true;
                        return;
                    },
                    .broken => return,
                }
                self.touched.add(queue_index);
            }
            if (rest == 0) break;
            if (!queue.enableNotifications()) return;
        }
        // Other devices of the loop get their turn first.
        self.device.kick(queue_index);
    }

    const Sending = enum { done, full, broken };

    fn sendFrame(self: *Net, pair: *Pair, head: u16) Sending {
        const queue = &self.device.queues[2 * pair.index + 1];
        const found = chain.collect(queue, self.device.memory, head, &self.pieces) catch |err| {
            self.device.fail(.{ .chain = err });
            return .broken;
        };
        if (found.readable_length < tap.header_size) {
            self.device.fail(.request_layout);
            return .broken;
        }
        // No cable: the frame is lost.
        if (pair.source.fd < 0) return .done;
        const pieces = found.readable;
        // An offset of -1 means none: the filter of this thread allows no writev beside.
        const raw = linux.pwritev2(pair.source.fd, @ptrCast(pieces.ptr), pieces.len, -1, 0);
        const answer = system.result(raw);
        switch (answer.errno) {
            0 => {
                self.counters.sent_count += 1;
                self.counters.sent_bytes += answer.value - tap.header_size;
                trace.emit(.virtio_net_send, .{
                    .device = self.device.id,
                    .pair = pair.index,
                    .len = answer.value,
                });
            },
            system.EAGAIN => return .full,
            else => |errno| {
                self.counters.dropped_count += 1;
                trace.emit(.virtio_net_drop, .{
                    .device = self.device.id,
                    .pair = pair.index,
                    .errno = errno,
                });
                if (!tap.isFrameLoss(errno)) self.hostFailed(errno);
            },
        }
        return .done;
    }

    fn receive(self: *Net, pair: *Pair) void {
        const queue_index = 2 * pair.index;
        const queue = &self.device.queues[queue_index];
        const gathered = &self.gathered;
        defer gathered.giveBack(self.device, queue_index);
        for (0..limits.net_frame_count_max) |_| {
            const room = @max(pair.expectation.room(), pair.rest.size);
            const size = if (self.mergeable()) room else 1;
            if (!gathered.fill(self.device, queue_index, size)) return;
            if (gathered.room == 0 or gathered.room < pair.rest.size) {
                if (pair.rest.size != 0 and gathered.cannotGrow(queue.state.size)) {
                    self.skip(pair);
                    continue;
                }
                if (queue.enableNotifications()) {
                    queue.disableNotifications();
                    continue;
                }
                pair.wants_input = false;
                return;
            }
            if (!self.receiveFrame(pair)) return;
        }
    }

    fn skip(self: *Net, pair: *Pair) void {
        pair.rest.size = 0;
        self.counters.skipped_count += 1;
    }

    /// False when the tap has no frame.
    fn receiveFrame(self: *Net, pair: *Pair) bool {
        const gathered = &self.gathered;
        if (pair.rest.size != 0) {
            gathered.write(&pair.rest);
            self.deliver(pair, pair.rest.size);
            pair.rest.size = 0;
            return true;
        }
        const pieces = gathered.target(&pair.rest);
        const answer = system.result(linux.preadv2(pair.source.fd, pieces.ptr, pieces.len, -1, 0));
        if (answer.errno == system.EAGAIN) return false;
        if (!answer.ok()) {
            self.hostFailed(answer.errno);
            return false;
        }
        pair.expectation.take(answer.value);
        if (!self.isWanted(answer.value)) {
            self.counters.skipped_count += 1;
        } else if (answer.value <= gathered.room) {
            self.deliver(pair, answer.value);
        } else if (self.mergeable() and answer.value <= net_receive.frame_size_max) {
            gathered.keep(&pair.rest, answer.value);
        } else {
            self.counters.skipped_count += 1;
        }
        return true;
    }

    fn deliver(self: *Net, pair: *Pair, size: u64) void {
        const queue_index = 2 * pair.index;
        self.gathered.deliver(self.device, queue_index, size);
        self.counters.received_count += 1;
        self.counters.received_bytes += size - tap.header_size;
        trace.emit(.virtio_net_receive, .{
            .device = self.device.id,
            .pair = pair.index,
            .len = size,
        });
        // At once: the guest works on it while the next one is read.
        self.device.publishQueue(queue_index);
    }

    fn mergeable(self: *const Net) bool {
        return self.features & net_config.feature_mergeable != 0;
    }

    fn isWanted(self: *const Net, size: u64) bool {
        if (size < tap.header_size + net_filter.frame_size_min) return false;
        var bytes: [net_filter.look_size]u8 = undefined;
        const frame = self.gathered.look(&bytes, size);
        return self.filter.accepts(frame, bitsAddress(self.mac.load(.monotonic)));
    }

    /// Uses so many pairs from now on; false when there are not so many, or the tap refuses.
    pub fn setPairs(self: *Net, count: u16) bool {
        if (self.features & net_config.feature_multi_queue == 0) return false;
        if (count == 0 or count > self.params.pair_count) return false;
        const before = self.active_count;
        self.active_count = count;
        if (!self.attachQueues()) {
            self.active_count = before;
            _ = self.attachQueues();
            return false;
        }
        for (self.pairs[0..self.params.pair_count]) |*pair| {
            if (pair.index >= count) {
                pair.wants_input = false;
                pair.wants_output = false;
            }
            pair.watch();
        }
        self.device.kickAll();
        return true;
    }

    pub fn endBatch(self: *Net) void {
        self.device.publish(&self.touched);
    }

    /// See `Model.drain`. Nothing is in flight; a reset forgets what the driver has said.
    pub fn drain(self: *Net, mode: model.DrainMode) void {
        if (mode == .finish) return self.endBatch();
        self.touched = .{};
        self.active_count = 1;
        self.filter = .{};
        self.mac.store(addressBits(self.params.mac), .release);
        for (self.pairs[0..self.params.pair_count]) |*pair| {
            pair.wants_input = false;
            pair.wants_output = false;
            pair.rest.size = 0;
        }
    }

    /// The interface was removed: its descriptor stays ready for ever and is watched no more.
    /// What the guest sends is dropped.
    fn lose(self: *Net, pair: *Pair) void {
        self.loop.removeFromHandler(&pair.source);
        pair.gone = true;
        pair.wants_output = false;
        self.device.kickAll();
        self.hostFailed(errno_no_device);
        self.link_up.store(false, .release);
        self.device.configChanged();
    }

    fn handleTap(context: *anyopaque, ready: loop_module.Readiness) void {
        const pair: *Pair = @ptrCast(@alignCast(context));
        const self = pair.net;
        self.device.work.lock();
        defer self.device.work.unlock();
        if (ready.hung_up) return self.lose(pair);
        if (ready.writable and pair.wants_output) {
            pair.wants_output = false;
            if (self.device.runnable(2 * pair.index + 1)) self.send(pair);
        }
        if (ready.readable and pair.wants_input) {
            if (self.device.runnable(2 * pair.index)) {
                self.receive(pair);
            } else pair.wants_input = false;
        }
        pair.watch();
    }
};

const errno_no_device = 19;

pub fn addressBits(address: net_config.Address) u64 {
    var bytes: [8]u8 = @splat(0);
    bytes[0..net_config.address_size].* = address;
    return std.mem.readInt(u64, &bytes, .little);
}

pub fn bitsAddress(bits: u64) net_config.Address {
    var bytes: [8]u8 = undefined;
    std.mem.writeInt(u64, &bytes, bits, .little);
    return bytes[0..net_config.address_size].*;
}
