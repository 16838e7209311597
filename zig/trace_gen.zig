//! Prints src/core/trace_events.gen.ts from zig/trace/events.zig: every event with its number.

const std = @import("std");
const linux = std.os.linux;
const events = @import("trace/events.zig");

pub fn main() void {
    print("// Generated from zig/trace/events.zig by `bun run gen`; do not edit.\n\n", .{});
    print("/** Events by name, in the order of their numbers. */\n", .{});
    print("export const TRACE_EVENTS = {{\n", .{});
    inline for (events.all, 0..) |event, number| {
        print("  {s}: {{\n    number: {d},\n    module: \"{s}\",\n", .{
            event.name,
            number,
            event.module,
        });
        print("    kind: \"{s}\",\n    help: \"{s}\",\n", .{ @tagName(event.kind), event.help });
        printArguments(event.arguments);
        print("  }},\n", .{});
    }
    print("}} as const;\n", .{});
}

fn printArguments(comptime arguments: []const events.Argument) void {
    if (arguments.len == 0) return print("    arguments: {{}},\n", .{});
    print("    arguments: {{ ", .{});
    inline for (arguments, 0..) |argument, index| {
        if (index > 0) print(", ", .{});
        print("{s}: \"{s}\"", .{ argument.name, @tagName(argument.format) });
    }
    print(" }},\n", .{});
}

fn print(comptime format: []const u8, arguments: anytype) void {
    var line: [256]u8 = undefined;
    const text = std.fmt.bufPrint(&line, format, arguments) catch
        @panic("a line of the generated file outgrew its buffer");
    var done: usize = 0;
    while (done < text.len) {
        const written = linux.write(1, text[done..].ptr, text.len - done);
        if (@as(isize, @bitCast(written)) <= 0) linux.exit_group(1);
        done += written;
    }
}
