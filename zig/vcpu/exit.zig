//! From the shared page that KVM_RUN leaves behind to what must be done: no side effects, so that
//! every exit can be tested without KVM (Linux Documentation/virt/kvm/api.rst, section 5).

const std = @import("std");
const kvm = @import("../kernel/kvm.zig");
const ParkReason = @import("../bus/outcome.zig").ParkReason;
const Space = @import("../bus/address_map.zig").Space;

pub const Access = struct {
    space: Space,
    address: u64,
    is_write: bool,
    /// `count` items of `size` bytes, one after the other.
    size: usize,
    count: usize,
    data: []u8,
};

pub const Exit = union(enum) {
    access: Access,
    park: ParkReason,
    /// Back into the guest: a signal, an interrupt window.
    again,
};

const system_event_shutdown = 1;
const system_event_reset = 2;

/// `mapped` is the whole shared mapping, whose first page is `run`.
pub fn decode(run: *kvm.Run, mapped: []u8) Exit {
    return switch (run.exit_reason) {
        .io => .{ .access = decodeIo(run.exit.io, mapped) orelse return .{ .park = .vcpu_failed } },
        .mmio => .{ .access = .{
            .space = .mmio,
            .address = run.exit.mmio.address,
            .is_write = run.exit.mmio.is_write != 0,
            .size = @min(run.exit.mmio.length, 8),
            .count = 1,
            .data = run.exit.mmio.data[0..@min(run.exit.mmio.length, 8)],
        } },
        .shutdown => .{ .park = .triple_fault },
        .system_event => .{ .park = switch (run.exit.system_event.type) {
            system_event_shutdown => .power_off,
            system_event_reset => .reset,
            else => .vcpu_failed,
        } },
        .intr, .irq_window_open => .again,
        else => .{ .park = .vcpu_failed },
    };
}

fn decodeIo(io: kvm.RunIo, mapped: []u8) ?Access {
    const total = @as(u64, io.size) * io.count;
    if (io.data_offset > mapped.len or total > mapped.len - io.data_offset) return null;
    return .{
        .space = .pio,
        .address = io.port,
        .is_write = io.direction == 1,
        .size = io.size,
        .count = io.count,
        .data = mapped[io.data_offset..][0..total],
    };
}

test "a string of port writes becomes one access with its items" {
    var page: [8192]u8 align(4096) = @splat(0);
    const run: *kvm.Run = @ptrCast(&page);
    run.exit_reason = .io;
    run.exit.io = .{ .direction = 1, .size = 2, .port = 0x3f8, .count = 3, .data_offset = 4096 };
    const access = decode(run, &page).access;
    try std.testing.expect(access.is_write);
    try std.testing.expectEqual(@as(usize, 6), access.data.len);
    try std.testing.expectEqual(@as(usize, 3), access.count);
    run.exit.io.data_offset = 8190;
    try std.testing.expectEqual(ParkReason.vcpu_failed, decode(run, &page).park);
}

test "each way to stop has its own reason" {
    var page: [8192]u8 align(4096) = @splat(0);
    const run: *kvm.Run = @ptrCast(&page);
    run.exit_reason = .shutdown;
    try std.testing.expectEqual(ParkReason.triple_fault, decode(run, &page).park);
    run.exit_reason = .system_event;
    run.exit.system_event.type = system_event_reset;
    try std.testing.expectEqual(ParkReason.reset, decode(run, &page).park);
    run.exit_reason = .internal_error;
    try std.testing.expectEqual(ParkReason.vcpu_failed, decode(run, &page).park);
    run.exit_reason = .intr;
    try std.testing.expectEqual(Exit.again, decode(run, &page));
}
