//! A KVM virtual machine: the calls that concern the whole machine rather than one vCPU.

const std = @import("std");
const kvm = @import("kvm.zig");
const system = @import("system.zig");
const errors = @import("../errors.zig");
const limits = @import("../limits.zig");
const trace = @import("../trace/trace.zig");

/// Everything this program relies on; a host that lacks one is refused by its name.
const required = [_]kvm.Capability{
    .irqchip,
    .user_memory,
    .set_tss_addr,
    .set_identity_map_addr,
    .ext_cpuid,
    .mp_state,
    .irq_routing,
    .irqfd,
    .ioeventfd,
    .pit2,
    .immediate_exit,
};

/// What the host's KVM offers beyond that.
pub const Capabilities = extern struct {
    vcpu_count_max: u32,
    memory_slot_count: u32,
    tsc_deadline: u32,
    padding: u32 = 0,
};

/// Where KVM keeps pages of its own inside the guest's address space (behaviour of x86 microvm).
pub const PrivatePages = extern struct {
    identity_map_address: u64,
    tss_address: u64,
};

/// The same place on every x86 board, below the local APIC's neighbours at the end of 4 GiB.
pub const default_pages: PrivatePages = .{
    .identity_map_address = 0xfef0_c000,
    .tss_address = 0xfef0_d000,
};

/// Where one GSI goes: a pin of an interrupt chip (0 and 1 the PICs, 2 the IOAPIC), or a message.
pub const Route = extern struct {
    gsi: u32,
    kind: Kind,
    chip: u32,
    pin: u32,
    address: u64,
    data: u32,
    padding: u32 = 0,

    pub const Kind = enum(u32) { pin = 1, message = 2 };

    fn toKvm(self: Route) kvm.RoutingEntry {
        var entry: kvm.RoutingEntry = .{ .gsi = self.gsi, .type = @backingInt(self.kind) };
        switch (self.kind) {
            .pin => {
                entry.words[0] = self.chip;
                entry.words[1] = self.pin;
            },
            .message => {
                entry.words[0] = @truncate(self.address);
                entry.words[1] = @intCast(self.address >> 32);
                entry.words[2] = self.data;
            },
        }
        return entry;
    }
};

