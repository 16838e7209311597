//! A vhost of a test's own, for hosts without one: the calls that the test's thread, and those that
//! it starts from then on, make of a vhost device are answered here (seccomp_unotify(2)). It keeps
//! what it was told, and serves a ring one chain at a time when the test says so.

const std = @import("std");
const linux = std.os.linux;
const kernel = @import("../kernel/vhost.zig");
const limits = @import("../limits.zig");
const system = @import("../kernel/system.zig");
const Lock = @import("../lock.zig").Lock;
const View = @import("test_ring.zig").View;

/// Devices, and rings of each.
const device_count_max = 4;
const ring_count = 2;
const serve_wait_ms = 1;
const command_count_max = 256;

pub const Ring = struct {
    size: u32 = 0,
    base: u32 = 0,
    kick_fd: i32 = -1,
    call_fd: i32 = -1,
    error_fd: i32 = -1,
    /// Of vhost-net.
    tap_fd: i32 = -1,
    addresses: kernel.Addresses = std.mem.zeroes(kernel.Addresses),
};

const Value = extern struct { ring: u32, value: i32 };

pub const FakeVhost = struct {
    /// What stands for an open /dev/vhost-…, for each device.
    fds: [device_count_max]i32 = @splat(-1),
    /// The last that any device was told, as the next.
    features: u64 = 0,
    memory: kernel.Table(limits.memory_piece_count_max) = undefined,
    /// Held for a command, and while a chain is used.
    guard: Lock = .{},
    /// Two of each device.
    rings: [device_count_max * ring_count]Ring = @splat(.{}),
    /// Whether those of vhost-vsock run.
    running: bool = false,
    /// It uses all chains as they come.
    is_serving: bool = false,
    /// The number of a command that is refused with EFAULT.
    refused: ?u8 = null,
    /// The low bytes of the commands so far, in order.
    commands: [command_count_max]u8 = @splat(0),
    command_count: usize = 0,
    listener: i32 = -1,
    stop_fd: i32 = -1,
    thread: ?std.Thread = null,

    /// Filters the calling thread for good: a test runs on a thread of its own.
    pub fn start(self: *FakeVhost, device_count: usize) !void {
        self.* = .{ .stop_fd = system.eventfd().fd() };
        for (self.fds[0..device_count]) |*fd| fd.* = system.eventfd().fd();
        const pledge = @backingInt(linux.PR.SET_NO_NEW_PRIVS);
        _ = linux.prctl(pledge, 1, 0, 0, 0);
        const header: extern struct { count: u16, instructions: [*]const u64 } = .{
            .count = filter.len,
            .instructions = &filter,
        };
        const flags = linux.SECCOMP.FILTER_FLAG.NEW_LISTENER;
        const made = system.result(linux.seccomp(linux.SECCOMP.SET_MODE_FILTER, flags, &header));
        if (!made.ok()) return error.NoListener;
        self.listener = made.fd();
        self.thread = try std.Thread.spawn(.{}, answerAll, .{self});
    }

    /// Nobody calls it any more.
    pub fn stop(self: *FakeVhost) void {
        system.eventfdSignal(self.stop_fd);
        if (self.thread) |thread| thread.join();
        for ([_]i32{ self.stop_fd, self.listener }) |fd| system.close(fd);
        for (self.fds) |fd| if (fd >= 0) system.close(fd);
    }

    /// The command numbers since the last call.
    pub fn takeCommands(self: *FakeVhost) []const u8 {
        defer self.command_count = 0;
        return self.commands[0..self.command_count];
    }

    /// Uses all chains from now on.
    pub fn serveAll(self: *FakeVhost) void {
        self.guard.lock();
        defer self.guard.unlock();
        self.is_serving = true;
    }

    /// Whether it moves chains of a ring.
    pub fn runs(self: *const FakeVhost, index: usize) bool {
        return self.running or self.rings[index].tap_fd >= 0;
    }

    /// Refuses a command from now on, but for one that stops a ring; null: none.
    pub fn refuse(self: *FakeVhost, number: ?u8) void {
        self.guard.lock();
        defer self.guard.unlock();
        self.refused = number;
    }

    /// Says that a ring makes no sense.
    pub fn complain(self: *FakeVhost, index: usize) void {
        self.guard.lock();
        defer self.guard.unlock();
        if (self.runs(index)) system.eventfdSignal(self.rings[index].error_fd);
    }

    /// Uses the next chain of a ring and calls for it; false when the guest offers none, or it does
    /// not run.
    pub fn useChain(self: *FakeVhost, index: usize) bool {
        self.guard.lock();
        defer self.guard.unlock();
        return self.useNext(index);
    }

    fn useNext(self: *FakeVhost, index: usize) bool {
        if (!self.runs(index)) return false;
        const ring = &self.rings[index];
        const view: View = .{
            .size = ring.size,
            .available = @ptrFromInt(ring.addresses.available),
            .used = @ptrFromInt(ring.addresses.used),
        };
        if (!view.use(@truncate(ring.base))) return false;
        ring.base = (ring.base + 1) % 0x1_0000;
        system.eventfdSignal(ring.call_fd);
        return true;
    }

    fn answerAll(self: *FakeVhost) void {
        var fds = [_]linux.pollfd{
            .{ .fd = self.listener, .events = linux.POLL.IN, .revents = 0 },
            .{ .fd = self.stop_fd, .events = linux.POLL.IN, .revents = 0 },
        };
        while (true) {
            if (linux.poll(&fds, fds.len, serve_wait_ms) == 0) self.useAll();
            if (fds[0].revents == 0 and fds[1].revents == 0) continue;
            if (fds[1].revents != 0) return;
            var request: linux.SECCOMP.notif = std.mem.zeroes(linux.SECCOMP.notif);
            const received = system.ioctl(
                self.listener,
                linux.SECCOMP.IOCTL_NOTIF.RECV,
                @intFromPtr(&request),
            );
            if (!received.ok()) continue;
            var response: linux.SECCOMP.notif_resp = std.mem.zeroes(linux.SECCOMP.notif_resp);
            response.id = request.id;
            response.@"error" = -self.answer(&.{
                .fd = @bitCast(@as(u32, @truncate(request.data.arg0))),
                .number = @truncate(request.data.arg1),
                .argument = request.data.arg2,
            });
            const address = @intFromPtr(&response);
            _ = system.ioctl(self.listener, linux.SECCOMP.IOCTL_NOTIF.SEND, address);
        }
    }

    fn useAll(self: *FakeVhost) void {
        self.guard.lock();
        defer self.guard.unlock();
        if (!self.is_serving) return;
        for (&self.rings, 0..) |*ring, index| {
            for (0..ring.size) |_| if (!self.useNext(index)) break;
        }
    }

    const Command = struct { fd: i32, number: u32, argument: u64 };

    /// Carries out one command; returns 0 or an errno.
    fn answer(self: *FakeVhost, command: *const Command) i32 {
        self.guard.lock();
        defer self.guard.unlock();
        const number: u8 = @truncate(command.number);
        const argument = command.argument;
        const device = std.mem.findScalar(i32, &self.fds, command.fd) orelse return errno_bad;
        const first = ring_count * device;
        if (self.command_count < self.commands.len) {
            self.commands[self.command_count] = number;
            self.command_count += 1;
        }
        const is_stop = number == 0x30 and @as(*const Value, @ptrFromInt(argument)).value < 0;
        if (self.refused == number and !is_stop) return errno_fault;
        switch (number) {
            0x00 => self.features = @as(*const u64, @ptrFromInt(argument)).*,
            0x03 => {
                const head: *const [2]u32 = @ptrFromInt(argument);
                const size = 8 + head[0] * @sizeOf(kernel.Region);
                const source: [*]const u8 = @ptrFromInt(argument);
                @memcpy(std.mem.asBytes(&self.memory)[0..size], source[0..size]);
            },
            0x11 => {
                const addresses: *const kernel.Addresses = @ptrFromInt(argument);
                self.rings[first + addresses.ring].addresses = addresses.*;
            },
            0x61 => self.running = @as(*const i32, @ptrFromInt(argument)).* != 0,
            else => {
                const state: *Value = @ptrFromInt(argument);
                setRing(&self.rings[first + state.ring], command.number, state);
            },
        }
        return 0;
    }

    fn setRing(ring: *Ring, command: u32, state: *Value) void {
        switch (@as(u8, @truncate(command))) {
            0x10 => ring.size = @intCast(state.value),
            0x12 => if (command >> 31 != 0) {
                state.value = @intCast(ring.base);
            } else {
                ring.base = @intCast(state.value);
            },
            0x20 => ring.kick_fd = state.value,
            0x21 => ring.call_fd = state.value,
            0x22 => ring.error_fd = state.value,
            0x30 => ring.tap_fd = state.value,
            else => {},
        }
    }
};

const errno_bad = 9;
const errno_fault = 14;

/// Calls of ioctl with a command of vhost's type go to the listener, all others to the kernel.
const filter = [_]u64{
    instruction(0x20, 0, 0, 0),
    instruction(0x15, 0, 5, @backingInt(linux.SYS.ioctl)),
    instruction(0x20, 0, 0, 24),
    instruction(0x74, 0, 0, 8),
    instruction(0x54, 0, 0, 0xff),
    instruction(0x15, 0, 1, 0xaf),
    instruction(0x06, 0, 0, linux.SECCOMP.RET.USER_NOTIF),
    instruction(0x06, 0, 0, linux.SECCOMP.RET.ALLOW),
};

fn instruction(code: u16, when_true: u8, when_false: u8, value: u32) u64 {
    return code | @as(u64, when_true) << 16 | @as(u64, when_false) << 24 | @as(u64, value) << 32;
}
