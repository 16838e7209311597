//! 16550A serial port (National Semiconductor PC16550D): seven registers and one edge
//! interrupt. The eighth register, scratch, is the debug port's.

const std = @import("std");
const limits = @import("../../limits.zig");
const trace = @import("../../trace/trace.zig");
const Lock = @import("../../lock.zig").Lock;
const Line = @import("../../bus/interrupt.zig").Line;
const Chardev = @import("../../io/chardev.zig").Chardev;

const Register = struct {
    const data = 0;
    const interrupt_enable = 1;
    const interrupt_identity = 2;
    const line_control = 3;
    const modem_control = 4;
    const line_status = 5;
    const modem_status = 6;
};

const enable_receive = 1;
const enable_transmit = 2;

const identity_none = 0x01;
const identity_transmit = 0x02;
const identity_receive = 0x04;
const identity_timeout = 0x0c;
const identity_fifo = 0xc0;

const fifo_enable = 0x01;
const fifo_clear_receive = 0x02;

const line_control_divisor = 0x80;
const modem_control_loopback = 0x10;
const modem_control_out2 = 0x08;

const line_status_data_ready = 0x01;
const line_status_holding_empty = 0x20;
const line_status_all_empty = 0x40;

/// Clear to send, data set ready, carrier detect: somebody is there.
const modem_status_connected = 0xb0;

/// What a snapshot keeps.
pub const State = extern struct {
    interrupt_enable: u8 = 0,
    fifo_control: u8 = 0,
    line_control: u8 = 0,
    modem_control: u8 = modem_control_out2,
    divisor_low: u8 = 12,
    divisor_high: u8 = 0,
    transmit_pending: u8 = 0,
    padding: u8 = 0,
    receive_length: u32 = 0,
    receive_buffer: [limits.serial_receive_size]u8 = @splat(0),
};

