//! The dlopen family of a program that has no dynamic loader: the built-in core is the one library
//! that can be opened, and its symbols are the functions of `core.groups`.

const std = @import("std");
const core = @import("core");
const daemon = @import("daemon.zig");
const begin = @import("begin.zig");
const prepare = @import("prepare.zig");

/// The name that src/core/library.ts opens in a static build.
const core_name = "builtin:core";

const Entry = struct { name: []const u8, address: *const anyopaque };

const entries = entriesOf(core.groups ++ .{ daemon.api, prepare.api, begin.api });

fn entriesOf(comptime groups: anytype) []const Entry {
    comptime {
        var table: []const Entry = &.{};
        for (groups) |group| for (@typeInfo(group).@"struct".decl_names) |name| {
            const entry: Entry = .{ .name = name, .address = @ptrCast(&@field(group, name)) };
            table = table ++ .{entry};
        };
        return table;
    }
}

var core_handle: u8 = 0;
threadlocal var last_error: ?[*:0]const u8 = null;

comptime {
    for (.{ .{ "dlopen", &open }, .{ "dlsym", &find }, .{ "dlclose", &close } }) |pair| {
        @export(pair[1], .{ .name = pair[0] });
    }
    @export(&takeError, .{ .name = "dlerror" });
    @export(&describe, .{ .name = "dladdr" });
}

/// A null name asks for the program itself, which offers the same symbols.
fn open(path: ?[*:0]const u8, _: c_int) callconv(.c) ?*anyopaque {
    if (path) |name| {
        if (!std.mem.eql(u8, std.mem.span(name), core_name)) {
            last_error = "a static program can open no library but \"" ++ core_name ++ "\"";
            return null;
        }
    }
    return &core_handle;
}

fn find(_: ?*anyopaque, name: [*:0]const u8) callconv(.c) ?*const anyopaque {
    const wanted = std.mem.span(name);
    for (entries) |entry| {
        if (std.mem.eql(u8, entry.name, wanted)) return entry.address;
    }
    last_error = "the built-in core has no such function";
    return null;
}

fn close(_: ?*anyopaque) callconv(.c) c_int {
    return 0;
}

fn takeError() callconv(.c) ?[*:0]const u8 {
    defer last_error = null;
    return last_error;
}

/// No address belongs to a library.
fn describe(_: ?*const anyopaque, _: ?*anyopaque) callconv(.c) c_int {
    return 0;
}
