//! KVM's ioctl numbers and structures (Linux Documentation/virt/kvm/api.rst), size-asserted.

const std = @import("std");

pub const api_version = 12;

const kvm_type = 0xAE;

pub fn io(number: u32) u32 {
    return (kvm_type << 8) | number;
}
pub fn iow(number: u32, comptime T: type) u32 {
    return (1 << 30) | (@as(u32, @sizeOf(T)) << 16) | io(number);
}
pub fn ior(number: u32, comptime T: type) u32 {
    return (2 << 30) | (@as(u32, @sizeOf(T)) << 16) | io(number);
}
pub fn iowr(number: u32, comptime T: type) u32 {
    return (3 << 30) | (@as(u32, @sizeOf(T)) << 16) | io(number);
}

pub const get_api_version = io(0x00);
pub const create_vm = io(0x01);
pub const check_extension = io(0x03);
pub const get_vcpu_mmap_size = io(0x04);
pub const get_supported_cpuid = iowr(0x05, CpuidHeader);
pub const create_vcpu = io(0x41);
pub const set_user_memory_region = iow(0x46, MemoryRegion);
pub const set_tss_addr = io(0x47);
pub const set_identity_map_addr = iow(0x48, u64);
pub const create_irqchip = io(0x60);
pub const set_gsi_routing = iow(0x6a, RoutingHeader);
pub const irqfd = iow(0x76, Irqfd);
pub const create_pit2 = iow(0x77, PitConfig);
pub const ioeventfd = iow(0x79, Ioeventfd);
pub const run = io(0x80);
pub const get_regs = ior(0x81, Registers);
pub const set_regs = iow(0x82, Registers);
pub const get_sregs = ior(0x83, SpecialRegisters);
pub const set_sregs = iow(0x84, SpecialRegisters);
pub const set_msrs = iow(0x89, MsrHeader);
pub const get_lapic = ior(0x8e, LapicState);
pub const set_lapic = iow(0x8f, LapicState);
pub const set_cpuid2 = iow(0x90, CpuidHeader);

/// KVM_CAP_* numbers that this program needs or uses.
pub const Capability = enum(u32) {
    irqchip = 0,
    user_memory = 3,
    set_tss_addr = 4,
    ext_cpuid = 7,
    nr_vcpus = 9,
    nr_memslots = 10,
    mp_state = 14,
    irq_routing = 25,
    irqfd = 32,
    pit2 = 33,
    ioeventfd = 36,
    set_identity_map_addr = 37,
    vcpu_events = 41,
    pit_state2 = 35,
    debugregs = 50,
    xsave = 55,
    xcrs = 56,
    max_vcpus = 66,
    tsc_deadline_timer = 72,
    signal_msi = 77,
    readonly_memory = 81,
    immediate_exit = 136,
};

pub const MemoryRegion = extern struct {
    slot: u32,
    flags: u32,
    guest_address: u64,
    size: u64,
    host_address: u64,
};

pub const PitConfig = extern struct {
    flags: u32,
    reserved: [15]u32 = @splat(0),

    /// Port 0x61 is answered by the kernel, so that the PIT can be calibrated against.
    pub const speaker_dummy = 1;
};

pub const Irqfd = extern struct {
    fd: u32,
    gsi: u32,
    flags: u32 = 0,
    resample_fd: u32 = 0,
    reserved: [16]u8 = @splat(0),

    pub const deassign = 1;
};

pub const Ioeventfd = extern struct {
    datamatch: u64,
    address: u64,
    length: u32,
    fd: i32,
    flags: u32,
    reserved: [36]u8 = @splat(0),

    pub const flag_datamatch = 1;
    pub const flag_deassign = 4;
};

pub const RoutingHeader = extern struct { count: u32, flags: u32 = 0 };

pub const RoutingEntry = extern struct {
    gsi: u32,
    type: u32,
    flags: u32 = 0,
    pad: u32 = 0,
    /// irqchip: chip, pin. MSI: address low, address high, data, device id.
    words: [8]u32 = @splat(0),
};

pub const CpuidHeader = extern struct { count: u32, padding: u32 = 0 };

pub const CpuidEntry = extern struct {
    function: u32,
    index: u32,
    flags: u32,
    eax: u32,
    ebx: u32,
    ecx: u32,
    edx: u32,
    padding: [3]u32 = @splat(0),

    pub const significant_index = 1;
};

pub const MsrHeader = extern struct { count: u32, padding: u32 = 0 };
pub const MsrEntry = extern struct { index: u32, reserved: u32 = 0, data: u64 };

