//! A lock of four bytes on a futex: uncontended in user space, no allocation, no owner to record.

const std = @import("std");
const system = @import("kernel/system.zig");

pub const Lock = struct {
    state: std.atomic.Value(u32) = .init(free),

    const free = 0;
    const held = 1;
    const contended = 2;

    pub fn lock(self: *Lock) void {
        if (self.state.cmpxchgStrong(free, held, .acquire, .monotonic) == null) return;
        while (self.state.swap(contended, .acquire) != free) {
            system.futexWait(&self.state, contended, 0);
        }
    }

    pub fn unlock(self: *Lock) void {
        if (self.state.swap(free, .release) == contended) system.futexWake(&self.state, 1);
    }
};

test "two threads never hold the lock at once" {
    const Shared = struct {
        guard: Lock = .{},
        value: u64 = 0,
        fn work(self: *@This()) void {
            for (0..10_000) |_| {
                self.guard.lock();
                defer self.guard.unlock();
                self.value += 1;
            }
        }
    };
    var shared: Shared = .{};
    const other = try std.Thread.spawn(.{}, Shared.work, .{&shared});
    shared.work();
    other.join();
    try std.testing.expectEqual(@as(u64, 20_000), shared.value);
}
