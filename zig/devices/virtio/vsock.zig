//! virtio-vsock (virtio 1.2, section 5.10): sockets between host and guest. The kernel's vhost
//! serves both data queues. The event queue stays here: its one event tells a guest that was
//! restored from a snapshot that its connections are gone.

const std = @import("std");
const errors = @import("../../errors.zig");
const chain = @import("../../virtio/chain.zig");
const loop_module = @import("../../io/loop.zig");
const model = @import("../../virtio/model.zig");
const kernel = @import("../../kernel/vhost.zig");
const device_module = @import("../../virtio/device.zig");
const Device = device_module.Device;
const Ring = @import("../../virtio/served.zig").Ring;
const vhost = @import("../../virtio/vhost.zig");

const queue_count = 3;
/// Receive and transmit: rings 0 and 1 of the kernel's device too.
const served_count = 2;
const event_queue = 2;
const queue_size = 256;
/// More pieces than a buffer for one event needs; a longer chain is a fault.
const piece_count_max = 64;
/// VIRTIO_VSOCK_EVENT_TRANSPORT_RESET, all of `struct virtio_vsock_event` (5.10.6.7).
const event_transport_reset = [4]u8{ 0, 0, 0, 0 };

const feature_seqpacket = 1 << 1;

pub const Params = extern struct {
    /// An open /dev/vhost-vsock, which has the guest's address already; it stays the caller's.
    fd: i32,
    padding: u32 = 0,
    guest_cid: u64,
    /// What the kernel can do.
    features: u64,
};

/// What a snapshot keeps.
pub const State = extern struct { reset_pending: u32 = 0 };

pub const Vsock = struct {
    /// Set by the device that carries this model.
    device: *Device = undefined,
    params: Params,
    vhost: vhost.Vhost,
    features: u64 = 0,
    /// The guest is to hear that its connections are gone. Guarded, as all here, by the device's
    /// work lock.
    reset_pending: bool = false,
    event_pushed: bool = false,
    /// Failures of the host, and why the last one.
    error_count: u64 = 0,
    last_errno: i32 = 0,

    /// `self` stays at one address until `deinit`. Errors: Host (eventfd, epoll).
    pub fn init(
        self: *Vsock,
        params: Params,
        loop: *loop_module.Loop,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        self.* = .{ .params = params, .vhost = undefined };
        try self.vhost.open(loop, failure);
    }

    /// After the device that carries it is gone. Not on the loop's thread.
    pub fn deinit(self: *Vsock) void {
        self.vhost.close();
    }

    pub fn identity(self: *const Vsock) model.Identity {
        return .{
            .device_id = 19,
            .features = self.params.features & (vhost.ring_features | feature_seqpacket),
            .queue_count = queue_count,
            .queue_size_max = queue_size,
            .served_queues = (1 << served_count) - 1,
        };
    }

    pub fn activate(self: *Vsock, features: u64) void {
        self.features = features;
    }

    pub fn save(self: *const Vsock) State {
        return .{ .reset_pending = @intFromBool(self.reset_pending) };
    }

    /// The connections stayed with the machine that was saved.
    pub fn restore(self: *Vsock, _: State) error{Invalid}!void {
        self.reset_pending = true;
    }

    /// A driver that has only one of the queues has no device: the kernel takes both or none.
    pub fn serve(self: *Vsock, rings: []const Ring) bool {
        if (rings.len != served_count) return false;
        const errno = self.start(rings);
        if (errno == 0) return true;
        self.error_count += 1;
        self.last_errno = errno;
        self.device.fail(.server);
        return false;
    }

    fn start(self: *Vsock, rings: []const Ring) i32 {
        const fd = self.params.fd;
        const refused = self.vhost.prepare(self.device, fd, self.features & self.params.features);
        if (refused != 0) return refused;
        for (rings) |*ring| {
            const errno = self.vhost.give(fd, ring.queue_index, ring);
            if (errno != 0) return errno;
        }
        return kernel.setRunning(fd, .running);
    }

    pub fn release(self: *Vsock) void {
        const fd = self.params.fd;
        // Never refused to the owner of the device.
        _ = kernel.setRunning(fd, .resting);
        for (0..served_count) |index| self.vhost.take(fd, @intCast(index), @intCast(index));
    }

    /// Buffers for events wait until there is one.
    pub fn notify(self: *Vsock, _: u16) void {
        if (!self.reset_pending) return;
        const device = self.device;
        const queue = &device.queues[event_queue];
        const popped = queue.pop() catch |err| return device.fail(.{ .queue = err });
        const head = popped orelse return;
        var pieces: [piece_count_max]chain.Iovec = undefined;
        const found = chain.collect(queue, device.memory, head, &pieces) catch |err|
            return device.fail(.{ .chain = err });
        if (found.writable_length < event_transport_reset.len) return device.fail(.request_layout);
        _ = chain.copyTo(found.writable, &event_transport_reset);
        queue.push(head, event_transport_reset.len);
        self.reset_pending = false;
        self.event_pushed = true;
    }

    pub fn endBatch(self: *Vsock) void {
        if (!self.event_pushed) return;
        self.event_pushed = false;
        self.device.publishQueue(event_queue);
    }

    pub fn drain(self: *Vsock, mode: model.DrainMode) void {
        if (mode == .finish) return self.endBatch();
        // A driver that begins anew has no connections.
        self.reset_pending = false;
        self.event_pushed = false;
    }

    pub fn readConfig(self: *const Vsock, offset: usize, data: []u8) void {
        const bytes = std.mem.asBytes(&self.params.guest_cid);
        if (offset >= bytes.len) return;
        const size = @min(data.len, bytes.len - offset);
        @memcpy(data[0..size], bytes[offset..][0..size]);
    }

    /// Nothing of it is the driver's (5.10.4).
    pub fn writeConfig(_: *Vsock, _: usize, _: []const u8) void {}
};
