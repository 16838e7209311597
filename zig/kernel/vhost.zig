//! The kernel's vhost devices (linux/vhost.h): thin calls on open descriptors of /dev/vhost-net and
//! /dev/vhost-vsock. Each returns 0 or the errno, but for those that ask for something.

const std = @import("std");
const errors = @import("../errors.zig");
const system = @import("system.zig");
const trace = @import("../trace/trace.zig");

const get_features = 0x8008_af00;
const set_features = 0x4008_af00;
const set_owner = 0xaf01;
const set_memory_table = 0x4008_af03;
const set_ring_size = 0x4008_af10;
const set_ring_addresses = 0x4028_af11;
const set_ring_base = 0x4008_af12;
const get_ring_base = 0xc008_af12;
const set_ring_kick = 0x4008_af20;
const set_ring_call = 0x4008_af21;
const set_ring_error = 0x4008_af22;
const set_net_back_end = 0x4008_af30;
const set_vsock_guest = 0x4008_af60;
const set_vsock_running = 0x4004_af61;

/// Memory that the kernel may use: guest address, and where it is in this process.
pub const Region = extern struct {
    guest_address: u64,
    size: u64,
    host_address: u64,
    flags: u64 = 0,
};

/// `struct vhost_memory` with room for `capacity` regions.
pub fn Table(comptime capacity: usize) type {
    return extern struct { count: u32, padding: u32 = 0, regions: [capacity]Region };
}

/// `struct vhost_vring_state` and `struct vhost_vring_file`: a number or a descriptor of a ring.
const Value = extern struct { ring: u32, value: u32 };

pub const Addresses = extern struct {
    ring: u32,
    flags: u32 = 0,
    descriptors: u64,
    used: u64,
    available: u64,
    /// Guest address of the used ring, for the log of dirty pages.
    log: u64,
};

/// Ties an open device to this process, once; returns the features that it can have.
pub fn open(fd: i32, failure: *errors.Failure) errors.HostError!u64 {
    var features: u64 = 0;
    const answer = system.ioctl(fd, get_features, @intFromPtr(&features));
    if (!answer.ok()) return failure.set(.vhost_features, answer.errno, @intCast(fd));
    const owned = system.ioctl(fd, set_owner, 0);
    if (!owned.ok()) return failure.set(.vhost_owner, owned.errno, @intCast(fd));
    trace.emit(.vhost_get_features, .{ .fd = fd, .features = features });
    trace.emit(.vhost_set_owner, .{ .fd = fd });
    return features;
}

/// Gives a vsock device the address of its guest.
pub fn setGuest(fd: i32, guest_cid: u64, failure: *errors.Failure) errors.HostError!void {
    const answer = system.ioctl(fd, set_vsock_guest, @intFromPtr(&guest_cid));
    if (!answer.ok()) return failure.set(.vhost_guest, answer.errno, guest_cid);
}

pub fn setFeatures(fd: i32, features: u64) i32 {
    trace.emit(.vhost_set_features, .{ .fd = fd, .features = features });
    return system.ioctl(fd, set_features, @intFromPtr(&features)).errno;
}

/// `table` is a Table.
pub fn setMemory(fd: i32, table: anytype) i32 {
    trace.emit(.vhost_set_mem_table, .{ .fd = fd, .count = table.count });
    return system.ioctl(fd, set_memory_table, @intFromPtr(table)).errno;
}

pub fn setAddresses(fd: i32, addresses: *const Addresses) i32 {
    trace.emit(.vhost_set_vring_addr, .{ .fd = fd, .queue_idx = addresses.ring });
    return system.ioctl(fd, set_ring_addresses, @intFromPtr(addresses)).errno;
}

pub const Setting = enum(u32) {
    size = set_ring_size,
    /// Index in the available ring of the next chain.
    base = set_ring_base,
    kick_fd = set_ring_kick,
    call_fd = set_ring_call,
    error_fd = set_ring_error,
    /// The tap queue behind a ring of vhost-net, which runs with it; -1 stops the ring.
    tap_fd = set_net_back_end,
};

pub fn set(fd: i32, ring: u32, setting: Setting, value: i64) i32 {
    const state: Value = .{ .ring = ring, .value = @truncate(@as(u64, @bitCast(value))) };
    traceSetting(fd, ring, setting, value);
    return system.ioctl(fd, @backingInt(setting), @intFromPtr(&state)).errno;
}

fn traceSetting(fd: i32, ring: u32, setting: Setting, value: i64) void {
    switch (setting) {
        .size => trace.emit(.vhost_set_vring_num, .{
            .fd = fd,
            .queue_idx = ring,
            .num = value,
        }),
        .base => trace.emit(.vhost_set_vring_base, .{
            .fd = fd,
            .queue_idx = ring,
            .num = value,
        }),
        .kick_fd => trace.emit(.vhost_set_vring_kick, .{
            .fd = fd,
            .queue_idx = ring,
            .event_fd = value,
        }),
        .call_fd => trace.emit(.vhost_set_vring_call, .{
            .fd = fd,
            .queue_idx = ring,
            .event_fd = value,
        }),
        .tap_fd => trace.emit(.vhost_net_set_backend, .{
            .fd = fd,
            .queue_idx = ring,
            .tap_fd = value,
        }),
        .error_fd => {},
    }
}

/// Where a ring that does not run has stopped; null when the kernel does not tell.
pub fn base(fd: i32, ring: u32) ?u16 {
    var state: Value = .{ .ring = ring, .value = 0 };
    if (!system.ioctl(fd, get_ring_base, @intFromPtr(&state)).ok()) return null;
    trace.emit(.vhost_get_vring_base, .{ .fd = fd, .queue_idx = ring, .num = state.value });
    return @truncate(state.value);
}

/// Has a vsock device serve its rings, or rest.
pub fn setRunning(fd: i32, state: enum { running, resting }) i32 {
    const value: i32 = if (state == .running) 1 else 0;
    return system.ioctl(fd, set_vsock_running, @intFromPtr(&value)).errno;
}

comptime {
    std.debug.assert(@sizeOf(Addresses) == 40);
    std.debug.assert(@sizeOf(Region) == 32);
}
