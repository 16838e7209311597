//! A trace event as a line for the kernel's trace marker: "[name] a=1 b=0x2". The
//! log's lines look the same; TypeScript makes those.

const std = @import("std");
const events = @import("events.zig");
const value_count = @import("ring.zig").value_count;

pub const Line = struct {
    buffer: [256]u8 = undefined,
    length: usize = 0,

    pub fn event(
        self: *Line,
        declared: *const events.Declaration,
        values: *const [value_count]u64,
    ) void {
        self.print("[{s}]", .{declared.name});
        for (declared.arguments, 0..) |argument, index| switch (argument.format) {
            .hex => self.print(" {s}=0x{x}", .{ argument.name, values[index] }),
            .decimal, .device, .text => {
                const value: i64 = @bitCast(values[index]);
                self.print(" {s}={d}", .{ argument.name, value });
            },
        };
        if (declared.kind == .scope) {
            self.print(" duration_ns={d}", .{values[declared.arguments.len]});
        }
        self.print("\n", .{});
    }

    fn print(self: *Line, comptime format: []const u8, arguments: anytype) void {
        // What does not fit is left out: five numbers with their names do.
        const room = self.buffer[self.length..];
        const written = std.fmt.bufPrint(room, format, arguments) catch return;
        self.length += written.len;
    }
};

test "numbers are written as they are declared" {
    var text: Line = .{};
    const declared: events.Declaration = .{
        .module = "memory",
        .name = "mapped",
        .kind = .scope,
        .help = "",
        .arguments = &.{
            .{ .name = "addr", .format = .hex },
            .{ .name = "fd", .format = .decimal },
        },
    };
    text.event(&declared, &.{ 0x1000, std.math.maxInt(u64), 7, 0, 0, 0 });
    const wanted = "[mapped] addr=0x1000 fd=-1 duration_ns=7\n";
    try std.testing.expectEqualStrings(wanted, text.buffer[0..text.length]);
}
