//! What a fuzzer knows of virtio-console: a console and a generic port on sockets, control messages
//! that make sense and others, and peers that write, read or do neither.

const std = @import("std");
const linux = std.os.linux;
const config = @import("console_config.zig");
const fuzz = @import("../../fuzz/driver.zig");
const system = @import("../../kernel/system.zig");

pub const Target = struct {
    port_limit: u32,

    pub const kind = .console;
    pub const proof_queue = config.transmitQueue(0);

    pub fn open(self: *Target, random: std.Random) !void {
        self.* = .{ .port_limit = random.intRangeAtMost(u32, 2, config.port_count_max) };
    }

    pub fn close(_: *Target) void {}

    pub fn params(self: *const Target, random: std.Random) config.Params {
        var made: config.Params = .{
            .port_limit = self.port_limit,
            .port_count = fuzz.chardev_count,
        };
        const ports = std.mem.bytesAsSlice(config.PortParams, &made.ports);
        for (ports[0..made.port_count], 0..) |*port, index| {
            port.* = .{
                .chardev = @intCast(index),
                .number = if (index == 0) 0 else random.uintLessThan(u32, self.port_limit - 1) + 1,
                .console = @intFromBool(index == 0),
                .name_size = random.uintAtMost(u32, config.name_size_max),
                .name = @splat('n'),
            };
        }
        return made;
    }

    pub fn disturb(_: *Target, driver: *fuzz.Driver, random: std.Random) void {
        var bytes: [4096]u8 = undefined;
        random.bytes(&bytes);
        const flags = linux.MSG.DONTWAIT | linux.MSG.NOSIGNAL;
        for (driver.peers) |peer| {
            const size = random.uintLessThan(usize, bytes.len);
            if (random.boolean()) _ = linux.sendto(peer, &bytes, size, flags, null, 0);
            for (0..random.uintLessThan(usize, 64)) |_| {
                _ = linux.read(peer, &bytes, bytes.len);
            }
        }
    }

    /// A port whose peer does not read keeps its guest waiting, and may.
    pub fn calm(_: *Target, driver: *fuzz.Driver) void {
        var bytes: [4096]u8 = undefined;
        for (driver.peers) |peer| {
            while (system.result(linux.read(peer, &bytes, bytes.len)).ok()) {}
        }
    }

    pub fn request(_: *Target, index: u16, random: std.Random) fuzz.Request {
        if (index == config.control_transmit_queue) return message(random);
        const sizes = [_]u32{ 1, 8, 80, 4096, 65536 };
        const size = sizes[random.uintLessThan(usize, sizes.len)];
        if (index % 2 == 0) return .{ .input_size = size };
        return .{ .output_size = random.uintLessThan(u32, 512), .payload_size = size };
    }

    fn message(random: std.Random) fuzz.Request {
        var made: fuzz.Request = .{};
        const rare = random.uintLessThan(u32, 8) == 0;
        made.put(config.Message{
            .port = if (rare) random.int(u32) else random.uintLessThan(u32, 4),
            .event = if (rare) random.int(u16) else random.uintLessThan(u16, 8),
            .value = random.uintLessThan(u16, 3),
        });
        if (random.uintLessThan(u32, 16) == 0) made.output_size -= 1;
        return made;
    }

    pub fn proof(_: *const Target) ?fuzz.Request {
        return .{ .output_size = 8 };
    }
};
