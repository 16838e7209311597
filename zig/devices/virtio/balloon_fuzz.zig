//! What a fuzzer knows of virtio-balloon: page numbers inside and outside memory, those of the
//! rings among them, and free pages reported.

const std = @import("std");
const balloon = @import("balloon.zig");
const fuzz = @import("../../fuzz/driver.zig");

const page_number_count_max = 128;

pub const Target = struct {
    pub const kind = .balloon;
    pub const proof_queue = 0;

    pub fn open(self: *Target, _: std.Random) !void {
        self.* = .{};
    }

    pub fn close(_: *Target) void {}

    pub fn params(_: *const Target, random: std.Random) balloon.Params {
        return .{ .flags = random.int(u2) };
    }

    pub fn disturb(_: *Target, driver: *fuzz.Driver, random: std.Random) void {
        driver.body.balloon.setTarget(random.int(u32));
        _ = driver.body.balloon.takeInfo();
    }

    pub fn request(_: *Target, index: u16, random: std.Random) fuzz.Request {
        if (index == 2) return .{ .input_size = 4096 * random.uintLessThan(u32, 64) };
        var made: fuzz.Request = .{};
        const first = fuzz.randomAddress(random) / balloon.page_size;
        for (0..random.uintLessThan(usize, page_number_count_max)) |number| {
            const in_row: u32 = @truncate(first +% number);
            made.put(if (random.uintLessThan(u32, 8) == 0) random.int(u32) else in_row);
        }
        if (random.uintLessThan(u32, 8) == 0) made.payload_size = fuzz.randomLength(random);
        return made;
    }

    pub fn proof(_: *const Target) ?fuzz.Request {
        var made: fuzz.Request = .{};
        made.put(@as(u32, 0));
        return made;
    }
};
