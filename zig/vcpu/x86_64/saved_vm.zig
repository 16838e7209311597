//! The state of what KVM keeps for a machine as a whole: interrupt chips, timer, clock.

const std = @import("std");
const blob = @import("../../blob.zig");
const errors = @import("../../errors.zig");
const kvm = @import("../../kernel/kvm.zig");
const kvm_state = @import("../../kernel/kvm_state.zig");
const system = @import("../../kernel/system.zig");
const Vm = @import("../../kernel/vm.zig").Vm;

const kind = 2;
const version = 1;

const chip_count = 3;
const errno_no_pit = 6;

const Fixed = extern struct {
    chips: [chip_count]kvm_state.Irqchip,
    /// The guest's clock, and the world's at the same time.
    clock_ns: u64,
    realtime_ns: u64,
    has_pit: u32,
    padding: u32 = 0,
    pit: kvm_state.Pit,
};

/// Limit when `buffer` is smaller than the writer's size. Errors: Host.
pub fn save(vm: *const Vm, buffer: []u8, failure: *errors.Failure) errors.CoreError!blob.Writer {
    var fixed = std.mem.zeroes(Fixed);
    for (&fixed.chips, 0..) |*chip, index| {
        chip.chip = @intCast(index);
        try call(vm, .kvm_save_vm, kvm_state.get_irqchip, @intFromPtr(chip), failure);
    }
    const pit = system.ioctl(vm.vm_fd, kvm_state.get_pit, @intFromPtr(&fixed.pit));
    if (!pit.ok() and pit.errno != errno_no_pit) {
        return failure.set(.kvm_save_vm, pit.errno, kvm_state.get_pit & 0xff);
    }
    fixed.has_pit = @intFromBool(pit.ok());
    var clock = std.mem.zeroes(kvm_state.Clock);
    try call(vm, .kvm_save_vm, kvm_state.get_clock, @intFromPtr(&clock), failure);
    fixed.clock_ns = clock.clock_ns;
    const has_realtime = clock.flags & kvm_state.Clock.flag_realtime != 0;
    fixed.realtime_ns = if (has_realtime) clock.realtime_ns else system.realtimeNs();
    var writer: blob.Writer = .begin(buffer, kind, version);
    writer.put(&fixed);
    return writer;
}

/// After the vCPUs' states: what waits in the IOAPIC goes to their local APICs, and the clock
/// follows their counters. Errors: Invalid, Host.
pub fn restore(
    vm: *const Vm,
    bytes: []const u8,
    failure: *errors.Failure,
) errors.CoreError!void {
    var reader: blob.Reader = try .begin(bytes, kind, version, failure);
    const fixed = try reader.take(Fixed);
    try reader.end();
    for (fixed.chips, 0..) |chip, index| {
        if (chip.chip != index) return reader.senseless(@sizeOf(Fixed));
    }
    if (fixed.has_pit > 1) return reader.senseless(@sizeOf(Fixed));
    for (&fixed.chips) |*chip| {
        try call(vm, .kvm_restore_vm, kvm_state.set_irqchip, @intFromPtr(chip), failure);
    }
    if (fixed.has_pit != 0) {
        try call(vm, .kvm_restore_vm, kvm_state.set_pit, @intFromPtr(&fixed.pit), failure);
    }
    const clock = clockNow(vm, &fixed);
    try call(vm, .kvm_restore_vm, kvm_state.set_clock, @intFromPtr(&clock), failure);
}

/// The guest's clock goes on as if it had never stopped: KVM adds the time since, where it can.
fn clockNow(vm: *const Vm, fixed: *const Fixed) kvm_state.Clock {
    const capability = kvm_state.capability_adjust_clock;
    const flags = system.ioctl(vm.vm_fd, kvm.check_extension, capability);
    if (flags.ok() and flags.value & kvm_state.Clock.flag_realtime != 0) return .{
        .clock_ns = fixed.clock_ns,
        .flags = kvm_state.Clock.flag_realtime,
        .realtime_ns = fixed.realtime_ns,
    };
    const elapsed_ns = system.realtimeNs() -| fixed.realtime_ns;
    return .{ .clock_ns = fixed.clock_ns +| elapsed_ns };
}

fn call(
    vm: *const Vm,
    operation: errors.Operation,
    request: u32,
    argument: usize,
    failure: *errors.Failure,
) errors.HostError!void {
    const answer = system.ioctl(vm.vm_fd, request, argument);
    if (!answer.ok()) return failure.set(operation, answer.errno, request & 0xff);
}
