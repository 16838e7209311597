//! CRC-32C (RFC 3720, appendix B.4) of memory, by the CPU's own instruction where it has one.

const std = @import("std");
const builtin = @import("builtin");

const Portable = std.hash.crc.@"CRC-32/ISCSI";

pub const Method = enum {
    portable,
    instruction,

    /// The best of this host.
    pub fn ofHost() Method {
        return if (builtin.cpu.arch == .x86_64 and hasInstruction()) .instruction else .portable;
    }
};

pub fn crc32c(method: Method, bytes: []const u8) u32 {
    return switch (method) {
        .portable => Portable.hash(bytes),
        .instruction => ~byInstruction(start, bytes),
    };
}

/// The checksum of so many zeroes.
pub fn crc32cOfZeroes(method: Method, size: usize) u32 {
    const block: [4096]u8 = @splat(0);
    var portable: Portable = .init();
    var sum: u32 = start;
    var rest = size;
    while (rest != 0) {
        const part = block[0..@min(rest, block.len)];
        switch (method) {
            .portable => portable.update(part),
            .instruction => sum = byInstruction(sum, part),
        }
        rest -= part.len;
    }
    return if (method == .portable) portable.final() else ~sum;
}

const start = std.math.maxInt(u32);

/// SSE4.2 (Intel SDM volume 2, CPUID leaf 1).
fn hasInstruction() bool {
    var features: u32 = undefined;
    asm volatile ("cpuid"
        : [features] "={ecx}" (features),
        : [leaf] "{eax}" (@as(u32, 1)),
          [index] "{ecx}" (@as(u32, 0)),
        : .{ .eax = true, .ebx = true, .edx = true });
    return features & 1 << 20 != 0;
}

fn byInstruction(before: u32, bytes: []const u8) u32 {
    if (builtin.cpu.arch != .x86_64) unreachable;
    var checksum: u64 = before;
    var rest = bytes;
    while (rest.len >= 8) : (rest = rest[8..]) {
        checksum = asm ("crc32q %[data], %[out]"
            : [out] "=r" (-> u64),
            : [data] "r" (std.mem.readInt(u64, rest[0..8], .little)),
              [sum] "0" (checksum),
        );
    }
    for (rest) |byte| {
        checksum = asm ("crc32b %[data], %[out]"
            : [out] "=r" (-> u64),
            : [data] "r" (byte),
              [sum] "0" (checksum),
        );
    }
    return @truncate(checksum);
}

test "both ways give the sums of RFC 3720" {
    var rising: [32]u8 = undefined;
    for (&rising, 0..) |*byte, index| byte.* = @intCast(index);
    const zeroes: [32]u8 = @splat(0);
    for ([_]Method{ .portable, Method.ofHost() }) |method| {
        try std.testing.expectEqual(0x8a91_36aa, crc32c(method, &zeroes));
        try std.testing.expectEqual(0x46dd_794e, crc32c(method, &rising));
        try std.testing.expectEqual(0xe306_9283, crc32c(method, "123456789"));
        const many: [10_000]u8 = @splat(0);
        try std.testing.expectEqual(crc32c(method, &many), crc32cOfZeroes(method, many.len));
    }
}
