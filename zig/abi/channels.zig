//! Calls for sockets whose bytes may come with descriptors.

const errors = @import("../errors.zig");
const limits = @import("../limits.zig");
const system = @import("../kernel/system.zig");
const types = @import("../abi_types.zig");
const answers = @import("answers.zig");
const Core = @import("../core.zig").Core;
const Status = errors.Status;

/// Watches a socket, which stays the caller's; `out` is the channel's number.
pub fn channel_open(core: *Core, fd: i32, out: *u32) callconv(.c) Status {
    const opened = core.channels.open(core.loops[0], &core.doorbell, fd, &core.failure);
    return answers.given(out, opened);
}

/// Takes what is there, without waiting. Answers `empty` when nothing is.
pub fn channel_receive(core: *Core, params: *types.ReceiveParams) callconv(.c) Status {
    const bytes = answers.sliceOf(params.bytes, params.size) catch |err|
        return errors.statusOf(err);
    const fds: *[limits.channel_fd_count_max]i32 = @ptrFromInt(@backingInt(params.fds));
    const channel = core.channels.get(params.channel) catch |err| return errors.statusOf(err);
    const received = channel.receive(bytes, fds, &core.failure) catch |err| {
        if (err == error.Host and core.failure.errno == system.EAGAIN) return .empty;
        return errors.statusOf(err);
    };
    params.size = received.size;
    params.fd_count = received.fd_count;
    params.truncated = @intFromBool(received.truncated);
    return .ok;
}

pub fn channel_close(core: *Core, channel: u32) callconv(.c) Status {
    return answers.done(core.channels.close(channel));
}
