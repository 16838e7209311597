//! What a snapshot keeps of a virtio-net device: what its driver has said by the control queue.

const std = @import("std");
const net_config = @import("net_config.zig");
const net_filter = @import("net_filter.zig");
const net_module = @import("net.zig");
const Net = net_module.Net;

/// Each mode is 0 or 1. Addresses lie one after the other, unicast ones first.
pub const State = extern struct {
    /// The guest's address, and the one that the host gave it: as in `Net.mac`.
    mac: u64 = 0,
    given_mac: u64 = 0,
    active_count: u32 = 1,
    unicast_count: u32 = 0,
    address_count: u32 = 0,
    promiscuous: u8 = 1,
    all_multicast: u8 = 0,
    all_unicast: u8 = 0,
    no_multicast: u8 = 0,
    no_unicast: u8 = 0,
    no_broadcast: u8 = 0,
    unicast_overflow: u8 = 0,
    multicast_overflow: u8 = 0,
    link_up: u8 = 1,
    reserved: [3]u8 = @splat(0),
    addresses: [net_filter.address_count_max * net_config.address_size]u8 = @splat(0),
    vlans: [net_filter.vlan_count / 8]u8 = @splat(0),
};

const modes = .{
    "promiscuous", "all_multicast", "all_unicast", "no_multicast", "no_unicast", "no_broadcast",
};
const overflows = .{ "unicast_overflow", "multicast_overflow" };

pub fn save(net: *const Net) State {
    const filter = &net.filter;
    const tables = &filter.tables;
    var state: State = .{
        .mac = net.mac.load(.acquire),
        .given_mac = givenMac(net),
        .active_count = net.active_count,
        .unicast_count = @intCast(tables.unicast_count),
        .address_count = @intCast(tables.count),
        .link_up = @intFromBool(net.link_up.load(.acquire)),
        .vlans = filter.vlans,
    };
    inline for (modes) |name| @field(state, name) = @intFromBool(@field(filter, name));
    inline for (overflows) |name| @field(state, name) = @intFromBool(@field(tables, name));
    for (tables.addresses[0..tables.count], 0..) |address, index| {
        state.addresses[index * net_config.address_size ..][0..address.len].* = address;
    }
    return state;
}

/// Takes over a saved state. An address that the guest chose stays; one that the host gave follows
/// the host, and the guest, which may not look for it, gets frames for both.
pub fn restore(net: *Net, state: State) error{Invalid}!void {
    const count_max = net_filter.address_count_max;
    if (state.active_count == 0 or state.active_count > net.params.pair_count) return error.Invalid;
    if (state.address_count > count_max) return error.Invalid;
    if (state.unicast_count > state.address_count) return error.Invalid;
    const filter = &net.filter;
    const tables = &filter.tables;
    inline for (modes) |name| @field(filter, name) = try flag(@field(state, name));
    inline for (overflows) |name| @field(tables, name) = try flag(@field(state, name));
    filter.vlans = state.vlans;
    tables.unicast_count = state.unicast_count;
    tables.count = state.address_count;
    for (tables.addresses[0..tables.count], 0..) |*address, index| {
        address.* = state.addresses[index * net_config.address_size ..][0..address.len].*;
    }
    net.active_count = @intCast(state.active_count);
    const was_up = try flag(state.link_up);
    const moved = state.mac == state.given_mac and state.given_mac != givenMac(net);
    net.mac.store(if (moved) givenMac(net) else state.mac & address_mask, .release);
    filter.former = if (moved) net_module.bitsAddress(state.mac) else null;
    // The tap is another one, and it is there.
    if (moved or !was_up) net.device.configChanged();
}

fn givenMac(net: *const Net) u64 {
    return net_module.addressBits(net.params.mac);
}

const address_mask = (1 << 8 * net_config.address_size) - 1;

fn flag(value: u8) error{Invalid}!bool {
    return if (value > 1) error.Invalid else value == 1;
}
