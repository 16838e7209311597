//! What a character back end is made of, who its guest side is, and what it tells of itself.

pub const Options = struct {
    /// -1: nothing to read.
    input_fd: i32 = -1,
    /// -1: nobody listens yet.
    output_fd: i32 = -1,
    /// A listening socket that takes one client after the other; -1: none.
    listen_fd: i32 = -1,
    /// A connected socket, which this closes; -1: none yet.
    client_fd: i32 = -1,
    /// Readable when somebody has opened or left the other end of the pseudo terminal that input
    /// and output are; -1: they are none.
    peer_fd: i32 = -1,
    /// Ctrl-A x ends the machine, Ctrl-A twice sends one.
    escape: bool = false,
};

/// The guest side: where input goes and who hears that output has room again.
pub const Frontend = struct {
    context: *anyopaque,
    /// Takes at most `data.len` bytes; returns how many.
    receive: *const fn (context: *anyopaque, data: []const u8) usize,
    /// Output that was full has room again.
    drained: *const fn (context: *anyopaque) void,
    /// Somebody has come to the other side, or has left it.
    connected: ?*const fn (context: *anyopaque) void = null,
};

/// What is worth a line in the log.
pub const Info = extern struct {
    /// Clients so far, and readers of a pseudo terminal.
    client_count: u64 = 0,
    /// Output that could not be written; while nobody reads there is none.
    lost_byte_count: u64 = 0,
    last_errno: i32 = 0,
    padding: u32 = 0,
};
