//! A thin io_uring: one ring, entries prepared in order and handed over by one call. The ring's
//! file descriptor is readable while completions wait, so that epoll needs no eventfd beside it.
//! A ring can do what a disk needs and no more: seccomp does not see what is inside it.

const std = @import("std");
const linux = std.os.linux;
const system = @import("../kernel/system.zig");

pub const Entry = linux.io_uring_sqe;
pub const Completion = struct { user_data: u64, result: i32 };

/// What a ring may do for its owner, for good (io_uring_register(2), IORING_REGISTER_RESTRICTIONS).
const operations = [_]linux.IORING_OP{ .READ, .WRITE, .READV, .WRITEV, .FSYNC, .FALLOCATE };

/// struct io_uring_restriction of <linux/io_uring.h>, of which Zig's own has another size.
const Restriction = extern struct {
    opcode: linux.IORING_RESTRICTION,
    operation: linux.IORING_OP,
    reserved: [13]u8 = @splat(0),
};

pub const Ring = struct {
    fd: i32 = -1,
    rings: usize = 0,
    rings_size: usize = 0,
    entries_size: usize = 0,
    submit_tail: *u32 = undefined,
    submit_mask: u32 = 0,
    entry_count: u32 = 0,
    entries: [*]Entry = undefined,
    complete_head: *u32 = undefined,
    complete_tail: *const u32 = undefined,
    complete_mask: u32 = 0,
    completions: [*]const linux.io_uring_cqe = undefined,
    prepared: u32 = 0,

    /// The errno of what failed, 0 when all is well.
    pub fn init(self: *Ring, depth: u32) i32 {
        var params: linux.io_uring_params = std.mem.zeroes(linux.io_uring_params);
        // Completions need not interrupt the thread: it enters the kernel to wait anyway.
        params.flags = linux.IORING_SETUP_COOP_TASKRUN | linux.IORING_SETUP_R_DISABLED;
        var answer = system.result(linux.io_uring_setup(depth, &params));
        if (answer.errno == system.EINVAL) {
            params = std.mem.zeroes(linux.io_uring_params);
            answer = system.result(linux.io_uring_setup(depth, &params));
        }
        if (!answer.ok()) return answer.errno;
        self.* = .{ .fd = answer.fd() };
        var errno = self.mapRings(&params);
        if (errno == 0 and params.flags & linux.IORING_SETUP_R_DISABLED != 0)
            errno = self.restrict();
        if (errno != 0) self.deinit();
        return errno;
    }

    fn restrict(self: *const Ring) i32 {
        var list: [operations.len]Restriction = undefined;
        for (&list, operations) |*restriction, operation| {
            restriction.* = .{ .opcode = .SQE_OP, .operation = operation };
        }
        const restricted = self.register(.REGISTER_RESTRICTIONS, &list, list.len);
        return if (restricted != 0) restricted else self.register(.REGISTER_ENABLE_RINGS, null, 0);
    }

    fn register(
        self: *const Ring,
        operation: linux.IORING_REGISTER,
        argument: ?*const [operations.len]Restriction,
        count: u32,
    ) i32 {
        return system.result(linux.io_uring_register(self.fd, operation, argument, count)).errno;
    }

    fn mapRings(self: *Ring, params: *const linux.io_uring_params) i32 {
        if (params.features & linux.IORING_FEAT_SINGLE_MMAP == 0) return system.EINVAL;
        const submit_size = params.sq_off.array + params.sq_entries * @sizeOf(u32);
        const complete_size = params.cq_off.cqes + params.cq_entries * @sizeOf(linux.io_uring_cqe);
        self.rings_size = @max(submit_size, complete_size);
        const rings = system.map(.{ .size = self.rings_size, .fd = self.fd, .shared = true });
        if (!rings.ok()) return rings.errno;
        self.rings = rings.value;
        self.entries_size = params.sq_entries * @sizeOf(Entry);
        const entries = system.map(.{
            .size = self.entries_size,
            .fd = self.fd,
            .offset = linux.IORING_OFF_SQES,
            .shared = true,
        });
        if (!entries.ok()) return entries.errno;
        self.entries = @ptrFromInt(entries.value);
        self.entry_count = params.sq_entries;
        self.submit_tail = @ptrFromInt(self.rings + params.sq_off.tail);
        self.submit_mask = params.sq_entries - 1;
        self.complete_head = @ptrFromInt(self.rings + params.cq_off.head);
        self.complete_tail = @ptrFromInt(self.rings + params.cq_off.tail);
        self.complete_mask = params.cq_entries - 1;
        self.completions = @ptrFromInt(self.rings + params.cq_off.cqes);
        const array: [*]u32 = @ptrFromInt(self.rings + params.sq_off.array);
        for (0..params.sq_entries) |index| array[index] = @intCast(index);
        return 0;
    }

    pub fn deinit(self: *Ring) void {
        if (self.entry_count != 0) system.unmap(@intFromPtr(self.entries), self.entries_size);
        if (self.rings != 0) system.unmap(self.rings, self.rings_size);
        if (self.fd >= 0) system.close(self.fd);
        self.* = .{};
    }

    /// Adds an entry to the batch. The caller never prepares more than `entry_count` of them.
    pub fn prepare(self: *Ring, entry: Entry) void {
        std.debug.assert(self.prepared < self.entry_count);
        self.entries[(self.submit_tail.* +% self.prepared) & self.submit_mask] = entry;
        self.prepared += 1;
    }

    /// Hands the batch over; the value is how many entries the kernel took, from the front. The
    /// others are forgotten: the kernel reads the ring within this call only.
    pub fn submit(self: *Ring) system.Result {
        const tail = self.submit_tail.*;
        @atomicStore(u32, self.submit_tail, tail +% self.prepared, .release);
        const answer = system.result(linux.io_uring_enter(self.fd, self.prepared, 0, 0, null));
        const taken: u32 = @intCast(answer.value);
        @atomicStore(u32, self.submit_tail, tail +% taken, .release);
        self.prepared = 0;
        return answer;
    }

    pub fn next(self: *Ring) ?Completion {
        const head = self.complete_head.*;
        if (@atomicLoad(u32, self.complete_tail, .acquire) == head) return null;
        const entry = self.completions[head & self.complete_mask];
        @atomicStore(u32, self.complete_head, head +% 1, .release);
        return .{ .user_data = entry.user_data, .result = entry.res };
    }
};

test "a ring does reads, and nothing that a disk does not need" {
    var ring: Ring = .{};
    if (ring.init(4) != 0) return error.SkipZigTest;
    defer ring.deinit();
    var byte: [1]u8 = .{7};
    const zeroes = system.result(linux.open("/dev/zero", .{ .ACCMODE = .RDONLY }, 0));
    defer system.close(zeroes.fd());
    inline for (.{ linux.IORING_OP.READ, linux.IORING_OP.SOCKET }) |operation| {
        var entry: Entry = std.mem.zeroes(Entry);
        entry.opcode = operation;
        entry.fd = zeroes.fd();
        entry.addr = @intFromPtr(&byte);
        entry.len = 1;
        ring.prepare(entry);
        try std.testing.expect(ring.submit().ok());
        _ = linux.io_uring_enter(ring.fd, 0, 1, linux.IORING_ENTER_GETEVENTS, null);
        const expected: i32 = if (operation == .READ) 1 else -@as(i32, @backingInt(linux.E.ACCES));
        try std.testing.expectEqual(expected, ring.next().?.result);
    }
    try std.testing.expectEqual(@as(u8, 0), byte[0]);
}
