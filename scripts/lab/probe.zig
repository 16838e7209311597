//! Says whether this host's /dev/kvm can run Linux: `yes`, or `no: reason`. It runs, in a tiny
//! guest's kernel mode, instructions that Linux needs and that a KVM without hardware support
//! emulates, or does not: cmpxchg16b (SLUB) and xsetbv, xsave, xrstor (FPU state). Intel SDM
//! volume 2.

const std = @import("std");
const linux = std.os.linux;

const create_vm = 0xae01;
const get_mapping_size = 0xae04;
const get_supported_cpuid = 0xc008ae05;
const create_vcpu = 0xae41;
const set_memory_region = 0x4020ae46;
const set_tss_address = 0xae47;
const run = 0xae80;
const set_registers = 0x4090ae82;
const get_special_registers = 0x8138ae83;
const set_special_registers = 0x4138ae84;
const set_cpuid = 0x4008ae90;

const exit_io = 2;
const time_limit_seconds = 5;
const memory_size = 2 << 20;
const code_address = 0x8000;
const page_present_writable = 3;
const page_large = 0x80;

const Segment = extern struct {
    base: u64 = 0,
    limit: u32 = 0xffffffff,
    selector: u16,
    kind: u8,
    present: u8 = 1,
    privilege: u8 = 0,
    default_size: u8,
    is_code_or_data: u8 = 1,
    long: u8,
    granularity: u8 = 1,
    available: u8 = 0,
    unusable: u8 = 0,
    padding: u8 = 0,
};

const SpecialRegisters = extern struct {
    cs: Segment,
    data: [5]Segment, // ds es fs gs ss
    tr: Segment,
    ldt: Segment,
    tables: [4]u64,
    cr0: u64,
    cr2: u64,
    cr3: u64,
    cr4: u64,
    cr8: u64,
    efer: u64,
    apic_base: u64,
    interrupts: [4]u64,
};

const Registers = extern struct { general: [16]u64 = @splat(0), rip: u64, rflags: u64 };
const MemoryRegion = extern struct { slot: u32, flags: u32, guest: u64, size: u64, host: u64 };
const CpuidEntry = extern struct {
    function: u32,
    index: u32,
    flags: u32,
    eax: u32,
    ebx: u32,
    ecx: u32,
    edx: u32,
    padding: [3]u32,
};
const Cpuid = extern struct { count: u32, padding: u32, entries: [256]CpuidEntry };

comptime {
    std.debug.assert(@sizeOf(SpecialRegisters) == 312);
    std.debug.assert(@sizeOf(Registers) == 144);
}

/// Announces each step that worked at port 0x10, then halts.
const payload = [_]u8{
    0x31, 0xc0, 0x31, 0xd2, // xor eax, eax; xor edx, edx
    0xbb, 1, 0, 0, 0, 0xb9, 2, 0, 0, 0, // mov ebx, 1; mov ecx, 2
    0xf0, 0x48, 0x0f, 0xc7, 0x0c, 0x25, 0, 0x90, 0, 0, // lock cmpxchg16b [0x9000]
    0xb0, 1, 0xe6, 0x10, // mov al, 1; out 0x10, al
    0x31, 0xc9, 0xb8, 3, 0, 0, 0, 0x31, 0xd2, 0x0f, 0x01, 0xd1, // xsetbv: XCR0 = x87 and SSE
    0xb8, 3, 0, 0, 0, 0x0f, 0xae, 0x24, 0x25, 0, 0xa0, 0, 0, // xsave [0xa000]
    0x0f, 0xae, 0x2c, 0x25, 0, 0xa0, 0, 0, // xrstor [0xa000]
    0xb0, 2, 0xe6, 0x10, 0xf4, // mov al, 2; out 0x10, al; hlt
};

var cpuid: Cpuid = undefined;

