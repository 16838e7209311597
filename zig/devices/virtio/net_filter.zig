//! Which frames a guest wants to receive (virtio 1.2, sections 5.1.6.5.1 to 5.1.6.5.3): modes, its
//! addresses, its VLANs. A new filter lets everything through.

const std = @import("std");
const net_config = @import("net_config.zig");

const Address = net_config.Address;

/// Addresses that both tables hold together.
pub const address_count_max = 64;
pub const vlan_count = 4096;
/// Bytes of a frame that decide: addresses, type, VLAN tag.
pub const look_size = 16;
/// Shortest frame that has addresses and a type.
pub const frame_size_min = 14;

const broadcast: Address = @splat(0xff);
const type_vlan = 0x8100;

pub const Filter = struct {
    promiscuous: bool = true,
    all_multicast: bool = false,
    all_unicast: bool = false,
    no_multicast: bool = false,
    no_unicast: bool = false,
    no_broadcast: bool = false,
    tables: Tables = .{},
    /// The address before the host gave a restored device another: its guest may not know yet.
    former: ?Address = null,
    /// VLANs matter: the driver negotiated to say which it wants.
    by_vlan: bool = false,
    vlans: [vlan_count / 8]u8 = @splat(0),

    pub const Tables = struct {
        addresses: [address_count_max]Address = undefined,
        /// Unicast addresses come first.
        unicast_count: usize = 0,
        count: usize = 0,
        /// The driver has more addresses than there is room for: all are let through.
        unicast_overflow: bool = false,
        multicast_overflow: bool = false,

        pub fn unicast(self: *const Tables) []const Address {
            return self.addresses[0..self.unicast_count];
        }

        fn multicast(self: *const Tables) []const Address {
            return self.addresses[self.unicast_count..self.count];
        }
    };

    pub fn addVlan(self: *Filter, vlan: u12) void {
        self.vlans[vlan / 8] |= vlanBit(vlan);
    }

    pub fn removeVlan(self: *Filter, vlan: u12) void {
        self.vlans[vlan / 8] &= ~vlanBit(vlan);
    }

    /// `frame` is the beginning of a frame, at least `frame_size_min` bytes of it.
    pub fn accepts(self: *const Filter, frame: []const u8, own: Address) bool {
        if (self.promiscuous) return true;
        if (self.by_vlan and !self.acceptsVlan(frame)) return false;
        const target: Address = frame[0..net_config.address_size].*;
        if (std.mem.eql(u8, &target, &broadcast)) return !self.no_broadcast;
        if (target[0] & 1 != 0) {
            if (self.no_multicast) return false;
            if (self.all_multicast or self.tables.multicast_overflow) return true;
            return contains(self.tables.multicast(), target);
        }
        if (self.no_unicast) return false;
        if (self.all_unicast or self.tables.unicast_overflow) return true;
        if (std.mem.eql(u8, &target, &own)) return true;
        if (self.former) |former| if (std.mem.eql(u8, &target, &former)) return true;
        return contains(self.tables.unicast(), target);
    }

    fn acceptsVlan(self: *const Filter, frame: []const u8) bool {
        if (std.mem.readInt(u16, frame[12..14], .big) != type_vlan) return true;
        if (frame.len < look_size) return false;
        const vlan: u12 = @truncate(std.mem.readInt(u16, frame[14..16], .big));
        return self.vlans[vlan / 8] & vlanBit(vlan) != 0;
    }
};

fn vlanBit(vlan: u12) u8 {
    return @as(u8, 1) << @intCast(vlan % 8);
}

fn contains(table: []const Address, target: Address) bool {
    for (table) |address| {
        if (std.mem.eql(u8, &address, &target)) return true;
    }
    return false;
}
