//! What the host decides about a virtio-net device (parameters) and what the guest sees of it
//! (feature bits and config space; virtio 1.2, sections 5.1.3 and 5.1.4).

const std = @import("std");
const device = @import("../../virtio/device.zig");
const vhost = @import("../../virtio/vhost.zig");
const tap = @import("../../kernel/tap.zig");

/// Pairs of queues of one device (guidebook 2.3).
pub const pair_count_max = 16;
pub const queue_size_min = 4;
pub const address_size = 6;
pub const Address = [address_size]u8;

/// The tap does checksums and TSO, and these beside.
pub const flag_offload = 1;
pub const flag_ufo = 2;
/// The descriptors are queues of one tap that come and go with the driver's pairs.
pub const flag_tap_queues = 4;
/// The kernel moves the frames, with a descriptor of /dev/vhost-net for each pair.
pub const flag_vhost = 8;

pub const Counters = struct {
    received_count: u64 = 0,
    received_bytes: u64 = 0,
    sent_count: u64 = 0,
    sent_bytes: u64 = 0,
    /// Frames that the guest does not want, or has no buffer long enough for.
    skipped_count: u64 = 0,
    /// Frames from the guest that the tap did not take.
    dropped_count: u64 = 0,
    /// Failures of the host, and why the last one.
    error_count: u64 = 0,
    last_errno: i32 = 0,
};

pub const Params = extern struct {
    /// An open tap queue for each pair, as i32 little endian; they stay the caller's. -1: none,
    /// as if there were no cable.
    fds: [4 * pair_count_max]u8 = @splat(0xff),
    pair_count: u32 = 1,
    queue_size: u32 = 256,
    flags: u32 = 0,
    mac: Address = @splat(0),
    reserved: [2]u8 = @splat(0),
    /// As `fds`: an open /dev/vhost-net for each pair.
    vhost_fds: [4 * pair_count_max]u8 = @splat(0xff),
    padding: u32 = 0,
    /// What the kernel can do, the same for each.
    vhost_features: u64 = 0,

    pub fn has(self: *const Params, flag: u32) bool {
        return self.flags & flag != 0;
    }

    pub fn fd(self: *const Params, pair: usize) i32 {
        return std.mem.readInt(i32, self.fds[4 * pair ..][0..4], .little);
    }

    pub fn vhostFd(self: *const Params, pair: usize) i32 {
        return std.mem.readInt(i32, self.vhost_fds[4 * pair ..][0..4], .little);
    }

    /// The queues that somebody else serves: all but the control queue, or none.
    pub fn servedQueues(self: *const Params) u64 {
        if (!self.has(flag_vhost)) return 0;
        return (@as(u64, 1) << @intCast(2 * self.pair_count)) - 1;
    }

    /// A receive and a send queue a pair, and the control queue.
    pub fn queueCount(self: *const Params) u16 {
        return @intCast(2 * self.pair_count + 1);
    }
};

/// `struct virtio_net_config` up to mtu, little endian.
pub const Config = extern struct {
    mac: Address,
    status: u16 align(1),
    pair_count_max: u16 align(1),
    mtu: u16 align(1) = 0,
};

/// Bit of `Config.status`.
pub const status_link_up = 1;

const feature_checksum = 1 << 0;
pub const feature_guest_checksum = 1 << 1;
const feature_mac = 1 << 5;
pub const feature_guest_tso4 = 1 << 7;
const feature_guest_tso6 = 1 << 8;
pub const feature_guest_ufo = 1 << 10;
const feature_host_tso4 = 1 << 11;
const feature_host_tso6 = 1 << 12;
const feature_host_ufo = 1 << 14;
pub const feature_mergeable = 1 << 15;
const feature_status = 1 << 16;
const feature_control = 1 << 17;
const feature_control_receive = 1 << 18;
pub const feature_control_vlan = 1 << 19;
const feature_control_receive_extra = 1 << 20;
pub const feature_multi_queue = 1 << 22;
const feature_control_mac = 1 << 23;

/// What is up to who moves the frames; all else is the tap's and the control queue's.
pub const vhost_features = vhost.ring_features | feature_mergeable;

pub fn offeredFeatures(params: *const Params) u64 {
    var features: u64 = device.feature_indirect | device.feature_event_index;
    features |= feature_mac | feature_mergeable | feature_status | feature_control;
    features |= feature_control_receive | feature_control_vlan | feature_control_receive_extra;
    features |= feature_control_mac;
    if (params.pair_count > 1) features |= feature_multi_queue;
    if (params.has(flag_vhost)) features &= params.vhost_features | ~vhost_features;
    if (!params.has(flag_offload)) return features;
    features |= feature_checksum | feature_host_tso4 | feature_host_tso6;
    features |= feature_guest_checksum | feature_guest_tso4 | feature_guest_tso6;
    if (params.has(flag_ufo)) features |= feature_guest_ufo | feature_host_ufo;
    return features;
}

/// What the tap may leave to a guest that negotiated `features`; all else needs the checksum.
pub fn offloads(features: u64) u32 {
    if (features & feature_guest_checksum == 0) return 0;
    var result: u32 = tap.offload_checksum;
    if (features & feature_guest_tso4 != 0) result |= tap.offload_tso4;
    if (features & feature_guest_tso6 != 0) result |= tap.offload_tso6;
    if (features & feature_guest_ufo != 0) result |= tap.offload_ufo;
    return result;
}

comptime {
    std.debug.assert(@sizeOf(Config) == 12);
    std.debug.assert(@sizeOf(Params) == 160);
}
