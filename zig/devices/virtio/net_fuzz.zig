//! What a fuzzer knows of virtio-net: sockets in place of a tap, with frames of any length from the
//! other end, and the commands of the control queue.

const std = @import("std");
const linux = std.os.linux;
const net_config = @import("net_config.zig");
const system = @import("../../kernel/system.zig");
const tap = @import("../../kernel/tap.zig");
const Driver = @import("../../fuzz/driver.zig").Driver;
const Request = @import("../../fuzz/driver.zig").Request;

const pair_count_max = 4;
const frame_size_max = 80 * 1024;

pub const Target = struct {
    pair_count: u32,
    /// The device's ends, and the wires that lead to them.
    taps: [pair_count_max]i32 = @splat(-1),
    wires: [pair_count_max]i32 = @splat(-1),

    pub const kind = .net;
    pub const proof_queue = 1;

    pub fn open(self: *Target, random: std.Random) !void {
        self.* = .{ .pair_count = random.intRangeAtMost(u32, 1, pair_count_max) };
        const socket = linux.SOCK.DGRAM | linux.SOCK.CLOEXEC | linux.SOCK.NONBLOCK;
        for (0..self.pair_count) |index| {
            var ends: [2]i32 = undefined;
            const made = system.result(linux.socketpair(linux.AF.UNIX, socket, 0, &ends));
            if (!made.ok()) return error.NoSocket;
            self.taps[index] = ends[0];
            self.wires[index] = ends[1];
        }
    }

    pub fn close(self: *Target) void {
        for (0..self.pair_count) |index| {
            system.close(self.taps[index]);
            system.close(self.wires[index]);
        }
    }

    pub fn params(self: *const Target, random: std.Random) net_config.Params {
        var made: net_config.Params = .{
            .pair_count = self.pair_count,
            .flags = random.int(u3),
            .queue_size = if (random.boolean()) 64 else 256,
            .mac = .{ 0x52, 0x54, 0, 1, 2, 3 },
        };
        for (self.taps, 0..) |fd, index| {
            std.mem.writeInt(i32, made.fds[4 * index ..][0..4], fd, .little);
        }
        return made;
    }

    /// Frames arrive and leave.
    pub fn disturb(self: *Target, _: *Driver, random: std.Random) void {
        var frame: [frame_size_max]u8 = undefined;
        for (self.wires[0..self.pair_count]) |wire| {
            for (0..64) |_| {
                if (!system.result(linux.read(wire, &frame, frame.len)).ok()) break;
            }
            for (0..random.uintLessThan(usize, 4)) |_| {
                const sizes = [_]usize{ 0, 1, 12, 30, 80, 1526, 9000, 65550, frame.len };
                const size = sizes[random.uintLessThan(usize, sizes.len)];
                random.bytes(frame[0..@min(size, 128)]);
                if (random.boolean()) @memset(frame[tap.header_size..][0..6], 0xff);
                _ = linux.write(wire, &frame, size);
            }
        }
    }

    /// An interface of the host is removed.
    pub fn cut(self: *Target, random: std.Random) void {
        const index = random.uintLessThan(usize, self.pair_count);
        _ = linux.shutdown(self.taps[index], linux.SHUT.RDWR);
    }

    pub fn request(self: *Target, index: u16, random: std.Random) Request {
        if (index == 2 * self.pair_count) return command(random);
        const sizes = [_]u32{ 1, 12, 60, 1526, 1526, 4096, 65562 };
        const size = sizes[random.uintLessThan(usize, sizes.len)];
        if (index % 2 == 0) return .{ .input_size = tap.header_size + size };
        return frameOf(size, random);
    }

    fn frameOf(size: u32, random: std.Random) Request {
        var made: Request = .{ .output_size = tap.header_size + 14, .payload_size = size };
        if (random.boolean()) random.bytes(made.output[0..made.output_size]);
        return made;
    }

    /// A command of the control queue, or nearly one.
    pub fn command(random: std.Random) Request {
        var made: Request = .{ .status_size = 1 };
        const class = [_]u8{ 0, 1, 1, 2, 4, 4, 9 };
        made.put(class[random.uintLessThan(usize, class.len)]);
        made.put(random.uintLessThan(u8, 6));
        switch (random.uintLessThan(u32, 4)) {
            0 => made.put(random.uintLessThan(u8, 3)),
            1 => made.put(random.uintLessThan(u16, 6)),
            2 => made.put(random.int(u16)),
            else => for (0..2) |_| putTable(&made, random),
        }
        return made;
    }

    fn putTable(made: *Request, random: std.Random) void {
        const count = random.uintLessThan(u32, 36);
        const rare = random.uintLessThan(u32, 8) == 0;
        made.put(if (rare) random.int(u32) else count);
        for (0..count) |_| made.put(@as([6]u8, @splat(random.int(u8))));
    }

    pub fn proof(_: *const Target) ?Request {
        return .{ .output_size = tap.header_size + 14, .payload_size = 64 };
    }
};
