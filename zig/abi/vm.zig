//! Calls for the virtual machine as KVM sees it: capabilities, interrupt chips, routes.

const kernel_vm = @import("../kernel/vm.zig");
const answers = @import("answers.zig");
const Core = @import("../core.zig").Core;
const Status = @import("../errors.zig").Status;
const done = answers.done;

pub fn vm_capabilities(core: *Core, out: *kernel_vm.Capabilities) callconv(.c) Status {
    out.* = (core.vm orelse return .unsupported).capabilities;
    return .ok;
}

/// PIC, IOAPIC and local APICs; nothing to do without KVM or when they were made early.
pub fn vm_create_interrupt_chips(core: *Core) callconv(.c) Status {
    const vm = core.vm orelse return .ok;
    if (core.has_interrupt_chips) return .ok;
    core.has_interrupt_chips = true;
    return done(vm.createInterruptChips(kernel_vm.default_pages, &core.failure));
}

/// The timer of a PC; after the interrupt chips.
pub fn vm_create_pit(core: *Core) callconv(.c) Status {
    const vm = core.vm orelse return .ok;
    return done(vm.createPit(&core.failure));
}

/// Replaces all interrupt routes by an array of Route.
pub fn vm_set_routes(
    core: *Core,
    routes: [*]const kernel_vm.Route,
    count: u32,
) callconv(.c) Status {
    const vm = core.vm orelse return .unsupported;
    for (routes[0..count]) |route| {
        const kind = @backingInt(route.kind);
        if (kind != 1 and kind != 2) return .invalid;
    }
    return done(vm.setRoutes(routes[0..count], &core.failure));
}