pub const Serial = struct {
    line: *Line,
    chardev: ?*Chardev,
    guard: Lock = .{},
    state: State = .{},

    pub fn attach(self: *Serial) void {
        const chardev = self.chardev orelse return;
        chardev.setFrontend(.{ .context = self, .receive = onInput, .drained = onDrained });
    }

    pub fn detach(self: *Serial) void {
        if (self.chardev) |chardev| chardev.setFrontend(null);
    }

    pub fn save(self: *Serial) State {
        self.guard.lock();
        defer self.guard.unlock();
        var state = self.state;
        // What was read already is nobody's business.
        @memset(state.receive_buffer[state.receive_length..], 0);
        return state;
    }

    /// Takes over a saved state, before input that has come already; the interrupt that the guest
    /// may wait for comes again. Invalid when no port could be in that state.
    pub fn restore(self: *Serial, state: State) error{Invalid}!void {
        if (state.receive_length > state.receive_buffer.len) return error.Invalid;
        self.guard.lock();
        defer self.guard.unlock();
        const early = self.state;
        self.state = state;
        self.state.padding = 0;
        const enabled = state.interrupt_enable;
        const sent = state.transmit_pending != 0 and enabled & enable_transmit != 0;
        const received = state.receive_length > 0 and enabled & enable_receive != 0;
        if (received or sent) self.line.pulse();
        _ = self.store(early.receive_buffer[0..early.receive_length]);
    }

    pub fn read(self: *Serial, offset: u64, data: []u8) void {
        @memset(data, 0);
        self.guard.lock();
        const value = self.readRegister(offset);
        self.guard.unlock();
        data[0] = value;
        trace.emit(.serial_read, .{ .addr = offset, .value = value });
        if (offset == Register.data) if (self.chardev) |chardev| chardev.resumeInput();
    }

    fn readRegister(self: *Serial, offset: u64) u8 {
        const divisor = self.state.line_control & line_control_divisor != 0;
        return switch (offset) {
            Register.data => if (divisor) self.state.divisor_low else self.takeReceived(),
            Register.interrupt_enable => if (divisor)
                self.state.divisor_high
            else
                self.state.interrupt_enable,
            Register.interrupt_identity => {
                const identity = self.takeIdentity();
                trace.emit(.serial_update_iir, .{ .iir = identity });
                return identity;
            },
            Register.line_control => self.state.line_control,
            Register.modem_control => self.state.modem_control,
            Register.line_status => self.lineStatus(),
            Register.modem_status => self.modemStatus(),
            else => 0xff,
        };
    }

    pub fn write(self: *Serial, offset: u64, data: []const u8) void {
        self.guard.lock();
        defer self.guard.unlock();
        const value = data[0];
        trace.emit(.serial_write, .{ .addr = offset, .value = value });
        const divisor = self.state.line_control & line_control_divisor != 0;
        switch (offset) {
            Register.data => if (divisor) {
                self.state.divisor_low = value;
            } else self.transmit(value),
            Register.interrupt_enable => if (divisor) {
                self.state.divisor_high = value;
            } else self.setInterruptEnable(value),
            Register.interrupt_identity => self.setFifoControl(value),
            Register.line_control => self.state.line_control = value,
            Register.modem_control => self.state.modem_control = value & 0x1f,
            else => {},
        }
    }

    fn transmit(self: *Serial, value: u8) void {
        if (self.state.modem_control & modem_control_loopback != 0) {
            _ = self.store(&.{value});
        } else if (self.chardev) |chardev| {
            chardev.send(&.{value});
        }
        self.state.transmit_pending = 1;
        const wanted = self.state.interrupt_enable & enable_transmit != 0;
        if (wanted and self.hasRoom()) self.line.pulse();
    }

    fn setInterruptEnable(self: *Serial, value: u8) void {
        const newly = value & ~self.state.interrupt_enable;
        self.state.interrupt_enable = value & 0x0f;
        if (newly & enable_transmit != 0) self.state.transmit_pending = 1;
        const received = newly & enable_receive != 0 and self.state.receive_length > 0;
        if (received or (newly & enable_transmit != 0 and self.hasRoom())) self.line.pulse();
    }

    fn setFifoControl(self: *Serial, value: u8) void {
        self.state.fifo_control = value & 0xc9;
        if (value & fifo_clear_receive != 0) self.state.receive_length = 0;
    }

    /// Reading the identity clears a transmit interrupt (PC16550D, table IV).
    fn takeIdentity(self: *Serial) u8 {
        const fifo: u8 = if (self.state.fifo_control & fifo_enable != 0) identity_fifo else 0;
        if (self.state.interrupt_enable & enable_receive != 0 and self.state.receive_length > 0) {
            const reason: u8 = if (fifo == 0) identity_receive else identity_timeout;
            return fifo | reason;
        }
        const wanted = self.state.interrupt_enable & enable_transmit != 0;
        if (wanted and self.state.transmit_pending != 0 and self.hasRoom()) {
            self.state.transmit_pending = 0;
            return fifo | identity_transmit;
        }
        return fifo | identity_none;
    }

    fn lineStatus(self: *Serial) u8 {
        const ready: u8 = if (self.state.receive_length > 0) line_status_data_ready else 0;
        const both_empty = line_status_holding_empty | line_status_all_empty;
        const empty: u8 = if (self.hasRoom()) both_empty else 0;
        return ready | empty;
    }

    /// In loopback the modem outputs come back as its inputs (PC16550D, section 8.7).
    fn modemStatus(self: *Serial) u8 {
        const control = self.state.modem_control;
        if (control & modem_control_loopback == 0) return modem_status_connected;
        return (control & 2) << 3 | (control & 1) << 5 | (control & 0x0c) << 4;
    }

    fn hasRoom(self: *Serial) bool {
        const chardev = self.chardev orelse return true;
        return chardev.hasRoom();
    }

    fn takeReceived(self: *Serial) u8 {
        if (self.state.receive_length == 0) return 0;
        const is_full = self.state.receive_length == self.state.receive_buffer.len;
        if (is_full) trace.emit(.serial_unpause_rx, .{});
        const value = self.state.receive_buffer[0];
        const rest = self.state.receive_length - 1;
        const buffer = &self.state.receive_buffer;
        std.mem.copyForwards(u8, buffer[0..rest], buffer[1 .. rest + 1]);
        self.state.receive_length = rest;
        return value;
    }

    fn store(self: *Serial, data: []const u8) usize {
        const room = self.state.receive_buffer.len - self.state.receive_length;
        const count = @min(room, data.len);
        const target = self.state.receive_buffer[self.state.receive_length..][0..count];
        @memcpy(target, data[0..count]);
        self.state.receive_length += @intCast(count);
        trace.emit(.serial_receive, .{ .len = count });
        if (room != 0 and count == room) trace.emit(.serial_pause_rx, .{});
        const wanted = self.state.interrupt_enable & enable_receive != 0;
        if (count > 0 and wanted) self.line.pulse();
        return count;
    }

    fn onInput(context: *anyopaque, data: []const u8) usize {
        const self: *Serial = @ptrCast(@alignCast(context));
        self.guard.lock();
        defer self.guard.unlock();
        if (self.state.modem_control & modem_control_loopback != 0) return data.len;
        return self.store(data);
    }

    fn onDrained(context: *anyopaque) void {
        const self: *Serial = @ptrCast(@alignCast(context));
        self.guard.lock();
        defer self.guard.unlock();
        self.state.transmit_pending = 1;
        if (self.state.interrupt_enable & enable_transmit != 0) self.line.pulse();
    }
};

test "loopback echoes a byte and enabling the transmit interrupt raises it" {
    var line: Line = .{};
    var serial: Serial = .{ .line = &line, .chardev = null };
    serial.write(Register.modem_control, &.{modem_control_loopback});
    serial.write(Register.data, &.{0x5a});
    var value: [1]u8 = undefined;
    serial.read(Register.line_status, &value);
    try std.testing.expectEqual(@as(u8, 0x61), value[0]);
    serial.read(Register.data, &value);
    try std.testing.expectEqual(@as(u8, 0x5a), value[0]);
    serial.write(Register.interrupt_enable, &.{enable_transmit});
    try std.testing.expectEqual(@as(u64, 1), line.count.load(.monotonic));
    serial.read(Register.interrupt_identity, &value);
    try std.testing.expectEqual(@as(u8, identity_transmit), value[0]);
    serial.read(Register.interrupt_identity, &value);
    try std.testing.expectEqual(@as(u8, identity_none), value[0]);
}
