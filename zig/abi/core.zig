//! Calls for the core itself: its life, threads, doorbell, clock and the filters of its process.

const errors = @import("../errors.zig");
const seccomp = @import("../seccomp.zig");
const last_line = @import("../last_line.zig");
const scalars = @import("../abi_scalars.zig");
const types = @import("../abi_types.zig");
const answers = @import("answers.zig");
const Core = @import("../core.zig").Core;
const Status = errors.Status;
const done = answers.done;
const given = answers.given;
const sliceOf = answers.sliceOf;

/// Compared with the generated file before any other call.
pub fn abi_hash() callconv(.c) u64 {
    return @import("../abi_hash.zig").hash;
}

pub fn core_create(params: *const types.CoreParams) callconv(.c) Status {
    const failure: *errors.Failure = @ptrFromInt(@backingInt(params.failure));
    const handle: *usize = @ptrFromInt(@backingInt(params.handle));
    const early: ?Core.Early = if (params.vm_fd < 0) null else .{
        .vm_fd = params.vm_fd,
        .vcpu_fd = params.vcpu_fd,
    };
    const core = Core.create(params.system_fd, early, failure) catch |err|
        return errors.statusOf(err);
    handle.* = @intFromPtr(core);
    return .ok;
}

pub fn core_destroy(core: *Core) callconv(.c) Status {
    core.destroy();
    return .ok;
}

pub fn core_failure(core: *Core, failure: *errors.Failure) callconv(.c) Status {
    failure.* = core.failure;
    return .ok;
}

pub fn thread_create(
    core: *Core,
    params: *const types.ThreadParams,
    out: *u32,
) callconv(.c) Status {
    const name = sliceOf(params.name, params.name_size) catch |err| return errors.statusOf(err);
    return given(out, core.addLoop(name, &core.failure));
}

/// Kernel thread id of an iothread; 0 until it runs.
pub fn thread_id(core: *Core, index: u32, out: *u32) callconv(.c) Status {
    const loop = core.loopAt(index) catch |err| return errors.statusOf(err);
    out.* = loop.thread_id.load(.acquire);
    return .ok;
}

/// Confines all threads, once, with all vCPUs started and paused: each installs its filter
/// before its first guest instruction. Later threads get theirs when they start.
pub fn seccomp_install(core: *Core, params: *const types.SeccompParams) callconv(.c) Status {
    const main = programOf(params.main, params.main_count) catch |err|
        return errors.statusOf(err);
    const vcpu = programOf(params.vcpu, params.vcpu_count) catch |err|
        return errors.statusOf(err);
    const iothread = programOf(params.iothread, params.iothread_count) catch |err|
        return errors.statusOf(err);
    last_line.setLog(params.log_fd);
    return done(core.installFilters(.{
        .main = main,
        .vcpu = vcpu,
        .iothread = iothread,
    }, &core.failure));
}

/// The log was opened anew: where a violation is reported from now on.
pub fn seccomp_set_log(fd: i32) callconv(.c) Status {
    last_line.setLog(fd);
    return .ok;
}

/// The end of the doorbell that becomes readable; it becomes the caller's.
pub fn doorbell_fd(core: *Core, out: *i32) callconv(.c) Status {
    out.* = core.doorbell.read_fd;
    core.doorbell.read_fd = -1;
    return if (out.* < 0) .empty else .ok;
}

/// Bits of News since the last call, and how often the bell rang so far.
pub fn doorbell_take(core: *Core, bits: *u32, rings: *u64) callconv(.c) Status {
    bits.* = core.doorbell.take();
    rings.* = core.doorbell.ring_count.load(.acquire);
    return .ok;
}

/// Virtual time (accel=test) in nanoseconds.
pub fn clock_now(core: *Core, out: *u64) callconv(.c) Status {
    out.* = core.clock.monotonicNs();
    return .ok;
}

/// Moves virtual time forward to `target_ns`; `out` is the time after.
pub fn clock_move(core: *Core, target_ns: u64, out: *u64) callconv(.c) Status {
    if (!core.clock.virtual) return .unsupported;
    out.* = core.clock.moveTo(target_ns);
    return .ok;
}

fn programOf(pointer: scalars.Pointer, count: u32) errors.CoreError!seccomp.Program {
    if (count == 0 or count > seccomp.instruction_count_max) return error.Invalid;
    const instructions: [*]const u64 = @ptrFromInt(@backingInt(pointer));
    return instructions[0..count];
}
