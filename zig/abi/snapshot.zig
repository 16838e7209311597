//! Calls for snapshots: the states of VM, vCPUs and devices, and the bytes of guest memory.

const errors = @import("../errors.zig");
const save = @import("../memory/save.zig");
const snapshot = @import("../snapshot.zig");
const types = @import("../abi_types.zig");
const answers = @import("answers.zig");
const Core = @import("../core.zig").Core;
const Status = errors.Status;
const done = answers.done;
const sliceOf = answers.sliceOf;

/// Lets every device finish what is in flight; they take nothing new until `devices_unpause`.
pub fn devices_pause(core: *Core) callconv(.c) Status {
    core.devices.pauseAll();
    return .ok;
}

pub fn devices_unpause(core: *Core) callconv(.c) Status {
    core.devices.unpauseAll();
    return .ok;
}

/// A state into the caller's buffer; `limit` when that is smaller than the size that comes back.
pub fn state_save(core: *Core, params: *types.StateParams) callconv(.c) Status {
    const buffer = sliceOf(params.bytes, params.size) catch |err| return errors.statusOf(err);
    const subject = subjectOf(params) orelse return .invalid;
    const size = snapshot.saveState(core, subject, buffer) catch |err| return errors.statusOf(err);
    params.size = size;
    return if (size > buffer.len) .limit else .ok;
}

pub fn state_restore(core: *Core, params: *const types.StateParams) callconv(.c) Status {
    const bytes = sliceOf(params.bytes, params.size) catch |err| return errors.statusOf(err);
    const subject = subjectOf(params) orelse return .invalid;
    return done(snapshot.restoreState(core, subject, bytes));
}

fn subjectOf(params: *const types.StateParams) ?snapshot.Subject {
    if (@backingInt(params.part) > @backingInt(snapshot.Part.device)) return null;
    return .{ .part = params.part, .id = params.id };
}

/// Starts writing guest memory into a file; rings `migration` when that has ended.
pub fn memory_save_start(core: *Core, params: *const types.MemorySaveParams) callconv(.c) Status {
    return done(snapshot.startMemorySave(core, .{
        .fd = params.fd,
        .offset = params.offset,
        .thread_count = params.thread_count,
        .pagemap_fd = params.pagemap_fd,
    }));
}

pub fn memory_save_progress(core: *Core, out: *save.Progress) callconv(.c) Status {
    out.* = (core.memory_save orelse return .empty).progress();
    return .ok;
}

/// The end comes as `migration`, unless it was there already.
pub fn memory_save_cancel(core: *Core) callconv(.c) Status {
    (core.memory_save orelse return .empty).cancel();
    return .ok;
}

/// The checksums of all chunks as u32, once all is written.
pub fn memory_save_checksums(core: *Core, params: *types.BufferParams) callconv(.c) Status {
    const target = sliceOf(params.bytes, params.size) catch |err| return errors.statusOf(err);
    const writing = core.memory_save orelse return .empty;
    if (writing.currentState() != .done) return .empty;
    const bytes = writing.checksumBytes();
    params.size = bytes.len;
    if (target.len < bytes.len) return .limit;
    @memcpy(target[0..bytes.len], bytes);
    return .ok;
}

/// Checksums of a part of a file, as `memory_save_checksums` gives them.
pub fn host_checksums(core: *Core, params: *const types.ChecksumParams) callconv(.c) Status {
    const size = 4 * save.chunkCount(params.size);
    const target = sliceOf(params.checksums, size) catch |err| return errors.statusOf(err);
    return done(save.checksumsOfFile(.{
        .fd = params.fd,
        .offset = params.offset,
        .size = params.size,
    }, target, &core.failure));
}
