//! Root of the core library: exports every function of the ABI by its name.

const std = @import("std");
const vm_module = @import("kernel/vm.zig");
pub const groups = @import("abi.zig").groups;
/// For the start of the static executable, which makes the VM early.
pub const kernel = struct {
    pub const Vm = vm_module.Vm;
    pub const default_pages = vm_module.default_pages;
    pub const Failure = @import("errors.zig").Failure;
};

/// The default would put 256 KiB into the thread-local storage of every thread of the process.
pub const std_options: std.Options = .{ .signal_stack_size = null };

comptime {
    for (groups) |group| {
        for (@typeInfo(group).@"struct".decl_names) |name| {
            @export(&@field(group, name), .{ .name = name });
        }
    }
}
