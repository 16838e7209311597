//! The messages of the vhost-user protocol (QEMU's interop document "Vhost-user Protocol"):
//! numbers, header, payloads and feature bits. All is in the order of bytes of the host.

const std = @import("std");
const limits = @import("../limits.zig");

/// Requests of the front end ("Front-end message types").
pub const Request = enum(u32) {
    get_features = 1,
    set_features = 2,
    set_owner = 3,
    set_mem_table = 5,
    set_vring_num = 8,
    set_vring_addr = 9,
    set_vring_base = 10,
    get_vring_base = 11,
    set_vring_kick = 12,
    set_vring_call = 13,
    get_protocol_features = 15,
    set_protocol_features = 16,
    get_queue_num = 17,
    set_vring_enable = 18,
    set_backend_req_fd = 21,
    get_config = 24,
    set_config = 25,
    get_inflight_fd = 31,
    set_inflight_fd = 32,
    reset_device = 34,

    /// Whether the back end answers with data of its own.
    pub fn hasAnswer(self: Request) bool {
        return switch (self) {
            .get_features, .get_protocol_features, .get_queue_num => true,
            .get_vring_base, .get_config, .get_inflight_fd => true,
            else => false,
        };
    }

    /// Whether it is about one ring.
    pub fn isOfRing(self: Request) bool {
        return switch (self) {
            .set_vring_num, .set_vring_addr, .set_vring_base, .get_vring_base => true,
            .set_vring_kick, .set_vring_call, .set_vring_enable => true,
            else => false,
        };
    }
};

/// Requests of the back end ("Back-end message types").
pub const back_end_config_change: u32 = 2;

/// Bits of `Header.flags`: the version in the lowest two.
pub const flag_version: u32 = 1;
pub const flag_version_mask: u32 = 3;
pub const flag_reply: u32 = 4;
pub const flag_need_reply: u32 = 8;

/// The virtio feature that says that there are protocol features; never shown to a guest.
pub const feature_protocol: u64 = 1 << 30;

/// Protocol features that this front end knows.
pub const Protocol = struct {
    pub const multi_queue: u64 = 1 << 0;
    pub const reply_ack: u64 = 1 << 3;
    pub const back_end_requests: u64 = 1 << 5;
    pub const config: u64 = 1 << 9;
    pub const inflight: u64 = 1 << 12;
    pub const reset_device: u64 = 1 << 13;
};

pub const Header = extern struct { request: u32, flags: u32, size: u32 };

pub const VringState = extern struct { index: u32, number: u32 };

pub const VringAddress = extern struct {
    index: u32,
    flags: u32 = 0,
    descriptors: u64,
    used: u64,
    available: u64,
    log: u64 = 0,
};

pub const MemoryRegion = extern struct {
    guest_address: u64,
    size: u64,
    user_address: u64,
    offset: u64,
};

/// Regions that one memory table holds ("Memory region description").
pub const region_count_max = 8;

pub const MemoryTable = extern struct {
    count: u32 = 0,
    padding: u32 = 0,
    regions: [region_count_max]MemoryRegion = undefined,

    pub fn bytes(self: *const MemoryTable) []const u8 {
        return std.mem.asBytes(self)[0 .. 8 + self.count * @sizeOf(MemoryRegion)];
    }
};

pub const ConfigHeader = extern struct { offset: u32, size: u32, flags: u32 = 0 };

/// Bytes of config space that one message carries.
pub const config_size_max = 256;

/// The document tells 20 bytes, every implementation sends its struct of 24.
pub const Inflight = extern struct {
    size: u64 = 0,
    offset: u64 = 0,
    queue_count: u16,
    queue_size: u16,
    padding: u32 = 0,
};

/// In the payload of SET_VRING_KICK and SET_VRING_CALL, beside the index in the low byte.
const vring_without_descriptor: u64 = 1 << 8;

pub const payload_size_max = @sizeOf(ConfigHeader) + config_size_max;

/// One message with the descriptors that go with it, which stay their owner's.
pub const Message = struct {
    request: u32,
    flags: u32 = flag_version,
    payload: [payload_size_max]u8 = undefined,
    size: u32 = 0,
    fds: [region_count_max]i32 = undefined,
    fd_count: usize = 0,

    pub fn of(request: Request, payload: []const u8) Message {
        var message: Message = .{ .request = @backingInt(request) };
        message.append(payload);
        return message;
    }

    pub fn withFd(request: Request, payload: []const u8, fd: i32) Message {
        var message = of(request, payload);
        message.fds[0] = fd;
        message.fd_count = 1;
        return message;
    }

    pub fn ofNumber(request: Request, value: u64) Message {
        return of(request, std.mem.asBytes(&value));
    }

    pub fn ofState(request: Request, index: u32, value: u32) Message {
        return of(request, std.mem.asBytes(&VringState{ .index = index, .number = value }));
    }

    /// The kick or the call of a ring; -1: it has none.
    pub fn ofDescriptor(request: Request, index: u32, fd: i32) Message {
        const value: u64 = index;
        if (fd < 0) return ofNumber(request, value | vring_without_descriptor);
        return withFd(request, std.mem.asBytes(&value), fd);
    }

    pub fn append(self: *Message, part: []const u8) void {
        @memcpy(self.payload[self.size..][0..part.len], part);
        self.size += @intCast(part.len);
    }

    pub fn bytes(self: *const Message) []const u8 {
        return self.payload[0..self.size];
    }

    /// The payload as the struct or number that it must be; null when its size is another.
    pub fn as(self: *const Message, comptime T: type) ?T {
        if (self.size != @sizeOf(T)) return null;
        return std.mem.bytesToValue(T, self.payload[0..@sizeOf(T)]);
    }
};

comptime {
    std.debug.assert(@sizeOf(Header) == 12);
    std.debug.assert(@sizeOf(VringAddress) == 40);
    std.debug.assert(@sizeOf(MemoryTable) == 8 + 8 * 32);
    std.debug.assert(@sizeOf(MemoryTable) <= payload_size_max);
    std.debug.assert(@sizeOf(Inflight) == 24);
    std.debug.assert(limits.vhost_user_fd_count_max <= region_count_max);
}
