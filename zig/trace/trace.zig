//! Trace points of the data plane. One that is off costs one branch on one byte. One that is on
//! leaves a record in a bounded ring, which JavaScript empties into the log, or writes a line to
//! the kernel's trace marker; neither ever waits. Switches and ring are the process's: its log is.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("../errors.zig");
const limits = @import("../limits.zig");
const system = @import("../kernel/system.zig");
const Doorbell = @import("../io/doorbell.zig").Doorbell;
const events = @import("events.zig");
const line = @import("line.zig");
const ring_module = @import("ring.zig");

pub const Name = events.Name;
pub const Record = ring_module.Record;

/// One byte an event, written by the control plane alone.
var switches: [events.all.len]bool = @splat(false);

/// Where the records of events that are on go.
var sinks: Sinks = .{};

const Sinks = struct {
    ring: ring_module.Ring = .{},
    /// The kernel's trace_marker; -1: none.
    marker_fd: std.atomic.Value(i32) = .init(-1),
    /// Rung when the ring has records.
    bell: std.atomic.Value(?*const Doorbell) = .init(null),
    /// Threads that are about to ring it.
    ringing: std.atomic.Value(u32) = .init(0),
};

/// Tells that something happened. `arguments` has a field for each that the event declares.
pub inline fn emit(comptime name: Name, arguments: anytype) void {
    if (isOn(name)) {
        @branchHint(.cold);
        record(name, &valuesOf(name, arguments, null));
    }
}

inline fn isOn(comptime name: Name) bool {
    return @atomicLoad(bool, &switches[@backingInt(name)], .monotonic);
}

/// Something that takes time: `const scope = begin(.name); …; scope.end(.name, …)`.
pub const Scope = struct {
    started_ns: u64,

    pub inline fn end(self: Scope, comptime name: Name, arguments: anytype) void {
        if (self.started_ns != 0) {
            @branchHint(.cold);
            const duration_ns = system.monotonicNs() -| self.started_ns;
            record(name, &valuesOf(name, arguments, duration_ns));
        }
    }
};

pub inline fn begin(comptime name: Name) Scope {
    return .{ .started_ns = if (isOn(name)) system.monotonicNs() else 0 };
}

/// Values in the order of their declaration; a scope's duration comes last.
inline fn valuesOf(
    comptime name: Name,
    arguments: anytype,
    duration_ns: ?u64,
) [ring_module.value_count]u64 {
    const declared = events.all[@backingInt(name)];
    comptime {
        const given = @typeInfo(@TypeOf(arguments)).@"struct".field_names;
        if (given.len != declared.arguments.len) @compileError("arguments of " ++ declared.name);
    }
    var values: [ring_module.value_count]u64 = @splat(0);
    inline for (declared.arguments, 0..) |argument, index| {
        if (argument.format == .text) @compileError(declared.name ++ " is TypeScript's to send");
        values[index] = number(@field(arguments, argument.name));
    }
    if (duration_ns) |duration| values[declared.arguments.len] = duration;
    return values;
}

inline fn number(value: anytype) u64 {
    return switch (@typeInfo(@TypeOf(value))) {
        .@"enum" => @backingInt(value),
        .int => |info| if (info.signedness == .signed)
            @bitCast(@as(i64, value))
        else
            value,
        .comptime_int => value,
        else => @compileError("a trace argument is a number"),
    };
}

noinline fn record(name: Name, values: *const [ring_module.value_count]u64) void {
    @branchHint(.cold);
    const marker_fd = sinks.marker_fd.load(.acquire);
    if (marker_fd >= 0) writeMarker(marker_fd, name, values);
    if (!sinks.ring.isOpen()) return;
    sinks.ring.push(.{
        .time_ns = system.realtimeNs(),
        .thread_id = @intCast(system.gettid()),
        .event = @backingInt(name),
        .values = values.*,
    });
    ringBell();
}

