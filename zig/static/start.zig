//! What runs before Bun does, while the process has one thread: libc calls `start` as the first
//! constructor and `stop` as the last destructor, and these call Bun's own.

const std = @import("std");
const linux = std.os.linux;
const daemon = @import("daemon.zig");
const begin = @import("begin.zig");
const image = @import("image.zig");
const prepare = @import("prepare.zig");
const runtime = &image.runtime_image;

export const start_hook: image.Hook linksection(".init_array") = &start;
export const stop_hook: image.Hook linksection(".fini_array") = &stop;

extern var environ: [*:null]?[*:0]u8;

/// Prefixes of the variables that would turn the program into a general-purpose Bun or retune it.
const runtime_variables = [_][]const u8{ "BUN_", "NODE_", "JSC_", "MIMALLOC_" };

/// Settings of the runtime's JavaScript engine. A start runs most code once or twice: compiling it
/// there would cost more than it saves. What runs for long is compiled all the same.
const runtime_settings = [_][2][*:0]const u8{
    .{ "BUN_JSC_thresholdForJITAfterWarmUp", "20000" },
    .{ "BUN_JSC_thresholdForJITSoon", "20000" },
};

extern fn setenv(name: [*:0]const u8, value: [*:0]const u8, overwrite: c_int) c_int;

fn start() callconv(.c) void {
    begin.note();
    const arguments = startArguments();
    removeRuntimeVariables();
    for (runtime_settings) |setting| _ = setenv(setting[0], setting[1], 1);
    occupyStandardDescriptors();
    fillCopies();
    protectBoundWords();
    beforeRuntime(arguments);
    runtime.init();
    for (runtime.init_array[0..runtime.init_array_count]) |hook| callHook(hook);
}

/// The place for what must happen before the runtime has threads or beside its start.
/// `arguments[0]` is the name. No JavaScript exists yet and Bun's heap is not set up; libc, threads
/// and system calls work.
fn beforeRuntime(arguments: []const [*:0]const u8) void {
    daemon.startIfAsked(arguments);
    widenDescriptorTable();
    prepare.startIfUseful(arguments);
}

/// The runtime puts descriptors at 1023 and above. Widening the table for them waits for a grace
/// period of the kernel, some milliseconds, once a second thread shares it: so it is done before.
fn widenDescriptorTable() void {
    const high = 1023;
    const result = linux.fcntl(0, linux.F.DUPFD_CLOEXEC, high);
    if (linux.errno(result) == .SUCCESS) _ = linux.close(@intCast(result));
}

fn stop() callconv(.c) void {
    var index = runtime.fini_array_count;
    while (index > 0) {
        index -= 1;
        callHook(runtime.fini_array[index]);
    }
    runtime.fini();
}

/// 0 and -1 mark unused entries of the arrays (System V ABI, chapter 5).
fn callHook(address: usize) void {
    if (address == 0 or address == std.math.maxInt(usize)) return;
    const hook: image.Hook = @ptrFromInt(address);
    hook();
}

/// The arguments lie below the environment on the initial stack, after their count and before a
/// null word; no pointer equals a count, so the count is found by walking down.
fn startArguments() []const [*:0]const u8 {
    const end = @intFromPtr(environ) - @sizeOf(usize);
    var count: usize = 0;
    while (true) : (count += 1) {
        const first = end - count * @sizeOf(usize);
        const word: *const usize = @ptrFromInt(first - @sizeOf(usize));
        if (word.* != count) continue;
        const arguments: [*]const [*:0]const u8 = @ptrFromInt(first);
        return arguments[0..count];
    }
}

fn removeRuntimeVariables() void {
    var kept: usize = 0;
    var index: usize = 0;
    while (environ[index]) |variable| : (index += 1) {
        if (isRuntimeVariable(std.mem.span(variable))) continue;
        environ[kept] = variable;
        kept += 1;
    }
    environ[kept] = null;
}

/// The allocator reads its variables whatever their case.
fn isRuntimeVariable(variable: []const u8) bool {
    for (runtime_variables) |prefix| {
        if (std.ascii.startsWithIgnoreCase(variable, prefix)) return true;
    }
    return false;
}

/// Bun aborts when a standard descriptor is closed and there is no /dev/null; and a file opened
/// later must never become the standard output.
fn occupyStandardDescriptors() void {
    for (0..3) |descriptor| {
        const result = linux.fcntl(@intCast(descriptor), linux.F.GETFD, 0);
        if (linux.errno(result) != .BADF) continue;
        const null_device = linux.openat(linux.AT.FDCWD, "/dev/null", .{ .ACCMODE = .RDWR }, 0);
        if (linux.errno(null_device) == .SUCCESS) continue;
        _ = linux.openat(linux.AT.FDCWD, "/", .{ .PATH = true }, 0);
    }
}

fn fillCopies() void {
    var copy = image.copies();
    while (copy[0].destination != 0) : (copy += 1) {
        const destination: [*]u8 = @ptrFromInt(copy[0].destination);
        const source: [*]const u8 = @ptrFromInt(copy[0].source);
        @memcpy(destination[0..copy[0].size], source[0..copy[0].size]);
    }
}

/// Every address that a loader would bind late is final: whole pages of them become read-only.
fn protectBoundWords() void {
    const page_size = std.heap.pageSize();
    const first = std.mem.alignForward(usize, runtime.bound_start, page_size);
    const end = std.mem.alignBackward(usize, runtime.bound_end, page_size);
    if (end <= first) return;
    _ = linux.mprotect(@ptrFromInt(first), end - first, .{ .READ = true });
}
