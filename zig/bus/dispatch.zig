//! A register access from a vCPU or from a test: find the device, let it answer.

const std = @import("std");
const trace = @import("../trace/trace.zig");
const address_map = @import("address_map.zig");
const Outcome = @import("outcome.zig").Outcome;

pub const Bus = struct {
    map: address_map.AddressMap = .{},

    /// Reads into `data` (1 to 8 bytes); addresses that nobody claims read as all ones.
    pub fn read(
        self: *const Bus,
        reader: *address_map.Reader,
        space: address_map.Space,
        address: u64,
        data: []u8,
    ) void {
        reader.enter();
        defer reader.leave();
        const entry = self.map.find(space, address, data.len) orelse {
            @memset(data, 0xff);
            return;
        };
        entry.device.read(entry.region, address - entry.base, data);
        trace.emit(.address_space_read, .{
            .space = space,
            .addr = address,
            .count = data.len,
            .value = valueOf(data),
        });
    }

    /// Writes `data`; addresses that nobody claims swallow it.
    pub fn write(
        self: *const Bus,
        reader: *address_map.Reader,
        space: address_map.Space,
        address: u64,
        data: []const u8,
    ) Outcome {
        reader.enter();
        defer reader.leave();
        trace.emit(.address_space_write, .{
            .space = space,
            .addr = address,
            .count = data.len,
            .value = valueOf(data),
        });
        const entry = self.map.find(space, address, data.len) orelse return .none;
        return entry.device.write(entry.region, address - entry.base, data);
    }
};

fn valueOf(data: []const u8) u64 {
    var bytes: [8]u8 = @splat(0);
    const size = @min(data.len, bytes.len);
    @memcpy(bytes[0..size], data[0..size]);
    return std.mem.readInt(u64, &bytes, .little);
}
