//! Every trace event, declared once: module, name, arguments, what it tells. `trace.zig` makes the
//! names and checks of it, `abi_gen.zig` the TypeScript side. Names are upstream's where the same
//! thing happens here. Text arguments exist for events that TypeScript itself sends.

const std = @import("std");

pub const Format = enum { decimal, hex, device, text };

/// An event is a point in time; a scope tells at its end how long it took.
pub const Kind = enum { event, scope };

pub const Argument = struct { name: []const u8, format: Format };

pub const Declaration = struct {
    module: []const u8,
    name: []const u8,
    kind: Kind,
    help: []const u8,
    arguments: []const Argument,
};

/// Arguments of one event.
pub const argument_count_max = 5;

/// All events in the order of their numbers.
pub const all: []const Declaration = collect();

/// An event's number is its place here.
pub const Name = @Enum(u16, .exhaustive, &names(), &std.simd.iota(u16, all.len));

const modules = .{
    .kvm = .{
        .kvm_vcpu_run_exit = event("a vCPU left guest mode", .{
            .index = .decimal,
            .reason = .decimal,
        }),
        .kvm_add_ioeventfd = event("a guest write signals a descriptor from now on", .{
            .fd = .decimal,
            .addr = .hex,
            .size = .decimal,
            .data = .decimal,
        }),
        .kvm_delete_ioeventfd = event("the same write does not any more", .{
            .fd = .decimal,
            .addr = .hex,
            .size = .decimal,
            .data = .decimal,
        }),
        .kvm_register_irqfd = event("a descriptor raises an interrupt from now on", .{
            .fd = .decimal,
            .gsi = .decimal,
        }),
        .kvm_unregister_irqfd = event("the same descriptor does not any more", .{
            .fd = .decimal,
            .gsi = .decimal,
        }),
        .kvm_trigger_irqfd = event("an interrupt line was pulsed", .{
            .irq_fd = .decimal,
            .gsi = .decimal,
        }),
        .kvm_commit_irq_routing = event("all interrupt routes were replaced", .{
            .count = .decimal,
        }),
        .kvm_set_memory_region = event("a slot of guest memory was set", .{
            .slot = .decimal,
            .addr = .hex,
            .size = .decimal,
        }),
        .kvm_set_cpuid2 = event("a vCPU got its CPUID", .{ .id = .decimal, .count = .decimal }),
        .kvm_set_regs = event("the general registers were set", .{
            .fd = .decimal,
            .rip = .hex,
            .rsp = .hex,
            .rsi = .hex,
        }),
        .kvm_set_sregs = event("the special registers were set", .{
            .fd = .decimal,
            .cr0 = .hex,
            .cr3 = .hex,
            .cr4 = .hex,
            .efer = .hex,
        }),
        .kvm_get_regs = event("the general registers were read", .{
            .fd = .decimal,
            .rip = .hex,
            .rsp = .hex,
        }),
        .kvm_get_sregs = event("the special registers were read", .{
            .fd = .decimal,
            .cr0 = .hex,
            .cr3 = .hex,
        }),
        .kvm_set_msrs = event("model specific registers were set", .{
            .fd = .decimal,
            .count = .decimal,
        }),
        .kvm_set_lapic = event("the local APIC's pins were set", .{ .fd = .decimal }),
    },
    .cpu = .{
        .vcpu_state = event("a vCPU's thread changed its state", .{
            .index = .decimal,
            .state = .decimal,
        }),
        .vcpu_park = event("a vCPU waits for the control plane", .{
            .index = .decimal,
            .reason = .decimal,
        }),
        .vcpu_kick = event("a vCPU is taken out of guest mode", .{ .index = .decimal }),
    },
    .memory = .{
        .address_space_read = event("a register of a device was read", .{
            .space = .decimal,
            .addr = .hex,
            .count = .decimal,
            .value = .hex,
        }),
        .address_space_write = event("a register of a device was written", .{
            .space = .decimal,
            .addr = .hex,
            .count = .decimal,
            .value = .hex,
        }),
        .address_update_topology = scope("the address map was replaced", .{ .count = .decimal }),
        .init_memory = scope("guest memory was mapped", .{ .addr = .hex, .size = .decimal }),
        .pre_alloc = scope("guest memory was touched before the start", .{ .size = .decimal }),
        .memory_release = event("guest memory went back to the host", .{
            .addr = .hex,
            .size = .decimal,
        }),
    },
    .event_loop = .{
        .update_event = event("a loop changed what it watches (EPOLL_CTL_)", .{
            .raw_fd = .decimal,
            .operation = .decimal,
        }),
        .loop_turn = event("a loop handles what became ready", .{ .count = .decimal }),
        .timer_add = event("a timer was set", .{ .id = .decimal, .delay_ns = .decimal }),
        .timer_del = event("a timer is gone", .{ .id = .decimal }),
        .timer_run = event("a timer ran out", .{ .id = .decimal }),
    },
    .block_backend = .{
        .aio_submit_request = event("jobs were handed to the kernel", .{
            .fd = .decimal,
            .count = .decimal,
        }),
        .block_read_vectored = event("a read begins", .{
            .fd = .decimal,
            .offset = .decimal,
            .iovecs = .decimal,
        }),
        .block_write_vectored = event("a write begins", .{
            .fd = .decimal,
            .offset = .decimal,
            .iovecs = .decimal,
        }),
        .block_datasync = event("a flush begins", .{ .fd = .decimal }),
        .block_discard = event("a range is given back", .{
            .fd = .decimal,
            .offset = .decimal,
            .nbytes = .decimal,
        }),
        .block_write_zeroes = event("a range is zeroed", .{
            .fd = .decimal,
            .offset = .decimal,
            .nbytes = .decimal,
        }),
        .block_drain_request = event("a disk comes to rest", .{
            .device = .device,
            .in_flight = .decimal,
        }),
    },
    .virtio = .{
        .virtio_receive_request = event("a queue's notification is handled", .{
            .device = .device,
            .queue = .decimal,
        }),
        .virtqueue_send_interrupt = event("a queue's used buffers are told to the guest", .{
            .device = .device,
            .queue = .decimal,
        }),
        .virtqueue_pop_avail = event("a chain was taken", .{
            .vring = .hex,
            .head = .decimal,
            .in_num = .decimal,
            .out_num = .decimal,
        }),
        .virtqueue_add_used = event("a chain was given back", .{
            .vring = .hex,
            .next_used = .decimal,
            .index = .decimal,
            .len = .decimal,
        }),
        .virtqueue_set_avail_event = event("the next notification is asked for", .{
            .vring = .hex,
            .event_idx = .decimal,
        }),
        .virtio_tpt_read_common_config = event("a transport's register was read", .{
            .device = .device,
            .offset = .hex,
            .value = .hex,
        }),
        .virtio_tpt_write_common_config = event("a transport's register was written", .{
            .device = .device,
            .offset = .hex,
            .value = .hex,
        }),
        .virtio_tpt_read_config = event("a device's config space was read", .{
            .device = .device,
            .offset = .hex,
            .len = .decimal,
        }),
        .virtio_tpt_write_config = event("a device's config space was written", .{
            .device = .device,
            .offset = .hex,
            .len = .decimal,
        }),
        .virtio_activate = event("a driver said DRIVER_OK", .{
            .device = .device,
            .features = .hex,
        }),
        .virtio_reset = event("a device was reset", .{ .device = .device }),
        .virtio_fault = event("a guest broke a rule", .{ .device = .device, .count = .decimal }),
        .virtio_config_changed = event("a device's config space changed", .{ .device = .device }),
        .virtio_blk_execute = event("a disk request starts", .{
            .device = .device,
            .operation = .decimal,
            .len = .decimal,
            .offset = .decimal,
        }),
        .virtio_blk_complete_request = event("a disk request is done", .{
            .device = .device,
            .status = .decimal,
        }),
        .virtio_blk_complete_one_request = event("a disk request's chain goes back", .{
            .device = .device,
            .index = .decimal,
            .len = .decimal,
        }),
        .virtio_net_send = event("a frame went to the tap", .{
            .device = .device,
            .pair = .decimal,
            .len = .decimal,
        }),
        .virtio_net_receive = event("a frame went to the guest", .{
            .device = .device,
            .pair = .decimal,
            .len = .decimal,
        }),
        .virtio_net_drop = event("the tap did not take a frame", .{
            .device = .device,
            .pair = .decimal,
            .errno = .decimal,
        }),
        .virtio_net_handle_ctrl = event("a command of the control queue ran", .{
            .device = .device,
            .status = .decimal,
        }),
        .virtio_rng_write_req_data = event("random bytes went to the guest", .{
            .device = .device,
            .size = .decimal,
        }),
        .virtio_serial_output_data = event("a console or port sent what its guest wrote", .{
            .device = .device,
            .port = .decimal,
            .size = .decimal,
        }),
        .virtio_serial_input_data = event("input went to the guest of a console or port", .{
            .device = .device,
            .port = .decimal,
            .size = .decimal,
        }),
        .virtio_serial_pause_rx = event("a console or port has no buffers for input", .{
            .device = .device,
            .port = .decimal,
        }),
        .virtio_serial_new_inputqueue_buf = event("a guest gave buffers for input", .{
            .device = .device,
            .port = .decimal,
        }),
        .vhost_set_owner = event("a vhost device belongs to this process", .{ .fd = .decimal }),
        .vhost_get_features = event("what a vhost device can do", .{
            .fd = .decimal,
            .features = .hex,
        }),
        .vhost_set_features = event("what a vhost device is to do", .{
            .fd = .decimal,
            .features = .hex,
        }),
        .vhost_set_mem_table = event("a vhost device got guest memory", .{
            .fd = .decimal,
            .count = .decimal,
        }),
        .vhost_set_vring_addr = event("where a vhost device's ring is", .{
            .fd = .decimal,
            .queue_idx = .decimal,
        }),
        .vhost_set_vring_num = event("how many entries it has", .{
            .fd = .decimal,
            .queue_idx = .decimal,
            .num = .decimal,
        }),
        .vhost_set_vring_base = event("where it begins", .{
            .fd = .decimal,
            .queue_idx = .decimal,
            .num = .decimal,
        }),
        .vhost_get_vring_base = event("where it has stopped", .{
            .fd = .decimal,
            .queue_idx = .decimal,
            .num = .decimal,
        }),
        .vhost_set_vring_kick = event("what notifies a vhost device", .{
            .fd = .decimal,
            .queue_idx = .decimal,
            .event_fd = .decimal,
        }),
        .vhost_set_vring_call = event("what a vhost device interrupts by", .{
            .fd = .decimal,
            .queue_idx = .decimal,
            .event_fd = .decimal,
        }),
        .vhost_net_set_backend = event("a vhost-net ring got a tap, or lost it", .{
            .fd = .decimal,
            .queue_idx = .decimal,
            .tap_fd = .decimal,
        }),
        .virtio_balloon_target = event("a balloon was asked for a size", .{
            .device = .device,
            .pages = .decimal,
        }),
        .virtio_balloon_actual = event("a guest told its balloon's size", .{
            .device = .device,
            .pages = .decimal,
        }),
    },
    .device_legacy = .{
        .serial_read = event("a register of the serial port was read", .{
            .addr = .hex,
            .value = .hex,
        }),
        .serial_write = event("a register of the serial port was written", .{
            .addr = .hex,
            .value = .hex,
        }),
        .serial_update_iir = event("the interrupt identity was read", .{ .iir = .hex }),
        .serial_receive = event("the serial port took input", .{ .len = .decimal }),
        .serial_pause_rx = event("the serial port takes no more input", .{}),
        .serial_unpause_rx = event("the serial port takes input again", .{}),
        .rtc_read = event("the clock or CMOS memory was read", .{ .addr = .hex, .value = .hex }),
        .rtc_write = event("the clock or CMOS memory was written", .{
            .addr = .hex,
            .value = .hex,
        }),
        .i8042_read = event("the keyboard controller was read", .{
            .offset = .hex,
            .value = .hex,
        }),
        .i8042_write = event("the keyboard controller was written", .{
            .offset = .hex,
            .value = .hex,
        }),
        .debug_port_write = event("a boot-time mark was written", .{ .value = .decimal }),
    },
    .acpi = .{
        .power_read = event("a power register was read", .{ .register = .decimal, .value = .hex }),
        .power_write = event("a power register was written", .{
            .register = .decimal,
            .value = .hex,
        }),
    },
    .machine = .{
        .vm_state = event("the machine runs, is paused or has ended", .{ .state = .text }),
        .machine_end = event("why the machine ended", .{ .reason = .text }),
        .qmp_client = event("a QMP client came or left", .{ .change = .text }),
        .qmp_command = event("a QMP command was answered", .{
            .command = .text,
            .answer = .text,
        }),
        .qmp_event = event("a QMP event was sent", .{ .event = .text }),
    },
};

