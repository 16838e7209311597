//! Where guest memory lies on the host: address ranges that are kept free for it and aligned so
//! that huge pages fit guest and host at once, and the memory nodes that its pages come from.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("../errors.zig");
const system = @import("../kernel/system.zig");

/// How pages are spread over host nodes: the modes of set_mempolicy(2).
pub const Policy = enum(u32) { default = 0, preferred = 1, bind = 2, interleave = 3 };

/// Host nodes 0 to 127, a bit each.
pub const Nodes = [2]u64;

pub const Range = struct { address: usize, size: u64 };

const huge_size = 2 * 1024 * 1024;
const giant_size = 1024 * 1024 * 1024;

/// Address space without memory behind it, aligned as the largest huge page that fits into it.
pub fn keepFree(size: u64, failure: *errors.Failure) errors.CoreError!usize {
    const page = std.heap.page_size_min;
    const alignment: u64 = if (size >= giant_size) giant_size else if (size >= huge_size)
        huge_size
    else
        page;
    const whole = std.math.add(u64, size, alignment) catch return error.Invalid;
    const kept = system.map(.{ .size = whole, .protection = .none });
    if (!kept.ok()) return failure.set(.memory_map, kept.errno, size);
    const start = std.mem.alignForward(usize, kept.value, @intCast(alignment));
    const end = std.mem.alignForward(usize, start + @as(usize, @intCast(size)), page);
    if (start != kept.value) system.unmap(kept.value, start - kept.value);
    const whole_end = std.mem.alignForward(usize, kept.value + @as(usize, @intCast(whole)), page);
    if (end != whole_end) system.unmap(end, whole_end - end);
    return start;
}

/// Binds pages that are not there yet. Nodes must exist on the host.
pub fn bind(
    range: Range,
    policy: Policy,
    nodes: Nodes,
    failure: *errors.Failure,
) errors.HostError!void {
    if (policy == .default) return;
    const mask = nodes;
    const answer = system.result(linux.syscall6(
        .mbind,
        range.address,
        range.size,
        @backingInt(policy),
        @intFromPtr(&mask),
        // The kernel takes one bit less than it is told.
        @bitSizeOf(Nodes) + 1,
        0,
    ));
    if (!answer.ok()) return failure.set(.memory_policy, answer.errno, range.size);
}
