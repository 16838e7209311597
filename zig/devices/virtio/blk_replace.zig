//! Puts another file behind a disk, or none, while its guest goes on (hot replace).

const std = @import("std");
const blk_config = @import("blk_config.zig");
const engine_module = @import("../../io/engine.zig");
const errors = @import("../../errors.zig");
const raw = @import("../../block/raw.zig");
const Block = @import("blk.zig").Block;

/// What is in flight ends on the old file; the guest is told by a config interrupt. Features and
/// queues stay as they were: what the new file cannot do is refused then. After an error the old
/// file stays; else the caller may close it. Not on the loop's thread. Errors: Invalid, Host.
pub fn replace(
    block: *Block,
    backend: blk_config.Params,
    failure: *errors.Failure,
) errors.CoreError!void {
    if (backend.capacity_bytes > std.math.maxInt(i64)) return error.Invalid;
    if (backend.iops_limit != 0 and !block.gate.has_timer) return error.Invalid;
    var image: raw.Image = undefined;
    try image.init(Block.imageOptions(&backend), failure);
    errdefer image.deinit();
    var engine: engine_module.Engine = .{};
    try engine.init(block.engineOptions(&backend), failure);
    if (backend.engine == .io_uring) block.spare_ring = null;
    errdefer retire(block, &engine);
    try block.mapZeroes(backend.flags, failure);
    const was_paused = block.device.paused;
    block.device.pause();
    defer if (!was_paused) block.device.unpause();
    if (block.engine.pollFd() >= 0) block.loop.remove(&block.source);
    swap(block, &image, &engine);
    block.watchEngine(failure) catch |err| {
        swap(block, &image, &engine);
        // It was watched before; should that fail now, the first cause is the one to tell.
        block.watchEngine(failure) catch {};
        return err;
    };
    image.deinit();
    retire(block, &engine);
    takeOver(block, &backend);
    block.setCapacity(backend.capacity_bytes);
}

fn swap(block: *Block, image: *raw.Image, engine: *engine_module.Engine) void {
    block.device.work.lock();
    defer block.device.work.unlock();
    std.mem.swap(raw.Image, &block.image, image);
    std.mem.swap(engine_module.Engine, &block.engine, engine);
}

/// Its ring serves the next engine that needs one.
fn retire(block: *Block, engine: *engine_module.Engine) void {
    if (block.spare_ring == null) block.spare_ring = engine.takeRing();
    engine.deinit();
}

fn takeOver(block: *Block, backend: *const blk_config.Params) void {
    block.device.work.lock();
    defer block.device.work.unlock();
    const params = &block.params;
    params.fd = backend.fd;
    params.engine = backend.engine;
    params.request_alignment = backend.request_alignment;
    params.buffer_alignment = backend.buffer_alignment;
    params.flags = backend.flags;
    params.iops_limit = backend.iops_limit;
    params.serial = backend.serial;
    if (block.gate.throttle.rate != backend.iops_limit) block.gate.setRate(backend.iops_limit);
}
