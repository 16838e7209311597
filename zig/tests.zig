//! Root of the unit tests: names every file that has some, so that none is left out.

test {
    _ = @import("blob.zig");
    _ = @import("lock.zig");
    _ = @import("thread.zig");
    _ = @import("seccomp.zig");
    _ = @import("seccomp_violation.zig");
    _ = @import("last_line.zig");
    _ = @import("host/jail.zig");
    _ = @import("host/jail_arena.zig");
    _ = @import("host/jail_enter.zig");
    _ = @import("host/processor.zig");
    _ = @import("kernel/system.zig");
    _ = @import("kernel/kvm.zig");
    _ = @import("memory/guest_memory.zig");
    _ = @import("memory/load.zig");
    _ = @import("kernel/kvm_state.zig");
    _ = @import("memory/checksum.zig");
    _ = @import("memory/populate.zig");
    _ = @import("memory/save.zig");
    _ = @import("bus/address_map.zig");
    _ = @import("vcpu/exit.zig");
    _ = @import("vcpu/x86_64/cpuid.zig");
    _ = @import("vcpu/x86_64/promised.zig");
    _ = @import("devices/saved_state.zig");
    _ = @import("vcpu/x86_64/saved_vcpu.zig");
    _ = @import("vcpu/x86_64/saved_vm.zig");
    _ = @import("io/loop.zig");
    _ = @import("io/doorbell.zig");
    _ = @import("io/uring.zig");
    _ = @import("io/channel.zig");
    _ = @import("io/escape.zig");
    _ = @import("io/output_ring.zig");
    _ = @import("io/readiness.zig");
}

test {
    _ = @import("devices/platform/serial.zig");
    _ = @import("devices/platform/cmos.zig");
    _ = @import("devices/platform/i8042.zig");
    _ = @import("devices/platform/power.zig");
    _ = @import("devices/platform/debug_port.zig");
    _ = @import("virtio/queue_set.zig");
    _ = @import("virtio/queue_test.zig");
    _ = @import("virtio/mmio_test.zig");
    _ = @import("virtio/served_test.zig");
    _ = @import("virtio/served_fuzz.zig");
    _ = @import("virtio/fuzz_queue.zig");
    _ = @import("fuzz_state.zig");
    _ = @import("fuzz/mmio.zig");
    _ = @import("fuzz/platform.zig");
    _ = @import("fuzz/virtio.zig");
    _ = @import("fuzz.zig");
    _ = @import("devices/virtio/blk_test.zig");
    _ = @import("devices/virtio/balloon.zig");
    _ = @import("devices/virtio/console_config.zig");
    _ = @import("devices/virtio/net_test.zig");
    _ = @import("devices/virtio/vhost_user_test.zig");
    _ = @import("block/throttle.zig");
    _ = @import("vhost_user/memory_table.zig");
    _ = @import("vhost_user/link_test.zig");
    _ = @import("trace/trace.zig");
    _ = @import("trace/ring.zig");
    _ = @import("trace/line.zig");
}
