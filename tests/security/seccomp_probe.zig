//! Puts a filter on a real thread and lets it make one system call: `probe FILTER CALL`. Prints
//! "survived" when the call was allowed, whatever it answered; otherwise the process ends as a
//! machine's process does.

const std = @import("std");
const linux = std.os.linux;
const seccomp = @import("seccomp");

var program_words: [seccomp.instruction_count_max]u64 = undefined;
var call_name: []const u8 = "";
var program: seccomp.Program = &.{};

pub fn main(init: std.process.Init.Minimal) void {
    const arguments = init.args.vector;
    if (arguments.len != 3) linux.exit_group(2);
    program = readProgram(arguments[1]);
    call_name = std.mem.span(arguments[2]);
    var failure: seccomp.Failure = .{};
    seccomp.violation.installHandler(&failure) catch linux.exit_group(2);
    const thread = std.Thread.spawn(.{}, runThread, .{}) catch linux.exit_group(2);
    thread.join();
}

fn readProgram(path: [*:0]const u8) seccomp.Program {
    const fd: i32 = @intCast(linux.open(path, .{}, 0));
    const size = linux.read(fd, @ptrCast(&program_words), @sizeOf(@TypeOf(program_words)));
    _ = linux.close(fd);
    return program_words[0 .. size / 8];
}

fn runThread() void {
    _ = linux.prctl(@backingInt(linux.PR.SET_NAME), @intFromPtr("probed"), 0, 0, 0);
    _ = linux.prctl(@backingInt(linux.PR.SET_NO_NEW_PRIVS), 1, 0, 0, 0);
    if (!seccomp.installOnThread(program).ok()) linux.exit_group(3);
    makeCall();
    _ = linux.write(1, "survived", 8);
}

const Call = enum {
    nothing,
    execve,
    ptrace,
    open_new,
    socket,
    map_executable,
    map_plain,
    protect_executable,
    fork,
    namespace,
    kvm_create_vm,
    kill,
    setuid,
    mount,
    bpf,
    loosen,
    wake,
};

/// Arguments are such that a call which gets through does no harm.
fn makeCall() void {
    const none: usize = std.math.maxInt(usize);
    switch (std.meta.stringToEnum(Call, call_name) orelse linux.exit_group(2)) {
        .nothing => {},
        .execve => _ = linux.syscall3(.execve, 0, 0, 0),
        .ptrace => _ = linux.syscall4(.ptrace, 0, 0, 0, 0),
        .open_new => _ = linux.syscall4(.openat, none, 0, 0, 0),
        .socket => _ = linux.syscall3(.socket, 1, 1, 0),
        .map_executable => _ = linux.syscall6(.mmap, 0, 4096, 7, 0x22, none, 0),
        .map_plain => _ = linux.syscall6(.mmap, 0, 4096, 3, 0x22, none, 0),
        .protect_executable => _ = linux.syscall3(.mprotect, 0, 0, 5),
        .fork => _ = linux.syscall5(.clone, 17, 0, 0, 0, none),
        .namespace => _ = linux.syscall5(.clone, 0x2001_0100, 0, 0, 0, none),
        .kvm_create_vm => _ = linux.syscall3(.ioctl, none, 0xae01, 0),
        .kill => _ = linux.syscall2(.kill, 0, 0),
        .setuid => _ = linux.syscall1(.setuid, 0),
        .mount => _ = linux.syscall5(.mount, 0, 0, 0, 0, 0),
        .bpf => _ = linux.syscall3(.bpf, none, 0, 0),
        .loosen => _ = linux.syscall3(.prctl, 22, 0, 0),
        .wake => _ = linux.syscall3(.futex, @intFromPtr(&program_words), 129, 0),
    }
}