pub const Vm = struct {
    /// /dev/kvm.
    system_fd: i32,
    vm_fd: i32,
    capabilities: Capabilities,

    /// Checks the host and makes an empty machine. `system_fd` stays the caller's.
    pub fn create(system_fd: i32, failure: *errors.Failure) errors.CoreError!Vm {
        try checkHost(system_fd, failure);
        const created = system.ioctl(system_fd, kvm.create_vm, 0);
        if (!created.ok()) return failure.set(.kvm_create_vm, created.errno, 0);
        return adopt(system_fd, created.fd());
    }

    /// Takes over a machine that `create` made on this host.
    pub fn adopt(system_fd: i32, vm_fd: i32) Vm {
        return .{
            .system_fd = system_fd,
            .vm_fd = vm_fd,
            .capabilities = .{
                .vcpu_count_max = checkExtension(system_fd, .max_vcpus),
                .memory_slot_count = checkExtension(system_fd, .nr_memslots),
                .tsc_deadline = checkExtension(system_fd, .tsc_deadline_timer),
            },
        };
    }

    fn checkHost(system_fd: i32, failure: *errors.Failure) errors.CoreError!void {
        const version = system.ioctl(system_fd, kvm.get_api_version, 0);
        if (!version.ok()) return failure.set(.kvm_api_version, version.errno, 0);
        if (version.value != kvm.api_version) {
            return failure.set(.kvm_api_version, 0, version.value);
        }
        for (required) |capability| {
            if (checkExtension(system_fd, capability) > 0) continue;
            failure.* = .{ .operation = .kvm_check_extension, .value = @backingInt(capability) };
            return error.Unsupported;
        }
    }

    pub fn close(self: *Vm) void {
        system.close(self.vm_fd);
    }

    fn call(
        self: *const Vm,
        request: u32,
        argument: usize,
        operation: errors.Operation,
        failure: *errors.Failure,
    ) errors.HostError!system.Result {
        const answer = system.ioctl(self.vm_fd, request, argument);
        if (!answer.ok()) return failure.set(operation, answer.errno, 0);
        return answer;
    }

    /// PIC, IOAPIC and local APICs in the kernel. Must come before the first vCPU.
    pub fn createInterruptChips(
        self: *const Vm,
        pages: PrivatePages,
        failure: *errors.Failure,
    ) errors.HostError!void {
        const identity = @intFromPtr(&pages.identity_map_address);
        _ = try self.call(kvm.set_identity_map_addr, identity, .kvm_set_identity_map, failure);
        _ = try self.call(kvm.set_tss_addr, pages.tss_address, .kvm_set_tss_address, failure);
        _ = try self.call(kvm.create_irqchip, 0, .kvm_create_irqchip, failure);
    }

    /// The timer of a PC. A VM with one takes two grace periods of the kernel longer to end.
    pub fn createPit(self: *const Vm, failure: *errors.Failure) errors.HostError!void {
        const pit: kvm.PitConfig = .{ .flags = kvm.PitConfig.speaker_dummy };
        _ = try self.call(kvm.create_pit2, @intFromPtr(&pit), .kvm_create_pit, failure);
    }

    pub fn setMemoryRegion(
        self: *const Vm,
        region: kvm.MemoryRegion,
        failure: *errors.Failure,
    ) errors.HostError!void {
        const argument = @intFromPtr(&region);
        const request = kvm.set_user_memory_region;
        _ = self.call(request, argument, .kvm_set_memory_region, failure) catch |err| {
            failure.value = region.guest_address;
            return err;
        };
        trace.emit(.kvm_set_memory_region, .{
            .slot = region.slot,
            .addr = region.guest_address,
            .size = region.size,
        });
    }

    /// Makes an eventfd whose writes raise `gsi`.
    pub fn createIrqfd(self: *const Vm, gsi: u32, failure: *errors.Failure) errors.HostError!i32 {
        const created = system.eventfd();
        if (!created.ok()) return failure.set(.eventfd, created.errno, gsi);
        errdefer system.close(created.fd());
        const request: kvm.Irqfd = .{ .fd = @intCast(created.fd()), .gsi = gsi };
        _ = try self.call(kvm.irqfd, @intFromPtr(&request), .kvm_irqfd, failure);
        trace.emit(.kvm_register_irqfd, .{ .fd = created.fd(), .gsi = gsi });
        return created.fd();
    }

    pub fn removeIrqfd(self: *const Vm, fd: i32, gsi: u32) void {
        trace.emit(.kvm_unregister_irqfd, .{ .fd = fd, .gsi = gsi });
        const request: kvm.Irqfd = .{
            .fd = @intCast(fd),
            .gsi = gsi,
            .flags = kvm.Irqfd.deassign,
        };
        _ = system.ioctl(self.vm_fd, kvm.irqfd, @intFromPtr(&request));
    }

    pub const Notify = struct {
        fd: i32,
        address: u64,
        /// Bytes of the access that counts, and its value.
        length: u32,
        value: u64,
    };

    /// A guest write of `value` at `address` signals `fd` without an exit to this program.
    pub fn addIoeventfd(
        self: *const Vm,
        notify: Notify,
        failure: *errors.Failure,
    ) errors.HostError!void {
        const request = ioeventfdRequest(notify, 0);
        _ = try self.call(kvm.ioeventfd, @intFromPtr(&request), .kvm_ioeventfd, failure);
        trace.emit(.kvm_add_ioeventfd, .{
            .fd = notify.fd,
            .addr = notify.address,
            .size = notify.length,
            .data = notify.value,
        });
    }

    pub fn removeIoeventfd(self: *const Vm, notify: Notify) void {
        const request = ioeventfdRequest(notify, kvm.Ioeventfd.flag_deassign);
        _ = system.ioctl(self.vm_fd, kvm.ioeventfd, @intFromPtr(&request));
        trace.emit(.kvm_delete_ioeventfd, .{
            .fd = notify.fd,
            .addr = notify.address,
            .size = notify.length,
            .data = notify.value,
        });
    }

    /// Replaces all interrupt routes. KVM_CREATE_IRQCHIP has set those of a PC: each GSI below 16
    /// to the PICs and each below 24 to the IOAPIC. Setting routes waits for every reader of the
    /// old ones, some milliseconds, so a machine without MSI leaves them alone.
    pub fn setRoutes(
        self: *const Vm,
        routes: []const Route,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        const Table = extern struct {
            header: kvm.RoutingHeader,
            entries: [limits.gsi_count_max]kvm.RoutingEntry,
        };
        if (routes.len > limits.gsi_count_max) return error.Limit;
        var table: Table = .{ .header = .{ .count = @intCast(routes.len) }, .entries = undefined };
        for (routes, table.entries[0..routes.len]) |route, *entry| entry.* = route.toKvm();
        const argument = @intFromPtr(&table);
        _ = try self.call(kvm.set_gsi_routing, argument, .kvm_set_routing, failure);
        trace.emit(.kvm_commit_irq_routing, .{ .count = routes.len });
    }

    pub fn createVcpuDescriptor(
        self: *const Vm,
        apic_id: u32,
        failure: *errors.Failure,
    ) errors.HostError!i32 {
        return (try self.call(kvm.create_vcpu, apic_id, .kvm_create_vcpu, failure)).fd();
    }

    /// The area that a vCPU shares with its thread.
    pub fn mapVcpu(self: *const Vm, fd: i32, failure: *errors.Failure) errors.HostError![]u8 {
        const size = system.ioctl(self.system_fd, kvm.get_vcpu_mmap_size, 0);
        if (!size.ok()) return failure.set(.kvm_vcpu_mmap_size, size.errno, 0);
        const mapped = system.map(.{ .size = size.value, .fd = fd, .shared = true });
        if (!mapped.ok()) return failure.set(.kvm_map_run, mapped.errno, 0);
        const pointer: [*]u8 = @ptrFromInt(mapped.value);
        return pointer[0..size.value];
    }
};

fn ioeventfdRequest(notify: Vm.Notify, flags: u32) kvm.Ioeventfd {
    return .{
        .datamatch = notify.value,
        .address = notify.address,
        .length = notify.length,
        .fd = notify.fd,
        .flags = flags | kvm.Ioeventfd.flag_datamatch,
    };
}

fn checkExtension(system_fd: i32, capability: kvm.Capability) u32 {
    const answer = system.ioctl(system_fd, kvm.check_extension, @backingInt(capability));
    return if (answer.ok()) @intCast(answer.value) else 0;
}
