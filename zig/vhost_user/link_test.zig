//! The link against a fake back end: what is said in which order, what is refused, how a lost back
//! end is found again, and that nothing of it stays behind.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("../errors.zig");
const fake = @import("test_back_end.zig");
const link_module = @import("link.zig");
const protocol = @import("message.zig");
const system = @import("../kernel/system.zig");
const GuestMemory = @import("../memory/guest_memory.zig").GuestMemory;
const Loop = @import("../io/loop.zig").Loop;
const Needs = @import("dialogue.zig").Needs;
const Request = protocol.Request;
const Table = @import("memory_table.zig").Table;

const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;

const ms = 1_000_000;
const patience: link_module.Patience = .{
    .retry_first_ns = ms,
    .retry_most_ns = 2 * ms,
    .answer_ns = 5_000 * ms,
};
const disk: Needs = .{ .ring_count = 2, .rings_always = 1, .config_size = 60 };

/// A loop, a back end, the link between them, and two rings in shared memory.
const Bench = struct {
    failure: errors.Failure = .{},
    loop: Loop = .{},
    back_end: fake.FakeBackEnd = .{},
    link: link_module.Link = undefined,
    memory: GuestMemory = .{},
    memory_fd: i32 = -1,
    kick_fd: i32 = -1,
    /// Guarded by the loop's lock: the driver is ready.
    is_running: bool = false,

    fn start(self: *Bench, needs: Needs) !void {
        try self.startWith(needs, patience);
    }

    fn startWith(self: *Bench, needs: Needs, how: link_module.Patience) !void {
        try self.loop.start("io-test", &self.failure);
        self.memory_fd = system.result(linux.memfd_create("ram", linux.MFD.CLOEXEC)).fd();
        _ = linux.ftruncate(self.memory_fd, 0x1_0000);
        _ = try self.memory.add(.{
            .guest_address = 0x10_0000,
            .size = 0x1_0000,
            .fd = self.memory_fd,
            .shared = true,
        }, &self.failure);
        self.kick_fd = system.eventfd().fd();
        try self.back_end.start();
        try self.link.init(.{
            .loop = &self.loop,
            .address = self.back_end.address[0..self.back_end.address_size],
            .needs = needs,
            .context = self,
            .turned = turned,
            .patience = how,
        }, &self.failure);
    }

    /// As a device does it: hands its rings over whenever there is a back end.
    fn turned(context: *anyopaque) void {
        const self: *Bench = @ptrCast(@alignCast(context));
        if (!self.is_running or !self.link.isUp()) return;
        const dialogue = &self.link.dialogue;
        for (dialogue.rings[0..dialogue.needs.ring_count]) |*ring| {
            if (ring.wanted) continue;
            ring.wanted = true;
            self.link.wake();
        }
    }

    fn end(self: *Bench) void {
        self.link.deinit();
        self.back_end.stop();
        self.loop.stop();
        self.memory.deinit();
        system.close(self.memory_fd);
        system.close(self.kick_fd);
    }

    fn isUp(self: *Bench) bool {
        return self.link.awaitFirst(5_000 * ms).is_up;
    }

    /// DRIVER_OK with both rings, as a device says it.
    fn activate(self: *Bench) !void {
        self.loop.guard.lock();
        defer self.loop.guard.unlock();
        const dialogue = &self.link.dialogue;
        dialogue.memory = try Table.of(&self.memory);
        dialogue.active = true;
        dialogue.features = 1 << 32;
        for (dialogue.rings[0..dialogue.needs.ring_count], 0..) |*ring, index| {
            const host = self.memory.pieces[0].host_address + index * 0x4000;
            ring.place = .{
                .size = 64,
                .descriptors = host,
                .available = host + 0x1000,
                .used = host + 0x2000,
                .kick_fd = self.kick_fd,
                .call_fd = self.kick_fd,
            };
        }
        self.is_running = true;
        self.link.wake();
    }

    /// The guest resets its device.
    fn stopRings(self: *Bench) !void {
        self.loop.guard.lock();
        self.is_running = false;
        for (&self.link.dialogue.rings) |*ring| ring.wanted = false;
        self.link.stopInTime();
        self.loop.guard.unlock();
        for (0..10_000) |_| {
            if (self.forgetWhenQuiet()) return;
            pause();
        }
        return error.NeverHappened;
    }

    fn forgetWhenQuiet(self: *Bench) bool {
        self.loop.guard.lock();
        defer self.loop.guard.unlock();
        if (!self.link.dialogue.quiet()) return false;
        self.link.dialogue.forget();
        self.link.wake();
        return true;
    }

    /// Waits until the back end was asked something so often.
    fn awaitAsked(self: *Bench, request: Request, count: usize) !void {
        for (0..10_000) |_| {
            if (self.back_end.countOf(request) >= count) return;
            pause();
        }
        return error.NeverAsked;
    }

    fn awaitUp(self: *Bench, wanted: bool) !void {
        for (0..10_000) |_| {
            if (self.link.state().is_up == wanted) return;
            pause();
        }
        return error.NeverHappened;
    }
};

