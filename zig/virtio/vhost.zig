//! Hands rings to the kernel's vhost and takes them back: what its devices have in common. It runs
//! on the loop's thread; none of these calls waits for anybody but the kernel's own worker.

const std = @import("std");
const errors = @import("../errors.zig");
const limits = @import("../limits.zig");
const loop_module = @import("../io/loop.zig");
const system = @import("../kernel/system.zig");
const kernel = @import("../kernel/vhost.zig");
const device_module = @import("device.zig");
const Device = device_module.Device;
const Ring = @import("served.zig").Ring;

/// Features of rings, which who serves them must have too.
pub const ring_features = device_module.feature_indirect | device_module.feature_event_index |
    device_module.feature_version_1;

pub const Vhost = struct {
    loop: *loop_module.Loop,
    /// Known from `prepare` on.
    device: *Device = undefined,
    /// Signalled by the kernel for what the guest has put into a ring and makes no sense.
    faults: loop_module.Source,

    /// `self` stays at one address until `close`. Errors: Host (eventfd, epoll).
    pub fn open(
        self: *Vhost,
        loop: *loop_module.Loop,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        self.* = .{
            .loop = loop,
            .faults = .{ .fd = -1, .context = self, .handler = handleFault },
        };
        try loop.addEvent(&self.faults, 0, failure);
    }

    /// Not on the loop's thread; no ring is away.
    pub fn close(self: *Vhost) void {
        self.loop.removeEvent(&self.faults);
    }

    /// Tells a descriptor what was negotiated and where memory is; returns 0 or the errno.
    pub fn prepare(self: *Vhost, device: *Device, fd: i32, features: u64) i32 {
        self.device = device;
        const refused = kernel.setFeatures(fd, features);
        if (refused != 0) return refused;
        const memory = device.memory;
        var table: kernel.Table(limits.memory_piece_count_max) = .{
            .count = @intCast(memory.piece_count),
            .regions = undefined,
        };
        for (memory.pieces[0..memory.piece_count], 0..) |piece, index| {
            table.regions[index] = .{
                .guest_address = piece.guest_address,
                .size = piece.size,
                .host_address = piece.host_address,
            };
        }
        return kernel.setMemory(fd, &table);
    }

    /// Describes a ring, which does not run yet; returns 0 or the errno.
    pub fn give(self: *const Vhost, fd: i32, index: u32, ring: *const Ring) i32 {
        const addresses: kernel.Addresses = .{
            .ring = index,
            .descriptors = ring.descriptors.host_address,
            .used = ring.used.host_address,
            .available = ring.available.host_address,
            .log = ring.used.guest_address,
        };
        const before = [_]struct { kernel.Setting, i64 }{
            .{ .size, ring.size },
            .{ .base, ring.next_available },
        };
        for (before) |step| {
            const errno = kernel.set(fd, index, step[0], step[1]);
            if (errno != 0) return errno;
        }
        const refused = kernel.setAddresses(fd, &addresses);
        if (refused != 0) return refused;
        const after = [_]struct { kernel.Setting, i64 }{
            .{ .error_fd, self.faults.fd },
            .{ .call_fd, ring.call_fd },
            .{ .kick_fd, ring.kick_fd },
        };
        for (after) |step| {
            const errno = kernel.set(fd, index, step[0], step[1]);
            if (errno != 0) return errno;
        }
        return 0;
    }

    /// Takes back a ring that does not run any more.
    pub fn take(self: *const Vhost, fd: i32, index: u32, queue_index: u16) void {
        const device = self.device;
        // All chains that it took are used: the kernel finishes before it stops.
        const used = device.queues[queue_index].usedIndex();
        const next_available = kernel.base(fd, index) orelse used;
        // The guest may set the queue up elsewhere before the kernel is told.
        _ = kernel.set(fd, index, .kick_fd, -1);
        device.served.giveBack(device, queue_index, next_available);
    }

    fn handleFault(context: *anyopaque, _: loop_module.Readiness) void {
        const self: *Vhost = @ptrCast(@alignCast(context));
        if (!system.eventfdTake(self.faults.fd)) return;
        self.device.work.lock();
        defer self.device.work.unlock();
        if (self.device.mayRun()) self.device.fail(.server);
    }
};
