//! When the process began this program, for the report of boot times.

const std = @import("std");
const linux = std.os.linux;

var started_ns: u64 = 0;

pub const api = struct {
    /// The monotonic clock in nanoseconds at the first instruction of ours.
    pub fn process_started_ns(out: *u64) callconv(.c) i32 {
        out.* = started_ns;
        return 0;
    }
};

pub fn note() void {
    var now: linux.timespec = undefined;
    if (linux.errno(linux.clock_gettime(.MONOTONIC, &now)) != .SUCCESS) return;
    started_ns = @intCast(now.sec * std.time.ns_per_s + now.nsec);
}
