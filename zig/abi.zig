//! The whole C ABI, read top to bottom. Each call takes a core's handle, at most three scalars or
//! one pointer to a parameter struct, and returns a Status. A pointer is valid for its call only.
//! `abi_gen.zig` prints src/core/abi.gen.ts from this file; nothing here is written twice.

const std = @import("std");
const limits = @import("limits.zig");
const errors = @import("errors.zig");
const kernel_vm = @import("kernel/vm.zig");
const kvm = @import("kernel/kvm.zig");
const core_module = @import("core.zig");
const outcome = @import("bus/outcome.zig");
const cpuid = @import("vcpu/x86_64/cpuid.zig");
const state = @import("vcpu/x86_64/state.zig");
const table = @import("devices/table.zig");
const debug_port = @import("devices/platform/debug_port.zig");
const doorbell = @import("io/doorbell.zig");
const jail = @import("host/jail_abi.zig");
const balloon = @import("devices/virtio/balloon.zig");
const tap = @import("kernel/tap.zig");
const seccomp = @import("seccomp.zig");
const seccomp_violation = @import("seccomp_violation.zig");
const descriptors = @import("host/descriptors.zig");
const scalars = @import("abi_scalars.zig");
const types = @import("abi_types.zig");
const Core = core_module.Core;
const Status = errors.Status;