fn ignore(_: *anyopaque) void {}

fn pause() void {
    const time: linux.timespec = .{ .sec = 0, .nsec = ms };
    _ = linux.nanosleep(&time, null);
}

fn openDescriptors() usize {
    var count: usize = 0;
    for (0..1024) |fd| {
        if (system.result(linux.fcntl(@intCast(fd), linux.F.GETFD, 0)).ok()) count += 1;
    }
    return count;
}

test "a disk is introduced, started, stopped and reset in the order of the protocol" {
    var bench: Bench = .{};
    try bench.start(disk);
    defer bench.end();
    try expect(bench.isUp());
    try bench.activate();
    try bench.awaitAsked(.set_vring_enable, 2);
    bench.back_end.base = 5;
    try bench.stopRings();
    try bench.awaitAsked(.reset_device, 1);
    const ring = [_]Request{
        .set_vring_num,
        .set_vring_base,
        .set_vring_addr,
        .set_vring_call,
        .set_vring_kick,
        .set_vring_enable,
    };
    const expected = [_]Request{
        .get_features,          .get_protocol_features,
        .set_protocol_features, .set_owner,
        .get_queue_num,         .set_backend_req_fd,
        .get_config,            .set_features,
        .get_inflight_fd,       .set_inflight_fd,
        .set_mem_table,
    } ++ ring ++ ring ++ .{ .get_vring_base, .get_vring_base, .reset_device };
    try expectEqual(expected.len, bench.back_end.asked_count);
    for (expected, bench.back_end.asked[0..expected.len]) |request, message| {
        try expectEqual(@backingInt(request), message.request);
    }
    try expectEqual(5, bench.link.dialogue.rings[1].base);
    try expectEqual(7, bench.link.dialogue.config[59]);
}

test "a ring's addresses, its descriptors and the memory are told as they are" {
    var bench: Bench = .{};
    try bench.start(disk);
    defer bench.end();
    try bench.activate();
    try bench.awaitAsked(.set_vring_enable, 2);
    const table = bench.back_end.lastOf(.set_mem_table) orelse return error.NeverAsked;
    try expectEqual(1, table.fd_count);
    try expectEqual(8 + 32, table.size);
    const address = bench.back_end.lastOf(.set_vring_addr) orelse return error.NeverAsked;
    const told = address.as(protocol.VringAddress) orelse return error.Size;
    const host = bench.memory.pieces[0].host_address;
    try expectEqual(host + 0x4000, told.descriptors);
    try expectEqual(host + 0x6000, told.used);
    const kick = bench.back_end.lastOf(.set_vring_kick) orelse return error.NeverAsked;
    try expectEqual(1, kick.fd_count);
    try expectEqual(1, kick.as(u64));
}

test "a back end has room to note all chains of the largest ring that a driver can make" {
    var needs = disk;
    needs.queue_size_max = 256;
    var bench: Bench = .{};
    try bench.start(needs);
    defer bench.end();
    try bench.activate();
    try bench.awaitAsked(.set_inflight_fd, 1);
    for ([_]Request{ .get_inflight_fd, .set_inflight_fd }) |request| {
        const message = bench.back_end.lastOf(request) orelse return error.NeverAsked;
        const told = message.as(protocol.Inflight) orelse return error.Size;
        try expectEqual(256, told.queue_size);
        try expectEqual(2, told.queue_count);
    }
}

test "a back end without protocol features is served with what all know" {
    var bench: Bench = .{ .back_end = .{ .features = 1 << 32 } };
    try bench.start(.{ .ring_count = 2 });
    defer bench.end();
    try expect(bench.isUp());
    try bench.activate();
    try bench.awaitAsked(.set_vring_kick, 2);
    try bench.stopRings();
    try expectEqual(0, bench.back_end.countOf(.set_vring_enable));
    try expectEqual(0, bench.back_end.countOf(.get_inflight_fd));
    try expectEqual(2, bench.back_end.countOf(.get_vring_base));
}

