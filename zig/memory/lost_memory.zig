//! The end of a process that touches a mapped file where it has nothing any more: a file of guest
//! memory, or a template's, that somebody made shorter while the machine ran. What was there cannot
//! be had again: one line, then exit.

const linux = @import("std").os.linux;
const errors = @import("../errors.zig");
const last_line = @import("../last_line.zig");

/// For a process that maps a file. Replaces the runtime's handler, which would take it for a crash.
pub fn installHandler(failure: *errors.Failure) errors.HostError!void {
    try last_line.installHandler(.BUS, onLoss, failure);
}

fn onLoss(_: linux.SIG, info: *const linux.siginfo_t, _: ?*anyopaque) callconv(.c) void {
    var line: last_line.Line = .{};
    line.begin();
    line.text("memory: thread \"");
    line.threadName();
    line.text("\" found nothing at ");
    line.hexadecimal(@intFromPtr(info.fields.sigfault.addr));
    line.text(" of a mapped file: a file of guest memory or of a template was made shorter\n");
    line.end(1);
}
