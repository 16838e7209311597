//! `-daemonize`: forks before the runtime has threads. The first process waits until the machine is
//! up or has failed, says which, and ends with that; the machine runs on without a terminal.

const std = @import("std");
const linux = std.os.linux;

/// One byte of success, or a sentence that says what went wrong, comes over this pipe.
var report_fd: i32 = -1;

const success = "\x00";
const fallback = "stratovirt: the machine ended before it was up\n";

/// Functions that TypeScript finds beside the core's.
pub const api = struct {
    /// Tells the waiting process: an empty text for success, else the sentence. Does nothing in a
    /// process that is not a daemon. Returns 1 in a daemon.
    pub fn daemon_report(text: [*]const u8, size: u32) callconv(.c) i32 {
        if (report_fd < 0) return 0;
        writeAll(report_fd, if (size == 0) success else text[0..size]);
        _ = linux.close(report_fd);
        report_fd = -1;
        return 1;
    }
};

/// Forks when the arguments ask for it; returns in the process that becomes the machine.
pub fn startIfAsked(arguments: []const [*:0]const u8) void {
    if (!isAsked(arguments)) return;
    var pipe: [2]i32 = undefined;
    if (linux.errno(linux.pipe2(&pipe, .{ .CLOEXEC = true })) != .SUCCESS) return;
    if (forkProcess() != 0) waitForReport(pipe);
    _ = linux.close(pipe[0]);
    _ = linux.setsid();
    // A second fork: what is no session leader never gets a terminal again.
    if (forkProcess() != 0) linux.exit_group(0);
    report_fd = pipe[1];
    leaveTerminal();
}

fn isAsked(arguments: []const [*:0]const u8) bool {
    if (arguments.len > 0) {
        const name = std.fs.path.basename(std.mem.span(arguments[0]));
        if (std.mem.eql(u8, name, "ozone")) return false;
    }
    for (arguments) |argument| {
        if (std.mem.eql(u8, std.mem.span(argument), "-daemonize")) return true;
    }
    return false;
}

/// 0 in the child and, without a child, in the only process there is.
fn forkProcess() usize {
    const result = linux.fork();
    return if (linux.errno(result) == .SUCCESS) result else 0;
}

fn waitForReport(pipe: [2]i32) noreturn {
    _ = linux.close(pipe[1]);
    var text: [4096]u8 = undefined;
    var length: usize = 0;
    while (length < text.len) {
        const result = linux.read(pipe[0], text[length..].ptr, text.len - length);
        if (linux.errno(result) == .INTR) continue;
        if (linux.errno(result) != .SUCCESS or result == 0) break;
        length += result;
    }
    if (length == 1 and text[0] == success[0]) linux.exit_group(0);
    writeAll(2, if (length == 0) fallback else text[0..length]);
    linux.exit_group(1);
}

fn writeAll(fd: i32, text: []const u8) void {
    var done: usize = 0;
    while (done < text.len) {
        const result = linux.write(fd, text[done..].ptr, text.len - done);
        if (linux.errno(result) == .INTR) continue;
        if (linux.errno(result) != .SUCCESS) return;
        done += result;
    }
}

/// Without /dev/null the descriptors stay open on "/", where nothing can be read or written.
fn leaveTerminal() void {
    var opened = linux.openat(linux.AT.FDCWD, "/dev/null", .{ .ACCMODE = .RDWR }, 0);
    if (linux.errno(opened) != .SUCCESS) {
        opened = linux.openat(linux.AT.FDCWD, "/", .{ .PATH = true }, 0);
    }
    if (linux.errno(opened) != .SUCCESS) return;
    const fd: i32 = @intCast(opened);
    for (0..3) |standard| _ = linux.dup3(fd, @intCast(standard), 0);
    if (fd > 2) _ = linux.close(fd);
}
