//! The three kinds of error, kept apart. A bug of ours asserts. A host error (user, kernel, disk)
//! is `error.Host` with its cause in a `Failure`. A guest error never leaves the device that saw
//! it.

const std = @import("std");

/// What a call into the core returns to TypeScript.
pub const Status = enum(i32) {
    ok = 0,
    /// The kernel refused; `core_failure` tells operation and errno.
    host = 1,
    /// An argument is outside what the call accepts: a bug of the caller.
    invalid = 2,
    /// The id belongs to something that was destroyed.
    stale = 3,
    /// The host's KVM lacks a capability; `core_failure` value is its number.
    unsupported = 4,
    out_of_memory = 5,
    /// The address range is not guest memory.
    out_of_range = 6,
    /// A bound of `limits.zig` is reached.
    limit = 7,
    /// Something did not come to rest in the time allowed.
    timeout = 8,
    /// There is nothing to take.
    empty = 9,
};

/// The step that failed, so that TypeScript can say it in words.
pub const Operation = enum(u32) {
    none = 0,
    kvm_api_version,
    kvm_check_extension,
    kvm_create_vm,
    kvm_set_tss_address,
    kvm_set_identity_map,
    kvm_create_irqchip,
    kvm_create_pit,
    kvm_set_memory_region,
    kvm_create_vcpu,
    kvm_vcpu_mmap_size,
    kvm_map_run,
    kvm_supported_cpuid,
    kvm_set_cpuid,
    kvm_set_msrs,
    kvm_get_registers,
    kvm_set_registers,
    kvm_local_apic,
    kvm_set_routing,
    kvm_irqfd,
    kvm_ioeventfd,
    kvm_run,
    memory_map,
    memory_advise,
    memory_policy,
    memory_populate,
    memory_file,
    file_status,
    file_read,
    eventfd,
    epoll,
    io_uring_setup,
    aio_setup,
    thread_spawn,
    socketpair,
    signal_action,
    terminal_get,
    terminal_set,
    terminal_watch,
    socket_create,
    socket_bind,
    socket_listen,
    socket_connect,
    channel,
    timer,
    file_lock,
    back_end,
    tap_attach,
    tap_inspect,
    tap_prepare,
    vhost_features,
    vhost_owner,
    vhost_guest,
    seccomp,
    namespace_unshare,
    namespace_join,
    host_name,
    mount,
    unmount,
    device_node,
    process_clone,
    cgroup_join,
    pivot_root,
    close_files,
    resource_limit,
    capability_bound,
    capability_set,
    user_ids,
    no_new_privileges,
    program_start,
    /// What must be at rest to be saved or restored is not.
    state_running,
    /// vCPU `value` waits for the machine to end: there is nothing to go on with.
    state_ended,
    /// A saved state is cut short or has bytes too many; `value` is the size that it claims.
    state_size,
    /// It is none, or that of another thing; `value` is what it says that it is.
    state_kind,
    /// It is of a version (`value`) that this program does not know.
    state_version,
    /// The byte at `value` begins something that makes no sense here.
    state_content,
    /// The host's CPU or KVM lacks what the CPUID leaf `value` has promised the guest.
    state_cpuid,
    /// The host's TSC cannot run at the saved rate of `value` kHz.
    state_tsc,
    /// `value` is the number of the refused ioctl in KVM's series.
    kvm_save_vcpu,
    kvm_restore_vcpu,
    kvm_save_vm,
    kvm_restore_vm,
    /// `value` is the register's index.
    kvm_restore_msr,
    memory_save,
};

/// Cause of the last error.Host of a core.
pub const Failure = extern struct {
    operation: Operation = .none,
    errno: i32 = 0,
    /// A number that names the thing: a capability, an address, a vCPU index.
    value: u64 = 0,

    /// Records the cause and gives the error to return.
    pub fn set(self: *Failure, operation: Operation, errno: i32, value: u64) HostError {
        self.* = .{ .operation = operation, .errno = errno, .value = value };
        return error.Host;
    }
};

pub const HostError = error{Host};

/// All errors that a call of the ABI may meet.
pub const CoreError = error{
    Host,
    Invalid,
    Stale,
    Unsupported,
    OutOfMemory,
    OutOfRange,
    Limit,
    Timeout,
    Empty,
};

pub fn statusOf(err: CoreError) Status {
    return switch (err) {
        error.Host => .host,
        error.Invalid => .invalid,
        error.Stale => .stale,
        error.Unsupported => .unsupported,
        error.OutOfMemory => .out_of_memory,
        error.OutOfRange => .out_of_range,
        error.Limit => .limit,
        error.Timeout => .timeout,
        error.Empty => .empty,
    };
}