const Draft = struct { kind: Kind, help: []const u8, arguments: []const Argument };

fn event(comptime help: []const u8, comptime arguments: anytype) Draft {
    return .{ .kind = .event, .help = help, .arguments = argumentsOf(arguments) };
}

fn scope(comptime help: []const u8, comptime arguments: anytype) Draft {
    return .{ .kind = .scope, .help = help, .arguments = argumentsOf(arguments) };
}

fn argumentsOf(comptime arguments: anytype) []const Argument {
    comptime {
        const argument_names = @typeInfo(@TypeOf(arguments)).@"struct".field_names;
        if (argument_names.len > argument_count_max) @compileError("too many arguments");
        var list: []const Argument = &.{};
        for (argument_names) |name| {
            list = list ++ .{Argument{ .name = name, .format = @field(arguments, name) }};
        }
        return list;
    }
}

fn collect() []const Declaration {
    comptime {
        @setEvalBranchQuota(100_000);
        var list: []const Declaration = &.{};
        for (@typeInfo(@TypeOf(modules)).@"struct".field_names) |module| {
            const declared = @field(modules, module);
            for (@typeInfo(@TypeOf(declared)).@"struct".field_names) |name| {
                const draft: Draft = @field(declared, name);
                list = list ++ .{Declaration{
                    .module = module,
                    .name = name,
                    .kind = draft.kind,
                    .help = draft.help,
                    .arguments = draft.arguments,
                }};
            }
        }
        return list;
    }
}

fn names() [all.len][]const u8 {
    var list: [all.len][]const u8 = undefined;
    for (all, &list) |declaration, *name| name.* = declaration.name;
    return list;
}