pub const api = struct {
    /// Compared with the generated file before any other call.
    pub fn abi_hash() callconv(.c) u64 {
        return @import("abi_hash.zig").hash;
    }

    pub fn core_create(params: *const types.CoreParams) callconv(.c) Status {
        const failure: *errors.Failure = @ptrFromInt(@backingInt(params.failure));
        const handle: *usize = @ptrFromInt(@backingInt(params.handle));
        const early: ?Core.Early = if (params.vm_fd < 0) null else .{
            .vm_fd = params.vm_fd,
            .vcpu_fd = params.vcpu_fd,
        };
        const core = Core.create(params.system_fd, early, failure) catch |err|
            return errors.statusOf(err);
        handle.* = @intFromPtr(core);
        return .ok;
    }

    pub fn core_destroy(core: *Core) callconv(.c) Status {
        core.destroy();
        return .ok;
    }

    pub fn core_failure(core: *Core, failure: *errors.Failure) callconv(.c) Status {
        failure.* = core.failure;
        return .ok;
    }

    pub fn vm_capabilities(core: *Core, out: *kernel_vm.Capabilities) callconv(.c) Status {
        out.* = (core.vm orelse return .unsupported).capabilities;
        return .ok;
    }

    /// PIC, IOAPIC and local APICs; nothing to do without KVM or when they were made early.
    pub fn vm_create_interrupt_chips(core: *Core) callconv(.c) Status {
        const vm = core.vm orelse return .ok;
        if (core.has_interrupt_chips) return .ok;
        core.has_interrupt_chips = true;
        return done(vm.createInterruptChips(kernel_vm.default_pages, &core.failure));
    }

    /// The timer of a PC; after the interrupt chips.
    pub fn vm_create_pit(core: *Core) callconv(.c) Status {
        const vm = core.vm orelse return .ok;
        return done(vm.createPit(&core.failure));
    }

    /// Replaces all interrupt routes by an array of Route.
    pub fn vm_set_routes(
        core: *Core,
        routes: [*]const kernel_vm.Route,
        count: u32,
    ) callconv(.c) Status {
        const vm = core.vm orelse return .unsupported;
        for (routes[0..count]) |route| {
            const kind = @backingInt(route.kind);
            if (kind != 1 and kind != 2) return .invalid;
        }
        return done(vm.setRoutes(routes[0..count], &core.failure));
    }

    pub fn memory_add(core: *Core, params: *const types.MemoryParams) callconv(.c) Status {
        return done(core.addMemory(.{
            .guest_address = params.guest_address,
            .size = params.size,
            .fd = params.fd,
            .offset = params.offset,
            .shared = params.shared != 0,
            .dump = params.dump != 0,
            .span_size = params.span_size,
            .reserve = params.reserve != 0,
            .populate_thread_count = params.prealloc,
            .policy = params.policy,
            .nodes = .{ @backingInt(params.nodes_low), @backingInt(params.nodes_high) },
        }, &core.failure));
    }

    pub fn memory_read(core: *Core, params: *const types.TransferParams) callconv(.c) Status {
        const bytes = sliceOf(params.bytes, params.size) catch |err| return errors.statusOf(err);
        return done(core.memory.read(params.guest_address, bytes));
    }

    pub fn memory_write(core: *Core, params: *const types.TransferParams) callconv(.c) Status {
        const bytes = sliceOf(params.bytes, params.size) catch |err| return errors.statusOf(err);
        return done(core.memory.write(params.guest_address, bytes));
    }

    /// Reads a file into guest memory.
    pub fn memory_load(core: *Core, params: *const types.LoadParams) callconv(.c) Status {
        return done(core.memory.load(.{
            .fd = params.fd,
            .offset = params.offset,
            .size = params.size,
        }, params.guest_address, &core.failure));
    }

    pub fn thread_create(
        core: *Core,
        params: *const types.ThreadParams,
        out: *u32,
    ) callconv(.c) Status {
        const name = sliceOf(params.name, params.name_size) catch |err| return errors.statusOf(err);
        return given(out, core.addLoop(name, &core.failure));
    }

    /// Kernel thread id of an iothread; 0 until it runs.
    pub fn thread_id(core: *Core, index: u32, out: *u32) callconv(.c) Status {
        const loop = core.loopAt(index) catch |err| return errors.statusOf(err);
        out.* = loop.thread_id.load(.acquire);
        return .ok;
    }

    pub fn chardev_create(
        core: *Core,
        params: *const types.ChardevParams,
        out: *u32,
    ) callconv(.c) Status {
        return given(out, core.addChardev(.{
            .input_fd = params.input_fd,
            .output_fd = params.output_fd,
            .listen_fd = params.listen_fd,
            .escape = params.escape != 0,
        }, &core.failure));
    }

    /// Puts a terminal into raw mode until the core is destroyed.
    pub fn terminal_set_raw(core: *Core, fd: i32) callconv(.c) Status {
        return done(core.terminal.setRaw(fd, &core.failure));
    }

    /// A listening stream socket at a sockaddr of `size` bytes; `out` is its descriptor.
    pub fn host_listen(
        core: *Core,
        address: [*]const u8,
        size: u32,
        out: *i32,
    ) callconv(.c) Status {
        if (size < 2 or size > sockaddr_size_max) return .invalid;
        var copy: [sockaddr_size_max]u8 align(8) = undefined;
        @memcpy(copy[0..size], address[0..size]);
        out.* = descriptors.listen(copy[0..size], &core.failure) catch |err|
            return errors.statusOf(err);
        return .ok;
    }

    /// Makes an open /dev/ptmx usable; `out` is the number of its other end.
    pub fn host_prepare_pty(core: *Core, fd: i32, out: *u32) callconv(.c) Status {
        return given(out, descriptors.preparePty(fd, &core.failure));
    }

    /// Locks an open file; EAGAIN says that another machine has it.
    pub fn host_lock_file(core: *Core, fd: i32, exclusive: u32) callconv(.c) Status {
        const mode: descriptors.LockMode = if (exclusive != 0) .exclusive else .shared;
        return done(descriptors.lockFile(fd, mode, &core.failure));
    }

    /// A file in memory of `size` bytes, which nobody can resize; `out` is its descriptor.
    pub fn host_memory_file(core: *Core, size: u64, out: *i32) callconv(.c) Status {
        out.* = descriptors.memoryFile(size, &core.failure) catch |err|
            return errors.statusOf(err);
        return .ok;
    }

    /// What O_DIRECT needs of an open file; all 0 when the kernel does not say.
    pub fn host_direct_alignment(
        core: *Core,
        fd: i32,
        out: *descriptors.DirectAlignment,
    ) callconv(.c) Status {
        out.* = descriptors.directAlignment(fd, &core.failure) catch |err|
            return errors.statusOf(err);
        return .ok;
    }

    /// Ties an open /dev/net/tun to the interface that an ifreq of `tap_request_size` bytes names;
    /// the kernel completes the request.
    pub fn host_attach_tap(core: *Core, fd: i32, request: *tap.Request) callconv(.c) Status {
        return done(tap.attach(fd, request, &core.failure));
    }

    /// Name and flags of the interface behind a tap queue, as an ifreq.
    pub fn host_inspect_tap(core: *Core, fd: i32, request: *tap.Request) callconv(.c) Status {
        return done(tap.inspect(fd, request, &core.failure));
    }

    /// Makes a tap queue ready for a device; `out` tells the offloads that it can do.
    pub fn host_prepare_tap(core: *Core, fd: i32, out: *u32) callconv(.c) Status {
        return given(out, tap.prepare(fd, &core.failure));
    }

    pub fn device_create(
        core: *Core,
        params: *const table.DeviceParams,
        out: *u32,
    ) callconv(.c) Status {
        return given(out, core.devices.create(core, params));
    }

    /// The device's windows must be gone from the map.
    pub fn device_destroy(core: *Core, id: u32) callconv(.c) Status {
        return done(core.devices.destroy(core, id));
    }

    pub fn device_info(core: *Core, id: u32, out: *types.DeviceInfo) callconv(.c) Status {
        const device = core.devices.get(id) catch |err| return errors.statusOf(err);
        out.* = .{ .interrupt_count = device.line.count.load(.acquire) };
        switch (device.model) {
            .virtio_mmio => |*transport| {
                out.fault_count = transport.mmio.device.fault_count;
                // The longest words fit; a shorter text is as good for the log.
                _ = std.fmt.bufPrint(&out.fault, "{f}", .{transport.mmio.device.fault}) catch {};
                const errors_seen = transport.body.errorCounters();
                out.error_count = errors_seen.count;
                out.last_errno = errors_seen.last_errno;
            },
            else => {},
        }
        return .ok;
    }

    /// Asks a balloon's guest to give up so many pages altogether.
    pub fn device_set_balloon(core: *Core, id: u32, page_count: u32) callconv(.c) Status {
        const model = balloonAt(core, id) catch |err| return errors.statusOf(err);
        model.setTarget(page_count);
        return .ok;
    }

    /// What a balloon holds, and whether that changed since the last call.
    pub fn device_balloon(core: *Core, id: u32, out: *balloon.Info) callconv(.c) Status {
        const model = balloonAt(core, id) catch |err| return errors.statusOf(err);
        out.* = model.takeInfo();
        return .ok;
    }

    /// Boot-time marks of the debug port.
    pub fn device_marks(core: *Core, id: u32, out: *debug_port.Marks) callconv(.c) Status {
        const device = core.devices.get(id) catch |err| return errors.statusOf(err);
        out.* = switch (device.model) {
            .debug_port => |*port| port.marks(),
            else => return .invalid,
        };
        return .ok;
    }

    /// Replaces the whole address map by an array of WindowParams.
    pub fn map_publish(
        core: *Core,
        windows: [*]const table.WindowParams,
        count: u32,
    ) callconv(.c) Status {
        return done(core.devices.publish(core, windows[0..count]));
    }

    pub fn bus_read(core: *Core, access: *types.AccessParams) callconv(.c) Status {
        var data: [8]u8 = @splat(0);
        if (!isAccess(access)) return .invalid;
        core.bus.read(&core.reader, access.space, access.address, data[0..access.size]);
        access.value = @fromBackingInt(std.mem.readInt(u64, &data, .little));
        return .ok;
    }

    /// A write that asks for power-off or reset reports its reason in `value`, otherwise 0.
    pub fn bus_write(core: *Core, access: *types.AccessParams) callconv(.c) Status {
        var data: [8]u8 = undefined;
        if (!isAccess(access)) return .invalid;
        std.mem.writeInt(u64, &data, @backingInt(access.value), .little);
        const bytes = data[0..access.size];
        const asked = core.bus.write(&core.reader, access.space, access.address, bytes);
        const reason: outcome.ParkReason = switch (asked) {
            .none => .none,
            .park => |reason| reason,
        };
        access.value = @fromBackingInt(@backingInt(reason));
        return .ok;
    }

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

    /// Confines all threads, once, with all vCPUs started and paused: each installs its filter
    /// before its first guest instruction. Later threads get theirs when they start.
    pub fn seccomp_install(core: *Core, params: *const types.SeccompParams) callconv(.c) Status {
        const main = programOf(params.main, params.main_count) catch |err|
            return errors.statusOf(err);
        const vcpu = programOf(params.vcpu, params.vcpu_count) catch |err|
            return errors.statusOf(err);
        const iothread = programOf(params.iothread, params.iothread_count) catch |err|
            return errors.statusOf(err);
        seccomp_violation.setLog(params.log_fd);
        return done(core.installFilters(.{
            .main = main,
            .vcpu = vcpu,
            .iothread = iothread,
        }, &core.failure));
    }

    /// The log was opened anew: where a violation is reported from now on.
    pub fn seccomp_set_log(fd: i32) callconv(.c) Status {
        seccomp_violation.setLog(fd);
        return .ok;
    }

    /// Lets a parked vCPU go on.
    pub fn park_answer(core: *Core, index: u32) callconv(.c) Status {
        const vcpu = core.vcpus.at(index) catch |err| return errors.statusOf(err);
        vcpu.park.answer();
        return .ok;
    }

    /// The end of the doorbell that becomes readable; it becomes the caller's.
    pub fn doorbell_fd(core: *Core, out: *i32) callconv(.c) Status {
        out.* = core.doorbell.read_fd;
        core.doorbell.read_fd = -1;
        return if (out.* < 0) .empty else .ok;
    }

    /// Bits of News since the last call, and how often the bell rang so far.
    pub fn doorbell_take(core: *Core, bits: *u32, rings: *u64) callconv(.c) Status {
        bits.* = core.doorbell.take();
        rings.* = core.doorbell.ring_count.load(.acquire);
        return .ok;
    }

    /// Virtual time (accel=test) in nanoseconds.
    pub fn clock_now(core: *Core, out: *u64) callconv(.c) Status {
        out.* = core.clock.monotonicNs();
        return .ok;
    }

    /// Moves virtual time forward to `target_ns`; `out` is the time after.
    pub fn clock_move(core: *Core, target_ns: u64, out: *u64) callconv(.c) Status {
        if (!core.clock.virtual) return .unsupported;
        out.* = core.clock.moveTo(target_ns);
        return .ok;
    }

    // The launcher's calls, which act on the calling thread and need no core.
    pub const jail_unshare = jail.unshareNamespaces;
    pub const jail_join_network = jail.joinNetwork;
    pub const jail_set_host_name = jail.setHostName;
    pub const jail_mount = jail.mount;
    pub const jail_unmount = jail.unmount;
    pub const jail_make_node = jail.makeNode;
    pub const jail_lock = jail.lock;
    pub const jail_enter = jail.enter;
};