const Bad = struct { request: Request, fault: fake.Fault, cause: link_module.Cause };

const bad_answers = [_]Bad{
    .{ .request = .get_features, .fault = .close, .cause = .closed },
    .{ .request = .get_features, .fault = .silent, .cause = .silent },
    .{ .request = .get_features, .fault = .other_request, .cause = .form },
    .{ .request = .get_features, .fault = .no_reply_flag, .cause = .form },
    .{ .request = .get_features, .fault = .other_version, .cause = .form },
    .{ .request = .get_features, .fault = .short, .cause = .size },
    .{ .request = .get_features, .fault = .long, .cause = .size },
    .{ .request = .get_features, .fault = .descriptor, .cause = .descriptors },
    .{ .request = .get_protocol_features, .fault = .many_descriptors, .cause = .descriptors },
    .{ .request = .get_protocol_features, .fault = .silent, .cause = .silent },
    .{ .request = .set_owner, .fault = .refusal, .cause = .refused },
    .{ .request = .set_owner, .fault = .short, .cause = .size },
    .{ .request = .get_queue_num, .fault = .long, .cause = .size },
    .{ .request = .get_config, .fault = .short, .cause = .size },
    .{ .request = .get_config, .fault = .many_descriptors, .cause = .descriptors },
    .{ .request = .set_backend_req_fd, .fault = .other_request, .cause = .form },
};

test "a bad answer ends the first try with its cause, and no descriptor stays" {
    const before = openDescriptors();
    for (bad_answers) |bad| {
        var bench: Bench = .{ .back_end = .{
            .tamper = .{ .request = bad.request, .fault = bad.fault },
        } };
        const slow = bad.fault == .silent;
        try bench.startWith(disk, .{ .answer_ns = if (slow) 20 * ms else 5_000 * ms });
        const report = bench.link.awaitFirst(5_000 * ms);
        try expect(!report.is_up);
        try expectEqual(bad.cause, report.cause);
        bench.end();
    }
    try expectEqual(before, openDescriptors());
}

const late_answers = [_]Bad{
    .{ .request = .set_features, .fault = .refusal, .cause = .refused },
    .{ .request = .get_inflight_fd, .fault = .descriptor, .cause = .descriptors },
    .{ .request = .get_inflight_fd, .fault = .short, .cause = .size },
    .{ .request = .set_mem_table, .fault = .refusal, .cause = .refused },
    .{ .request = .set_mem_table, .fault = .many_descriptors, .cause = .descriptors },
    .{ .request = .set_vring_addr, .fault = .refusal, .cause = .refused },
    .{ .request = .set_vring_kick, .fault = .close, .cause = .closed },
    .{ .request = .set_vring_enable, .fault = .other_version, .cause = .form },
};

test "a bad answer while the rings are started loses the back end, and the next one starts anew" {
    const before = openDescriptors();
    for (late_answers) |bad| {
        var bench: Bench = .{ .back_end = .{
            .tamper = .{ .request = bad.request, .fault = bad.fault },
        } };
        try bench.start(disk);
        try expect(bench.isUp());
        try bench.activate();
        try bench.awaitAsked(bad.request, 2);
        try bench.stopRings();
        bench.end();
    }
    try expectEqual(before, openDescriptors());
}

test "features, queues and config space that a device needs are asked for" {
    const Case = struct { back_end: fake.FakeBackEnd, cause: link_module.Cause };
    const cases = [_]Case{
        .{ .back_end = .{ .features = protocol.feature_protocol }, .cause = .features },
        .{ .back_end = .{ .features = 1 << 32 }, .cause = .features },
        .{ .back_end = .{ .protocol_features = 0 }, .cause = .features },
        .{ .back_end = .{ .protocol_features = protocol.Protocol.config }, .cause = .queues },
        .{ .back_end = .{ .queue_limit = 1 }, .cause = .queues },
    };
    for (cases) |case| {
        var bench: Bench = .{ .back_end = case.back_end };
        try bench.start(disk);
        defer bench.end();
        try expectEqual(case.cause, bench.link.awaitFirst(5_000 * ms).cause);
    }
}

