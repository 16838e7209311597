//! What a machine's snapshot consists of beside the bytes of its memory: one state for the VM, one
//! for each vCPU, one for each device. And the thread pool that writes those bytes.

const core_module = @import("core.zig");
const errors = @import("errors.zig");
const blob = @import("blob.zig");
const saved_device = @import("devices/saved_state.zig");
const saved_vcpu = @import("vcpu/x86_64/saved_vcpu.zig");
const saved_vm = @import("vcpu/x86_64/saved_vm.zig");
const save = @import("memory/save.zig");
const Core = core_module.Core;

pub const Part = enum(u32) { vm = 0, vcpu = 1, device = 2 };

/// A part and, of vCPUs and devices, which one.
pub const Subject = struct { part: Part, id: u32 };

/// Returns the size of the state, which is in `buffer` if it is not larger than that. The vCPUs
/// are at rest and the devices paused. Errors: Invalid (they are not), Unsupported (no KVM), Host.
pub fn saveState(core: *Core, subject: Subject, buffer: []u8) errors.CoreError!usize {
    const failure = &core.failure;
    failure.* = .{};
    var writer: blob.Writer = switch (subject.part) {
        .vm => try saved_vm.save(&(core.vm orelse return error.Unsupported), buffer, failure),
        .vcpu => try saved_vcpu.save(try vcpuTarget(core, subject.id), buffer),
        .device => try saved_device.save(try core.devices.get(subject.id), buffer, failure),
    };
    // A buffer that is too small is told by the size.
    writer.finish() catch {};
    return writer.size;
}

/// Puts a saved state into a machine that has not run: first the memory, then each vCPU, the VM,
/// the devices. Errors: Invalid (`failure` says why), Unsupported, Host.
pub fn restoreState(core: *Core, subject: Subject, bytes: []const u8) errors.CoreError!void {
    const failure = &core.failure;
    failure.* = .{};
    switch (subject.part) {
        .vm => {
            const vm = &(core.vm orelse return error.Unsupported);
            try saved_vm.restore(vm, bytes, failure);
        },
        .vcpu => try saved_vcpu.restore(try vcpuTarget(core, subject.id), bytes),
        .device => try saved_device.restore(try core.devices.get(subject.id), bytes, failure),
    }
}

fn vcpuTarget(core: *Core, index: u32) errors.CoreError!saved_vcpu.Target {
    const vm = core.vm orelse return error.Unsupported;
    const vcpu = try core.vcpus.at(index);
    const hindrance: errors.Operation = if (vcpu.currentState() == .parked)
        .state_ended
    else if (!vcpu.isAtRest()) .state_running else .none;
    if (hindrance != .none) {
        core.failure = .{ .operation = hindrance, .value = index };
        return error.Invalid;
    }
    return .{
        .system_fd = vm.system_fd,
        .vm_fd = vm.vm_fd,
        .fd = vcpu.fd,
        .apic_id = vcpu.apic_id,
        .failure = &core.failure,
    };
}

/// Begins to write the guest's memory; what an earlier one left is forgotten. Errors: Invalid (one
/// runs already), OutOfMemory, Host.
pub fn startMemorySave(core: *Core, options: save.Options) errors.CoreError!void {
    if (core.memory_save) |earlier| {
        if (earlier.currentState() == .running) return error.Invalid;
        earlier.destroy(core_module.allocator);
        core.memory_save = null;
    }
    core.memory_save = try save.Save.start(core_module.allocator, &core.memory, options, .{
        .doorbell = &core.doorbell,
        .filter = core.filters.forIothread(),
    }, &core.failure);
}
