//! The structs, constants and named types that cross the boundary with the calls of abi/.

const limits = @import("limits.zig");
const errors = @import("errors.zig");
const kernel_vm = @import("kernel/vm.zig");
const kvm = @import("kernel/kvm.zig");
const address_map = @import("bus/address_map.zig");
const outcome = @import("bus/outcome.zig");
const vcpu_module = @import("vcpu/vcpu.zig");
const state = @import("vcpu/x86_64/state.zig");
const table = @import("devices/table.zig");
const chardev = @import("io/chardev_types.zig");
const doorbell = @import("io/doorbell.zig");
const placement = @import("memory/placement.zig");
const jail = @import("host/jail_abi.zig");
const balloon = @import("devices/virtio/balloon.zig");
const console_config = @import("devices/virtio/console_config.zig");
const rng = @import("devices/virtio/rng.zig");
const blk_config = @import("devices/virtio/blk_config.zig");
const net_config = @import("devices/virtio/net_config.zig");
const virtio_device = @import("virtio/device.zig");
const vsock = @import("devices/virtio/vsock.zig");
const tap = @import("kernel/tap.zig");
const engine = @import("io/engine.zig");
const save = @import("memory/save.zig");
const snapshot = @import("snapshot.zig");
const vhost_user = @import("devices/virtio/vhost_user_kind.zig");
const link = @import("vhost_user/link.zig");
const body = @import("devices/virtio/body.zig");
const trace = @import("trace/trace.zig");
const scalars = @import("abi_scalars.zig");
const Bits64 = scalars.Bits64;
const Pointer = scalars.Pointer;

pub const CoreParams = extern struct {
    /// /dev/kvm, which stays the caller's; -1: a machine without KVM (accel=test).
    system_fd: i32,
    /// A VM made early, with interrupt chips and first vCPU; -1 each: none.
    vm_fd: i32,
    vcpu_fd: i32,
    padding: u32 = 0,
    /// Where the new core's handle goes: eight bytes.
    handle: Pointer,
    /// Where the cause goes when there is no core to keep it: a Failure.
    failure: Pointer,
};

pub const MemoryParams = extern struct {
    guest_address: u64,
    size: u64,
    /// Host addresses kept for this and what follows it without a gap; less than size: size.
    span_size: u64,
    /// File that backs the memory at `offset`; -1: anonymous.
    fd: i32,
    shared: u32,
    offset: u64,
    dump: u32,
    /// Whether the kernel must promise the pages now, as huge pages need.
    reserve: u32,
    /// Threads that touch all of it before this call returns; 0: none.
    prealloc: u32,
    policy: placement.Policy,
    /// Host nodes 0 to 63 and 64 to 127, a bit each.
    nodes_low: Bits64,
    nodes_high: Bits64,
};

pub const TransferParams = extern struct { guest_address: u64, bytes: Pointer, size: u64 };

pub const LoadParams = extern struct {
    guest_address: u64,
    size: u64,
    offset: u64,
    fd: i32,
    padding: u32 = 0,
};

pub const ChardevParams = extern struct {
    /// -1 for each that is absent.
    input_fd: i32,
    output_fd: i32,
    listen_fd: i32,
    /// A connected socket, which the core closes.
    client_fd: i32,
    /// From host_watch_pty, when input and output are a pseudo terminal.
    peer_fd: i32,
    /// Whether Ctrl-A x leaves.
    escape: u32,
};

/// What a channel received; `bytes` and the room for descriptors are the caller's.
pub const ReceiveParams = extern struct {
    channel: u32,
    /// How much room there is; after the call, how much came. 0: the stream has ended.
    size: u32,
    bytes: Pointer,
    /// Room for `channel_fd_count_max` of i32.
    fds: Pointer,
    fd_count: u32,
    /// More descriptors came than that; they are closed.
    truncated: u32,
};

pub const ThreadParams = extern struct { name: Pointer, name_size: u64 };

/// One register access, from a test or a tool.
pub const AccessParams = extern struct {
    space: address_map.Space,
    size: u32,
    address: u64,
    value: Bits64,
};

/// Filters of the process, of its vCPU threads and of its iothreads, each an array of 8-byte BPF
/// instructions. The process's one must allow what the others do.
pub const SeccompParams = extern struct {
    main: Pointer,
    vcpu: Pointer,
    iothread: Pointer,
    main_count: u32,
    vcpu_count: u32,
    iothread_count: u32,
    /// Where a violation is reported before the process ends with 159; -1: standard error.
    log_fd: i32,
};

pub const VcpuInfo = extern struct {
    state: vcpu_module.State,
    thread_id: u32,
    apic_id: u32,
    park: outcome.ParkReason,
    park_count: u64,
    pio_exits: u64,
    mmio_exits: u64,
    other_exits: u64,
    failure_errno: i32,
    failure_exit_reason: u32,
    failure_detail: Bits64,
};

/// Registers for a report on a vCPU that cannot go on.
pub const RegisterDump = extern struct {
    rip: Bits64,
    rsp: Bits64,
    rflags: Bits64,
    rax: Bits64,
    rbx: Bits64,
    rcx: Bits64,
    rdx: Bits64,
    rsi: Bits64,
    rdi: Bits64,
    cr0: Bits64,
    cr2: Bits64,
    cr3: Bits64,
    cr4: Bits64,
    efer: Bits64,
};

