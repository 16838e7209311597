//! Guards of function-local statics (Itanium C++ ABI, section 3.3.3), std::condition_variable and
//! std::call_once over libc's primitives.

const std = @import("std");
const linux = std.os.linux;

/// The compiler reads the first byte itself: it is 1 once the object exists.
pub const Guard = extern struct { is_done: u8, unused: [3]u8, lock: u32 };

/// States of `Guard.lock`.
const idle = 0;
const busy = 1;
const awaited = 2;

/// 1 when the caller has to build the object, 0 when it exists.
pub fn acquireGuard(guard: *Guard) callconv(.c) c_int {
    while (@atomicLoad(u8, &guard.is_done, .acquire) == 0) {
        const state = @cmpxchgStrong(u32, &guard.lock, idle, busy, .acquire, .acquire) orelse {
            if (@atomicLoad(u8, &guard.is_done, .acquire) == 0) return 1;
            unlock(guard);
            return 0;
        };
        if (state == busy) _ = @cmpxchgStrong(u32, &guard.lock, busy, awaited, .acquire, .acquire);
        _ = linux.futex_4arg(&guard.lock, .{ .cmd = .WAIT, .private = true }, awaited, null);
    }
    return 0;
}

/// Says that the object exists.
pub fn releaseGuard(guard: *Guard) callconv(.c) void {
    @atomicStore(u8, &guard.is_done, 1, .release);
    unlock(guard);
}

fn unlock(guard: *Guard) void {
    if (@atomicRmw(u32, &guard.lock, .Xchg, idle, .release) != awaited) return;
    const all = std.math.maxInt(i32);
    _ = linux.futex_3arg(&guard.lock, .{ .cmd = .WAKE, .private = true }, all);
}

/// std::condition_variable holds one pthread_cond_t.
const Condition = std.c.pthread_cond_t;

/// Layout of std::unique_lock<std::mutex>.
const UniqueLock = extern struct { mutex: *std.c.pthread_mutex_t, is_owner: bool };

pub fn createCondition(condition: *Condition) callconv(.c) void {
    condition.* = std.mem.zeroes(Condition);
}

pub fn destroyCondition(condition: *Condition) callconv(.c) void {
    _ = std.c.pthread_cond_destroy(condition);
}

pub fn wait(condition: *Condition, lock: *UniqueLock) callconv(.c) void {
    _ = std.c.pthread_cond_wait(condition, lock.mutex);
}

pub fn notifyOne(condition: *Condition) callconv(.c) void {
    _ = std.c.pthread_cond_signal(condition);
}

pub fn notifyAll(condition: *Condition) callconv(.c) void {
    _ = std.c.pthread_cond_broadcast(condition);
}

/// What std::call_once leaves for `callOnce`: the callable and the function that runs it.
export threadlocal var _ZSt15__once_callable: ?*anyopaque = null;
export threadlocal var _ZSt11__once_call: ?*const fn () callconv(.c) void = null;

pub fn callOnce() callconv(.c) void {
    _ZSt11__once_call.?();
}

/// std::chrono::steady_clock::now(), in nanoseconds.
pub fn steadyNow() callconv(.c) i64 {
    var now: std.c.timespec = undefined;
    _ = std.c.clock_gettime(.MONOTONIC, &now);
    return now.sec * std.time.ns_per_s + now.nsec;
}
