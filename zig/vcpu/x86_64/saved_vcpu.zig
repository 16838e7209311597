//! A vCPU's whole state as bytes, and back. The order of the calls is KVM's: reading the state of
//! the processor settles events, so events are read last; writing begins with what gives the later
//! registers their meaning (CPUID, control registers, APIC base) and ends with events.

const std = @import("std");
const blob = @import("../../blob.zig");
const cpuid = @import("cpuid.zig");
const errors = @import("../../errors.zig");
const kvm = @import("../../kernel/kvm.zig");
const kvm_state = @import("../../kernel/kvm_state.zig");
const limits = @import("../../limits.zig");
const promised = @import("promised.zig");
const saved_msrs = @import("saved_msrs.zig");
const system = @import("../../kernel/system.zig");

const kind = 1;
const version = 1;

/// What has one size in every state. `tsc` is the counter's value at `realtime_ns`.
const Fixed = extern struct {
    apic_id: u32,
    mp_state: u32,
    tsc_khz: u32,
    cpuid_count: u32 = 0,
    msr_count: u32 = 0,
    xsave_size: u32 = 0,
    tsc: u64 = 0,
    tsc_deadline: u64 = 0,
    realtime_ns: u64 = 0,
    registers: kvm.Registers,
    special: kvm.SpecialRegisters,
    debug: kvm_state.DebugRegisters,
    controls: kvm_state.ExtendedControls,
    lapic: kvm.LapicState,
    events: kvm_state.VcpuEvents,
};

/// A vCPU at rest, as this file sees it.
pub const Target = struct {
    system_fd: i32,
    vm_fd: i32,
    fd: i32,
    apic_id: u32,
    failure: *errors.Failure,

    fn read(self: Target, request: u32, argument: usize) errors.HostError!void {
        const answer = system.ioctl(self.fd, request, argument);
        if (!answer.ok()) return self.refused(.kvm_save_vcpu, answer.errno, request);
    }

    fn write(self: Target, request: u32, argument: usize) errors.HostError!void {
        const answer = system.ioctl(self.fd, request, argument);
        if (!answer.ok()) return self.refused(.kvm_restore_vcpu, answer.errno, request);
    }

    fn refused(
        self: Target,
        operation: errors.Operation,
        errno: i32,
        request: u32,
    ) errors.HostError {
        return self.failure.set(operation, errno, request & 0xff);
    }

    /// Bytes that XSAVE state takes on this host; null when they are more than any state has.
    fn xsaveSize(self: Target) ?usize {
        const capability = kvm_state.capability_xsave2;
        const answer = system.ioctl(self.vm_fd, kvm.check_extension, capability);
        const size = if (answer.ok()) answer.value else 0;
        if (size > limits.xsave_size_max) return null;
        return @max(size, @sizeOf(kvm_state.XsaveBase));
    }
};

/// Returns the size of the whole state; Limit when `buffer` is smaller. Errors: Host, Unsupported.
pub fn save(target: Target, buffer: []u8) errors.CoreError!blob.Writer {
    var fixed: Fixed = std.mem.zeroes(Fixed);
    fixed.apic_id = target.apic_id;
    var table: cpuid.Table = .{
        .header = .{ .count = cpuid.entry_count_max },
        .entries = undefined,
    };
    var msrs: saved_msrs.Table = .{};
    var xsave: [limits.xsave_size_max]u8 align(64) = @splat(0);
    const xsave_size = target.xsaveSize() orelse return error.Unsupported;
    try msrs.list(target.system_fd, target.failure);
    // It settles pending events, and so must come before everything that they change.
    try target.read(kvm_state.get_mp_state, @intFromPtr(&fixed.mp_state));
    try target.read(kvm.get_regs, @intFromPtr(&fixed.registers));
    try target.read(kvm.get_sregs, @intFromPtr(&fixed.special));
    const large = xsave_size > @sizeOf(kvm_state.XsaveBase);
    const get_xsave = if (large) kvm_state.get_xsave2 else kvm_state.get_xsave;
    try target.read(get_xsave, @intFromPtr(&xsave));
    try target.read(kvm_state.get_xcrs, @intFromPtr(&fixed.controls));
    try target.read(kvm_state.get_debug_registers, @intFromPtr(&fixed.debug));
    try target.read(kvm.get_lapic, @intFromPtr(&fixed.lapic));
    msrs.read(target.fd);
    readTime(target, &fixed);
    try target.read(kvm_state.get_cpuid, @intFromPtr(&table));
    try target.read(kvm_state.get_vcpu_events, @intFromPtr(&fixed.events));
    fixed.cpuid_count = table.header.count;
    fixed.msr_count = @intCast(msrs.count);
    fixed.xsave_size = @intCast(xsave_size);
    var writer: blob.Writer = .begin(buffer, kind, version);
    writer.put(&fixed);
    writer.putBytes(std.mem.sliceAsBytes(table.used()));
    writer.putBytes(std.mem.sliceAsBytes(msrs.used()));
    writer.putBytes(xsave[0..xsave_size]);
    return writer;
}

