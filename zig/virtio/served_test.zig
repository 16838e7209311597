//! Queues that the kernel's vhost serves, with a vhost of the test's own: who reads the kicks, how
//! the interrupts come, and that rings are back when a reset or a pause has returned.

const std = @import("std");
const errors = @import("../errors.zig");
const mmio = @import("mmio.zig");
const system = @import("../kernel/system.zig");
const device_module = @import("device.zig");
const vsock = @import("../devices/virtio/vsock.zig");
const FakeVhost = @import("test_vhost.zig").FakeVhost;
const GuestMemory = @import("../memory/guest_memory.zig").GuestMemory;
const Line = @import("../bus/interrupt.zig").Line;
const loop_module = @import("../io/loop.zig");

const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;

const memory_base = 0x10_0000;
const memory_size = 0x1_1000;
const piece_size = 0x8000;
const ring_size = 8;
const version_1 = device_module.feature_version_1;
const offered = version_1 | device_module.feature_indirect | 1 << 26;

const status_register = 0x70;
const interrupt_register = 0x60;

const Interrupts = enum { irqfd, counted };

/// A driver of virtio-vsock that puts rings where it likes and chains of nothing into them.
const Bench = struct {
    failure: errors.Failure = .{},
    memory: GuestMemory = .{},
    loop: loop_module.Loop = .{},
    line: Line = .{},
    kernel: FakeVhost = .{},
    model: vsock.Vsock = undefined,
    transport: mmio.Mmio = undefined,

    fn init(self: *Bench, interrupts: Interrupts) !void {
        self.* = .{};
        try self.kernel.start(1);
        _ = try self.memory.add(.{
            .guest_address = memory_base,
            .size = piece_size,
            .span_size = memory_size,
        }, &self.failure);
        _ = try self.memory.add(.{
            .guest_address = memory_base + piece_size,
            .size = memory_size - piece_size,
        }, &self.failure);
        if (interrupts == .irqfd) self.line.fd = system.eventfd().fd();
        try self.loop.start("io-test", &self.failure);
        try self.model.init(.{
            .fd = self.kernel.fds[0],
            .guest_cid = 0x1_0000_0007,
            .features = offered,
        }, &self.loop, &self.failure);
        try self.transport.init(.{
            .memory = &self.memory,
            .loop = &self.loop,
            .interrupt = .{ .line = &self.line },
            .model = .{ .vsock = &self.model },
        }, &self.failure);
    }

    fn deinit(self: *Bench) void {
        self.transport.deinit();
        self.model.deinit();
        self.loop.stop();
        self.kernel.stop();
        if (self.line.fd >= 0) system.close(self.line.fd);
        self.memory.deinit();
    }

    fn read(self: *Bench, offset: u64) u32 {
        var value: [4]u8 = undefined;
        self.transport.read(offset, &value);
        return std.mem.readInt(u32, &value, .little);
    }

    fn write(self: *Bench, offset: u64, value: u32) void {
        self.transport.write(offset, std.mem.asBytes(&value));
    }

    /// Up to DRIVER_OK, with the first `queue_count` queues.
    fn start(self: *Bench, queue_count: u32) void {
        for ([_]u32{ 0, 1, 3 }) |status| self.write(status_register, status);
        self.write(0x24, 1);
        self.write(0x20, version_1 >> 32);
        self.write(status_register, 11);
        for (0..queue_count) |index| {
            @memset(self.ring(index), 0);
            self.setUp(@intCast(index));
        }
        self.write(status_register, 15);
    }

    fn setUp(self: *Bench, index: u32) void {
        self.write(0x30, index);
        self.write(0x38, ring_size);
        self.write(0x80, ringAddress(index));
        self.write(0x90, ringAddress(index) + 0x400);
        self.write(0xa0, ringAddress(index) + 0x800);
        self.write(0x44, 1);
    }

    fn ringAddress(index: u32) u32 {
        // The second ring lies across two pieces of memory.
        return memory_base + 0x7c00 * index;
    }

    fn ring(self: *Bench, index: usize) []u8 {
        return self.memory.slice(ringAddress(@intCast(index)), 0x1000) orelse unreachable;
    }

    fn offer(self: *Bench, index: usize) void {
        const available: *u16 = @ptrCast(@alignCast(&self.ring(index)[0x402]));
        _ = @atomicRmw(u16, available, .Add, 1, .seq_cst);
        self.write(mmio.notify_offset, @intCast(index));
    }

    fn usedIndex(self: *Bench, index: usize) u16 {
        return std.mem.readInt(u16, self.ring(index)[0x802..0x804], .little);
    }

    /// Waits until all that the loop was asked for before is done: what became ready while the
    /// first turn was fetched comes with the second, and what that asked for with the third.
    fn settleLoop(self: *Bench) void {
        var turn: Turn = .{ .source = undefined };
        turn.source = .{ .fd = system.eventfd().fd(), .context = &turn, .handler = Turn.handle };
        defer system.close(turn.source.fd);
        self.loop.add(&turn.source, .readable, &self.failure) catch unreachable;
        for (0..3) |count| {
            system.eventfdSignal(turn.source.fd);
            while (turn.count.load(.acquire) == count) {
                system.futexWait(&turn.count, @intCast(count), 0);
            }
        }
        self.loop.remove(&turn.source);
    }
};

