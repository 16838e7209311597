//! Root of the core library: exports every function of the ABI by its name.

const std = @import("std");
pub const abi = @import("abi.zig");
pub const api = abi.api;

/// The default would put 256 KiB into the thread-local storage of every thread of the process.
pub const std_options: std.Options = .{ .signal_stack_size = null };

comptime {
    for (@typeInfo(api).@"struct".decl_names) |name| {
        @export(&@field(api, name), .{ .name = name });
    }
}
