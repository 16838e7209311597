//! The end of a process that made a system call its filter does not allow: one line that names the
//! call and the thread, then exit.

const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;
const errors = @import("errors.zig");
const last_line = @import("last_line.zig");
const Line = last_line.Line;

/// What a shell reports for a death by SIGSYS.
const exit_code = 128 + 31;

/// AUDIT_ARCH_* of <linux/audit.h>: machine, 64 bits, little endian.
const native_audit_arch: u32 = switch (builtin.cpu.arch) {
    .x86_64 => 0xc000_003e,
    .aarch64 => 0xc000_00b7,
    else => @compileError("no seccomp for this processor"),
};

/// Set on the numbers of x32 calls.
const x32_bit = 0x4000_0000;

/// Replaces the runtime's handler, which would not tell what happened.
pub fn installHandler(failure: *errors.Failure) errors.HostError!void {
    try last_line.installHandler(.SYS, onViolation, failure);
}

fn onViolation(
    _: linux.SIG,
    info: *const linux.siginfo_t,
    context: ?*anyopaque,
) callconv(.c) void {
    var line: Line = .{};
    const call = info.fields.sigsys;
    const number: u32 = @bitCast(call.syscall);
    line.begin();
    line.text("seccomp: thread \"");
    line.threadName();
    line.text("\" made system call ");
    line.text(callName(call.native_arch, number));
    line.text(" (number ");
    line.number(number);
    line.text(", arguments ");
    for (firstArguments(context), 0..) |argument, index| {
        if (index != 0) line.text(", ");
        line.hexadecimal(argument);
    }
    line.text("), which its filter does not allow\n");
    line.end(exit_code);
}

/// Registers of the call's first arguments (syscall(2)): those that filters look at.
fn firstArguments(context: ?*anyopaque) [4]u64 {
    const registers = std.debug.cpu_context.fromPosixSignalContext(context) orelse return @splat(0);
    return switch (builtin.cpu.arch) {
        .x86_64 => .{
            registers.gprs.get(.rdi),
            registers.gprs.get(.rsi),
            registers.gprs.get(.rdx),
            registers.gprs.get(.r10),
        },
        .aarch64 => registers.x[0..4].*,
        else => unreachable,
    };
}

/// Ends a process one of whose threads could not get its filter.
pub fn endUnconfined(errno: i32) noreturn {
    var line: Line = .{};
    line.begin();
    line.text("seccomp: thread \"");
    line.threadName();
    line.text("\" could not get its filter: error ");
    line.number(@intCast(errno));
    line.text("\n");
    line.end(1);
}

fn callName(audit_arch: u32, number: u32) []const u8 {
    if (audit_arch != native_audit_arch) return "of a foreign architecture";
    if (builtin.cpu.arch == .x86_64 and number & x32_bit != 0) return "of the x32 ABI";
    const call = std.enums.fromInt(linux.SYS, number) orelse return "without a name";
    return @tagName(call);
}

test "calls are named by the table of the native architecture" {
    try std.testing.expectEqualStrings("getpid", callName(
        native_audit_arch,
        @intCast(@backingInt(linux.SYS.getpid)),
    ));
    try std.testing.expectEqualStrings("without a name", callName(native_audit_arch, 1_000_000));
    try std.testing.expectEqualStrings("of a foreign architecture", callName(0x4000_0003, 11));
}