pub const Registers = extern struct {
    rax: u64 = 0,
    rbx: u64 = 0,
    rcx: u64 = 0,
    rdx: u64 = 0,
    rsi: u64 = 0,
    rdi: u64 = 0,
    rsp: u64 = 0,
    rbp: u64 = 0,
    r8: u64 = 0,
    r9: u64 = 0,
    r10: u64 = 0,
    r11: u64 = 0,
    r12: u64 = 0,
    r13: u64 = 0,
    r14: u64 = 0,
    r15: u64 = 0,
    rip: u64 = 0,
    rflags: u64 = 2,
};

pub const Segment = extern struct {
    base: u64,
    limit: u32,
    selector: u16,
    type: u8,
    present: u8,
    dpl: u8,
    db: u8,
    s: u8,
    l: u8,
    g: u8,
    avl: u8,
    unusable: u8,
    padding: u8 = 0,
};

pub const DescriptorTable = extern struct { base: u64, limit: u16, padding: [3]u16 = @splat(0) };

pub const SpecialRegisters = extern struct {
    cs: Segment,
    ds: Segment,
    es: Segment,
    fs: Segment,
    gs: Segment,
    ss: Segment,
    tr: Segment,
    ldt: Segment,
    gdt: DescriptorTable,
    idt: DescriptorTable,
    cr0: u64,
    cr2: u64,
    cr3: u64,
    cr4: u64,
    cr8: u64,
    efer: u64,
    apic_base: u64,
    interrupt_bitmap: [4]u64,
};

pub const LapicState = extern struct { registers: [0x400]u8 };

/// Reasons for which KVM_RUN returns (api.rst, section 5).
pub const ExitReason = enum(u32) {
    unknown = 0,
    exception = 1,
    io = 2,
    hypercall = 3,
    debug = 4,
    hlt = 5,
    mmio = 6,
    irq_window_open = 7,
    shutdown = 8,
    fail_entry = 9,
    intr = 10,
    internal_error = 17,
    system_event = 24,
    _,
};

pub const RunIo = extern struct {
    direction: u8,
    size: u8,
    port: u16,
    count: u32,
    data_offset: u64,
};

pub const RunMmio = extern struct { address: u64, data: [8]u8, length: u32, is_write: u8 };

/// The page that KVM and the vCPU thread share.
pub const Run = extern struct {
    request_interrupt_window: u8,
    immediate_exit: u8,
    padding1: [6]u8,
    exit_reason: ExitReason,
    ready_for_interrupt_injection: u8,
    if_flag: u8,
    flags: u16,
    cr8: u64,
    apic_base: u64,
    exit: extern union {
        io: RunIo,
        mmio: RunMmio,
        fail_entry: extern struct { hardware_reason: u64, cpu: u32 },
        internal: extern struct { suberror: u32, count: u32, data: [16]u64 },
        system_event: extern struct { type: u32, count: u32, data: [16]u64 },
        padding: [256]u8,
    },
    valid_registers: u64,
    dirty_registers: u64,
    synced: [2048]u8,
};

comptime {
    std.debug.assert(@sizeOf(MemoryRegion) == 32);
    std.debug.assert(@sizeOf(PitConfig) == 64);
    std.debug.assert(@sizeOf(Irqfd) == 32);
    std.debug.assert(@sizeOf(Ioeventfd) == 64);
    std.debug.assert(@sizeOf(RoutingEntry) == 48);
    std.debug.assert(@sizeOf(CpuidEntry) == 40);
    std.debug.assert(@sizeOf(MsrEntry) == 16);
    std.debug.assert(@sizeOf(Registers) == 144);
    std.debug.assert(@sizeOf(Segment) == 24);
    std.debug.assert(@sizeOf(SpecialRegisters) == 312);
    std.debug.assert(@sizeOf(LapicState) == 1024);
    std.debug.assert(@offsetOf(Run, "exit") == 32);
    std.debug.assert(@offsetOf(Run, "valid_registers") == 288);
}

test "ioctl numbers are those of the kernel's header" {
    try std.testing.expectEqual(@as(u32, 0x4020ae46), set_user_memory_region);
    try std.testing.expectEqual(@as(u32, 0xc008ae05), get_supported_cpuid);
    try std.testing.expectEqual(@as(u32, 0x4040ae77), create_pit2);
    try std.testing.expectEqual(@as(u32, 0x4020ae76), irqfd);
    try std.testing.expectEqual(@as(u32, 0x4040ae79), ioeventfd);
    try std.testing.expectEqual(@as(u32, 0x8138ae83), get_sregs);
    try std.testing.expectEqual(@as(u32, 0x4008ae90), set_cpuid2);
}
