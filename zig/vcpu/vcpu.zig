//! One vCPU and its thread: runs the guest, hands accesses to the bus, pauses and stops on request.
//! The requester writes `request`, then sets immediate_exit and signals; the thread clears
//! immediate_exit before it looks at `request`, so that no request is ever missed.

const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;
const limits = @import("../limits.zig");
const kvm = @import("../kernel/kvm.zig");
const kvm_state = @import("../kernel/kvm_state.zig");
const system = @import("../kernel/system.zig");
const errors = @import("../errors.zig");
const seccomp = @import("../seccomp.zig");
const trace = @import("../trace/trace.zig");
const fatal_signals = @import("../io/terminal_rescue.zig").fatal;
const Thread = @import("../thread.zig").Thread;
const exit = @import("exit.zig");
const Park = @import("park.zig").Park;
const outcome = @import("../bus/outcome.zig");
const Bus = @import("../bus/dispatch.zig").Bus;
const Reader = @import("../bus/address_map.zig").Reader;
const Doorbell = @import("../io/doorbell.zig").Doorbell;

pub const Request = enum(u32) { run, pause, stop };
pub const State = enum(u32) { created, running, paused, parked, stopped };

/// Signal that takes a vCPU thread out of KVM_RUN. The runtime uses lower numbers for itself.
const kick_signal = 36;

/// What KVM said when a vCPU could not go on.
pub const RunFailure = extern struct {
    errno: i32 = 0,
    exit_reason: u32 = 0,
    /// Hardware entry failure reason, or internal error's sub-code.
    detail: u64 = 0,
};

pub const Counters = extern struct {
    pio_exits: u64 = 0,
    mmio_exits: u64 = 0,
    other_exits: u64 = 0,
};

