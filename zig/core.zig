//! One machine's data plane: everything that Zig owns, and the order in which it begins and ends.
//! There are no globals: a process may hold many cores, and a destroyed one leaves nothing behind.

const std = @import("std");
const limits = @import("limits.zig");
const errors = @import("errors.zig");
const system = @import("kernel/system.zig");
const kvm = @import("kernel/kvm.zig");
const MemorySave = @import("memory/save.zig").Save;
const seccomp = @import("seccomp.zig");
const trace = @import("trace/trace.zig");
const lost_memory = @import("memory/lost_memory.zig");
const seccomp_violation = @import("seccomp_violation.zig");
const Vm = @import("kernel/vm.zig").Vm;
const guest_memory = @import("memory/guest_memory.zig");
const address_map = @import("bus/address_map.zig");
const Bus = @import("bus/dispatch.zig").Bus;
const Group = @import("vcpu/group.zig").Group;
const Loop = @import("io/loop.zig").Loop;
const Clock = @import("io/clock.zig").Clock;
const Doorbell = @import("io/doorbell.zig").Doorbell;
const Chardev = @import("io/chardev.zig").Chardev;
const ChardevOptions = @import("io/chardev_types.zig").Options;
const ChannelTable = @import("io/channel.zig").Table;
const Terminal = @import("io/terminal.zig").Terminal;
const DeviceTable = @import("devices/table.zig").DeviceTable;

/// libc's allocator: thread-safe, and used only while the machine's shape changes.
pub const allocator = std.heap.c_allocator;

pub const Core = struct {
    /// Null with accel=test.
    vm: ?Vm = null,
    has_interrupt_chips: bool = false,
    failure: errors.Failure = .{},
    memory: guest_memory.GuestMemory = .{},
    bus: Bus = .{},
    /// Accesses that come from TypeScript rather than from a vCPU.
    reader: address_map.Reader = .{},
    vcpus: Group = .{},
    devices: DeviceTable = .{},
    loops: [limits.iothread_count_max]*Loop = undefined,
    loop_count: usize = 0,
    chardevs: [limits.chardev_count_max]*Chardev = undefined,
    chardev_count: usize = 0,
    channels: ChannelTable = .{},
    clock: Clock = .{},
    doorbell: Doorbell = .{},
    terminal: Terminal = .{},
    filters: seccomp.Filters = .{},
    /// The last writing of guest memory into a file, running or ended.
    memory_save: ?*MemorySave = null,

    /// A VM that exists already, with its interrupt chips and first vCPU; the core takes it over.
    pub const Early = struct { vm_fd: i32, vcpu_fd: i32 };

    /// `system_fd` is /dev/kvm and stays the caller's; -1 asks for a machine without KVM.
    pub fn create(
        system_fd: i32,
        early: ?Early,
        failure: *errors.Failure,
    ) errors.CoreError!*Core {
        const self = allocator.create(Core) catch return error.OutOfMemory;
        self.* = .{};
        errdefer self.destroy();
        if (early) |made| {
            self.vm = Vm.adopt(system_fd, made.vm_fd);
            self.vcpus.early_fd = made.vcpu_fd;
            self.has_interrupt_chips = true;
        } else if (system_fd >= 0) {
            self.vm = try Vm.create(system_fd, failure);
        }
        self.clock.virtual = self.vm == null;
        try self.doorbell.open(failure);
        trace.attach(&self.doorbell);
        _ = try self.addLoop("io0", failure);
        return self;
    }

    /// Threads end before what they use is freed.
    pub fn destroy(self: *Core) void {
        self.vcpus.destroy(allocator);
        if (self.memory_save) |writing| writing.destroy(allocator);
        self.devices.destroyAll();
        self.channels.closeAll();
        for (self.chardevs[0..self.chardev_count]) |chardev| {
            chardev.stop();
            allocator.destroy(chardev);
        }
        for (self.loops[0..self.loop_count]) |loop| {
            loop.stop();
            allocator.destroy(loop);
        }
        self.terminal.restore();
        self.bus.map.deinit(allocator);
        if (self.vm) |*vm| vm.close();
        self.memory.deinit();
        trace.detach(&self.doorbell);
        self.doorbell.close();
        self.filters.free(allocator);
        allocator.destroy(self);
    }

    /// Starts an iothread; its index is its number from then on.
    pub fn addLoop(self: *Core, name: []const u8, failure: *errors.Failure) errors.CoreError!u32 {
        if (self.loop_count == self.loops.len) return error.Limit;
        const loop = allocator.create(Loop) catch return error.OutOfMemory;
        loop.* = .{};
        loop.confinement.ask(self.filters.forIothread());
        loop.start(name, failure) catch |err| {
            allocator.destroy(loop);
            return err;
        };
        self.loops[self.loop_count] = loop;
        self.loop_count += 1;
        return @intCast(self.loop_count - 1);
    }

    pub fn loopAt(self: *const Core, index: u32) errors.CoreError!*Loop {
        return if (index < self.loop_count) self.loops[index] else error.Invalid;
    }

    pub fn addChardev(
        self: *Core,
        options: ChardevOptions,
        failure: *errors.Failure,
    ) errors.CoreError!u32 {
        if (self.chardev_count == self.chardevs.len) return error.Limit;
        const chardev = allocator.create(Chardev) catch return error.OutOfMemory;
        chardev.* = .{ .loop = self.loops[0], .doorbell = &self.doorbell, .options = options };
        self.chardevs[self.chardev_count] = chardev;
        self.chardev_count += 1;
        try chardev.start(failure);
        return @intCast(self.chardev_count - 1);
    }

    pub fn chardevAt(self: *const Core, index: u32) errors.CoreError!*Chardev {
        return if (index < self.chardev_count) self.chardevs[index] else error.Invalid;
    }

    /// Adds guest RAM and tells KVM of it.
    pub fn addMemory(
        self: *Core,
        options: guest_memory.AddOptions,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        const slot = self.memory.piece_count;
        const piece = try self.memory.add(options, failure);
        if (options.fd >= 0) try lost_memory.installHandler(failure);
        const vm = self.vm orelse return;
        try vm.setMemoryRegion(.{
            .slot = @intCast(slot),
            .flags = 0,
            .guest_address = piece.guest_address,
            .size = piece.size,
            .host_address = piece.host_address,
        }, failure);
    }

    /// Confines every thread of the process (see seccomp.zig for the order), once, before the
    /// guest runs. `failure.value` is the thread that has filters of its own, if that is why.
    pub fn installFilters(
        self: *Core,
        programs: struct {
            main: seccomp.Program,
            vcpu: seccomp.Program,
            iothread: seccomp.Program,
        },
        failure: *errors.Failure,
    ) errors.CoreError!void {
        if (self.filters.forVcpu() != null) return error.Invalid;
        try self.filters.keep(allocator, .{
            .vcpu = programs.vcpu,
            .iothread = programs.iothread,
        });
        try seccomp_violation.installHandler(failure);
        const answer = seccomp.installOnProcess(programs.main);
        if (!answer.ok()) return failure.set(.seccomp, answer.errno, 0);
        if (answer.value != 0) return failure.set(.seccomp, system.EBUSY, answer.value);
        self.vcpus.confine(self.filters.forVcpu());
        for (self.loops[0..self.loop_count]) |loop| loop.confine(self.filters.forIothread());
        for (self.loops[0..self.loop_count]) |loop| {
            if (!loop.confinement.waitUntilApplied(limits.confine_wait_ns)) return error.Timeout;
        }
    }
};
