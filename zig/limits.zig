//! Every bound of the data plane in one place: loops, queues and tables take their size from here.

/// vCPUs of one machine (guidebook 1.2.1).
pub const vcpu_count_max = 254;
/// Iothreads that a user may ask for (one more, `io0`, always exists).
pub const iothread_count_max = 9;
/// Devices of one machine, with those that the board adds.
pub const device_count_max = 256;
/// Windows of the address map, both spaces together.
pub const window_count_max = 1024;
/// Ranges of guest memory without gaps.
pub const memory_region_count_max = 32;
/// Mappings that guest memory consists of, each a KVM memory slot.
pub const memory_piece_count_max = 32;
/// Threads that touch guest memory before the start.
pub const populate_thread_count_max = 16;
/// Threads that write guest memory into a file.
pub const save_thread_count_max = 8;
/// Character back ends.
pub const chardev_count_max = 32;
/// Sockets whose bytes may come with descriptors.
pub const channel_count_max = 16;
/// Descriptors of one message; a list of a netdev has as many (behaviour 2.2).
pub const channel_fd_count_max = 16;
/// Interrupt lines (GSI): 24 pins of the IOAPIC, the rest for MSI routes.
pub const gsi_count_max = 1024;

/// Model-specific registers of a vCPU that a snapshot keeps.
pub const msr_count_max = 512;
/// Bytes of XSAVE state of a vCPU: those of AMX's tiles among them.
pub const xsave_size_max = 16 * 1024;

/// Virtqueues of one device.
pub const queue_count_max = 64;
/// Entries of one virtqueue that any device offers (the virtio limit is 32768).
pub const queue_size_max = 4096;
/// Frames that one network queue moves before others of the loop get a turn.
pub const net_frame_count_max = 256;
/// Passes over a ring for one notification, before other devices of the loop get a turn.
pub const queue_pass_count_max = 10;

/// Stack of an iothread or vCPU thread; touched lazily.
pub const thread_stack_size = 1024 * 1024;

/// Random bytes of one request, and of one turn of the loop.
pub const random_size_max = 1024 * 1024;
/// How long virtio-rng waits before it looks again at a source that cannot say when it has bytes.
pub const random_look_ns = 10 * 1_000_000;
/// How long it waits before it reads a source again that failed.
pub const random_retry_ns = 1_000_000_000;
/// Page numbers of one chain that a balloon looks at.
pub const balloon_chain_page_count_max = 16 * 1024;
/// Ranges or page numbers that it handles before other devices of the loop get a turn.
pub const balloon_turn_count_max = 4 * 1024;

/// Events that one wake-up of a loop handles.
pub const loop_event_count_max = 64;
/// Submission entries of one loop's io_uring.
pub const uring_entry_count = 256;

/// Bytes that a character back end keeps for a slow or absent reader.
pub const chardev_buffer_size = 16 * 1024;
/// Bytes of input that it keeps for a port that takes none.
pub const chardev_held_size = 2 * 1024;
/// Reads of a pseudo terminal whose reader has left before others of the loop get a turn; the
/// kernel keeps less than that.
pub const chardev_read_count_max = 64;
/// Chains that one console port sends before others of the loop get a turn.
pub const console_chain_count_max = 256;
/// How long a character device that connects waits for an answer.
pub const connect_wait_ms = 5_000;
/// Bytes that a serial port keeps for a guest that does not read.
pub const serial_receive_size = 1024;

/// Trace records on their way to the log: a power of two.
pub const trace_record_count = 8 * 1024;
/// How often a thread tries to put one there while others do.
pub const trace_attempt_count_max = 64;

/// How long a pause waits for the vCPU threads before it reports failure.
pub const pause_wait_ns = 2 * 1_000_000_000;
/// How long installing the filters waits for the iothreads.
pub const confine_wait_ns = 2 * 1_000_000_000;
/// How often a vCPU that did not react is kicked again.
pub const kick_interval_ns = 5 * 1_000_000;

/// Largest single transfer of a memory_read or memory_write from TypeScript.
pub const transfer_size_max = 64 * 1024 * 1024;

/// Descriptors that a vhost-user back end sends with one message.
pub const vhost_user_fd_count_max = 8;
/// Bytes of the memory in which a back end notes what it works on.
pub const vhost_user_inflight_size_max = 64 * 1024 * 1024;
/// Messages of a back end that are taken before others of the loop get a turn.
pub const vhost_user_turn_count_max = 64;
/// How long a back end may take for one answer.
pub const vhost_user_answer_ns = 5 * 1_000_000_000;
/// How long a back end may take to map memory: one that locks it has all of it filled first.
pub const vhost_user_map_ns = 300 * 1_000_000_000;
/// How long the making of a device waits for its back end.
pub const vhost_user_start_ns = 5 * 1_000_000_000;
/// How long a guest's reset waits until its back end has stopped.
pub const vhost_user_stop_ns = 2 * 1_000_000_000;
/// How often it is looked whether the back end has finished what it had begun.
pub const vhost_user_drain_look_ns = 1_000_000;
/// How long until a lost back end is looked for, at first and at most.
pub const vhost_user_retry_first_ns = 20 * 1_000_000;
pub const vhost_user_retry_most_ns = 3 * 1_000_000_000;