fn readTime(target: Target, fixed: *Fixed) void {
    const rate = system.ioctl(target.fd, kvm_state.get_tsc_khz, 0);
    fixed.tsc_khz = if (rate.ok()) @intCast(rate.value) else 0;
    fixed.tsc_deadline = saved_msrs.readOne(target.fd, saved_msrs.tsc_deadline) orelse 0;
    fixed.tsc = saved_msrs.readOne(target.fd, saved_msrs.tsc) orelse 0;
    fixed.realtime_ns = system.realtimeNs();
}

/// A state whose shape is checked: what is in it, KVM checks.
const Checked = struct {
    fixed: Fixed,
    table: cpuid.Table,
    msrs: saved_msrs.Table,
    xsave: [limits.xsave_size_max]u8 align(64),

    fn parse(self: *Checked, bytes: []const u8, target: Target) error{Invalid}!void {
        var reader: blob.Reader = try .begin(bytes, kind, version, target.failure);
        self.fixed = try reader.take(Fixed);
        const fixed = &self.fixed;
        if (fixed.apic_id != target.apic_id) return reader.senseless(@sizeOf(Fixed));
        if (fixed.cpuid_count > cpuid.entry_count_max or
            fixed.msr_count > limits.msr_count_max or
            fixed.xsave_size < @sizeOf(kvm_state.XsaveBase) or
            fixed.xsave_size > limits.xsave_size_max) return reader.senseless(@sizeOf(Fixed));
        self.table.header = .{ .count = fixed.cpuid_count };
        try reader.takeInto(self.table.used());
        self.msrs.count = fixed.msr_count;
        try reader.takeInto(self.msrs.entries[0..self.msrs.count]);
        @memset(&self.xsave, 0);
        try reader.takeInto(self.xsave[0..fixed.xsave_size]);
        try reader.end();
    }
};

/// Puts a saved state into a vCPU that has not run. Errors: Invalid (the state is damaged, or of
/// another CPU), Host (KVM refuses it).
pub fn restore(target: Target, bytes: []const u8) errors.CoreError!void {
    var state: Checked = undefined;
    try state.parse(bytes, target);
    const fixed = &state.fixed;
    try restoreCpuid(target, &state.table);
    try restoreRate(target, fixed.tsc_khz);
    try target.write(kvm.set_sregs, @intFromPtr(&fixed.special));
    try target.write(kvm.set_regs, @intFromPtr(&fixed.registers));
    const size = target.xsaveSize() orelse return error.Unsupported;
    if (fixed.xsave_size > size) {
        target.failure.* = .{ .operation = .state_cpuid, .value = 0xd };
        return error.Invalid;
    }
    try target.write(kvm_state.set_xsave, @intFromPtr(&state.xsave));
    try target.write(kvm_state.set_xcrs, @intFromPtr(&fixed.controls));
    try target.write(kvm_state.set_debug_registers, @intFromPtr(&fixed.debug));
    try target.write(kvm.set_lapic, @intFromPtr(&fixed.lapic));
    try saved_msrs.writeOne(target.fd, saved_msrs.tsc, tscNow(fixed), target.failure);
    try state.msrs.write(target.fd, target.failure);
    if (fixed.tsc_deadline != 0) {
        const index = saved_msrs.tsc_deadline;
        try saved_msrs.writeOne(target.fd, index, fixed.tsc_deadline, target.failure);
    }
    try target.write(kvm_state.set_vcpu_events, @intFromPtr(&fixed.events));
    try target.write(kvm_state.set_mp_state, @intFromPtr(&fixed.mp_state));
    // The guest's watchdogs learn that it was stopped. It fails where no guest asked for a clock.
    _ = system.ioctl(target.fd, kvm_state.kvmclock_control, 0);
}

