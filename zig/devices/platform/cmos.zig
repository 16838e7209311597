//! MC146818 real-time clock with CMOS memory at ports 0x70 and 0x71. Time is the machine's clock
//! plus what the guest set; absent alarms read as never due (behaviour of a PC without them used).

const std = @import("std");
const trace = @import("../../trace/trace.zig");
const Lock = @import("../../lock.zig").Lock;
const Clock = @import("../../io/clock.zig").Clock;

const Index = struct {
    const seconds = 0x00;
    const minutes = 0x02;
    const hours = 0x04;
    const weekday = 0x06;
    const day = 0x07;
    const month = 0x08;
    const year = 0x09;
    const status_a = 0x0a;
    const status_b = 0x0b;
    const status_c = 0x0c;
    const status_d = 0x0d;
    const century = 0x32;
};

const status_a_divider = 0x26;
const status_b_set = 0x80;
const status_b_binary = 0x04;
const status_b_24_hours = 0x02;
const status_d_valid = 0x80;
const hour_pm = 0x80;

/// Years have four digits.
const offset_s_max = 10_000 * 366 * 86_400;

pub const State = extern struct {
    index: u8 = 0,
    padding: [7]u8 = @splat(0),
    /// Seconds between the guest's clock and the machine's.
    offset_s: i64 = 0,
    memory: [128]u8 = @splat(0),
};

