//! Who made this host's processor (Intel SDM volume 2, CPUID leaf 0): a saved vCPU runs on no other
//! maker's.

const std = @import("std");
const builtin = @import("builtin");

pub const vendor_size = 12;

/// "GenuineIntel" and the like; zeroes on aarch64, whose vCPUs say it in their registers.
pub fn vendor() [vendor_size]u8 {
    if (builtin.cpu.arch != .x86_64) return @splat(0);
    var first: u32 = undefined;
    var second: u32 = undefined;
    var third: u32 = undefined;
    asm volatile ("cpuid"
        : [ebx] "={ebx}" (first),
          [edx] "={edx}" (second),
          [ecx] "={ecx}" (third),
        : [leaf] "{eax}" (@as(u32, 0)),
        : .{ .eax = true });
    return @bitCast([_]u32{ first, second, third });
}

test "the maker is told in letters" {
    if (builtin.cpu.arch != .x86_64) return error.SkipZigTest;
    for (vendor()) |letter| try std.testing.expect(std.ascii.isPrint(letter));
}
