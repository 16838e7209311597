//! A static program for the tests of ozone: prints what it sees from inside the jail, line by line,
//! by system calls alone. Words of its command line make it do something instead.

const std = @import("std");
const linux = std.os.linux;

pub fn main(init: std.process.Init.Minimal) u8 {
    var arguments = init.args.iterate();
    print("argument {s}\n", .{arguments.next().?});
    while (arguments.next()) |word| {
        if (std.mem.eql(u8, word, "exit")) {
            return std.fmt.parseInt(u8, arguments.next().?, 10) catch 99;
        }
        if (std.mem.eql(u8, word, "wait")) return waitForSignal();
        if (std.mem.eql(u8, word, "die")) _ = linux.kill(linux.getpid(), .KILL);
        if (std.mem.eql(u8, word, "-daemonize")) return daemonize();
        if (std.mem.eql(u8, word, "open")) openFile(arguments.next().?);
        if (std.mem.eql(u8, word, "write")) writeFile(arguments.next().?);
        if (std.mem.eql(u8, word, "chmod")) changeMode(arguments.next().?);
        if (std.mem.eql(u8, word, "report")) report(init.environ.block);
        if (std.mem.eql(u8, word, "list")) listFolder(arguments.next().?);
        if (std.mem.eql(u8, word, "stat")) printStatus(arguments.next().?);
    }
    return 0;
}

fn print(comptime format: []const u8, values: anytype) void {
    var buffer: [4096]u8 = undefined;
    const text = std.fmt.bufPrint(&buffer, format, values) catch return;
    _ = linux.write(1, text.ptr, text.len);
}

fn report(environment: anytype) void {
    print("uid {d} {d}\n", .{ linux.getuid(), linux.geteuid() });
    print("gid {d} {d}\n", .{ linux.getgid(), linux.getegid() });
    var groups: [64]linux.gid_t = undefined;
    print("groups {d}\n", .{linux.getgroups(groups.len, &groups)});
    print("pid {d}\n", .{linux.getpid()});
    var names: linux.utsname = undefined;
    _ = linux.uname(&names);
    print("host {s}\n", .{std.mem.sliceTo(&names.nodename, 0)});
    reportCapabilities();
    print("no_new_privs {d}\n", .{linux.prctl(39, 0, 0, 0, 0)});
    print("death_signal {d}\n", .{deathSignal()});
    reportDescriptors();
    inline for (.{ .NOFILE, .CORE }) |resource| {
        var limit: linux.rlimit = undefined;
        _ = linux.prlimit(0, resource, null, &limit);
        print("limit {s} {d} {d}\n", .{ @tagName(resource), limit.cur, limit.max });
    }
    var mask: linux.sigset_t = undefined;
    _ = linux.sigprocmask(0, null, &mask);
    print("blocked {x}\n", .{mask[0]});
    reportProcessors();
    for (environment.view().slice) |entry| print("environment {s}\n", .{entry});
    var folder: [4096]u8 = undefined;
    const length = linux.getcwd(&folder, folder.len);
    print("folder {s}\n", .{folder[0 .. length - 1]});
}

fn reportCapabilities() void {
    const Header = extern struct { version: u32, pid: i32 };
    const Sets = extern struct { effective: u32, permitted: u32, inheritable: u32 };
    const header: Header = .{ .version = 0x2008_0522, .pid = 0 };
    var sets: [2]Sets = undefined;
    _ = linux.syscall2(.capget, @intFromPtr(&header), @intFromPtr(&sets));
    inline for (.{ "effective", "permitted", "inheritable" }) |name| {
        const high: u64 = @field(sets[1], name);
        print("{s} {x}\n", .{ name, high << 32 | @field(sets[0], name) });
    }
    var bounding: u64 = 0;
    var ambient: u64 = 0;
    for (0..63) |number| {
        const bit = @as(u64, 1) << @intCast(number);
        if (linux.prctl(23, number, 0, 0, 0) == 1) bounding |= bit;
        if (linux.prctl(47, 1, number, 0, 0) == 1) ambient |= bit;
    }
    print("bounding {x}\nambient {x}\n", .{ bounding, ambient });
}

