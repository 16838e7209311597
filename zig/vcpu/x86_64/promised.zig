//! Whether a host keeps what CPUID has promised a guest that was saved elsewhere: each feature
//! that the guest knows of must be there (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E).

const std = @import("std");
const kvm = @import("../../kernel/kvm.zig");

const Register = enum { eax, ebx, ecx, edx };

const Features = struct {
    function: u32,
    index: u32 = 0,
    registers: []const Register,
    /// Bits that follow what the guest does rather than what the CPU can.
    changing: u32 = 0,
};

/// The leaves that are bits of features; others tell sizes, names and the topology.
const leaves = [_]Features{
    .{ .function = 1, .registers = &.{.edx} },
    // MONITOR follows a bit of MSR_IA32_MISC_ENABLE, OSXSAVE one of CR4.
    .{ .function = 1, .registers = &.{.ecx}, .changing = 1 << 3 | 1 << 27 },
    .{ .function = 7, .registers = &.{ .ebx, .edx } },
    // OSPKE follows a bit of CR4.
    .{ .function = 7, .registers = &.{.ecx}, .changing = 1 << 4 },
    .{ .function = 7, .index = 1, .registers = &.{ .eax, .ecx, .edx } },
    .{ .function = 0xd, .registers = &.{ .eax, .edx } },
    .{ .function = 0xd, .index = 1, .registers = &.{.eax} },
    .{ .function = 0x4000_0001, .registers = &.{.eax} },
    .{ .function = 0x8000_0001, .registers = &.{ .ecx, .edx } },
    .{ .function = 0x8000_0007, .registers = &.{.edx} },
    .{ .function = 0x8000_0008, .registers = &.{.ebx} },
    .{ .function = 0x8000_0021, .registers = &.{.eax} },
};

/// The first leaf of `promised` that `offered` does not keep; null when all is well.
pub fn broken(promised: []const kvm.CpuidEntry, offered: []const kvm.CpuidEntry) ?u32 {
    const vendor = find(promised, 0, 0);
    const host = find(offered, 0, 0);
    if (vendor.ebx != host.ebx or vendor.ecx != host.ecx or vendor.edx != host.edx) return 0;
    for (leaves) |leaf| {
        const before = find(promised, leaf.function, leaf.index);
        const now = find(offered, leaf.function, leaf.index);
        for (leaf.registers) |register| {
            const missing = valueOf(before, register) & ~valueOf(now, register);
            if (missing & ~leaf.changing != 0) return leaf.function;
        }
    }
    return null;
}

/// A leaf that is not there reads as zeroes.
fn find(entries: []const kvm.CpuidEntry, function: u32, index: u32) kvm.CpuidEntry {
    for (entries) |entry| {
        if (entry.function == function and entry.index == index) return entry;
    }
    return std.mem.zeroes(kvm.CpuidEntry);
}

fn valueOf(entry: kvm.CpuidEntry, register: Register) u32 {
    return switch (register) {
        inline else => |name| @field(entry, @tagName(name)),
    };
}

fn entryOf(function: u32, ebx: u32, ecx: u32) kvm.CpuidEntry {
    return .{
        .function = function,
        .index = 0,
        .flags = 0,
        .eax = 0,
        .ebx = ebx,
        .ecx = ecx,
        .edx = 0,
    };
}

test "a feature too many is no harm, one too few is named, and so is another vendor" {
    const rich = [_]kvm.CpuidEntry{ entryOf(0, 5, 5), entryOf(7, 0b11, 0) };
    const poor = [_]kvm.CpuidEntry{ entryOf(0, 5, 5), entryOf(7, 0b01, 0) };
    const foreign = [_]kvm.CpuidEntry{ entryOf(0, 6, 5), entryOf(7, 0b11, 0) };
    try std.testing.expectEqual(null, broken(&poor, &rich));
    try std.testing.expectEqual(null, broken(&rich, &rich));
    try std.testing.expectEqual(7, broken(&rich, &poor));
    try std.testing.expectEqual(7, broken(&rich, rich[0..1]));
    try std.testing.expectEqual(0, broken(&rich, &foreign));
}

test "what the guest itself has switched on is no promise of the CPU" {
    const on = [_]kvm.CpuidEntry{entryOf(1, 0, 1 << 27 | 1 << 3)};
    const off = [_]kvm.CpuidEntry{entryOf(1, 0, 0)};
    try std.testing.expectEqual(null, broken(&on, &off));
}
