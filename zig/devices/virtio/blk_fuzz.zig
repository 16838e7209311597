//! What a fuzzer knows of virtio-blk: each engine, with and without a limit, and requests of every
//! type around the end of the disk. The disk grows, shrinks and is replaced meanwhile.

const std = @import("std");
const linux = std.os.linux;
const blk_config = @import("blk_config.zig");
const engine = @import("../../io/engine.zig");
const system = @import("../../kernel/system.zig");
const Driver = @import("../../fuzz/driver.zig").Driver;
const Request = @import("../../fuzz/driver.zig").Request;

const disk_size = 1024 * 1024;
const sector_count = disk_size / blk_config.sector_size;
const type_flush = 4;

pub const Target = struct {
    disk_fd: i32,

    pub const kind = .blk;
    pub const proof_queue = 0;

    pub fn open(self: *Target, _: std.Random) !void {
        self.* = .{ .disk_fd = system.result(linux.memfd_create("disk", linux.MFD.CLOEXEC)).fd() };
        _ = linux.ftruncate(self.disk_fd, disk_size);
    }

    pub fn close(self: *Target) void {
        system.close(self.disk_fd);
    }

    pub fn params(self: *const Target, random: std.Random) blk_config.Params {
        const alignment: u32 = if (random.boolean()) 1 else 512;
        return .{
            .fd = self.disk_fd,
            .engine = random.enumValue(engine.Kind),
            .capacity_bytes = disk_size,
            .request_alignment = alignment,
            .buffer_alignment = alignment,
            .queue_count = random.intRangeAtMost(u32, 1, 4),
            .flags = blk_config.flag_replaceable |
                @as(u32, random.int(u5) & if (random.boolean()) ~@as(u5, 0) else ~@as(u5, 1)),
            .iops_limit = if (random.uintLessThan(u32, 4) == 0) 20_000 else 0,
        };
    }

    pub fn disturb(self: *Target, driver: *Driver, random: std.Random) void {
        const block = &driver.body.blk;
        switch (random.uintLessThan(u32, 8)) {
            0 => {
                var backend = self.params(random);
                // Its requests fail for a while.
                if (random.boolean()) backend = .{ .flags = backend.flags };
                block.replace(backend, &driver.failure) catch |err| {
                    std.debug.panic("the disk could not be replaced: {t}", .{err});
                };
            },
            1 => {
                block.setCapacity(random.uintLessThan(u64, 2 * disk_size));
                if (random.boolean()) block.setCapacity(disk_size);
            },
            // A file that is shorter than the disk: reads end early.
            2 => _ = linux.ftruncate(self.disk_fd, random.uintLessThan(u32, disk_size)),
            else => _ = linux.ftruncate(self.disk_fd, disk_size),
        }
    }

    pub fn request(_: *Target, _: u16, random: std.Random) Request {
        const types = [_]u32{ 0, 0, 0, 1, 1, 1, type_flush, 8, 11, 13 };
        const request_type = if (random.uintLessThan(u32, 16) == 0)
            random.int(u32) % 20
        else
            types[random.uintLessThan(usize, types.len)];
        const far = random.uintLessThan(u32, 16) == 0;
        const sector = if (far) random.int(u64) else random.uintLessThan(u64, sector_count + 8);
        var made: Request = .{ .status_size = 1 };
        made.put(request_type);
        made.put(@as(u32, 0));
        made.put(sector);
        const lengths = [_]u32{ 512, 512, 4096, 4096, 65536, 1024 * 1024, 20, 12345 };
        const length = lengths[random.uintLessThan(usize, lengths.len)];
        switch (request_type) {
            1 => made.payload_size = length,
            8 => made.input_size = 20,
            11, 13 => putRange(&made, random),
            type_flush => {},
            else => made.input_size = length,
        }
        return made;
    }

    fn putRange(made: *Request, random: std.Random) void {
        made.put(random.uintLessThan(u64, sector_count + 8));
        made.put(random.uintLessThan(u32, 128));
        made.put(random.uintLessThan(u32, 3));
        if (random.uintLessThan(u32, 8) == 0) made.output_size -= 4;
    }

    pub fn proof(_: *const Target) ?Request {
        var made: Request = .{ .status_size = 1 };
        made.put(@as(u32, type_flush));
        made.put(@as(u32, 0));
        made.put(@as(u64, 0));
        return made;
    }
};