fn deathSignal() i32 {
    var signal: i32 = -1;
    _ = linux.prctl(2, @intFromPtr(&signal), 0, 0, 0);
    return signal;
}

fn reportDescriptors() void {
    var count: usize = 0;
    for (0..1024) |fd| {
        if (!failed(linux.fcntl(@intCast(fd), 1, 0))) count += 1;
    }
    print("descriptors {d}\n", .{count});
}

fn reportProcessors() void {
    var mask: [16]u64 = @splat(0);
    _ = linux.syscall3(.sched_getaffinity, 0, @sizeOf(@TypeOf(mask)), @intFromPtr(&mask));
    print("processors {x}\n", .{mask[0]});
}

fn failed(raw: usize) bool {
    return linux.errno(raw) != .SUCCESS;
}

fn openFile(path: [:0]const u8) void {
    const raw = linux.open(path, .{ .ACCMODE = .RDWR }, 0);
    print("open {s} {s}\n", .{ path, @tagName(linux.errno(raw)) });
}

fn changeMode(path: [:0]const u8) void {
    const raw = linux.fchmodat(linux.AT.FDCWD, path, 0o755);
    print("chmod {s} {s}\n", .{ path, @tagName(linux.errno(raw)) });
}

fn writeFile(path: [:0]const u8) void {
    const raw = linux.open(path, .{ .ACCMODE = .WRONLY, .CREAT = true }, 0o600);
    print("write {s} {s}\n", .{ path, @tagName(linux.errno(raw)) });
    if (!failed(raw)) _ = linux.write(@intCast(raw), "written", 7);
}

/// Owner, group, mode and device of a path.
fn printStatus(path: [:0]const u8) void {
    var status: linux.Statx = undefined;
    const mask: linux.STATX = .BASIC_STATS;
    if (failed(linux.statx(linux.AT.FDCWD, path, 0, mask, &status))) {
        return print("stat {s} missing\n", .{path});
    }
    print("stat {s} {d}:{d} {o} {d}:{d}\n", .{
        path,
        status.uid,
        status.gid,
        status.mode,
        status.rdev_major,
        status.rdev_minor,
    });
}

fn listFolder(path: [:0]const u8) void {
    const fd = linux.open(path, .{ .DIRECTORY = true }, 0);
    var buffer: [4096]u8 align(8) = undefined;
    while (true) {
        const count = linux.getdents64(@intCast(fd), &buffer, buffer.len);
        if (failed(count) or count == 0) return;
        var at: usize = 0;
        while (at < count) {
            const entry: *align(1) linux.dirent64 = @ptrCast(&buffer[at]);
            const name: [*:0]const u8 = @ptrCast(&entry.name);
            print("entry {s}\n", .{std.mem.span(name)});
            at += entry.reclen;
        }
    }
}

var caught: std.atomic.Value(u32) = .init(0);

fn onSignal(signal: linux.SIG) callconv(.c) void {
    caught.store(@backingInt(signal), .release);
}

/// Says that it waits, and ends with the number of the signal that comes.
fn waitForSignal() u8 {
    const action: linux.Sigaction = .{
        .handler = .{ .handler = onSignal },
        .mask = linux.sigemptyset(),
        .flags = 0,
    };
    inline for (.{ .TERM, .INT, .HUP, .USR1 }) |signal| _ = linux.sigaction(signal, &action, null);
    const all = linux.sigfillset();
    _ = linux.sigprocmask(linux.SIG.SETMASK, &all, null);
    print("waiting\n", .{});
    const none = linux.sigemptyset();
    while (caught.load(.acquire) == 0) _ = linux.syscall2(.rt_sigsuspend, @intFromPtr(&none), 8);
    return @intCast(caught.load(.acquire));
}

/// Leaves a process behind that writes its pid to /daemon and waits.
fn daemonize() u8 {
    const raw = linux.fork();
    if (raw != 0) return if (failed(raw)) 1 else 0;
    _ = linux.setsid();
    const null_device = linux.open("/dev/null", .{ .ACCMODE = .RDWR }, 0);
    for (0..3) |fd| _ = linux.dup2(@intCast(null_device), @intCast(fd));
    writeFile("/daemon");
    return waitForSignal();
}
