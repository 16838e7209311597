//! What the kinds of vhost-user devices differ in: identity, features, config space, and how many
//! queues their back ends serve (virtio 1.2, sections 5.1, 5.2 and 5.11; behaviour 4.3, 4.6).

const std = @import("std");
const device = @import("../../virtio/device.zig");
const limits = @import("../../limits.zig");
const net_config = @import("net_config.zig");
const Needs = @import("../../vhost_user/dialogue.zig").Needs;
const link = @import("../../vhost_user/link.zig");

pub const Kind = enum(u32) { blk = 0, net = 1, fs = 2 };

/// The number of queues is the user's: a back end with fewer is refused.
pub const flag_exact_queues = 1;

const tag_size = 36;

pub const Params = extern struct {
    kind: Kind,
    /// Request queues of a disk, pairs of a network.
    queue_count: u32 = 1,
    queue_size: u32 = 128,
    flags: u32 = 0,
    /// A sockaddr of the back end.
    address_size: u32,
    address: [link.address_size_max]u8 = @splat(0),
    /// A network's address.
    mac: net_config.Address = @splat(0),
    /// A shared folder's name, padded with zeroes.
    tag: [tag_size]u8 = @splat(0),

    /// Whether there can be such a device.
    pub fn isValid(self: *const Params) bool {
        if (self.queue_count == 0 or self.address_size > self.address.len) return false;
        if (self.queue_size < 4 or self.queue_size > limits.queue_size_max) return false;
        if (!std.math.isPowerOfTwo(self.queue_size)) return false;
        const most: u32 = switch (self.kind) {
            .blk => blk_queue_count_max,
            .net => net_config.pair_count_max,
            .fs => 1,
        };
        return self.queue_count <= most;
    }

    /// What is asked of the back end before the device is made.
    pub fn needs(self: *const Params) Needs {
        var made = self.needsOfKind();
        made.queue_size_max = @intCast(self.queue_size);
        return made;
    }

    fn needsOfKind(self: *const Params) Needs {
        return switch (self.kind) {
            .blk => .{
                .ring_count = if (self.flags & flag_exact_queues != 0)
                    @intCast(self.queue_count)
                else
                    1,
                .rings_always = 1,
                .config_size = blk_config_size,
                .ends_chains = true,
            },
            .net => .{ .ring_count = @intCast(2 * self.queue_count), .rings_per_count = 2 },
            .fs => .{ .ring_count = 2, .ends_chains = true },
        };
    }

    /// Queues of the guest's device: those of the back end and a network's control queue.
    pub fn queueCount(self: *const Params, ring_count: u16) u16 {
        return ring_count + @intFromBool(self.hasControlQueue());
    }

    fn hasControlQueue(self: *const Params) bool {
        return self.kind == .net and self.queue_count > 1;
    }
};

const blk_queue_count_max = 32;

/// `struct virtio_blk_config` up to the limits of write-zeroes: what every back end has.
const blk_config_size = 60;
const blk_write_back_offset = 32;
const blk_queue_count_offset = 34;

pub const blk_multi_queue: u64 = 1 << 12;
const blk_write_back: u64 = 1 << 11;

const ring_features = device.feature_indirect | device.feature_event_index |
    device.feature_version_1;

/// SIZE_MAX, SEG_MAX, GEOMETRY, RO, BLK_SIZE, FLUSH, TOPOLOGY, DISCARD, WRITE_ZEROES (5.2.3).
const blk_features: u64 = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 9 | 1 << 10 |
    1 << 13 | 1 << 14 | blk_write_back | blk_multi_queue;

/// The checksums, TSO, ECN and UFO of both sides, and mergeable buffers (5.1.3).
const net_features: u64 = 1 << 0 | 1 << 1 | 0x3f << 7 | 1 << 13 | 1 << 14 | 1 << 15;
const net_mac: u64 = 1 << 5;
const net_status: u64 = 1 << 16;
const net_control: u64 = 1 << 17;

/// Features that the back end carries out: a guest sees those that it offers.
pub fn passedFeatures(kind: Kind) u64 {
    return ring_features | switch (kind) {
        .blk => blk_features,
        .net => net_features,
        .fs => @as(u64, 0),
    };
}

/// Features that are carried out here.
pub fn ownFeatures(params: *const Params) u64 {
    if (params.kind != .net) return 0;
    const many = net_control | net_config.feature_multi_queue;
    return net_mac | net_status | if (params.hasControlQueue()) many else 0;
}

pub fn deviceId(kind: Kind) u32 {
    return switch (kind) {
        .net => 1,
        .blk => 2,
        .fs => 26,
    };
}

/// `struct virtio_fs_config` without the notification buffer (5.11.4).
const FsConfig = extern struct { tag: [tag_size]u8, request_queue_count: u32 = 1 };

/// Config space: the device's own, or the back end's with the queues that this device has.
pub fn readConfig(
    params: *const Params,
    back_end: struct { config: []const u8, ring_count: u16, is_up: bool },
    offset: usize,
    data: []u8,
) void {
    switch (params.kind) {
        .blk => {
            var bytes: [blk_config_size]u8 = undefined;
            @memcpy(&bytes, back_end.config[0..blk_config_size]);
            const count = bytes[blk_queue_count_offset..][0..2];
            std.mem.writeInt(u16, count, back_end.ring_count, .little);
            copy(&bytes, offset, data);
        },
        .net => copy(std.mem.asBytes(&net_config.Config{
            .mac = params.mac,
            .status = if (back_end.is_up) net_config.status_link_up else 0,
            .pair_count_max = @intCast(params.queue_count),
        }), offset, data),
        .fs => copy(std.mem.asBytes(&FsConfig{ .tag = params.tag }), offset, data),
    }
}

fn copy(bytes: []const u8, offset: usize, data: []u8) void {
    if (offset >= bytes.len) return;
    const size = @min(data.len, bytes.len - offset);
    @memcpy(data[0..size], bytes[offset..][0..size]);
}

/// Whether a driver that negotiated `features` may write these bytes of config space: only the
/// cache mode of a disk (5.2.6.2).
pub fn mayWrite(kind: Kind, features: u64, offset: usize, size: usize) bool {
    if (kind != .blk or features & blk_write_back == 0) return false;
    return offset == blk_write_back_offset and size == 1;
}

comptime {
    std.debug.assert(@sizeOf(FsConfig) == 40);
}