/// A turn of the loop that has come to its end.
const Turn = struct {
    source: loop_module.Source,
    count: std.atomic.Value(u32) = .init(0),

    fn handle(context: *anyopaque, _: loop_module.Readiness) void {
        const self: *Turn = @ptrCast(@alignCast(context));
        if (!system.eventfdTake(self.source.fd)) return;
        _ = self.count.fetchAdd(1, .release);
        system.futexWake(&self.count, 1);
    }
};

/// Runs `body` on a thread of its own, which the fake's filter stays on.
fn onThread(comptime body: fn (bench: *Bench) anyerror!void, interrupts: Interrupts) !void {
    const Run = struct {
        outcome: anyerror!void = {},
        interrupts: Interrupts,
        fn run(self: *@This()) void {
            self.outcome = self.tryRun();
        }
        fn tryRun(self: *@This()) !void {
            var bench: Bench = undefined;
            try bench.init(self.interrupts);
            defer bench.deinit();
            try body(&bench);
        }
    };
    var run: Run = .{ .interrupts = interrupts };
    const thread = try std.Thread.spawn(.{}, Run.run, .{&run});
    thread.join();
    return run.outcome;
}

fn handsOver(bench: *Bench) !void {
    bench.start(3);
    bench.settleLoop();
    const kernel = &bench.kernel;
    const ring = [_]u8{ 0x10, 0x12, 0x11, 0x22, 0x21, 0x20 };
    const expected = [_]u8{ 0x00, 0x03 } ++ ring ++ ring ++ [_]u8{0x61};
    try std.testing.expectEqualSlices(u8, &expected, kernel.takeCommands());
    try expectEqual(version_1, kernel.features);
    try expectEqual(2, kernel.memory.count);
    try expectEqual(memory_base, kernel.memory.regions[0].guest_address);
    try expectEqual(memory_size - piece_size, kernel.memory.regions[1].size);
    const host = @intFromPtr(bench.ring(1).ptr);
    try expectEqual(host, kernel.rings[1].addresses.descriptors);
    try expectEqual(host + 0x400, kernel.rings[1].addresses.available);
    try expectEqual(host + 0x800, kernel.rings[1].addresses.used);
    try expectEqual(ring_size, kernel.rings[1].size);
    try expectEqual(bench.line.fd, kernel.rings[0].call_fd);
    try expect(kernel.running);
}

test "DRIVER_OK hands both data queues over, and not that of the events" {
    try onThread(handsOver, .irqfd);
}

fn leavesKicks(bench: *Bench) !void {
    bench.start(2);
    bench.settleLoop();
    const kick_fd = bench.kernel.rings[1].kick_fd;
    // The first is the device's own, for chains from before.
    try expect(system.eventfdTake(kick_fd));
    bench.offer(1);
    bench.settleLoop();
    try expect(system.eventfdTake(kick_fd));
    try expect(bench.kernel.useChain(1));
    try expectEqual(1, bench.usedIndex(1));
    bench.write(status_register, 0);
    bench.write(mmio.notify_offset, 1);
    bench.settleLoop();
    try expect(!system.eventfdTake(kick_fd));
}

test "notifications are the kernel's while it has the queue, and the loop's after a reset" {
    try onThread(leavesKicks, .irqfd);
}

fn standsInStatus(bench: *Bench) !void {
    bench.start(2);
    bench.settleLoop();
    bench.offer(0);
    try expect(bench.kernel.useChain(0));
    try expect(system.eventfdTake(bench.line.fd));
    bench.write(0x64, 1);
    try expectEqual(1, bench.read(interrupt_register));
    bench.write(status_register, 0);
    try expectEqual(0, bench.read(interrupt_register));
}

test "with an irqfd the kernel raises the line itself, and the status shows it until a reset" {
    try onThread(standsInStatus, .irqfd);
}

fn countsCalls(bench: *Bench) !void {
    bench.start(2);
    bench.settleLoop();
    try expectEqual(0, bench.read(interrupt_register));
    bench.offer(0);
    try expect(bench.kernel.useChain(0));
    bench.settleLoop();
    try expectEqual(1, bench.line.count.load(.acquire));
    try expectEqual(1, bench.read(interrupt_register));
    bench.write(0x64, 1);
    try expectEqual(0, bench.read(interrupt_register));
}

test "without KVM each call raises the line once" {
    try onThread(countsCalls, .counted);
}

