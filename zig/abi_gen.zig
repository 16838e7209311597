//! Prints src/core/abi.gen.ts from abi.zig: symbols, struct layouts, enums, constants and the hash.
//! A type that has no counterpart in TypeScript is a compile error here.

const std = @import("std");
const linux = std.os.linux;
const abi = @import("abi.zig");
const scalars = @import("abi_scalars.zig");
const types = @import("abi_types.zig");
const Core = @import("core.zig").Core;
const abi_hash = @import("abi_hash.zig");

pub const std_options: std.Options = .{ .signal_stack_size = null };

var buffer: [256 * 1024]u8 = undefined;

pub fn main() void {
    var text: Text = .{};
    text.print("// Generated from zig/abi.zig by `bun run gen`; do not edit.\n\n", .{});
    text.print("export const ABI_HASH = {d};\n\n", .{abi_hash.hash});
    printConstants(&text);
    printTypes(&text);
    printSymbols(&text);
    var done: usize = 0;
    while (done < text.length) {
        const written = linux.write(1, buffer[done..].ptr, text.length - done);
        if (@as(isize, @bitCast(written)) <= 0) linux.exit_group(1);
        done += written;
    }
}

const Text = struct {
    length: usize = 0,

    fn print(self: *Text, comptime format: []const u8, arguments: anytype) void {
        const written = std.fmt.bufPrint(buffer[self.length..], format, arguments) catch
            @panic("the generated file outgrew its buffer");
        self.length += written.len;
    }
};

fn printConstants(text: *Text) void {
    text.print("export const CONSTANTS = {{\n", .{});
    inline for (@typeInfo(@TypeOf(types.constants)).@"struct".field_names) |name| {
        text.print("  {s}: {d},\n", .{ comptime camel(name), @field(types.constants, name) });
    }
    text.print("}} as const;\n\n", .{});
}

/// Every enum and struct once, those that others use first.
fn printTypes(text: *Text) void {
    const collected = comptime collectTypes();
    inline for (collected) |T| switch (@typeInfo(T)) {
        .@"enum" => printEnum(text, T),
        .@"struct" => printStruct(text, T),
        else => comptime unreachable,
    };
}

fn collectTypes() []const type {
    @setEvalBranchQuota(1_000_000);
    var list: []const type = &.{};
    for (abi.groups) |group| for (@typeInfo(group).@"struct".decl_names) |name| {
        const signature = @typeInfo(@TypeOf(@field(group, name))).@"fn";
        for (signature.param_types) |parameter| list = withType(list, parameter.?);
        list = withType(list, signature.return_type.?);
    };
    for (named) |name| list = withType(list, @field(types.named_types, name));
    return list;
}

fn withType(list: []const type, comptime T: type) []const type {
    if (T == Core or T == scalars.Bits64 or T == scalars.Pointer) return list;
    for (list) |Known| if (Known == T) return list;
    switch (@typeInfo(T)) {
        .pointer => |info| return withType(list, info.child),
        .array => |info| return withType(list, info.child),
        .@"enum" => return list ++ .{T},
        .@"struct" => |info| {
            var longer = list;
            for (info.field_types) |Field| longer = withType(longer, Field);
            return longer ++ .{T};
        },
        else => return list,
    }
}

fn printEnum(text: *Text, comptime T: type) void {
    const info = @typeInfo(T).@"enum";
    const name = comptime baseName(T);
    text.print("export const {s} = {{\n", .{name});
    inline for (info.field_names, info.field_values) |field, value| {
        text.print("  {s}: {d},\n", .{ comptime camel(field), value });
    }
    text.print("}} as const;\n", .{});
    text.print("export type {s} = (typeof {s})[keyof typeof {s}];\n\n", .{ name, name, name });
}

fn printStruct(text: *Text, comptime T: type) void {
    const info = @typeInfo(T).@"struct";
    const name = comptime baseName(T);
    if (info.layout != .@"extern") @compileError(name ++ " crosses the boundary and is not extern");
    text.print("export const {s}Layout = {{\n  size: {d},\n  fields: {{\n", .{ name, @sizeOf(T) });
    inline for (info.field_names, info.field_types) |field, Field| {
        if (comptime std.mem.startsWith(u8, field, "padding")) continue;
        if (comptime std.mem.startsWith(u8, field, "reserved")) continue;
        text.print("    {s}: {{ offset: {d}, ", .{ comptime camel(field), @offsetOf(T, field) });
        printFieldType(text, Field);
        text.print(" }},\n", .{});
    }
    text.print("  }},\n}} as const;\n\n", .{});
}

fn printFieldType(text: *Text, comptime Field: type) void {
    if (Field == scalars.Bits64) return text.print("kind: \"bits64\"", .{});
    if (Field == scalars.Pointer) return text.print("kind: \"pointer\"", .{});
    switch (@typeInfo(Field)) {
        .int => text.print("kind: \"{s}\"", .{if (Field == usize) "u64" else @typeName(Field)}),
        .@"enum" => |info| text.print("kind: \"{s}\"", .{@typeName(info.tag_type)}),
        .@"struct" => {
            text.print("kind: \"struct\", layout: {s}Layout", .{comptime baseName(Field)});
        },
        .array => |info| {
            if (info.child != u8) @compileError("only byte arrays cross the boundary");
            text.print("kind: \"bytes\", length: {d}", .{info.len});
        },
        else => @compileError("no TypeScript counterpart of " ++ @typeName(Field)),
    }
}

fn printSymbols(text: *Text) void {
    text.print("export const SYMBOLS = {{\n", .{});
    inline for (abi.groups) |group| {
        inline for (@typeInfo(group).@"struct".decl_names) |name| {
            printSymbol(text, name, @TypeOf(@field(group, name)));
        }
    }
    text.print("}} as const;\n", .{});
}

fn printSymbol(text: *Text, name: []const u8, comptime Call: type) void {
    const signature = @typeInfo(Call).@"fn";
    text.print("  {s}: {{ args: [", .{name});
    inline for (signature.param_types, 0..) |parameter, index| {
        if (index > 0) text.print(", ", .{});
        text.print("\"{s}\"", .{comptime scalarName(parameter.?)});
    }
    text.print("], returns: \"{s}\" }},\n", .{comptime scalarName(signature.return_type.?)});
}

fn scalarName(comptime T: type) []const u8 {
    return switch (@typeInfo(T)) {
        .pointer => "ptr",
        .@"enum" => |info| scalarName(info.tag_type),
        .int => switch (T) {
            u32 => "u32",
            i32 => "i32",
            u64 => "u64_fast",
            else => @compileError("no scalar for " ++ @typeName(T)),
        },
        else => @compileError("no scalar for " ++ @typeName(T)),
    };
}

const named = @typeInfo(@TypeOf(types.named_types)).@"struct".field_names;

fn baseName(comptime T: type) []const u8 {
    for (named) |name| if (@field(types.named_types, name) == T) return name;
    const full = @typeName(T);
    const dot = std.mem.lastIndexOfScalar(u8, full, '.') orelse return full;
    return full[dot + 1 ..];
}

/// snake_case to camelCase.
fn camel(name: []const u8) []const u8 {
    var out: []const u8 = "";
    var upper = false;
    for (name) |character| {
        if (character == '_') {
            upper = true;
        } else {
            out = out ++ .{if (upper) std.ascii.toUpper(character) else character};
            upper = false;
        }
    }
    return out;
}
