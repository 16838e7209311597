//! Root of the static blob: the glue below Bun's musl build, the few C++ library functions that it
//! imports, and the core. In development a shared library (zig/lib.zig) takes the place of this.

const std = @import("std");

/// libc copies all thread-local data into every thread, also into Bun's; the default signal stack
/// would add 256 KiB to each.
pub const std_options: std.Options = .{ .signal_stack_size = null };

/// A failed assertion says what failed and aborts: the unwinder would need the executable's file.
pub const panic = std.debug.FullPanic(abortWithMessage);

fn abortWithMessage(message: []const u8, _: ?usize) noreturn {
    @branchHint(.cold);
    const linux = std.os.linux;
    for ([_][]const u8{ "stratovirt: internal error: ", message, "\n" }) |part| {
        _ = linux.write(2, part.ptr, part.len);
    }
    std.c.abort();
}

comptime {
    _ = @import("start.zig");
    _ = @import("loader.zig");
    _ = @import("cxx/library.zig");
}
