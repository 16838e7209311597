//! What a back end of a test does with rings: it maps the memory that it is told of, as another
//! process would, finds the rings there, and uses one chain when it is asked to.

const std = @import("std");
const linux = std.os.linux;
const protocol = @import("message.zig");
const system = @import("../kernel/system.zig");
const Message = protocol.Message;
const Request = protocol.Request;
const View = @import("../virtio/test_ring.zig").View;

const ring_count_max = 16;

const Ring = struct {
    size: u32 = 0,
    /// Available index of the next chain.
    base: u16 = 0,
    addresses: ?protocol.VringAddress = null,
    /// It runs while it has one.
    kick_fd: i32 = -1,
    call_fd: i32 = -1,
    enabled: bool = false,
};

/// A ring that does not lie in the memory that was told ends the process: no guest may bring that
/// about.
pub const Rings = struct {
    table: protocol.MemoryTable = .{},
    mapped: [protocol.region_count_max]usize = undefined,
    rings: [ring_count_max]Ring = @splat(.{}),

    /// Carries out a request. Descriptors stay the caller's.
    pub fn take(self: *Rings, message: *const Message) void {
        const asked: Request = @fromBackingInt(message.request);
        switch (asked) {
            .set_mem_table => self.map(message),
            .set_vring_addr => {
                const addresses = message.as(protocol.VringAddress) orelse unreachable;
                self.rings[addresses.index].addresses = addresses;
            },
            .set_vring_kick, .set_vring_call => {
                const index = message.payload[0];
                const ring = &self.rings[index];
                const place = if (asked == .set_vring_kick) &ring.kick_fd else &ring.call_fd;
                replace(place, duplicate(message.fds[0]));
            },
            .set_vring_num, .set_vring_base, .get_vring_base, .set_vring_enable => {
                const told = message.as(protocol.VringState) orelse unreachable;
                const ring = &self.rings[told.index];
                switch (asked) {
                    .set_vring_num => ring.size = told.number,
                    .set_vring_base => ring.base = @intCast(told.number),
                    .get_vring_base => replace(&ring.kick_fd, -1),
                    else => ring.enabled = told.number != 0,
                }
            },
            else => {},
        }
    }

    fn map(self: *Rings, message: *const Message) void {
        self.unmap();
        const size = message.size;
        @memcpy(std.mem.asBytes(&self.table)[0..size], message.payload[0..size]);
        for (self.table.regions[0..self.table.count], 0..) |*region, index| {
            const mapped = system.map(.{
                .size = region.size,
                .fd = message.fds[index],
                .offset = region.offset,
                .shared = true,
            });
            if (!mapped.ok()) std.debug.panic("memory that cannot be mapped", .{});
            self.mapped[index] = mapped.value;
        }
    }

    fn unmap(self: *Rings) void {
        for (self.table.regions[0..self.table.count], 0..) |*region, index| {
            system.unmap(self.mapped[index], region.size);
        }
        self.table.count = 0;
    }

    /// The connection is gone.
    pub fn drop(self: *Rings) void {
        self.unmap();
        for (&self.rings) |*ring| {
            replace(&ring.kick_fd, -1);
            replace(&ring.call_fd, -1);
            ring.* = .{};
        }
    }

    pub fn isRunning(self: *const Rings, index: usize) bool {
        return self.rings[index].kick_fd >= 0;
    }

    /// Available index where a ring goes on.
    pub fn baseOf(self: *const Rings, index: usize) u32 {
        return self.rings[index].base;
    }

    /// Uses the next chain of a ring and calls for it; false when there is none, or it does not
    /// run.
    pub fn useChain(self: *Rings, index: usize) bool {
        const ring = &self.rings[index];
        if (!self.isRunning(index) or !ring.enabled) return false;
        system.eventfdDrain(ring.kick_fd);
        if (!self.viewOf(ring).use(ring.base)) return false;
        ring.base +%= 1;
        system.eventfdSignal(ring.call_fd);
        return true;
    }

    /// Uses what the guest offers, of each ring no more than it holds.
    pub fn useAll(self: *Rings) void {
        for (&self.rings, 0..) |*ring, index| {
            for (0..ring.size) |_| if (!self.useChain(index)) break;
        }
    }

    /// Shows a used index that the guest's chains do not account for.
    pub fn showUsed(self: *Rings, index: usize, value: u16) void {
        const ring = &self.rings[index];
        if (!self.isRunning(index)) return;
        @atomicStore(u16, &self.viewOf(ring).used[1], value, .release);
        system.eventfdSignal(ring.call_fd);
    }

    fn viewOf(self: *const Rings, ring: *const Ring) View {
        const addresses = ring.addresses orelse std.debug.panic("a ring without addresses", .{});
        _ = self.find(addresses.descriptors, 16 * @as(u64, ring.size));
        return .{
            .size = ring.size,
            .available = @ptrFromInt(self.find(addresses.available, 6 + 2 * @as(u64, ring.size))),
            .used = @ptrFromInt(self.find(addresses.used, 6 + 8 * @as(u64, ring.size))),
        };
    }

    fn find(self: *const Rings, address: u64, size: u64) usize {
        for (self.table.regions[0..self.table.count], 0..) |*region, index| {
            if (address < region.user_address) continue;
            const offset = address - region.user_address;
            if (offset < region.size and size <= region.size - offset) {
                return self.mapped[index] + offset;
            }
        }
        std.debug.panic("a ring outside of the memory that was told", .{});
    }
};

fn duplicate(fd: i32) i32 {
    return system.result(linux.fcntl(fd, linux.F.DUPFD_CLOEXEC, 0)).fd();
}

fn replace(place: *i32, fd: i32) void {
    if (place.* >= 0) system.close(place.*);
    place.* = fd;
}
