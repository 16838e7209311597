//! Memory that launcher, init and program-to-be share: a copy of what the child needs, since the
//! JavaScript heap may be left out of a fork (madvise(2), MADV_DONTFORK), its stacks, and the cause
//! of a failure on the way back.

const std = @import("std");
const errors = @import("../errors.zig");
const system = @import("../kernel/system.zig");
const drop = @import("jail_drop.zig");
const Entry = @import("jail_enter.zig").Entry;
const Strings = @import("jail_enter.zig").Strings;

const stack_size = 64 * 1024;
const limit_count_max = 16;

pub const Arena = struct {
    failure: errors.Failure,
    mapping_size: usize,
    root: [*:0]const u8,
    program: [*:0]const u8,
    argument_list: [*:null]const ?[*:0]const u8,
    environment_list: [*:null]const ?[*:0]const u8,
    group_fds: [2]i32,
    /// Where init writes the program's wait status; -1 without an init.
    report_fd: i32,
    identity: drop.Identity,
    limit_count: u32,
    limit_list: [limit_count_max]drop.Limit,

    /// Maps it and copies `entry` into it.
    pub fn create(entry: Entry, failure: *errors.Failure) errors.HostError!*Arena {
        const pointers = (entry.arguments.count + entry.environment.count + 2) * @sizeOf(usize);
        const text = entry.arguments.bytes.len + entry.environment.bytes.len +
            std.mem.len(entry.root) + std.mem.len(entry.program) + 2;
        const head = @sizeOf(Arena) + pointers + text;
        const size = std.mem.alignForward(usize, head, 4096) + 2 * stack_size;
        const mapped = system.map(.{ .size = size, .shared = true });
        if (!mapped.ok()) return failure.set(.process_clone, mapped.errno, size);

        const arena: *Arena = @ptrFromInt(mapped.value);
        var writer: Writer = .{ .position = mapped.value + @sizeOf(Arena) };
        arena.* = .{
            .failure = .{},
            .mapping_size = size,
            .argument_list = writer.list(entry.arguments),
            .environment_list = writer.list(entry.environment),
            .root = undefined,
            .program = undefined,
            .group_fds = entry.group_fds,
            .report_fd = -1,
            .identity = entry.identity,
            .limit_count = @intCast(@min(entry.limits.len, limit_count_max)),
            .limit_list = undefined,
        };
        writer.copyStrings(entry.arguments, arena.argument_list);
        writer.copyStrings(entry.environment, arena.environment_list);
        arena.root = writer.string(entry.root);
        arena.program = writer.string(entry.program);
        @memcpy(arena.limit_list[0..arena.limit_count], entry.limits[0..arena.limit_count]);
        return arena;
    }

    pub fn destroy(self: *Arena) void {
        system.unmap(@intFromPtr(self), self.mapping_size);
    }

    pub fn stackTop(self: *Arena) usize {
        return @intFromPtr(self) + self.mapping_size;
    }

    pub fn secondStackTop(self: *Arena) usize {
        return self.stackTop() - stack_size;
    }

    pub fn limits(self: *Arena) []const drop.Limit {
        return self.limit_list[0..self.limit_count];
    }

    pub fn arguments(self: *Arena) [*:null]const ?[*:0]const u8 {
        return self.argument_list;
    }

    pub fn environment(self: *Arena) [*:null]const ?[*:0]const u8 {
        return self.environment_list;
    }
};

/// Fills the arena from low to high addresses; lists come first, as they must be aligned.
const Writer = struct {
    position: usize,

    fn list(self: *Writer, strings: Strings) [*:null]?[*:0]const u8 {
        const pointers: [*]?[*:0]const u8 = @ptrFromInt(self.position);
        pointers[strings.count] = null;
        self.position += (strings.count + 1) * @sizeOf(usize);
        return pointers[0..strings.count :null];
    }

    fn copyStrings(self: *Writer, strings: Strings, pointers: [*:null]const ?[*:0]const u8) void {
        const slots: [*]?[*:0]const u8 = @constCast(pointers);
        var rest = strings.bytes;
        for (0..strings.count) |index| {
            const length = std.mem.indexOfScalar(u8, rest, 0) orelse rest.len;
            slots[index] = self.bytes(rest[0..length]);
            rest = rest[@min(length + 1, rest.len)..];
        }
    }

    fn string(self: *Writer, source: [*:0]const u8) [*:0]const u8 {
        return self.bytes(std.mem.span(source));
    }

    fn bytes(self: *Writer, source: []const u8) [*:0]const u8 {
        const target: [*]u8 = @ptrFromInt(self.position);
        @memcpy(target[0..source.len], source);
        target[source.len] = 0;
        self.position += source.len + 1;
        return target[0..source.len :0];
    }
};

test "strings and lists survive the copy" {
    var failure: errors.Failure = .{};
    const arena = try Arena.create(.{
        .root = "/jail",
        .program = "/program",
        .arguments = .{ .bytes = "program\x00-x\x00\x00", .count = 3 },
        .environment = .{ .bytes = "", .count = 0 },
        .group_fds = .{ -1, -1 },
        .limits = &.{.{ .resource = 7, .soft = 1, .hard = 2 }},
        .identity = .{ .uid = 1, .gid = 2, .capabilities = 0 },
        .pid_namespace = true,
        .keep_init = false,
    }, &failure);
    defer arena.destroy();
    try std.testing.expectEqualStrings("-x", std.mem.span(arena.arguments()[1].?));
    try std.testing.expectEqualStrings("", std.mem.span(arena.arguments()[2].?));
    try std.testing.expectEqual(@as(?[*:0]const u8, null), arena.arguments()[3]);
    try std.testing.expectEqual(@as(?[*:0]const u8, null), arena.environment()[0]);
    try std.testing.expectEqualStrings("/jail", std.mem.span(arena.root));
    try std.testing.expectEqual(@as(u64, 2), arena.limits()[0].hard);
}
