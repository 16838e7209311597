//! The virtual machine that is made while the runtime starts: a thread that opens /dev/kvm and
//! creates VM, interrupt chips and first vCPU, some milliseconds that would otherwise come after.
//! It decides nothing: on any failure it leaves nothing, and the core does it all and says why.

const std = @import("std");
const linux = std.os.linux;
const kernel = @import("core").kernel;

/// What the thread made; -1 for each that is not there.
pub const Prepared = extern struct { system_fd: i32 = -1, vm_fd: i32 = -1, vcpu_fd: i32 = -1 };

var thread: ?std.Thread = null;
var prepared: Prepared = .{};

const stack_size = 128 * 1024;

/// Functions that TypeScript finds beside the core's.
pub const api = struct {
    /// Waits for the thread and hands its descriptors over; a second call finds none.
    pub fn prepared_take(out: *Prepared) callconv(.c) i32 {
        if (thread) |running| running.join();
        thread = null;
        out.* = prepared;
        prepared = .{};
        return if (out.vm_fd >= 0) 1 else 0;
    }
};

/// A command line that names a kernel or a template and no other accelerator will need a VM.
pub fn startIfUseful(arguments: []const [*:0]const u8) void {
    var runs_guest = false;
    for (arguments) |argument| {
        const text = std.mem.span(argument);
        if (std.mem.eql(u8, text, "-kernel")) runs_guest = true;
        if (std.mem.eql(u8, text, "-incoming")) runs_guest = true;
        const is_test = std.mem.eql(u8, text, "test");
        if (is_test or std.mem.indexOf(u8, text, "accel=test") != null) return;
        if (std.mem.eql(u8, text, "--")) return;
    }
    if (!runs_guest) return;
    thread = std.Thread.spawn(.{ .stack_size = stack_size }, prepare, .{}) catch null;
}

fn prepare() void {
    const flags: linux.O = .{ .ACCMODE = .RDWR, .CLOEXEC = true };
    const opened = linux.openat(linux.AT.FDCWD, "/dev/kvm", flags, 0);
    if (linux.errno(opened) != .SUCCESS) return;
    const system_fd: i32 = @intCast(opened);
    var failure: kernel.Failure = .{};
    var vm = kernel.Vm.create(system_fd, &failure) catch return closeAll(&.{system_fd});
    vm.createInterruptChips(kernel.default_pages, &failure) catch
        return closeAll(&.{ vm.vm_fd, system_fd });
    waitForGracePeriod(&vm) catch return closeAll(&.{ vm.vm_fd, system_fd });
    const vcpu_fd = vm.createVcpuDescriptor(0, &failure) catch
        return closeAll(&.{ vm.vm_fd, system_fd });
    prepared = .{ .system_fd = system_fd, .vm_fd = vm.vm_fd, .vcpu_fd = vcpu_fd };
}

/// The first change of memory after the interrupt chips waits some milliseconds until the kernel
/// has no reader of the state before. A page that comes and goes takes that wait here.
fn waitForGracePeriod(vm: *const kernel.Vm) !void {
    var failure: kernel.Failure = .{};
    const page_size = 4096;
    const flags: linux.MAP = .{ .TYPE = .PRIVATE, .ANONYMOUS = true };
    const page = linux.mmap(null, page_size, .{ .READ = true }, flags, -1, 0);
    if (linux.errno(page) != .SUCCESS) return;
    defer _ = linux.munmap(@ptrFromInt(page), page_size);
    for ([_]u64{ page_size, 0 }) |size| {
        try vm.setMemoryRegion(.{
            .slot = 0,
            .flags = 0,
            .guest_address = 0,
            .size = size,
            .host_address = page,
        }, &failure);
    }
}

fn closeAll(descriptors: []const i32) void {
    for (descriptors) |fd| _ = linux.close(fd);
}