/// The guest keeps the CPU that it knows; the host must have all of it.
fn restoreCpuid(target: Target, saved: *cpuid.Table) errors.CoreError!void {
    var offered: cpuid.Table = .{
        .header = .{ .count = cpuid.entry_count_max },
        .entries = undefined,
    };
    try target.write(kvm_state.get_cpuid, @intFromPtr(&offered));
    if (promised.broken(saved.used(), offered.used())) |function| {
        target.failure.* = .{ .operation = .state_cpuid, .value = function };
        return error.Invalid;
    }
    try target.write(kvm.set_cpuid2, @intFromPtr(saved));
}

/// Rates that differ by less are those of one machine, measured twice (KVM's own bound).
const rate_tolerance_ppm = 250;

fn restoreRate(target: Target, saved_khz: u32) errors.CoreError!void {
    const answer = system.ioctl(target.fd, kvm_state.get_tsc_khz, 0);
    const held_khz: u64 = if (answer.ok()) answer.value else 0;
    if (saved_khz == 0 or held_khz == 0) return;
    const difference = @max(saved_khz, held_khz) - @min(saved_khz, held_khz);
    if (difference * 1_000_000 <= held_khz * rate_tolerance_ppm) return;
    if (system.ioctl(target.fd, kvm_state.set_tsc_khz, saved_khz).ok()) return;
    target.failure.* = .{ .operation = .state_tsc, .value = saved_khz };
    return error.Invalid;
}

/// The counter went on while nobody ran: a guest that keeps its time by it has the right one.
fn tscNow(fixed: *const Fixed) u64 {
    const elapsed_ns: u128 = system.realtimeNs() -| fixed.realtime_ns;
    return fixed.tsc +% @as(u64, @truncate(elapsed_ns * fixed.tsc_khz / 1_000_000));
}

/// A state of the right shape with counts of its own, for a vCPU that KVM does not know.
fn testState(buffer: []u8, counts: struct { cpuid: u32, msr: u32, xsave: u32 }) []u8 {
    var fixed = std.mem.zeroes(Fixed);
    fixed.cpuid_count = counts.cpuid;
    fixed.msr_count = counts.msr;
    fixed.xsave_size = counts.xsave;
    var writer: blob.Writer = .begin(buffer, kind, version);
    writer.put(&fixed);
    const tail: [2 * @sizeOf(kvm.CpuidEntry) + 3 * @sizeOf(kvm.MsrEntry) + 4096]u8 = @splat(0);
    writer.put(&tail);
    // The tests' buffer has room.
    writer.finish() catch unreachable;
    return buffer[0..writer.size];
}

test "a state whose counts do not fit its bytes is refused before KVM sees it" {
    var buffer: [64 * 1024]u8 = @splat(0);
    var failure: errors.Failure = .{};
    const nowhere = -1;
    var target: Target = .{
        .system_fd = nowhere,
        .vm_fd = nowhere,
        .fd = nowhere,
        .apic_id = 0,
        .failure = &failure,
    };
    const good = testState(&buffer, .{ .cpuid = 2, .msr = 3, .xsave = 4096 });
    try std.testing.expectError(error.Host, restore(target, good));
    for (0..good.len) |size| {
        try std.testing.expectError(error.Invalid, restore(target, good[0..size]));
    }
    target.apic_id = 1;
    try std.testing.expectError(error.Invalid, restore(target, good));
    target.apic_id = 0;
    const huge = std.math.maxInt(u32);
    for ([_][3]u32{
        .{ 3, 3, 4096 },    .{ 2, 2, 4096 },    .{ 2, 3, 4095 }, .{ 2, 3, 4097 },
        .{ huge, 3, 4096 }, .{ 2, huge, 4096 }, .{ 2, 3, huge },
    }) |counts| {
        const bad = testState(&buffer, .{
            .cpuid = counts[0],
            .msr = counts[1],
            .xsave = counts[2],
        });
        try std.testing.expectError(error.Invalid, restore(target, bad));
    }
}
