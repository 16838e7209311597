//! KVM's calls and structures that read and write the state of vCPUs and of the machine (Linux
//! Documentation/virt/kvm/api.rst), size-asserted.

const std = @import("std");
const kvm = @import("kvm.zig");

/// On /dev/kvm.
pub const get_msr_index_list = kvm.iowr(0x02, MsrIndexHeader);

/// On a machine.
pub const get_irqchip = kvm.iowr(0x62, Irqchip);
pub const set_irqchip = kvm.ior(0x63, Irqchip);
pub const set_clock = kvm.iow(0x7b, Clock);
pub const get_clock = kvm.ior(0x7c, Clock);
pub const get_pit = kvm.ior(0x9f, Pit);
pub const set_pit = kvm.iow(0xa0, Pit);

/// On a vCPU.
pub const get_msrs = kvm.iowr(0x88, kvm.MsrHeader);
pub const get_cpuid = kvm.iowr(0x91, kvm.CpuidHeader);
pub const get_mp_state = kvm.ior(0x98, MpState);
pub const set_mp_state = kvm.iow(0x99, MpState);
pub const get_vcpu_events = kvm.ior(0x9f, VcpuEvents);
pub const set_vcpu_events = kvm.iow(0xa0, VcpuEvents);
pub const get_debug_registers = kvm.ior(0xa1, DebugRegisters);
pub const set_debug_registers = kvm.iow(0xa2, DebugRegisters);
pub const set_tsc_khz = kvm.io(0xa2);
pub const get_tsc_khz = kvm.io(0xa3);
pub const get_xsave = kvm.ior(0xa4, XsaveBase);
pub const set_xsave = kvm.iow(0xa5, XsaveBase);
pub const get_xcrs = kvm.ior(0xa6, ExtendedControls);
pub const set_xcrs = kvm.iow(0xa7, ExtendedControls);
pub const kvmclock_control = kvm.io(0xad);
pub const get_xsave2 = kvm.ior(0xcf, XsaveBase);

/// KVM_CAP_*, asked of a machine.
pub const capability_adjust_clock = 39;
pub const capability_xsave2 = 208;

/// Bytes of XSAVE state that always cross; more where `capability_xsave2` says so.
pub const XsaveBase = extern struct { region: [4096]u8 };

/// Followed by as many indices of 32 bits.
pub const MsrIndexHeader = extern struct { count: u32 };

pub const MpState = extern struct { state: u32 };

pub const Clock = extern struct {
    clock_ns: u64,
    flags: u32 = 0,
    padding: u32 = 0,
    realtime_ns: u64 = 0,
    host_tsc: u64 = 0,
    reserved: [4]u32 = @splat(0),

    pub const flag_realtime = 4;
};

/// The PICs (chips 0 and 1) and the IOAPIC (2): opaque but for their sizes.
pub const Irqchip = extern struct {
    chip: u32,
    padding: u32 = 0,
    registers: [512]u8 = @splat(0),
};

pub const Pit = extern struct {
    channels: [3][24]u8,
    flags: u32,
    reserved: [9]u32,
};

pub const VcpuEvents = extern struct { bytes: [64]u8 };

pub const DebugRegisters = extern struct {
    breakpoints: [4]u64,
    dr6: u64,
    dr7: u64,
    flags: u64,
    reserved: [9]u64,
};

pub const ExtendedControls = extern struct {
    count: u32,
    flags: u32,
    entries: [16]extern struct { index: u32, reserved: u32, value: u64 },
    reserved: [16]u64,
};

comptime {
    std.debug.assert(@sizeOf(Clock) == 48);
    std.debug.assert(@sizeOf(Irqchip) == 520);
    std.debug.assert(@sizeOf(Pit) == 112);
    std.debug.assert(@sizeOf(VcpuEvents) == 64);
    std.debug.assert(@sizeOf(DebugRegisters) == 128);
    std.debug.assert(@sizeOf(ExtendedControls) == 392);
}

test "ioctl numbers are those of the kernel's header" {
    try std.testing.expectEqual(@as(u32, 0xc208_ae62), get_irqchip);
    try std.testing.expectEqual(@as(u32, 0x8208_ae63), set_irqchip);
    try std.testing.expectEqual(@as(u32, 0x8030_ae7c), get_clock);
    try std.testing.expectEqual(@as(u32, 0x8070_ae9f), get_pit);
    try std.testing.expectEqual(@as(u32, 0x8040_ae9f), get_vcpu_events);
    try std.testing.expectEqual(@as(u32, 0x9000_aea4), get_xsave);
    try std.testing.expectEqual(@as(u32, 0x8188_aea6), get_xcrs);
    try std.testing.expectEqual(@as(u32, 0xc004_ae02), get_msr_index_list);
}
