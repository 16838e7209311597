//! Calls for guest memory: mapping it, copying and loading into it.

const errors = @import("../errors.zig");
const load = @import("../memory/load.zig");
const types = @import("../abi_types.zig");
const answers = @import("answers.zig");
const Core = @import("../core.zig").Core;
const Status = errors.Status;
const done = answers.done;
const sliceOf = answers.sliceOf;

pub fn memory_add(core: *Core, params: *const types.MemoryParams) callconv(.c) Status {
    return done(core.addMemory(.{
        .guest_address = params.guest_address,
        .size = params.size,
        .fd = params.fd,
        .offset = params.offset,
        .shared = params.shared != 0,
        .dump = params.dump != 0,
        .span_size = params.span_size,
        .reserve = params.reserve != 0,
        .populate_thread_count = params.prealloc,
        .policy = params.policy,
        .nodes = .{ @backingInt(params.nodes_low), @backingInt(params.nodes_high) },
    }, &core.failure));
}

pub fn memory_read(core: *Core, params: *const types.TransferParams) callconv(.c) Status {
    const bytes = sliceOf(params.bytes, params.size) catch |err| return errors.statusOf(err);
    return done(core.memory.read(params.guest_address, bytes));
}

pub fn memory_write(core: *Core, params: *const types.TransferParams) callconv(.c) Status {
    const bytes = sliceOf(params.bytes, params.size) catch |err| return errors.statusOf(err);
    return done(core.memory.write(params.guest_address, bytes));
}

/// Reads a file into guest memory.
pub fn memory_load(core: *Core, params: *const types.LoadParams) callconv(.c) Status {
    return done(core.memory.load(.{
        .fd = params.fd,
        .offset = params.offset,
        .size = params.size,
    }, params.guest_address, &core.failure));
}

/// Reads a sparse file's data into guest memory that is zero.
pub fn memory_load_data(core: *Core, params: *const types.LoadParams) callconv(.c) Status {
    return done(load.loadData(&core.memory, .{
        .fd = params.fd,
        .offset = params.offset,
        .size = params.size,
    }, params.guest_address, &core.failure));
}
