//! All vCPUs of a machine together: make, start, pause, resume, stop.

const std = @import("std");
const limits = @import("../limits.zig");
const kvm = @import("../kernel/kvm.zig");
const system = @import("../kernel/system.zig");
const errors = @import("../errors.zig");
const seccomp = @import("../seccomp.zig");
const Vm = @import("../kernel/vm.zig").Vm;
const Bus = @import("../bus/dispatch.zig").Bus;
const Doorbell = @import("../io/doorbell.zig").Doorbell;
const vcpu_module = @import("vcpu.zig");
const cpuid = @import("x86_64/cpuid.zig");
const state = @import("x86_64/state.zig");
const Vcpu = vcpu_module.Vcpu;

pub const Group = struct {
    vcpus: [limits.vcpu_count_max]*Vcpu = undefined,
    count: usize = 0,
    /// The first vCPU's descriptor when it was made before this group; -1: it was not.
    early_fd: i32 = -1,
    /// Since they were last asked to run.
    has_paused: bool = false,
    /// Filter of vCPU threads, also of those made later.
    filter: ?*const seccomp.Program = null,

    pub fn all(self: *const Group) []const *Vcpu {
        return self.vcpus[0..self.count];
    }

    pub fn at(self: *const Group, index: u32) errors.CoreError!*Vcpu {
        return if (index < self.count) self.vcpus[index] else error.Invalid;
    }

    /// Makes the next vCPU with its CPUID, MSRs and local APIC pins.
    pub fn create(
        self: *Group,
        allocator: std.mem.Allocator,
        vm: *const Vm,
        options: struct { topology: cpuid.Topology, bus: *const Bus, doorbell: *Doorbell },
        failure: *errors.Failure,
    ) errors.CoreError!void {
        if (self.count == self.vcpus.len) return error.Limit;
        const index: u32 = @intCast(self.count);
        const apic_id = options.topology.apicId(index);
        const fd = try self.takeDescriptor(vm, apic_id, failure);
        errdefer if (self.count == index) system.close(fd);
        const mapped = try vm.mapVcpu(fd, failure);
        errdefer if (self.count == index) system.unmap(@intFromPtr(mapped.ptr), mapped.len);
        const vcpu = allocator.create(Vcpu) catch return error.OutOfMemory;
        vcpu.* = .{
            .index = index,
            .apic_id = apic_id,
            .fd = fd,
            .run = @ptrCast(@alignCast(mapped.ptr)),
            .mapped = mapped,
            .bus = options.bus,
            .doorbell = options.doorbell,
        };
        vcpu.confinement.ask(self.filter);
        self.vcpus[index] = vcpu;
        self.count += 1;
        try state.setCpuid(vm.system_fd, vcpu.fd, .{
            .topology = options.topology,
            .apic_id = apic_id,
            .tsc_deadline = vm.capabilities.tsc_deadline != 0,
        }, failure);
        try state.setMsrs(vcpu.fd, failure);
        try state.setLocalPins(vcpu.fd, failure);
    }

    /// The first vCPU may have been made with the VM, early.
    fn takeDescriptor(
        self: *Group,
        vm: *const Vm,
        apic_id: u32,
        failure: *errors.Failure,
    ) errors.HostError!i32 {
        const early = self.early_fd;
        self.early_fd = -1;
        if (early >= 0 and self.count == 0) return early;
        return vm.createVcpuDescriptor(apic_id, failure);
    }

    /// Starts the threads; they wait paused for `resumeAll`.
    pub fn start(self: *Group, failure: *errors.Failure) errors.HostError!void {
        try vcpu_module.installKickHandler(failure);
        for (self.all()) |vcpu| try vcpu.start(failure);
    }

    /// Each thread installs the filter before it enters the guest the next time.
    pub fn confine(self: *Group, program: ?*const seccomp.Program) void {
        self.filter = program;
        for (self.all()) |vcpu| vcpu.confinement.ask(program);
    }

    pub fn resumeAll(self: *Group) void {
        if (self.has_paused) for (self.all()) |vcpu| vcpu.tellOfPause();
        self.has_paused = false;
        for (self.all()) |vcpu| vcpu.ask(.run);
    }

    /// Brings every vCPU to rest within `limits.pause_wait_ns`; a parked one is at rest. When one
    /// does not come to rest all of them go on.
    pub fn pauseAll(self: *Group, failure: *errors.Failure) errors.CoreError!void {
        errdefer self.resumeAll();
        self.has_paused = true;
        for (self.all()) |vcpu| vcpu.ask(.pause);
        for (self.all()) |vcpu| vcpu.kick();
        const deadline_ns = system.monotonicNs() + limits.pause_wait_ns;
        for (self.all()) |vcpu| {
            while (!vcpu.isAtRest()) {
                if (system.monotonicNs() > deadline_ns) {
                    failure.* = .{ .operation = .kvm_run, .value = vcpu.index };
                    return error.Timeout;
                }
                vcpu.waitForRest(limits.kick_interval_ns);
                vcpu.kick();
            }
        }
    }

    /// Ends all threads and frees all vCPUs.
    pub fn destroy(self: *Group, allocator: std.mem.Allocator) void {
        for (self.all()) |vcpu| vcpu.ask(.stop);
        for (self.all()) |vcpu| {
            vcpu.stop();
            vcpu.close();
            allocator.destroy(vcpu);
        }
        self.count = 0;
        if (self.early_fd >= 0) system.close(self.early_fd);
        self.early_fd = -1;
    }
};