test "a back end that is not there is told with the kernel's reason" {
    var failure: errors.Failure = .{};
    var loop: Loop = .{};
    try loop.start("io-test", &failure);
    defer loop.stop();
    var nothing: u8 = 0;
    var link: link_module.Link = undefined;
    try link.init(.{
        .loop = &loop,
        .address = &.{ linux.AF.UNIX, 0, 0, 'n', 'o', 'b', 'o', 'd', 'y' },
        .needs = disk,
        .context = &nothing,
        .turned = ignore,
    }, &failure);
    defer link.deinit();
    const report = link.awaitFirst(5_000 * ms);
    try expectEqual(link_module.Cause.unreachable_address, report.cause);
    try expectEqual(@backingInt(linux.E.CONNREFUSED), report.errno);
}

test "a hundred restarts leave no descriptor, and each begins where the guest has seen it" {
    var bench: Bench = .{};
    try bench.start(disk);
    defer bench.end();
    try expect(bench.isUp());
    try bench.activate();
    try bench.awaitAsked(.set_vring_enable, 2);
    const before = openDescriptors();
    for (1..101) |round| {
        const used: *u16 = @ptrFromInt(bench.link.dialogue.rings[1].place.used + 2);
        @atomicStore(u16, used, @intCast(round), .seq_cst);
        bench.back_end.hangUp();
        try bench.awaitAsked(.set_vring_enable, 2 + 2 * round);
        const base = bench.back_end.lastOf(.set_vring_base) orelse return error.NeverAsked;
        try expectEqual(protocol.VringState{
            .index = 1,
            .number = @intCast(round),
        }, base.as(protocol.VringState));
    }
    try expectEqual(1, bench.back_end.countOf(.get_inflight_fd));
    try expectEqual(101, bench.back_end.countOf(.set_inflight_fd));
    try bench.awaitUp(true);
    try expectEqual(before, openDescriptors());
    try expectEqual(100, bench.link.state().loss_count);
}

test "a back end that comes back with less is refused until it has all again" {
    var bench: Bench = .{};
    try bench.start(disk);
    defer bench.end();
    try expect(bench.isUp());
    try bench.activate();
    try bench.awaitAsked(.set_vring_enable, 2);
    bench.back_end.queue_limit = 1;
    bench.back_end.hangUp();
    try bench.awaitAsked(.get_queue_num, 3);
    try bench.awaitUp(false);
    bench.back_end.queue_limit = 2;
    try bench.awaitUp(true);
}

test "a back end that does not stop in time is given up" {
    var bench: Bench = .{ .back_end = .{
        .tamper = .{ .request = .get_vring_base, .fault = .silent },
    } };
    try bench.startWith(disk, .{ .retry_first_ns = ms, .stop_ns = 20 * ms });
    defer bench.end();
    try expect(bench.isUp());
    try bench.activate();
    try bench.awaitAsked(.set_vring_enable, 2);
    try bench.stopRings();
    try expectEqual(1, bench.link.state().loss_count);
    try bench.awaitUp(true);
}

test "to map memory a back end has a time of its own" {
    var bench: Bench = .{ .back_end = .{
        .tamper = .{ .request = .set_mem_table, .fault = .silent },
    } };
    try bench.startWith(disk, .{
        .retry_first_ns = ms,
        .answer_ns = 60_000 * ms,
        .map_ns = 20 * ms,
    });
    defer bench.end();
    try expect(bench.isUp());
    try bench.activate();
    try bench.awaitAsked(.set_mem_table, 2);
    try expectEqual(link_module.Cause.silent, bench.link.state().cause);
}

test "config space is read again when the back end says so, and other requests lose it" {
    var bench: Bench = .{};
    try bench.start(disk);
    defer bench.end();
    try expect(bench.isUp());
    bench.back_end.config[3] = 9;
    bench.back_end.request(protocol.back_end_config_change, &.{});
    try bench.awaitAsked(.get_config, 2);
    try bench.activate();
    try bench.awaitAsked(.set_vring_enable, 2);
    try expectEqual(9, bench.link.dialogue.config[3]);
    const bad = [_]struct { number: u32, payload: []const u8 }{
        .{ .number = 1, .payload = &.{} },
        .{ .number = protocol.back_end_config_change, .payload = &.{0} },
    };
    for (bad, 1..) |each, count| {
        bench.back_end.request(each.number, each.payload);
        try bench.awaitAsked(.set_vring_enable, 2 + 2 * count);
    }
    try expectEqual(2, bench.link.state().loss_count);
}