pub const Cmos = struct {
    clock: *const Clock,
    guard: Lock = .{},
    state: State = .{},

    pub fn init(clock: *const Clock) Cmos {
        var self: Cmos = .{ .clock = clock };
        self.state.memory[Index.status_a] = status_a_divider;
        self.state.memory[Index.status_b] = status_b_24_hours;
        self.state.memory[Index.status_d] = status_d_valid;
        return self;
    }

    pub fn save(self: *Cmos) State {
        self.guard.lock();
        defer self.guard.unlock();
        return self.state;
    }

    /// Takes over a saved state: the clock has gone on in the meantime, by the machine's. Invalid
    /// when no guest could have set such a time.
    pub fn restore(self: *Cmos, state: State) error{Invalid}!void {
        if (@abs(state.offset_s) > offset_s_max) return error.Invalid;
        self.guard.lock();
        defer self.guard.unlock();
        self.state = state;
        self.state.padding = @splat(0);
    }

    pub fn read(self: *Cmos, offset: u64, data: []u8) void {
        @memset(data, 0xff);
        if (offset == 0) return;
        self.guard.lock();
        defer self.guard.unlock();
        const index = self.state.index & 0x7f;
        data[0] = switch (index) {
            Index.seconds, Index.minutes, Index.hours, Index.weekday => self.readTime(index),
            Index.day, Index.month, Index.year, Index.century => self.readTime(index),
            Index.status_c => 0,
            Index.status_d => status_d_valid,
            else => self.state.memory[index],
        };
        trace.emit(.rtc_read, .{ .addr = index, .value = data[0] });
    }

    pub fn write(self: *Cmos, offset: u64, data: []const u8) void {
        self.guard.lock();
        defer self.guard.unlock();
        if (offset == 0) {
            self.state.index = data[0];
            return;
        }
        const index = self.state.index & 0x7f;
        trace.emit(.rtc_write, .{ .addr = index, .value = data[0] });
        switch (index) {
            Index.status_c, Index.status_d => {},
            Index.status_b => self.setStatusB(data[0]),
            Index.status_a => self.state.memory[index] = data[0] & 0x7f,
            else => {
                self.state.memory[index] = data[0];
                if (isTime(index) and !self.isHeld()) self.takeTime(index, data[0]);
            },
        }
    }

    fn isHeld(self: *const Cmos) bool {
        return self.state.memory[Index.status_b] & status_b_set != 0;
    }

    /// With SET the time stands still in memory; clearing it starts the clock from there.
    fn setStatusB(self: *Cmos, value: u8) void {
        const was_held = self.isHeld();
        if (!was_held and value & status_b_set != 0) self.freezeTime();
        self.state.memory[Index.status_b] = value;
        if (was_held and value & status_b_set == 0) self.startFromMemory();
    }

    fn freezeTime(self: *Cmos) void {
        for (time_indexes) |index| self.state.memory[index] = self.encode(index, self.now());
    }

    fn startFromMemory(self: *Cmos) void {
        var fields = fieldsOf(self.now());
        for (time_indexes) |index| self.decodeInto(&fields, index, self.state.memory[index]);
        self.setTime(fields);
    }

    fn takeTime(self: *Cmos, index: u8, value: u8) void {
        var fields = fieldsOf(self.now());
        self.decodeInto(&fields, index, value);
        self.setTime(fields);
    }

    fn setTime(self: *Cmos, fields: Fields) void {
        self.state.offset_s = secondsOf(fields) - self.machineSeconds();
    }

    fn readTime(self: *Cmos, index: u8) u8 {
        return if (self.isHeld()) self.state.memory[index] else self.encode(index, self.now());
    }

    fn machineSeconds(self: *const Cmos) i64 {
        return @intCast(self.clock.wallNs() / 1_000_000_000);
    }

    fn now(self: *const Cmos) i64 {
        return @max(0, self.machineSeconds() +| self.state.offset_s);
    }

    fn isBinary(self: *const Cmos) bool {
        return self.state.memory[Index.status_b] & status_b_binary != 0;
    }

    fn encode(self: *const Cmos, index: u8, seconds: i64) u8 {
        const fields = fieldsOf(seconds);
        const value: u8 = switch (index) {
            Index.seconds => fields.second,
            Index.minutes => fields.minute,
            Index.hours => return self.encodeHour(fields.hour),
            Index.weekday => fields.weekday,
            Index.day => fields.day,
            Index.month => fields.month,
            Index.year => @intCast(@mod(fields.year, 100)),
            Index.century => @intCast(@divFloor(fields.year, 100)),
            else => unreachable,
        };
        return self.toRegister(value);
    }

    fn encodeHour(self: *const Cmos, hour: u8) u8 {
        const is_24_hours = self.state.memory[Index.status_b] & status_b_24_hours != 0;
        if (is_24_hours) return self.toRegister(hour);
        const half = if (hour % 12 == 0) 12 else hour % 12;
        return self.toRegister(half) | if (hour >= 12) @as(u8, hour_pm) else 0;
    }

    fn toRegister(self: *const Cmos, value: u8) u8 {
        return if (self.isBinary()) value else value / 10 << 4 | value % 10;
    }

    fn fromRegister(self: *const Cmos, value: u8) u8 {
        return if (self.isBinary()) value else (value >> 4) *| 10 +| (value & 0xf);
    }

    fn decodeInto(self: *const Cmos, fields: *Fields, index: u8, register: u8) void {
        const value = self.fromRegister(register);
        switch (index) {
            Index.seconds => fields.second = @min(value, 59),
            Index.minutes => fields.minute = @min(value, 59),
            Index.hours => fields.hour = self.decodeHour(register),
            Index.day => fields.day = @max(1, @min(value, 31)),
            Index.month => fields.month = @max(1, @min(value, 12)),
            Index.year => fields.year = @divFloor(fields.year, 100) * 100 + @min(value, 99),
            Index.century => fields.year = @as(i64, @min(value, 99)) * 100 + @mod(fields.year, 100),
            else => {},
        }
    }

    fn decodeHour(self: *const Cmos, register: u8) u8 {
        if (self.state.memory[Index.status_b] & status_b_24_hours != 0) {
            return @min(self.fromRegister(register), 23);
        }
        const half = self.fromRegister(register & 0x7f) % 12;
        return if (register & hour_pm != 0) half + 12 else half;
    }
};

/// Century before year, so that the year lands in the right one.
const time_indexes = [_]u8{
    Index.seconds, Index.minutes, Index.hours,   Index.weekday,
    Index.day,     Index.month,   Index.century, Index.year,
};

fn isTime(index: u8) bool {
    return std.mem.indexOfScalar(u8, &time_indexes, index) != null;
}

const Fields = struct {
    second: u8,
    minute: u8,
    hour: u8,
    /// 1 is Sunday.
    weekday: u8,
    day: u8,
    month: u8,
    year: i64,
};

