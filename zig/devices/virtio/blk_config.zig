//! What the host decides about a virtio-blk device (parameters) and what the guest sees of it
//! (feature bits and config space; virtio 1.2, section 5.2.3 and 5.2.4).

const std = @import("std");
const engine = @import("../../io/engine.zig");
const device = @import("../../virtio/device.zig");

/// Bytes of a sector, the unit of capacity and of every request.
pub const sector_size = 512;
/// Longest discard and write-zeroes request: 4 GiB less one sector.
pub const range_sector_count_max = 0x7f_ffff;

pub const flag_read_only = 1;
/// Discards free space of the file; without it they are refused.
pub const flag_discard = 2;
/// The write-zeroes command is offered.
pub const flag_write_zeroes = 4;
/// Writes of nothing but zeroes zero the range in the file.
pub const flag_detect_zeroes = 8;
/// They free its space too.
pub const flag_detect_unmap = 16;
/// Another file, or none, may come behind the disk.
pub const flag_replaceable = 32;

pub const Params = extern struct {
    /// Open file, which the caller keeps open for as long as the disk is on it; -1: none.
    fd: i32 = -1,
    engine: engine.Kind = .sync,
    capacity_bytes: u64 = 0,
    /// What the file needs of offsets and lengths, and of addresses; 1 without O_DIRECT.
    request_alignment: u32 = 1,
    buffer_alignment: u32 = 1,
    queue_count: u32 = 1,
    queue_size: u32 = 256,
    flags: u32 = 0,
    /// Requests a second; 0: no limit.
    iops_limit: u32 = 0,
    /// Answer to GET_ID, padded with zeroes.
    serial: [20]u8 = @splat(0),
    reserved: u32 = 0,

    pub fn has(self: *const Params, flag: u32) bool {
        return self.flags & flag != 0;
    }
};

/// `struct virtio_blk_config`, little endian.
pub const Config = extern struct {
    capacity: u64 align(1) = 0,
    size_max: u32 align(1) = 0,
    segment_count_max: u32 align(1) = 0,
    geometry: u32 align(1) = 0,
    block_size: u32 align(1) = 0,
    topology: u64 align(1) = 0,
    writeback: u8 = 0,
    unused: u8 = 0,
    queue_count: u16 align(1) = 0,
    discard_sector_count_max: u32 align(1) = 0,
    discard_segment_count_max: u32 align(1) = 0,
    discard_sector_alignment: u32 align(1) = 0,
    zeroes_sector_count_max: u32 align(1) = 0,
    zeroes_segment_count_max: u32 align(1) = 0,
    zeroes_may_unmap: u8 = 0,

    const size_basic = 36;
    const size_discard = 48;
    const size_zeroes = 57;

    pub fn init(params: *const Params) Config {
        var config: Config = .{
            .capacity = params.capacity_bytes / sector_size,
            .segment_count_max = params.queue_size - 2,
        };
        if (params.queue_count > 1) config.queue_count = @intCast(params.queue_count);
        if (params.has(flag_discard)) {
            config.discard_sector_count_max = range_sector_count_max;
            config.discard_segment_count_max = 1;
            config.discard_sector_alignment = 1;
        }
        if (params.has(flag_write_zeroes)) {
            config.zeroes_sector_count_max = range_sector_count_max;
            config.zeroes_segment_count_max = 1;
            config.zeroes_may_unmap = 1;
        }
        return config;
    }

    /// Bytes that the guest of a disk with these flags sees.
    pub fn visible(self: *const Config, offered_flags: u32) []const u8 {
        const bytes = std.mem.asBytes(self);
        if (offered_flags & flag_write_zeroes != 0) return bytes[0..size_zeroes];
        const discards = offered_flags & flag_discard != 0;
        return bytes[0..@as(usize, if (discards) size_discard else size_basic)];
    }
};

const feature_segment_max = 1 << 2;
const feature_read_only = 1 << 5;
pub const feature_flush = 1 << 9;
const feature_multi_queue = 1 << 12;
const feature_discard = 1 << 13;
const feature_write_zeroes = 1 << 14;

pub fn offeredFeatures(params: *const Params) u64 {
    var features: u64 = device.feature_indirect | device.feature_event_index;
    features |= feature_segment_max | feature_flush;
    if (params.has(flag_read_only)) features |= feature_read_only;
    if (params.queue_count > 1) features |= feature_multi_queue;
    if (params.has(flag_discard)) features |= feature_discard;
    if (params.has(flag_write_zeroes)) features |= feature_write_zeroes;
    return features;
}

comptime {
    std.debug.assert(@offsetOf(Config, "queue_count") == 34);
    std.debug.assert(@offsetOf(Config, "zeroes_may_unmap") == 56);
    std.debug.assert(@sizeOf(Config) == 57);
}
