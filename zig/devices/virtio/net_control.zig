//! The control queue of virtio-net (virtio 1.2, section 5.1.6.5): one command a chain, answered by
//! a byte.

const std = @import("std");
const chain = @import("../../virtio/chain.zig");
const net_config = @import("net_config.zig");
const net_filter = @import("net_filter.zig");

const Filter = net_filter.Filter;
const Address = net_config.Address;

pub const Answer = enum(u8) { ok = 0, refused = 1 };

const Class = enum(u8) { receive = 0, mac = 1, vlan = 2, multi_queue = 4, _ };

const ReceiveCommand = enum(u8) {
    promiscuous = 0,
    all_multicast = 1,
    all_unicast = 2,
    no_multicast = 3,
    no_unicast = 4,
    no_broadcast = 5,
    _,
};

const mac_set_tables = 0;
const mac_set_address = 1;
const vlan_add = 0;
const vlan_remove = 1;
const multi_queue_set_pairs = 0;

/// What a command asks of the device; tables and modes are the filter's and set already.
pub const Change = union(enum) {
    none,
    refused,
    address: Address,
    pair_count: u16,
};

/// Bytes of class and command.
pub const header_size = 2;

/// Carries out the command in `request` (at least `header_size` bytes; it is used up) on `filter`.
pub fn execute(filter: *Filter, request: []chain.Iovec) Change {
    var reader: Reader = .{ .pieces = request };
    const header = reader.take(header_size) orelse return .refused;
    const class: Class = @fromBackingInt(header[0]);
    const done = switch (class) {
        .receive => setMode(filter, header[1], &reader),
        .mac => return changeMac(filter, header[1], &reader),
        .vlan => changeVlan(filter, header[1], &reader),
        .multi_queue => {
            const value = reader.take(2) orelse return .refused;
            if (header[1] != multi_queue_set_pairs) return .refused;
            return .{ .pair_count = std.mem.readInt(u16, &value, .little) };
        },
        _ => false,
    };
    return if (done) .none else .refused;
}

const Reader = struct {
    pieces: []chain.Iovec,

    fn take(self: *Reader, comptime size: usize) ?[size]u8 {
        var bytes: [size]u8 = undefined;
        if (chain.copyFrom(self.pieces, &bytes) != size) return null;
        self.pieces = chain.skip(self.pieces, size);
        return bytes;
    }

    fn rest(self: *const Reader) u64 {
        var size: u64 = 0;
        for (self.pieces) |piece| size += piece.len;
        return size;
    }
};

fn setMode(filter: *Filter, command: u8, reader: *Reader) bool {
    const value = reader.take(1) orelse return false;
    if (value[0] > 1) return false;
    const on = value[0] == 1;
    switch (@as(ReceiveCommand, @fromBackingInt(command))) {
        .promiscuous => filter.promiscuous = on,
        .all_multicast => filter.all_multicast = on,
        .all_unicast => filter.all_unicast = on,
        .no_multicast => filter.no_multicast = on,
        .no_unicast => filter.no_unicast = on,
        .no_broadcast => filter.no_broadcast = on,
        _ => return false,
    }
    return true;
}

fn changeMac(filter: *Filter, command: u8, reader: *Reader) Change {
    if (command == mac_set_address) {
        const address = reader.take(net_config.address_size) orelse return .refused;
        filter.former = null;
        return .{ .address = address };
    }
    if (command != mac_set_tables) return .refused;
    var tables: Filter.Tables = .{};
    tables.unicast_overflow = !(readTable(&tables, reader) orelse return .refused);
    tables.unicast_count = tables.count;
    tables.multicast_overflow = !(readTable(&tables, reader) orelse return .refused);
    if (reader.rest() != 0) return .refused;
    filter.tables = tables;
    return .none;
}

/// Adds one table; false when there is no room for it, null when it is cut short.
fn readTable(tables: *Filter.Tables, reader: *Reader) ?bool {
    const header = reader.take(4) orelse return null;
    const count = std.mem.readInt(u32, &header, .little);
    const size = @as(u64, count) * net_config.address_size;
    if (size > reader.rest()) return null;
    if (count > tables.addresses.len - tables.count) {
        reader.pieces = chain.skip(reader.pieces, size);
        return false;
    }
    for (0..count) |_| {
        tables.addresses[tables.count] = reader.take(net_config.address_size) orelse return null;
        tables.count += 1;
    }
    return true;
}

fn changeVlan(filter: *Filter, command: u8, reader: *Reader) bool {
    const value = reader.take(2) orelse return false;
    const vlan = std.mem.readInt(u16, &value, .little);
    if (vlan >= net_filter.vlan_count) return false;
    switch (command) {
        vlan_add => filter.addVlan(@intCast(vlan)),
        vlan_remove => filter.removeVlan(@intCast(vlan)),
        else => return false,
    }
    return true;
}
