//! ACPI sleep and reset registers in I/O space (ACPI 6.5, sections 4.8.3.6 and 4.8.3.7), and the
//! reset control register that chipsets have at 0xCF9.

const std = @import("std");
const trace = @import("../../trace/trace.zig");
const Outcome = @import("../../bus/outcome.zig").Outcome;

pub const Register = enum(u32) { sleep_control = 0, reset_control = 1 };

/// Any sleep type that is entered means off: no other state is offered.
const sleep_enable = 1 << 5;
const reset_cpu = 1 << 2;

/// What a snapshot keeps.
pub const State = extern struct { reset_control: u8 = 0 };

pub const Power = struct {
    reset_control: std.atomic.Value(u8) = .init(0),

    pub fn save(self: *const Power) State {
        return .{ .reset_control = self.reset_control.load(.monotonic) };
    }

    /// Invalid when the state is that of a machine in its reset.
    pub fn restore(self: *Power, state: State) error{Invalid}!void {
        if (state.reset_control & reset_cpu != 0) return error.Invalid;
        self.reset_control.store(state.reset_control, .monotonic);
    }

    pub fn read(self: *Power, register: Register, data: []u8) void {
        @memset(data, 0);
        if (register == .reset_control) data[0] = self.reset_control.load(.monotonic);
        trace.emit(.power_read, .{ .register = register, .value = data[0] });
    }

    pub fn write(self: *Power, register: Register, data: []const u8) Outcome {
        const value = data[0];
        trace.emit(.power_write, .{ .register = register, .value = value });
        switch (register) {
            .sleep_control => if (value & sleep_enable != 0) return .{ .park = .power_off },
            .reset_control => {
                self.reset_control.store(value & ~@as(u8, reset_cpu), .monotonic);
                if (value & reset_cpu != 0) return .{ .park = .reset };
            },
        }
        return .none;
    }
};

test "only the enable bits act" {
    var power: Power = .{};
    try std.testing.expectEqual(Outcome.none, power.write(.sleep_control, &.{0x14}));
    const off: Outcome = .{ .park = .power_off };
    try std.testing.expectEqual(off, power.write(.sleep_control, &.{0x34}));
    try std.testing.expectEqual(Outcome.none, power.write(.reset_control, &.{0x02}));
    try std.testing.expectEqual(Outcome{ .park = .reset }, power.write(.reset_control, &.{0x06}));
}
