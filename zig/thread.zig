//! A thread that allocates nothing on its own: std.Thread frees its arguments in the new thread,
//! which makes libc set up a heap there, with system calls that a thread's filter does not allow.

const std = @import("std");
const limits = @import("limits.zig");
const system = @import("kernel/system.zig");

pub const Thread = struct {
    handle: std.c.pthread_t,

    /// Runs `function(context)`; `context` is a pointer that outlives the thread.
    pub fn spawn(comptime function: anytype, context: anytype) error{SpawnFailed}!Thread {
        const Context = @TypeOf(context);
        const Entry = struct {
            fn run(raw: ?*anyopaque) callconv(.c) ?*anyopaque {
                const typed: Context = @ptrCast(@alignCast(raw));
                function(typed);
                return null;
            }
        };
        var attributes: std.c.pthread_attr_t = undefined;
        if (std.c.pthread_attr_init(&attributes) != .SUCCESS) return error.SpawnFailed;
        defer _ = std.c.pthread_attr_destroy(&attributes);
        const size = limits.thread_stack_size;
        const sized = std.c.pthread_attr_setstacksize(&attributes, size);
        if (sized != .SUCCESS) return error.SpawnFailed;
        var handle: std.c.pthread_t = undefined;
        const created = std.c.pthread_create(&handle, &attributes, Entry.run, @ptrCast(context));
        return if (created == .SUCCESS) .{ .handle = handle } else error.SpawnFailed;
    }

    pub fn join(self: Thread) void {
        _ = std.c.pthread_join(self.handle, null);
    }
};

test "a joined thread has done its work" {
    const Work = struct {
        value: u32 = 0,
        fn run(self: *@This()) void {
            self.value = 7;
        }
    };
    var work: Work = .{};
    const thread = try Thread.spawn(Work.run, &work);
    thread.join();
    try std.testing.expectEqual(@as(u32, 7), work.value);
}