fn writeMarker(fd: i32, name: Name, values: *const [ring_module.value_count]u64) void {
    var text: line.Line = .{};
    text.event(&events.all[@backingInt(name)], values);
    // The kernel's buffer overwrites its oldest lines; nobody waits.
    _ = linux.write(fd, &text.buffer, text.length);
}

fn ringBell() void {
    _ = sinks.ringing.fetchAdd(1, .seq_cst);
    defer _ = sinks.ringing.fetchSub(1, .release);
    const bell = sinks.bell.load(.seq_cst) orelse return;
    @constCast(bell).ring(.trace);
}

/// The first core of a process has its bell rung.
pub fn attach(bell: *const Doorbell) void {
    _ = sinks.bell.cmpxchgStrong(null, bell, .seq_cst, .seq_cst);
}

/// After this returns no thread touches the bell.
pub fn detach(bell: *const Doorbell) void {
    if (sinks.bell.cmpxchgStrong(bell, null, .seq_cst, .seq_cst) != null) return;
    while (sinks.ringing.load(.acquire) != 0) std.atomic.spinLoopHint();
}

pub const State = enum { off, on };

/// Switches one event. Errors: Invalid.
pub fn set(event: u32, state: State) error{Invalid}!void {
    if (event >= switches.len) return error.Invalid;
    @atomicStore(bool, &switches[event], state == .on, .monotonic);
}

/// Has records kept for `take`. Errors: OutOfMemory.
pub fn openRing() error{OutOfMemory}!void {
    try sinks.ring.open();
}

/// Has lines written to an open trace_marker, which stays the caller's; -1: no more.
pub fn setMarker(fd: i32) void {
    sinks.marker_fd.store(fd, .release);
}

/// Moves the oldest records out; one thread at a time.
pub fn take(records: []Record) usize {
    return sinks.ring.take(records);
}

/// Records that found no room so far.
pub fn lostCount() u64 {
    return sinks.ring.lost_count.load(.monotonic);
}

test "an event that is off leaves nothing, and one that is on leaves its arguments in order" {
    try openRing();
    emit(.serial_write, .{ .addr = @as(u64, 3), .value = @as(u8, 0x41) });
    var records: [2]Record = undefined;
    try std.testing.expectEqual(@as(usize, 0), take(&records));
    try set(@backingInt(Name.serial_write), .on);
    emit(.serial_write, .{ .value = @as(u8, 0x41), .addr = @as(u64, 3) });
    try set(@backingInt(Name.serial_write), .off);
    emit(.serial_write, .{ .addr = @as(u64, 4), .value = @as(u8, 0x42) });
    try std.testing.expectEqual(@as(usize, 1), take(&records));
    try std.testing.expectEqual(@backingInt(Name.serial_write), records[0].event);
    try std.testing.expectEqual([_]u64{ 3, 0x41, 0, 0, 0, 0 }, records[0].values);
    try std.testing.expectEqual(@as(u32, @intCast(system.gettid())), records[0].thread_id);
}

test "a scope tells its duration last" {
    try openRing();
    try set(@backingInt(Name.pre_alloc), .on);
    begin(.pre_alloc).end(.pre_alloc, .{ .size = @as(u64, 4096) });
    try set(@backingInt(Name.pre_alloc), .off);
    var records: [1]Record = undefined;
    try std.testing.expectEqual(@as(usize, 1), take(&records));
    try std.testing.expectEqual(@as(u64, 4096), records[0].values[0]);
}

test "a bell that is let go is not rung" {
    var failure: errors.Failure = .{};
    var bell: Doorbell = .{};
    try bell.open(&failure);
    defer bell.close();
    attach(&bell);
    ringBell();
    try std.testing.expectEqual(@as(u64, 1), bell.ring_count.load(.monotonic));
    _ = bell.take();
    detach(&bell);
    ringBell();
    try std.testing.expectEqual(@as(u64, 1), bell.ring_count.load(.monotonic));
}
