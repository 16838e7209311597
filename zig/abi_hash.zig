//! A number that changes whenever a name, a layout or a value of the ABI does (FNV-1a, 64 bits).

const std = @import("std");
const abi = @import("abi.zig");
const types = @import("abi_types.zig");
const events = @import("trace/events.zig");
const Core = @import("core.zig").Core;

pub const hash = computeHash();

fn computeHash() u64 {
    @setEvalBranchQuota(1_000_000);
    var hasher: Hasher = .{};
    for (abi.groups) |group| for (@typeInfo(group).@"struct".decl_names) |name| {
        hasher.text(name);
        const signature = @typeInfo(@TypeOf(@field(group, name))).@"fn";
        for (signature.param_types) |parameter| hasher.type(parameter.?);
        hasher.type(signature.return_type.?);
    };
    for (@typeInfo(@TypeOf(types.named_types)).@"struct".field_names) |name| {
        hasher.text(name);
        hasher.type(@field(types.named_types, name));
    }
    for (@typeInfo(@TypeOf(types.constants)).@"struct".field_names) |name| {
        hasher.text(name);
        hasher.number(@field(types.constants, name));
    }
    for (events.all) |event| hasher.text(event.name);
    // 53 bits, so that it crosses as a number.
    return hasher.state >> 11;
}

const Hasher = struct {
    state: u64 = 0xcbf2_9ce4_8422_2325,

    fn byte(self: *Hasher, value: u8) void {
        self.state = (self.state ^ value) *% 0x100_0000_01b3;
    }

    fn text(self: *Hasher, value: []const u8) void {
        for (value) |character| self.byte(character);
        self.byte(0);
    }

    fn number(self: *Hasher, value: i64) void {
        var rest: u64 = @bitCast(value);
        for (0..8) |_| {
            self.byte(@truncate(rest));
            rest >>= 8;
        }
    }

    fn @"type"(self: *Hasher, comptime T: type) void {
        self.text(@typeName(T));
        // The handle is opaque above: its layout may differ between build modes.
        if (T == *Core) return;
        switch (@typeInfo(T)) {
            .@"struct" => |info| {
                self.number(@sizeOf(T));
                for (info.field_names, info.field_types) |name, Field| {
                    self.text(name);
                    self.number(@offsetOf(T, name));
                    self.type(Field);
                }
            },
            .@"enum" => |info| for (info.field_names, info.field_values) |name, value| {
                self.text(name);
                self.number(value);
            },
            .pointer => |info| self.type(info.child),
            .array => |info| self.type(info.child),
            else => {},
        }
    }
};