/// A state of a part of the machine.
pub const StateParams = extern struct {
    part: snapshot.Part,
    /// Index of a vCPU, or id of a device.
    id: u32,
    bytes: Pointer,
    /// Of the buffer; after a save, of the state.
    size: u64,
};

pub const MemorySaveParams = extern struct {
    /// An empty file, which stays open until the end.
    fd: i32,
    thread_count: u32,
    /// Where the memory begins in the file; a multiple of 4096.
    offset: u64,
    /// /proc/self/pagemap, which spares memory that was never touched; -1: there is none.
    pagemap_fd: i32,
    padding: u32 = 0,
};

pub const BufferParams = extern struct { bytes: Pointer, size: u64 };

/// A part of a file, and room for a checksum of 32 bits for each chunk of it.
pub const ChecksumParams = extern struct {
    fd: i32,
    padding: u32 = 0,
    offset: u64,
    size: u64,
    checksums: Pointer,
};

/// Counters of a device for logs and tests.
pub const DeviceInfo = extern struct {
    interrupt_count: u64 = 0,
    /// How often its guest broke the rules, and the last broken rule as words.
    fault_count: u64 = 0,
    fault: [48]u8 = @splat(0),
    /// Requests that the host failed, and the errno of the last.
    error_count: u64 = 0,
    last_errno: i32 = 0,
    padding: u32 = 0,
};

/// A vhost-user device's connection.
pub const BackEndInfo = extern struct {
    is_up: u32,
    /// Why the last back end went.
    cause: link.Cause,
    errno: i32,
    padding: u32 = 0,
    loss_count: u64,
};

/// One trace event that happened (trace.Record).
pub const TraceRecord = extern struct {
    /// Nanoseconds since 1970.
    time_ns: Bits64,
    thread_id: u32,
    /// The event's number.
    event: u32,
    /// Its arguments, eight bytes each.
    values: [@sizeOf(@FieldType(trace.Record, "values"))]u8,
};

comptime {
    if (@sizeOf(TraceRecord) != @sizeOf(trace.Record)) @compileError("records differ");
}

pub const TraceTaken = extern struct {
    count: u32,
    padding: u32 = 0,
    /// Records so far that found no room.
    lost_count: u64,
};

pub const constants = .{
    .no_line = table.no_line,
    .no_chardev = table.no_chardev,
    .vcpu_count_max = limits.vcpu_count_max,
    .iothread_count_max = limits.iothread_count_max,
    .transfer_size_max = limits.transfer_size_max,
    .save_thread_count_max = limits.save_thread_count_max,
    .save_chunk_size = save.chunk_size,
    .save_piece_alignment = save.piece_alignment,
    .channel_fd_count_max = limits.channel_fd_count_max,
    .blk_read_only = blk_config.flag_read_only,
    .blk_discard = blk_config.flag_discard,
    .blk_write_zeroes = blk_config.flag_write_zeroes,
    .blk_detect_zeroes = blk_config.flag_detect_zeroes,
    .blk_detect_unmap = blk_config.flag_detect_unmap,
    .blk_replaceable = blk_config.flag_replaceable,
    .balloon_deflate_on_oom = balloon.flag_deflate_on_oom,
    .balloon_reporting = balloon.flag_reporting,
    .balloon_page_size = balloon.page_size,
    .vhost_user_exact_queues = vhost_user.flag_exact_queues,
    .console_name_size_max = console_config.name_size_max,
    .net_pair_count_max = net_config.pair_count_max,
    .net_offload = net_config.flag_offload,
    .net_ufo = net_config.flag_ufo,
    .net_tap_queues = net_config.flag_tap_queues,
    .net_vhost = net_config.flag_vhost,
    .feature_version_1 = virtio_device.feature_version_1,
    .tap_request_size = tap.request_size,
    .tap_offload_tso4 = tap.offload_tso4,
    .tap_offload_ufo = tap.offload_ufo,
};

/// Types that TypeScript needs beside those of the parameters below, or under another name.
pub const named_types = .{
    .Operation = errors.Operation,
    .Capability = kvm.Capability,
    .News = doorbell.News,
    .ChardevInfo = chardev.Info,
    .StatePart = snapshot.Part,
    .MemorySaveState = save.State,
    .MemorySaveProgress = save.Progress,
    .BlkParams = blk_config.Params,
    .RngParams = rng.Params,
    .BalloonParams = balloon.Params,
    .BalloonInfo = balloon.Info,
    .NetParams = net_config.Params,
    .VsockParams = vsock.Params,
    .VhostUserParams = vhost_user.Params,
    .VhostUserKind = vhost_user.Kind,
    .BackEndCause = link.Cause,
    .ConsoleParams = console_config.Params,
    .ConsolePortParams = console_config.PortParams,
    .EngineKind = engine.Kind,
    .MemoryPolicy = placement.Policy,
    .VcpuState = vcpu_module.State,
    .RouteKind = kernel_vm.Route.Kind,
    .JailLimit = jail.JailLimit,
    .DeviceMetrics = body.Metrics,
};
