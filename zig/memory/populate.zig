//! Touches guest memory before the guest does, by several threads: pages and page tables are there
//! when it starts (-mem-prealloc).

const std = @import("std");
const linux = std.os.linux;
const limits = @import("../limits.zig");
const system = @import("../kernel/system.zig");
const trace = @import("../trace/trace.zig");
const Thread = @import("../thread.zig").Thread;

/// What a thread takes at once: large enough to be worth a call, small enough to share evenly.
const share_size = 64 * 1024 * 1024;
const madvise_populate_write = 23;

const Work = struct {
    address: usize,
    size: u64,
    next: std.atomic.Value(u64) = .init(0),
    errno: std.atomic.Value(i32) = .init(0),

    fn run(self: *Work) void {
        while (self.errno.load(.acquire) == 0) {
            const offset = self.next.fetchAdd(share_size, .monotonic);
            if (offset >= self.size) return;
            const start = self.address + @as(usize, @intCast(offset));
            const errno = populateShare(start, @min(share_size, self.size - offset));
            if (errno != 0) self.errno.store(errno, .release);
        }
    }
};

/// Gives every page of a range its memory, by at most `thread_count` threads of which the caller
/// is one. Returns 0 or the errno of the page that the host did not have.
pub fn populate(address: usize, size: u64, thread_count: u32) i32 {
    const touching = trace.begin(.pre_alloc);
    defer touching.end(.pre_alloc, .{ .size = size });
    var work: Work = .{ .address = address, .size = size };
    var threads: [limits.populate_thread_count_max - 1]Thread = undefined;
    const wanted = @min(thread_count -| 1, threads.len, size / share_size);
    var count: usize = 0;
    while (count < wanted) : (count += 1) {
        // Fewer threads take longer, nothing else.
        threads[count] = Thread.spawn(Work.run, &work) catch break;
    }
    work.run();
    for (threads[0..count]) |thread| thread.join();
    return work.errno.load(.acquire);
}

fn populateShare(address: usize, size: u64) i32 {
    while (true) {
        const raw = linux.madvise(@ptrFromInt(address), size, madvise_populate_write);
        const answer = system.result(raw);
        if (answer.errno == system.EINTR) continue;
        if (answer.errno != system.EINVAL) return answer.errno;
        touch(address, size);
        return 0;
    }
}

/// The way of kernels before Linux 5.14. It changes nothing, as another process may share it.
fn touch(address: usize, size: u64) void {
    const bytes: [*]u8 = @ptrFromInt(address);
    var offset: usize = 0;
    while (offset < size) : (offset += std.heap.page_size_min) {
        _ = @atomicRmw(u8, &bytes[offset], .Or, 0, .monotonic);
    }
}

fn residentPages(address: usize, size: usize) !usize {
    var pages: [4096]u8 = @splat(0);
    const count = size / std.heap.page_size_min;
    const raw = linux.syscall3(.mincore, address, size, @intFromPtr(&pages));
    if (!system.result(raw).ok()) return error.Mincore;
    var resident: usize = 0;
    for (pages[0..count]) |page| resident += page & 1;
    return resident;
}

test "each page of a range is there afterwards, by calls and by touches" {
    const size = 4 * 1024 * 1024;
    for ([_]bool{ false, true }) |by_touch| {
        const mapped = system.map(.{ .size = size, .shared = true });
        defer system.unmap(mapped.value, size);
        try std.testing.expectEqual(0, try residentPages(mapped.value, size));
        if (by_touch) {
            touch(mapped.value, size);
        } else {
            try std.testing.expectEqual(0, populate(mapped.value, size, 4));
        }
        const count = size / std.heap.page_size_min;
        try std.testing.expectEqual(count, try residentPages(mapped.value, size));
    }
}

test "several threads share a range out among them" {
    const size = 3 * share_size;
    const mapped = system.map(.{ .size = size, .shared = true });
    defer system.unmap(mapped.value, size);
    try std.testing.expectEqual(0, populate(mapped.value, size, 16));
    for ([_]usize{ 0, share_size, 2 * share_size, 3 * share_size - 4096 }) |offset| {
        try std.testing.expectEqual(1, try residentPages(mapped.value + offset, 4096));
    }
}

test "what is not there is refused, not touched" {
    const mapped = system.map(.{ .size = 4096 });
    system.unmap(mapped.value, 4096);
    try std.testing.expectEqual(system.ENOMEM, populate(mapped.value, 4096, 1));
}
