//! What a fuzzer knows of virtio-rng: a source that always has bytes, or one that has them now and
//! then, with and without a limit.

const std = @import("std");
const linux = std.os.linux;
const rng = @import("rng.zig");
const system = @import("../../kernel/system.zig");
const Driver = @import("../../fuzz/driver.zig").Driver;
const Request = @import("../../fuzz/driver.zig").Request;

pub const Target = struct {
    source_fd: i32,
    /// Where bytes for the source come from; -1 when it has its own.
    feed_fd: i32 = -1,

    pub const kind = .rng;
    pub const proof_queue = 0;

    pub fn open(self: *Target, random: std.Random) !void {
        if (random.boolean()) {
            const flags: linux.O = .{ .NONBLOCK = true, .CLOEXEC = true };
            self.* = .{ .source_fd = system.result(linux.open("/dev/urandom", flags, 0)).fd() };
            return;
        }
        var ends: [2]i32 = undefined;
        const made = system.result(linux.pipe2(&ends, .{ .NONBLOCK = true, .CLOEXEC = true }));
        if (!made.ok()) return error.NoPipe;
        self.* = .{ .source_fd = ends[0], .feed_fd = ends[1] };
    }

    pub fn close(self: *Target) void {
        system.close(self.source_fd);
        if (self.feed_fd >= 0) system.close(self.feed_fd);
    }

    pub fn params(self: *const Target, random: std.Random) rng.Params {
        return .{ .fd = self.source_fd, .rate = if (random.boolean()) 0 else 4 * 1024 * 1024 };
    }

    pub fn disturb(self: *Target, _: *Driver, random: std.Random) void {
        if (self.feed_fd < 0) return;
        var bytes: [4096]u8 = undefined;
        random.bytes(&bytes);
        _ = linux.write(self.feed_fd, &bytes, 1 + random.uintLessThan(usize, bytes.len));
    }

    pub fn request(_: *Target, _: u16, random: std.Random) Request {
        const sizes = [_]u32{ 1, 64, 4096, 65536, 1024 * 1024 };
        return .{
            .input_size = sizes[random.uintLessThan(usize, sizes.len)],
            .status_size = random.uintLessThan(u32, 2),
        };
    }

    pub fn proof(_: *const Target) ?Request {
        return .{ .input_size = 64 };
    }
};
