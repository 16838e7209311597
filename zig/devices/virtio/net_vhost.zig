//! virtio-net whose frames the kernel's vhost moves between the rings and the taps. Each pair of
//! queues has a /dev/vhost-net of its own, where they are rings 0 and 1. The control queue stays
//! here; the kernel knows no receive filter, which may let more through (virtio 1.2, 5.1.6.5.1).

const kernel = @import("../../kernel/vhost.zig");
const net_config = @import("net_config.zig");
const vhost = @import("../../virtio/vhost.zig");
const Net = @import("net.zig").Net;
const Ring = @import("../../virtio/served.zig").Ring;

const no_tap = -1;

pub const NetVhost = struct {
    vhost: vhost.Vhost = undefined,

    /// Has the kernel serve the rings; returns 0, or the errno after which it serves none.
    pub fn serve(self: *NetVhost, net: *Net, rings: []const Ring) i32 {
        for (rings, 0..) |*ring, count| {
            const is_first = count == 0 or rings[count - 1].queue_index / 2 != ring.queue_index / 2;
            var errno: i32 = if (is_first) self.prepare(net, ring) else 0;
            if (errno == 0) errno = self.start(net, ring);
            if (errno == 0) continue;
            for (rings[0..count]) |*started| stop(net, started.queue_index);
            return errno;
        }
        return 0;
    }

    fn prepare(self: *NetVhost, net: *Net, ring: *const Ring) i32 {
        const fd = net.params.vhostFd(ring.queue_index / 2);
        return self.vhost.prepare(net.device, fd, net.features & net_config.vhost_features);
    }

    fn start(self: *const NetVhost, net: *const Net, ring: *const Ring) i32 {
        const pair = ring.queue_index / 2;
        const index = ring.queue_index % 2;
        const fd = net.params.vhostFd(pair);
        const errno = self.vhost.give(fd, index, ring);
        if (errno != 0) return errno;
        return kernel.set(fd, index, .tap_fd, net.params.fd(pair));
    }

    /// Takes all rings back.
    pub fn release(self: *const NetVhost, net: *Net) void {
        for (0..2 * net.params.pair_count) |queue| {
            const queue_index: u16 = @intCast(queue);
            if (!net.device.served.has(queue_index)) continue;
            stop(net, queue_index);
            const fd = net.params.vhostFd(queue_index / 2);
            self.vhost.take(fd, queue_index % 2, queue_index);
        }
    }
};

/// Returns when the kernel's worker has let go of the ring. Never refused to the owner.
fn stop(net: *const Net, queue_index: u16) void {
    const fd = net.params.vhostFd(queue_index / 2);
    _ = kernel.set(fd, queue_index % 2, .tap_fd, no_tap);
}