pub fn main() void {
    _ = linux.syscall1(.alarm, time_limit_seconds);
    const opened = linux.open("/dev/kvm", .{ .ACCMODE = .RDWR, .CLOEXEC = true }, 0);
    switch (linux.errno(opened)) {
        .SUCCESS => {},
        .NOENT => answer("no: there is no /dev/kvm\n"),
        else => answer("no: /dev/kvm cannot be opened by this user\n"),
    }
    const kvm: linux.fd_t = @intCast(opened);
    const vm: linux.fd_t = @intCast(call(kvm, create_vm, 0));
    _ = linux.ioctl(vm, set_tss_address, 0xfffbd000); // only some hosts need it
    const memory = map(-1, memory_size);
    fill(memory);
    const region: MemoryRegion = .{
        .slot = 0,
        .flags = 0,
        .guest = 0,
        .size = memory_size,
        .host = @intFromPtr(memory),
    };
    _ = call(vm, set_memory_region, @intFromPtr(&region));
    const vcpu: linux.fd_t = @intCast(call(vm, create_vcpu, 0));
    const state = map(vcpu, call(kvm, get_mapping_size, 0));
    cpuid.count = cpuid.entries.len;
    _ = call(kvm, get_supported_cpuid, @intFromPtr(&cpuid));
    _ = call(vcpu, set_cpuid, @intFromPtr(&cpuid));
    enterLongMode(vcpu, if (hasXsave()) control_4_base | control_4_xsave else control_4_base);
    execute(vcpu, state);
}

fn execute(vcpu: linux.fd_t, state: [*]u8) noreturn {
    const last_step: u8 = if (hasXsave()) 2 else 1;
    var step: u8 = 0;
    while (step < last_step) {
        const result = linux.errno(linux.ioctl(vcpu, run, 0));
        if (result == .INTR or result == .AGAIN) continue;
        const reason = std.mem.readInt(u32, state[8..12], .little);
        if (result != .SUCCESS or reason != exit_io) fail(step);
        const offset = std.mem.readInt(u64, state[40..48], .little);
        step = state[offset];
    }
    answer("yes\n");
}

fn fail(step: u8) noreturn {
    answer(if (step == 0)
        "no: its guests cannot run cmpxchg16b in kernel mode\n"
    else
        "no: its guests cannot run xrstor in kernel mode\n");
}

fn hasXsave() bool {
    for (cpuid.entries[0..cpuid.count]) |entry| {
        if (entry.function == 1) return entry.ecx & (1 << 26) != 0;
    }
    return false;
}

fn fill(memory: [*]u8) void {
    const tables: [*]u64 = @ptrCast(@alignCast(memory));
    tables[0x1000 / 8] = 0x2000 | page_present_writable;
    tables[0x2000 / 8] = 0x3000 | page_present_writable;
    tables[0x3000 / 8] = page_large | page_present_writable;
    @memcpy(memory[code_address..][0..payload.len], &payload);
}

/// CR4: PAE, OSFXSR and OSXMMEXCPT.
const control_4_base = 0x620;
/// CR4: OSXSAVE.
const control_4_xsave = 0x40000;

fn enterLongMode(vcpu: linux.fd_t, control_4: u64) void {
    var special: SpecialRegisters = undefined;
    _ = call(vcpu, get_special_registers, @intFromPtr(&special));
    special.cs = .{ .selector = 8, .kind = 11, .default_size = 0, .long = 1 };
    special.data = @splat(.{ .selector = 16, .kind = 3, .default_size = 1, .long = 0 });
    special.cr0 = 0x80050033; // PG AM WP NE ET MP PE
    special.cr3 = 0x1000;
    special.cr4 = control_4;
    special.efer = 0x500; // LME LMA
    _ = call(vcpu, set_special_registers, @intFromPtr(&special));
    const registers: Registers = .{ .rip = code_address, .rflags = 2 };
    _ = call(vcpu, set_registers, @intFromPtr(&registers));
}

fn map(fd: linux.fd_t, size: usize) [*]u8 {
    const flags: linux.MAP = .{ .TYPE = .SHARED, .ANONYMOUS = fd < 0 };
    const result = linux.mmap(null, size, .{ .READ = true, .WRITE = true }, flags, fd, 0);
    if (linux.errno(result) != .SUCCESS) answer("no: out of memory\n");
    return @ptrFromInt(result);
}

fn call(fd: linux.fd_t, request: u32, argument: usize) usize {
    const result = linux.ioctl(fd, request, argument);
    if (linux.errno(result) != .SUCCESS) answer("no: KVM refused to make a small guest\n");
    return result;
}

fn answer(text: []const u8) noreturn {
    _ = linux.write(1, text.ptr, text.len);
    linux.exit_group(0);
}
