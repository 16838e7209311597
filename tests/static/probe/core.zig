//! A core of the same shape as zig/lib.zig, small enough to test the static link on its own.

const std = @import("std");

const api = struct {
    pub fn probe_add(left: i32, right: i32) callconv(.c) i32 {
        return left + right;
    }

    threadlocal var thread_value: u32 = 7;
    var sum: std.atomic.Value(u32) = .init(0);

    fn work(argument: ?*anyopaque) callconv(.c) ?*anyopaque {
        thread_value += @intCast(@intFromPtr(argument));
        _ = sum.fetchAdd(thread_value, .seq_cst);
        return null;
    }

    /// Each of `count` threads adds its number plus 7; the sum of all.
    pub fn probe_threads(count: u32) callconv(.c) u32 {
        sum.store(0, .seq_cst);
        var threads: [64]std.c.pthread_t = undefined;
        for (threads[0..count], 0..) |*thread, index| {
            if (std.c.pthread_create(thread, null, work, @ptrFromInt(index)) != .SUCCESS) return 0;
        }
        for (threads[0..count]) |thread| _ = std.c.pthread_join(thread, null);
        return sum.load(.seq_cst);
    }

    /// Increments each byte; the sum of the new values.
    pub fn probe_fill(bytes: [*]u8, size: usize) callconv(.c) u64 {
        var total: u64 = 0;
        for (bytes[0..size]) |*byte| {
            byte.* +%= 1;
            total += byte.*;
        }
        return total;
    }
};

pub const groups = .{api};

/// The start makes a VM early with these; here it finds no host and makes none.
pub const kernel = struct {
    pub const Failure = struct {};
    pub const default_pages = {};
    pub const Vm = struct {
        vm_fd: i32,

        pub fn create(_: i32, _: *Failure) error{Host}!Vm {
            return error.Host;
        }
        pub fn createInterruptChips(_: *Vm, _: void, _: *Failure) error{Host}!void {}
        pub fn setMemoryRegion(_: *const Vm, _: anytype, _: *Failure) error{Host}!void {}
        pub fn createVcpuDescriptor(_: *Vm, _: u32, _: *Failure) error{Host}!i32 {
            return error.Host;
        }
    };
};