pub const Vcpu = struct {
    index: u32,
    apic_id: u32,
    fd: i32,
    run: *kvm.Run,
    mapped: []u8,
    bus: *const Bus,
    doorbell: *Doorbell,
    thread: ?Thread = null,
    thread_id: std.atomic.Value(u32) = .init(0),
    request: std.atomic.Value(u32) = .init(@backingInt(Request.pause)),
    state: std.atomic.Value(u32) = .init(@backingInt(State.created)),
    reader: Reader = .{},
    park: Park = .{},
    confinement: seccomp.Confinement = .{},
    failure: RunFailure = .{},
    counters: Counters = .{},

    pub fn start(self: *Vcpu, failure: *errors.Failure) errors.HostError!void {
        self.thread = Thread.spawn(runThread, self) catch
            return failure.set(.thread_spawn, system.EAGAIN, self.index);
    }

    /// Asks without waiting; `kick` until the state follows.
    pub fn ask(self: *Vcpu, request: Request) void {
        self.request.store(@backingInt(request), .seq_cst);
        system.futexWake(&self.request, 1);
        if (request == .stop) self.park.answer();
    }

    /// Takes the thread out of the guest if it is there.
    pub fn kick(self: *Vcpu) void {
        const thread_id = self.thread_id.load(.acquire);
        if (thread_id == 0 or self.isAtRest()) return;
        trace.emit(.vcpu_kick, .{ .index = self.index });
        @atomicStore(u8, &self.run.immediate_exit, 1, .seq_cst);
        // Its id is not used anew before the thread is joined. tkill, as the runtime does it: one
        // system call less to allow than with tgkill.
        _ = linux.syscall2(.tkill, thread_id, kick_signal);
    }

    /// The guest's watchdogs learn that it stood still. It fails where no guest asked for a clock.
    pub fn tellOfPause(self: *const Vcpu) void {
        _ = system.ioctl(self.fd, kvm_state.kvmclock_control, 0);
    }

    /// True when the thread does not run guest code and will not until asked.
    pub fn isAtRest(self: *const Vcpu) bool {
        return switch (self.currentState()) {
            .paused => self.request.load(.seq_cst) == @backingInt(Request.pause),
            .parked, .stopped => true,
            .created => self.thread == null,
            .running => false,
        };
    }

    pub fn currentState(self: *const Vcpu) State {
        return @fromBackingInt(self.state.load(.seq_cst));
    }

    /// Waits until the state is no longer `.running`, at most `timeout_ns`.
    pub fn waitForRest(self: *const Vcpu, timeout_ns: u64) void {
        const state = self.state.load(.acquire);
        if (!self.isAtRest()) system.futexWait(&self.state, state, timeout_ns);
    }

    pub fn stop(self: *Vcpu) void {
        self.ask(.stop);
        while (self.thread != null and self.currentState() != .stopped) {
            self.kick();
            self.waitForStop();
        }
        if (self.thread) |thread| thread.join();
        self.thread = null;
    }

    fn waitForStop(self: *const Vcpu) void {
        const state = self.state.load(.acquire);
        if (state == @backingInt(State.stopped)) return;
        system.futexWait(&self.state, state, limits.kick_interval_ns);
    }

    pub fn close(self: *Vcpu) void {
        system.unmap(@intFromPtr(self.mapped.ptr), self.mapped.len);
        system.close(self.fd);
    }

    fn setState(self: *Vcpu, state: State) void {
        trace.emit(.vcpu_state, .{ .index = self.index, .state = state });
        self.state.store(@backingInt(state), .seq_cst);
        system.futexWake(&self.state, std.math.maxInt(i32));
    }

    fn runThread(self: *Vcpu) void {
        allowOnlyKick();
        var name: [16]u8 = @splat(0);
        // Three digits at most: `limits.vcpu_count_max`.
        _ = std.fmt.bufPrint(&name, "vcpu {d}", .{self.index}) catch unreachable;
        _ = linux.prctl(@backingInt(linux.PR.SET_NAME), @intFromPtr(&name), 0, 0, 0);
        self.thread_id.store(@intCast(system.gettid()), .release);
        while (self.admitted()) self.runOnce();
        self.setState(.stopped);
    }

    /// Waits out pauses; false when the thread must end.
    fn admitted(self: *Vcpu) bool {
        while (true) {
            @atomicStore(u8, &self.run.immediate_exit, 0, .seq_cst);
            const wanted = self.request.load(.seq_cst);
            switch (@as(Request, @fromBackingInt(wanted))) {
                .run => {
                    if (self.currentState() == .running) return true;
                    self.confinement.apply();
                    // Looks again: a requester that still saw the old state counts on that.
                    self.setState(.running);
                },
                .stop => return false,
                .pause => {
                    self.completePendingAccess();
                    self.setState(.paused);
                    system.futexWait(&self.request, wanted, 0);
                },
            }
        }
    }

    /// KVM finishes a half-done access at the next entry; with immediate_exit it does only that,
    /// so that the registers of a paused vCPU are whole (api.rst, KVM_RUN).
    fn completePendingAccess(self: *Vcpu) void {
        if (self.currentState() != .running) return;
        @atomicStore(u8, &self.run.immediate_exit, 1, .seq_cst);
        _ = system.ioctl(self.fd, kvm.run, 0);
    }

    fn runOnce(self: *Vcpu) void {
        const answer = system.ioctl(self.fd, kvm.run, 0);
        if (!answer.ok()) {
            if (answer.errno == system.EINTR or answer.errno == system.EAGAIN) return;
            self.failure = .{ .errno = answer.errno };
            return self.waitParked(.vcpu_failed);
        }
        const reason = @backingInt(self.run.exit_reason);
        trace.emit(.kvm_vcpu_run_exit, .{ .index = self.index, .reason = reason });
        switch (exit.decode(self.run, self.mapped)) {
            .again => self.counters.other_exits += 1,
            .access => |access| self.perform(access),
            .park => |asked| {
                self.counters.other_exits += 1;
                if (asked == .vcpu_failed) self.recordFailure();
                self.waitParked(asked);
            },
        }
    }

    fn perform(self: *Vcpu, access: exit.Access) void {
        if (access.space == .pio) self.counters.pio_exits += 1 else self.counters.mmio_exits += 1;
        var park: outcome.ParkReason = .none;
        for (0..access.count) |item| {
            const data = access.data[item * access.size ..][0..access.size];
            if (!access.is_write) {
                self.bus.read(&self.reader, access.space, access.address, data);
                continue;
            }
            switch (self.bus.write(&self.reader, access.space, access.address, data)) {
                .none => {},
                .park => |reason| park = reason,
            }
        }
        if (park != .none) self.waitParked(park);
    }

    fn recordFailure(self: *Vcpu) void {
        self.failure = .{
            .exit_reason = @backingInt(self.run.exit_reason),
            .detail = switch (self.run.exit_reason) {
                .fail_entry => self.run.exit.fail_entry.hardware_reason,
                .internal_error => self.run.exit.internal.suberror,
                else => 0,
            },
        };
    }

    fn waitParked(self: *Vcpu, reason: outcome.ParkReason) void {
        trace.emit(.vcpu_park, .{ .index = self.index, .reason = reason });
        self.park.post(reason);
        self.setState(.parked);
        self.doorbell.ring(.park);
        if (self.request.load(.seq_cst) == @backingInt(Request.stop)) self.park.answer();
        self.park.wait();
        self.setState(.running);
    }
};

fn allowOnlyKick() void {
    var mask: linux.sigset_t = @splat(std.math.maxInt(usize));
    linux.sigdelset(&mask, @fromBackingInt(kick_signal));
    linux.sigdelset(&mask, .SYS);
    for (fatal_signals) |signal| linux.sigdelset(&mask, signal);
    _ = linux.sigprocmask(linux.SIG.SETMASK, &mask, null);
}

fn ignoreKick(_: linux.SIG) callconv(.c) void {}

/// The handler only has to exist: its delivery is what ends KVM_RUN.
pub fn installKickHandler(failure: *errors.Failure) errors.HostError!void {
    const action: linux.Sigaction = .{
        .handler = .{ .handler = ignoreKick },
        .mask = linux.sigemptyset(),
        .flags = 0,
    };
    const answer = system.result(linux.sigaction(@fromBackingInt(kick_signal), &action, null));
    if (!answer.ok()) return failure.set(.signal_action, answer.errno, kick_signal);
}
