//! Registers of an x86_64 vCPU: what the boot plan sets, what a report reads.

const std = @import("std");
const kvm = @import("../../kernel/kvm.zig");
const system = @import("../../kernel/system.zig");
const errors = @import("../../errors.zig");
const trace = @import("../../trace/trace.zig");
const cpuid = @import("cpuid.zig");

/// A segment register with its hidden part, as the boot plan gives it.
pub const EntrySegment = extern struct {
    base: u64,
    limit: u32,
    selector: u32,
    type: u32,
    present: u32,
    dpl: u32,
    db: u32,
    s: u32,
    l: u32,
    g: u32,
    padding: u32 = 0,

    fn toKvm(self: EntrySegment) kvm.Segment {
        return .{
            .base = self.base,
            .limit = self.limit,
            .selector = @truncate(self.selector),
            .type = @truncate(self.type),
            .present = @truncate(self.present),
            .dpl = @truncate(self.dpl),
            .db = @truncate(self.db),
            .s = @truncate(self.s),
            .l = @truncate(self.l),
            .g = @truncate(self.g),
            .avl = 0,
            .unusable = 0,
        };
    }
};

pub const EntryTable = extern struct { base: u64, limit: u32, padding: u32 = 0 };

/// State of the bootstrap processor at its first instruction; what is not named is as after INIT.
pub const EntryState = extern struct {
    rip: u64,
    rsp: u64,
    rbx: u64,
    rsi: u64,
    rflags: u64,
    cr0: u64,
    cr3: u64,
    cr4: u64,
    efer: u64,
    gdt: EntryTable,
    idt: EntryTable,
    code: EntrySegment,
    data: EntrySegment,
    task: EntrySegment,
};

pub fn setEntry(fd: i32, entry: *const EntryState, failure: *errors.Failure) errors.HostError!void {
    var special: kvm.SpecialRegisters = undefined;
    try call(fd, kvm.get_sregs, &special, .kvm_get_registers, failure);
    special.cs = entry.code.toKvm();
    inline for (.{ "ds", "es", "fs", "gs", "ss" }) |name| {
        @field(special, name) = entry.data.toKvm();
    }
    special.tr = entry.task.toKvm();
    special.gdt = .{ .base = entry.gdt.base, .limit = @truncate(entry.gdt.limit) };
    special.idt = .{ .base = entry.idt.base, .limit = @truncate(entry.idt.limit) };
    special.cr0 = entry.cr0;
    special.cr3 = entry.cr3;
    special.cr4 = entry.cr4;
    special.efer = entry.efer;
    try call(fd, kvm.set_sregs, &special, .kvm_set_registers, failure);
    trace.emit(.kvm_set_sregs, .{
        .fd = fd,
        .cr0 = special.cr0,
        .cr3 = special.cr3,
        .cr4 = special.cr4,
        .efer = special.efer,
    });
    var registers: kvm.Registers = .{
        .rip = entry.rip,
        .rsp = entry.rsp,
        .rbx = entry.rbx,
        .rsi = entry.rsi,
        .rflags = entry.rflags,
    };
    try call(fd, kvm.set_regs, &registers, .kvm_set_registers, failure);
    trace.emit(.kvm_set_regs, .{
        .fd = fd,
        .rip = registers.rip,
        .rsp = registers.rsp,
        .rsi = registers.rsi,
    });
}

/// Local APIC pins of a PC: LINT0 takes the PIC's interrupt, LINT1 the NMI.
pub fn setLocalPins(fd: i32, failure: *errors.Failure) errors.HostError!void {
    var lapic: kvm.LapicState = undefined;
    try call(fd, kvm.get_lapic, &lapic, .kvm_local_apic, failure);
    setDeliveryMode(&lapic, lvt_lint0, delivery_external);
    setDeliveryMode(&lapic, lvt_lint1, delivery_nmi);
    try call(fd, kvm.set_lapic, &lapic, .kvm_local_apic, failure);
    trace.emit(.kvm_set_lapic, .{ .fd = fd });
}

const lvt_lint0 = 0x350;
const lvt_lint1 = 0x360;
const delivery_nmi = 4;
const delivery_external = 7;

fn setDeliveryMode(lapic: *kvm.LapicState, offset: usize, mode: u32) void {
    const bytes = lapic.registers[offset..][0..4];
    const value = std.mem.readInt(u32, bytes, .little) & ~@as(u32, 0x700 | 1 << 16);
    std.mem.writeInt(u32, bytes, value | mode << 8, .little);
}

const MsrList = extern struct { header: kvm.MsrHeader, entries: [2]kvm.MsrEntry };

/// MSRs that firmware would have set: fast string moves, and write-back as default memory type.
pub fn setMsrs(fd: i32, failure: *errors.Failure) errors.HostError!void {
    var list: MsrList = .{ .header = .{ .count = 2 }, .entries = .{
        .{ .index = msr_misc_enable, .data = misc_enable_fast_string },
        .{ .index = msr_mtrr_default_type, .data = mtrr_enable | mtrr_write_back },
    } };
    const answer = system.ioctl(fd, kvm.set_msrs, @intFromPtr(&list));
    if (!answer.ok()) return failure.set(.kvm_set_msrs, answer.errno, 0);
    trace.emit(.kvm_set_msrs, .{ .fd = fd, .count = list.header.count });
}

const msr_misc_enable = 0x1a0;
const misc_enable_fast_string = 1;
const msr_mtrr_default_type = 0x2ff;
const mtrr_enable = 1 << 11;
const mtrr_write_back = 6;

/// Asks KVM what the host supports and makes the vCPU's own table of it.
pub fn setCpuid(
    system_fd: i32,
    fd: i32,
    options: cpuid.Options,
    failure: *errors.Failure,
) errors.HostError!void {
    var table: cpuid.Table = .{
        .header = .{ .count = cpuid.entry_count_max },
        .entries = undefined,
    };
    try call(system_fd, kvm.get_supported_cpuid, &table, .kvm_supported_cpuid, failure);
    table.adjust(options);
    try call(fd, kvm.set_cpuid2, &table, .kvm_set_cpuid, failure);
    trace.emit(.kvm_set_cpuid2, .{ .id = options.apic_id, .count = table.header.count });
}

pub fn readRegisters(
    fd: i32,
    registers: *kvm.Registers,
    special: *kvm.SpecialRegisters,
    failure: *errors.Failure,
) errors.HostError!void {
    try call(fd, kvm.get_regs, registers, .kvm_get_registers, failure);
    try call(fd, kvm.get_sregs, special, .kvm_get_registers, failure);
    trace.emit(.kvm_get_regs, .{ .fd = fd, .rip = registers.rip, .rsp = registers.rsp });
    trace.emit(.kvm_get_sregs, .{ .fd = fd, .cr0 = special.cr0, .cr3 = special.cr3 });
}

fn call(
    fd: i32,
    request: u32,
    argument: *anyopaque,
    operation: errors.Operation,
    failure: *errors.Failure,
) errors.HostError!void {
    const answer = system.ioctl(fd, request, @intFromPtr(argument));
    if (!answer.ok()) return failure.set(operation, answer.errno, 0);
}
