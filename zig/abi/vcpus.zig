//! Calls for vCPUs: making, starting, pausing and inspecting them.

const errors = @import("../errors.zig");
const core_module = @import("../core.zig");
const kvm = @import("../kernel/kvm.zig");
const cpuid = @import("../vcpu/x86_64/cpuid.zig");
const state = @import("../vcpu/x86_64/state.zig");
const types = @import("../abi_types.zig");
const answers = @import("answers.zig");
const Core = core_module.Core;
const Status = errors.Status;
const done = answers.done;

/// APIC id of the vCPU with this index.
pub fn cpu_apic_id(topology: *const cpuid.Topology, index: u32, out: *u32) callconv(.c) Status {
    out.* = topology.apicId(index);
    return .ok;
}

/// Makes the next vCPU; the topology gives its APIC id.
pub fn vcpu_create(core: *Core, topology: *const cpuid.Topology) callconv(.c) Status {
    const vm = if (core.vm) |*vm| vm else return .unsupported;
    return done(core.vcpus.create(core_module.allocator, vm, .{
        .topology = topology.*,
        .bus = &core.bus,
        .doorbell = &core.doorbell,
    }, &core.failure));
}

/// Registers of the bootstrap processor.
pub fn vcpu_set_entry(core: *Core, entry: *const state.EntryState) callconv(.c) Status {
    const vcpu = core.vcpus.at(0) catch |err| return errors.statusOf(err);
    return done(state.setEntry(vcpu.fd, entry, &core.failure));
}

/// Starts all vCPU threads, paused.
pub fn vcpus_start(core: *Core) callconv(.c) Status {
    return done(core.vcpus.start(&core.failure));
}

pub fn vcpus_resume(core: *Core) callconv(.c) Status {
    core.vcpus.resumeAll();
    return .ok;
}

pub fn vcpus_pause(core: *Core) callconv(.c) Status {
    return done(core.vcpus.pauseAll(&core.failure));
}

pub fn vcpu_info(core: *Core, index: u32, out: *types.VcpuInfo) callconv(.c) Status {
    const vcpu = core.vcpus.at(index) catch |err| return errors.statusOf(err);
    out.* = .{
        .state = vcpu.currentState(),
        .thread_id = vcpu.thread_id.load(.acquire),
        .apic_id = vcpu.apic_id,
        .park = vcpu.park.current(),
        .park_count = vcpu.park.count.load(.acquire),
        .pio_exits = vcpu.counters.pio_exits,
        .mmio_exits = vcpu.counters.mmio_exits,
        .other_exits = vcpu.counters.other_exits,
        .failure_errno = vcpu.failure.errno,
        .failure_exit_reason = vcpu.failure.exit_reason,
        .failure_detail = @fromBackingInt(vcpu.failure.detail),
    };
    return .ok;
}

/// The vCPU must be at rest.
pub fn vcpu_registers(core: *Core, index: u32, out: *types.RegisterDump) callconv(.c) Status {
    const vcpu = core.vcpus.at(index) catch |err| return errors.statusOf(err);
    if (!vcpu.isAtRest()) return .invalid;
    var registers: kvm.Registers = undefined;
    var special: kvm.SpecialRegisters = undefined;
    state.readRegisters(vcpu.fd, &registers, &special, &core.failure) catch |err|
        return errors.statusOf(err);
    inline for (@typeInfo(types.RegisterDump).@"struct".field_names) |name| {
        const value = if (@hasField(kvm.Registers, name))
            @field(registers, name)
        else
            @field(special, name);
        @field(out, name) = @fromBackingInt(value);
    }
    return .ok;
}

/// Lets a parked vCPU go on.
pub fn park_answer(core: *Core, index: u32) callconv(.c) Status {
    const vcpu = core.vcpus.at(index) catch |err| return errors.statusOf(err);
    vcpu.park.answer();
    return .ok;
}