fn done(answer: anytype) Status {
    answer catch |err| return errors.statusOf(err);
    return .ok;
}

fn balloonAt(core: *Core, id: u32) errors.CoreError!*balloon.Balloon {
    const device = try core.devices.get(id);
    return switch (device.model) {
        .virtio_mmio => |*transport| switch (transport.body) {
            .balloon => |*held| held,
            else => error.Invalid,
        },
        else => error.Invalid,
    };
}

fn given(out: *u32, answer: errors.CoreError!u32) Status {
    out.* = answer catch |err| return errors.statusOf(err);
    return .ok;
}

/// sockaddr_storage (socket(7)).
const sockaddr_size_max = 128;

fn isAccess(access: *const types.AccessParams) bool {
    return access.size >= 1 and access.size <= 8 and @backingInt(access.space) <= 1;
}

fn programOf(pointer: scalars.Pointer, count: u32) errors.CoreError!seccomp.Program {
    if (count == 0 or count > seccomp.instruction_count_max) return error.Invalid;
    const instructions: [*]const u64 = @ptrFromInt(@backingInt(pointer));
    return instructions[0..count];
}

fn sliceOf(pointer: scalars.Pointer, size: u64) errors.CoreError![]u8 {
    if (size > limits.transfer_size_max) return error.Limit;
    if (size == 0) return &.{};
    const bytes: [*]u8 = @ptrFromInt(@backingInt(pointer));
    return bytes[0..size];
}
