//! The whole C ABI: each public function of these files is a call. It takes a core's handle, at
//! most three scalars or one pointer to a parameter struct, and returns a Status. A pointer is
//! valid for its call only. `abi_gen.zig` prints src/core/abi.gen.ts; nothing is written twice.

pub const groups = .{
    @import("abi/core.zig"),
    @import("abi/vm.zig"),
    @import("abi/memory.zig"),
    @import("abi/host.zig"),
    @import("abi/channels.zig"),
    @import("abi/devices.zig"),
    @import("abi/vcpus.zig"),
    @import("abi/snapshot.zig"),
    @import("abi/trace.zig"),
    @import("abi/jail.zig"),
};