/// Civil date of a time since 1970 (days counted in eras of 400 years).
fn fieldsOf(seconds: i64) Fields {
    const days = @divFloor(seconds, 86_400);
    const rest: u32 = @intCast(@mod(seconds, 86_400));
    const shifted = days + 719_468;
    const era = @divFloor(shifted, 146_097);
    const day_of_era = @mod(shifted, 146_097);
    const year_of_era = @divFloor(day_of_era - @divFloor(day_of_era, 1460) +
        @divFloor(day_of_era, 36_524) - @divFloor(day_of_era, 146_096), 365);
    const day_of_year = day_of_era - (365 * year_of_era + @divFloor(year_of_era, 4) -
        @divFloor(year_of_era, 100));
    const month_index = @divFloor(5 * day_of_year + 2, 153);
    const month: u8 = @intCast(if (month_index < 10) month_index + 3 else month_index - 9);
    return .{
        .second = @intCast(rest % 60),
        .minute = @intCast(rest / 60 % 60),
        .hour = @intCast(rest / 3600),
        .weekday = @intCast(@mod(days + 4, 7) + 1),
        .day = @intCast(day_of_year - @divFloor(153 * month_index + 2, 5) + 1),
        .month = month,
        .year = year_of_era + era * 400 + @as(i64, if (month <= 2) 1 else 0),
    };
}

fn secondsOf(fields: Fields) i64 {
    const year = fields.year - @as(i64, if (fields.month <= 2) 1 else 0);
    const era = @divFloor(year, 400);
    const year_of_era = @mod(year, 400);
    const month_index: i64 = @mod(@as(i64, fields.month) + 9, 12);
    const day_of_year = @divFloor(153 * month_index + 2, 5) + fields.day - 1;
    const day_of_era = year_of_era * 365 + @divFloor(year_of_era, 4) -
        @divFloor(year_of_era, 100) + day_of_year;
    const days = era * 146_097 + day_of_era - 719_468;
    return days * 86_400 + @as(i64, fields.hour) * 3600 + @as(i64, fields.minute) * 60 +
        fields.second;
}

fn readIndex(cmos: *Cmos, index: u8) u8 {
    var value: [1]u8 = undefined;
    cmos.write(0, &.{index});
    cmos.read(1, &value);
    return value[0];
}

test "the virtual clock's date reads as BCD" {
    const clock: Clock = .{ .virtual = true };
    var cmos = Cmos.init(&clock);
    try std.testing.expectEqual(@as(u8, 0x26), readIndex(&cmos, Index.year));
    try std.testing.expectEqual(@as(u8, 0x20), readIndex(&cmos, Index.century));
    try std.testing.expectEqual(@as(u8, 0x01), readIndex(&cmos, Index.month));
    try std.testing.expectEqual(@as(u8, 0x05), readIndex(&cmos, Index.weekday));
}

test "a time set by the guest goes on from there" {
    var clock: Clock = .{ .virtual = true };
    var cmos = Cmos.init(&clock);
    for ([_][2]u8{
        .{ Index.status_b, status_b_set | status_b_24_hours },
        .{ Index.seconds, 0x59 },
        .{ Index.minutes, 0x59 },
        .{ Index.hours, 0x23 },
        .{ Index.day, 0x28 },
        .{ Index.month, 0x02 },
        .{ Index.year, 0x28 },
        .{ Index.status_b, status_b_24_hours },
    }) |pair| {
        cmos.write(0, &.{pair[0]});
        cmos.write(1, &.{pair[1]});
    }
    _ = clock.moveTo(1_000_000_000);
    try std.testing.expectEqual(@as(u8, 0x29), readIndex(&cmos, Index.day));
    try std.testing.expectEqual(@as(u8, 0x00), readIndex(&cmos, Index.hours));
    try std.testing.expectEqual(@as(u8, 0x02), readIndex(&cmos, Index.month));
}

test "a saved time that no guest can have set is refused" {
    var clock: Clock = .{ .virtual = true };
    var cmos: Cmos = .init(&clock);
    var state = cmos.save();
    state.offset_s = -offset_s_max;
    try cmos.restore(state);
    for ([_]i64{ offset_s_max + 1, std.math.minInt(i64), std.math.maxInt(i64) }) |offset_s| {
        state.offset_s = offset_s;
        try std.testing.expectError(error.Invalid, cmos.restore(state));
    }
}
