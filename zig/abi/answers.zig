//! How a call answers: errors become a Status, memory of the caller becomes a slice.

const errors = @import("../errors.zig");
const limits = @import("../limits.zig");
const scalars = @import("../abi_scalars.zig");
const Status = errors.Status;

pub fn done(answer: anytype) Status {
    answer catch |err| return errors.statusOf(err);
    return .ok;
}

pub fn given(out: *u32, answer: errors.CoreError!u32) Status {
    out.* = answer catch |err| return errors.statusOf(err);
    return .ok;
}

pub fn sliceOf(pointer: scalars.Pointer, size: u64) errors.CoreError![]u8 {
    if (size > limits.transfer_size_max) return error.Limit;
    if (size == 0) return &.{};
    const bytes: [*]u8 = @ptrFromInt(@backingInt(pointer));
    return bytes[0..size];
}
