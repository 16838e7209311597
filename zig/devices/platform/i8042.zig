//! Keyboard controller of a PC, as far as guests use it without a keyboard: its reset line, and
//! enough answers that a driver which probes it finishes at once (IBM PC AT reference, 8042).

const std = @import("std");
const Outcome = @import("../../bus/outcome.zig").Outcome;
const trace = @import("../../trace/trace.zig");
const Lock = @import("../../lock.zig").Lock;

const port_data = 0;
/// Port 0x61 belongs to the timer's gate and the speaker; without a timer in the kernel it reads
/// as "the count has ended", so that nobody waits for one.
const port_timer_gate = 1;
const timer_gate_output = 0x20;
const port_command = 4;

const status_output_full = 0x01;
const status_system = 0x04;
const status_command = 0x08;

const Command = struct {
    const read_configuration = 0x20;
    const write_configuration = 0x60;
    const self_test = 0xaa;
    const interface_test = 0xab;
    const read_output_port = 0xd0;
    const write_output_port = 0xd1;
    const pulse_reset = 0xfe;
};

const self_test_passed = 0x55;
const output_port_not_reset = 0x01;

pub const State = extern struct {
    configuration: u8 = status_system,
    output: u8 = 0,
    status: u8 = status_system,
    pending_command: u8 = 0,
};

pub const I8042 = struct {
    guard: Lock = .{},
    state: State = .{},

    pub fn save(self: *I8042) State {
        self.guard.lock();
        defer self.guard.unlock();
        return self.state;
    }

    /// Takes over a saved state: each is one that a guest can bring about.
    pub fn restore(self: *I8042, state: State) error{Invalid}!void {
        self.guard.lock();
        defer self.guard.unlock();
        self.state = state;
    }

    /// Offsets from port 0x60: 0 is data, 4 is command and status.
    pub fn read(self: *I8042, offset: u64, data: []u8) void {
        @memset(data, 0xff);
        self.guard.lock();
        defer self.guard.unlock();
        switch (offset) {
            port_data => {
                data[0] = self.state.output;
                self.state.status &= ~@as(u8, status_output_full);
            },
            port_command => data[0] = self.state.status,
            port_timer_gate => data[0] = timer_gate_output,
            else => {},
        }
        trace.emit(.i8042_read, .{ .offset = offset, .value = data[0] });
    }

    pub fn write(self: *I8042, offset: u64, data: []const u8) Outcome {
        trace.emit(.i8042_write, .{ .offset = offset, .value = data[0] });
        self.guard.lock();
        defer self.guard.unlock();
        return switch (offset) {
            port_data => self.writeData(data[0]),
            port_command => self.writeCommand(data[0]),
            else => .none,
        };
    }

    fn writeCommand(self: *I8042, command: u8) Outcome {
        self.state.status |= status_command;
        self.state.pending_command = 0;
        switch (command) {
            Command.read_configuration => self.answer(self.state.configuration),
            Command.self_test => self.answer(self_test_passed),
            Command.interface_test => self.answer(0),
            Command.read_output_port => self.answer(output_port_not_reset),
            Command.write_configuration, Command.write_output_port => {
                self.state.pending_command = command;
            },
            Command.pulse_reset => return .{ .park = .reset },
            else => {},
        }
        return .none;
    }

    fn writeData(self: *I8042, value: u8) Outcome {
        self.state.status &= ~@as(u8, status_command);
        const command = self.state.pending_command;
        self.state.pending_command = 0;
        switch (command) {
            Command.write_configuration => self.state.configuration = value,
            Command.write_output_port => if (value & output_port_not_reset == 0) {
                return .{ .park = .reset };
            },
            else => {},
        }
        return .none;
    }

    fn answer(self: *I8042, value: u8) void {
        self.state.output = value;
        self.state.status |= status_output_full;
    }
};

test "pulsing the reset line and clearing it in the output port both reset" {
    var controller: I8042 = .{};
    const parked: Outcome = .{ .park = .reset };
    try std.testing.expectEqual(parked, controller.write(port_command, &.{Command.pulse_reset}));
    _ = controller.write(port_command, &.{Command.write_output_port});
    try std.testing.expectEqual(parked, controller.write(port_data, &.{0xfe}));
    _ = controller.write(port_command, &.{Command.self_test});
    var value: [1]u8 = undefined;
    controller.read(port_command, &value);
    try std.testing.expectEqual(@as(u8, status_output_full), value[0] & status_output_full);
    controller.read(port_data, &value);
    try std.testing.expectEqual(@as(u8, self_test_passed), value[0]);
}
