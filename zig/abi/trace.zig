//! Calls for trace events. Switches and records are the process's: no core is needed.

const errors = @import("../errors.zig");
const trace = @import("../trace/trace.zig");
const types = @import("../abi_types.zig");
const answers = @import("answers.zig");
const Status = errors.Status;
const done = answers.done;

/// Switches one event.
pub fn trace_set(event: u32, on: u32) callconv(.c) Status {
    return done(trace.set(event, if (on != 0) .on else .off));
}

/// Has records of events kept for `trace_take` from now on.
pub fn trace_open_ring() callconv(.c) Status {
    return done(trace.openRing());
}

/// Has lines of events written to an open trace_marker; -1: no more.
pub fn trace_set_marker(fd: i32) callconv(.c) Status {
    trace.setMarker(fd);
    return .ok;
}

/// Moves the oldest records into an array of `count_max`; from one thread at a time.
pub fn trace_take(
    records: [*]types.TraceRecord,
    count_max: u32,
    out: *types.TraceTaken,
) callconv(.c) Status {
    const room: [*]trace.Record = @ptrCast(records);
    const count = trace.take(room[0..count_max]);
    out.* = .{ .count = @intCast(count), .lost_count = trace.lostCount() };
    return .ok;
}
