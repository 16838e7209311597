//! What a fuzzer knows of virtio-vsock: the kernel's vhost where it is, else nobody serves it.

const std = @import("std");
const linux = std.os.linux;
const system = @import("../../kernel/system.zig");
const vsock = @import("vsock.zig");
const Driver = @import("../../fuzz/driver.zig").Driver;
const Request = @import("../../fuzz/driver.zig").Request;

pub const Target = struct {
    vhost_fd: i32,

    pub const kind = .vsock;
    pub const proof_queue = 0;

    pub fn open(self: *Target, _: std.Random) !void {
        const flags: linux.O = .{ .ACCMODE = .RDWR, .CLOEXEC = true };
        const opened = system.result(linux.open("/dev/vhost-vsock", flags, 0));
        self.* = .{ .vhost_fd = if (opened.ok()) opened.fd() else -1 };
    }

    pub fn close(self: *Target) void {
        if (self.vhost_fd >= 0) system.close(self.vhost_fd);
    }

    pub fn params(self: *const Target, _: std.Random) vsock.Params {
        return .{ .fd = self.vhost_fd, .guest_cid = 3, .features = std.math.maxInt(u64) };
    }

    pub fn disturb(_: *Target, driver: *Driver, random: std.Random) void {
        if (random.boolean()) return;
        driver.device().work.lock();
        defer driver.device().work.unlock();
        driver.body.vsock.restore(.{}) catch |err| std.debug.panic("not restored: {t}", .{err});
    }

    pub fn request(_: *Target, _: u16, random: std.Random) Request {
        var made: Request = .{ .input_size = random.uintLessThan(u32, 4096) };
        if (random.boolean()) made.output_size = 44;
        random.bytes(made.output[0..made.output_size]);
        return made;
    }

    /// Its peer need not take or give anything.
    pub fn proof(_: *const Target) ?Request {
        return null;
    }
};
