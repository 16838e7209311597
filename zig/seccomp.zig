//! System call filters (seccomp(2)). The process's filter goes in first, with TSYNC, because that
//! is the only way to reach the runtime's own threads; each thread of the core then adds its narrow
//! one on top. The other order fails: TSYNC refuses threads whose filters differ, and threads made
//! later (CPU online, iothreads) inherit the process's filter anyway. So it allows what all need.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("errors.zig");
const system = @import("kernel/system.zig");
pub const violation = @import("seccomp_violation.zig");
pub const Failure = errors.Failure;

/// Classic BPF, one instruction (struct sock_filter) a word.
pub const Program = []const u64;

/// The most instructions that the kernel takes (BPF_MAXINSNS).
pub const instruction_count_max = 4096;

/// struct sock_fprog.
const ProgramHeader = extern struct { count: u16, instructions: [*]const u64 };

/// Puts a filter on the calling thread, for good.
pub fn installOnThread(program: Program) system.Result {
    return install(program, 0);
}

/// Puts a filter on every thread of the process. The value is 0, or the id of a thread that has
/// filters of its own, and then nothing is installed.
pub fn installOnProcess(program: Program) system.Result {
    const pledge = @backingInt(linux.PR.SET_NO_NEW_PRIVS);
    const pledged = system.result(linux.prctl(pledge, 1, 0, 0, 0));
    if (!pledged.ok()) return pledged;
    return install(program, linux.SECCOMP.FILTER_FLAG.TSYNC);
}

fn install(program: Program, flags: u32) system.Result {
    const header: ProgramHeader = .{
        .count = @intCast(program.len),
        .instructions = program.ptr,
    };
    return system.result(linux.seccomp(linux.SECCOMP.SET_MODE_FILTER, flags, &header));
}

/// One thread's narrow filter: asked for from outside, installed by the thread itself.
pub const Confinement = struct {
    /// Address of the Program; 0: none.
    wanted: std.atomic.Value(usize) = .init(0),
    applied: std.atomic.Value(u32) = .init(0),

    /// The program stays where it is for as long as the thread lives. Null asks for nothing.
    pub fn ask(self: *Confinement, program: ?*const Program) void {
        self.wanted.store(if (program) |given| @intFromPtr(given) else 0, .release);
    }

    /// Called by the thread, often: cheap when there is nothing to do. A thread that cannot be
    /// confined must not run, so the process ends.
    pub fn apply(self: *Confinement) void {
        const address = self.wanted.load(.acquire);
        if (address == 0 or self.applied.load(.monotonic) != 0) return;
        const program: *const Program = @ptrFromInt(address);
        const answer = installOnThread(program.*);
        if (!answer.ok()) violation.endUnconfined(answer.errno);
        self.applied.store(1, .release);
        system.futexWake(&self.applied, std.math.maxInt(i32));
    }

    /// Waits at most `timeout_ns` until the thread is confined; false when it is not.
    pub fn waitUntilApplied(self: *const Confinement, timeout_ns: u64) bool {
        const deadline_ns = system.monotonicNs() + timeout_ns;
        while (self.applied.load(.acquire) == 0) {
            const now_ns = system.monotonicNs();
            if (now_ns >= deadline_ns) return false;
            system.futexWait(&self.applied, 0, deadline_ns - now_ns);
        }
        return true;
    }
};

/// The programs for threads of the core, kept for those that start later.
pub const Filters = struct {
    vcpu: Program = &.{},
    iothread: Program = &.{},

    pub fn keep(
        self: *Filters,
        allocator: std.mem.Allocator,
        programs: struct { vcpu: Program, iothread: Program },
    ) errors.CoreError!void {
        self.vcpu = allocator.dupe(u64, programs.vcpu) catch return error.OutOfMemory;
        self.iothread = allocator.dupe(u64, programs.iothread) catch return error.OutOfMemory;
    }

    pub fn free(self: *Filters, allocator: std.mem.Allocator) void {
        allocator.free(self.vcpu);
        allocator.free(self.iothread);
        self.* = .{};
    }

    pub fn forVcpu(self: *const Filters) ?*const Program {
        return if (self.vcpu.len == 0) null else &self.vcpu;
    }

    pub fn forIothread(self: *const Filters) ?*const Program {
        return if (self.iothread.len == 0) null else &self.iothread;
    }
};

test "a thread is confined once it is asked to be" {
    const allow_all = [_]u64{(@as(u64, linux.SECCOMP.RET.ALLOW) << 32) | 0x06};
    const program: Program = &allow_all;
    var confinement: Confinement = .{};
    const worker = try std.Thread.spawn(.{}, confineSelf, .{ &confinement, &program });
    worker.join();
    try std.testing.expect(confinement.waitUntilApplied(0));
}

test "a thread that nobody asked stays as it is" {
    var confinement: Confinement = .{};
    confinement.apply();
    try std.testing.expect(!confinement.waitUntilApplied(0));
}

fn confineSelf(confinement: *Confinement, program: *const Program) void {
    _ = linux.prctl(@backingInt(linux.PR.SET_NO_NEW_PRIVS), 1, 0, 0, 0);
    confinement.ask(program);
    confinement.apply();
}
