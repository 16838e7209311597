//! Facts of virtio-console (virtio 1.2, section 5.3) and what TypeScript says of one device: its
//! ports, where their queues are, the control messages.

const std = @import("std");

/// Ports of one device: each has two queues, and the control queues are two more.
pub const port_count_max = 31;
pub const queue_size = 128;

pub const feature_multiport: u64 = 1 << 1;

pub const name_size_max = 64;

pub const PortParams = extern struct {
    /// Character back end.
    chardev: u32,
    /// Number of the port, below the device's count.
    number: u32,
    /// Whether it is a console rather than a generic port.
    console: u32,
    name_size: u32,
    /// For the guest; in Linux a link in /dev/virtio-ports has this name.
    name: [name_size_max]u8,
};

pub const Params = extern struct {
    /// Ports that the guest is told of; numbers are below it.
    port_limit: u32 = 0,
    port_count: u32 = 0,
    /// PortParams, `port_count` of them.
    ports: [port_count_max * @sizeOf(PortParams)]u8 = @splat(0),
};

/// Queues of the control messages (5.3.2).
pub const control_receive_queue = 2;
pub const control_transmit_queue = 3;

/// Port 0 has the first two queues, the others follow behind the control queues (5.3.2).
pub fn receiveQueue(number: u32) u16 {
    return @intCast(if (number == 0) 0 else 2 * number + 2);
}

pub fn transmitQueue(number: u32) u16 {
    return receiveQueue(number) + 1;
}

pub fn queueCount(port_limit: u32) u16 {
    return @intCast(2 * (port_limit + 1));
}

/// A control message; PORT_NAME has the name behind it (5.3.6.2).
pub const Message = extern struct { port: u32, event: u16, value: u16 };

pub const Event = struct {
    pub const device_ready = 0;
    pub const device_add = 1;
    pub const port_ready = 3;
    pub const console_port = 4;
    pub const port_open = 6;
    pub const port_name = 7;
};

/// Config space (5.3.4). Columns and rows belong to a feature that is not offered.
pub const Config = extern struct {
    columns: u16 = 0,
    rows: u16 = 0,
    port_limit: u32 = 0,
    emergency_write: u32 = 0,
};

test "queues lie as the specification numbers them" {
    try std.testing.expectEqual(@as(u16, 0), receiveQueue(0));
    try std.testing.expectEqual(@as(u16, 1), transmitQueue(0));
    try std.testing.expectEqual(@as(u16, 4), receiveQueue(1));
    try std.testing.expectEqual(@as(u16, 63), transmitQueue(30));
    try std.testing.expectEqual(@as(u16, 64), queueCount(31));
}