fn returnsAtReset(bench: *Bench) !void {
    for (0..50) |_| {
        bench.start(2);
        bench.offer(0);
        bench.write(status_register, 0);
        try expect(!bench.kernel.running);
        try expectEqual(-1, bench.kernel.rings[0].kick_fd);
        try expectEqual(0, bench.read(interrupt_register));
    }
}

test "the kernel has nothing any more when a reset has returned, at any moment" {
    try onThread(returnsAtReset, .counted);
}

fn goesOnAfterPause(bench: *Bench) !void {
    bench.start(2);
    bench.settleLoop();
    for (0..3) |_| {
        bench.offer(0);
        try expect(bench.kernel.useChain(0));
        bench.offer(0);
        bench.transport.device.pause();
        try expect(!bench.kernel.running);
        const state = bench.transport.device.queues[0].state;
        try expectEqual(bench.usedIndex(0), state.next_available);
        try expectEqual(bench.usedIndex(0), state.next_used);
        bench.kernel.rings = @splat(.{});
        bench.transport.device.unpause();
        bench.settleLoop();
        try expectEqual(bench.usedIndex(0), bench.kernel.rings[0].base);
        try expect(bench.kernel.useChain(0));
        try expect(!bench.kernel.useChain(0));
    }
}

test "a pause takes the queues back, and they go on where they stopped" {
    try onThread(goesOnAfterPause, .irqfd);
}

fn losesOneQueue(bench: *Bench) !void {
    bench.start(2);
    bench.settleLoop();
    bench.write(0x30, 1);
    bench.write(0x44, 0);
    try expectEqual(0, bench.read(0x44));
    bench.settleLoop();
    try expect(!bench.kernel.running);
    bench.setUp(1);
    bench.settleLoop();
    try expect(bench.kernel.running);
}

test "a queue that is switched off is back at once, and leaves again when it is set up" {
    try onThread(losesOneQueue, .irqfd);
}

fn isRefused(bench: *Bench) !void {
    for ([_]u8{ 0x00, 0x03, 0x10, 0x11, 0x12, 0x20, 0x21, 0x22 }) |command| {
        bench.kernel.refuse(command);
        bench.start(2);
        bench.settleLoop();
        try expect(bench.read(status_register) & device_module.status_needs_reset != 0);
        try expectEqual(14, bench.model.last_errno);
    }
    bench.kernel.refuse(null);
    bench.start(2);
    bench.settleLoop();
    try expect(bench.kernel.running);
    try expectEqual(15, bench.read(status_register));
}

test "what the kernel refuses asks for a reset, after which it may work" {
    try onThread(isRefused, .irqfd);
}

fn reportsFaults(bench: *Bench) !void {
    bench.start(2);
    bench.settleLoop();
    system.eventfdSignal(bench.kernel.rings[1].error_fd);
    bench.settleLoop();
    try expect(bench.read(status_register) & device_module.status_needs_reset != 0);
    try expectEqual(device_module.Fault.server, bench.transport.device.fault);
    try expect(!bench.kernel.running);
    bench.start(2);
    bench.settleLoop();
    try expect(bench.kernel.running);
}

test "a ring of which the kernel makes no sense asks for a reset and is taken back" {
    try onThread(reportsFaults, .irqfd);
}

fn showsItsAddress(bench: *Bench) !void {
    var bytes: [8]u8 = undefined;
    bench.transport.read(0x100, &bytes);
    try expectEqual(0x1_0000_0007, std.mem.readInt(u64, &bytes, .little));
    try expectEqual(1, bench.read(0x104));
    bench.write(0x100, 9);
    try expectEqual(7, bench.read(0x100));
    try expectEqual(19, bench.read(8));
    try expectEqual(device_module.feature_indirect, bench.transport.device.features ^ version_1);
}

test "the config is the guest's address, and the features are those of both sides" {
    try onThread(showsItsAddress, .irqfd);
}

fn tellsOfReset(bench: *Bench) !void {
    const target = memory_base + memory_size - 8;
    const bytes = bench.memory.slice(target, 8) orelse unreachable;
    @memset(bytes, 0xff);
    try bench.model.restore(.{});
    bench.start(3);
    try bench.model.restore(.{});
    std.mem.writeInt(u64, bench.ring(2)[0..8], target, .little);
    std.mem.writeInt(u32, bench.ring(2)[8..12], 8, .little);
    std.mem.writeInt(u16, bench.ring(2)[12..14], 2, .little);
    bench.offer(2);
    bench.settleLoop();
    try expectEqual(1, bench.usedIndex(2));
    try std.testing.expectEqualSlices(u8, &.{ 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff }, bytes);
    bench.offer(2);
    bench.settleLoop();
    try expectEqual(1, bench.usedIndex(2));
}

test "a guest of a snapshot hears once that its connections are gone" {
    try onThread(tellsOfReset, .irqfd);
}
