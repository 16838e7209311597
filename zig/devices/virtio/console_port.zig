//! One port of virtio-console: moves bytes between its two queues and its character back end. What
//! the guest has no buffer for waits in the back end; what a slow reader does not take stays in the
//! guest's ring.

const std = @import("std");
const trace = @import("../../trace/trace.zig");
const chain = @import("../../virtio/chain.zig");
const config = @import("console_config.zig");
const limits = @import("../../limits.zig");
const Chardev = @import("../../io/chardev.zig").Chardev;
const Device = @import("../../virtio/device.zig").Device;
const Queue = @import("../../virtio/queue.zig").Queue;

/// Pieces beyond one for each descriptor: for buffers that cross memory regions.
const spare_piece_count = 8;
pub const Pieces = [config.queue_size + spare_piece_count]chain.Iovec;

/// What the guest has yet to be told of a port. Each is a level: told once, as it is then.
pub const News = packed struct(u8) {
    added: bool = false,
    console: bool = false,
    name: bool = false,
    open: bool = false,
    unused: u4 = 0,
};

/// What a snapshot keeps.
pub const State = extern struct {
    /// Bytes of the first chain that waits which are sent already.
    sent: u64 = 0,
    guest_open: u8 = 0,
    /// The guest's driver has taken the port.
    ready: u8 = 0,
    news: u8 = 0,
    reserved: [5]u8 = @splat(0),
};

pub const Port = struct {
    chardev: *Chardev,
    number: u32,
    console: bool,
    name: []const u8,
    /// Guarded by the device's work lock.
    state: State = .{},

    pub fn news(self: *const Port) News {
        return @bitCast(self.state.news);
    }

    pub fn setNews(self: *Port, value: News) void {
        self.state.news = @bitCast(value);
    }

    pub fn setGuestOpen(self: *Port, open: bool) void {
        self.state.guest_open = @intFromBool(open);
        if (open) self.chardev.resumeInput();
    }

    /// Puts input into the guest's buffers; returns how much. What a closed port is sent waits.
    pub fn receive(self: *Port, device: *Device, data: []const u8, pieces: *Pieces) usize {
        const index = config.receiveQueue(self.number);
        if (self.state.guest_open == 0) return 0;
        const queue = &device.queues[index];
        var done: usize = 0;
        while (done < data.len and device.runnable(index)) {
            const found = takeBuffer(device, queue, pieces) orelse break;
            if (found.writable_length == 0) {
                device.fail(.request_layout);
                break;
            }
            const count = chain.copyTo(found.writable, data[done..]);
            queue.push(found.head, @intCast(count));
            done += count;
            trace.emit(.virtio_serial_input_data, .{
                .device = device.id,
                .port = self.number,
                .size = count,
            });
        }
        if (done < data.len) {
            trace.emit(.virtio_serial_pause_rx, .{ .device = device.id, .port = self.number });
        }
        return done;
    }

    pub const Sent = enum { all, blocked, more };

    /// Sends what the guest offers, within a bound for one turn of the loop.
    pub fn transmit(self: *Port, device: *Device, pieces: *Pieces) Sent {
        const queue = &device.queues[config.transmitQueue(self.number)];
        for (0..limits.console_chain_count_max) |_| {
            const found = take(device, queue, pieces) orelse return .all;
            const rest = chain.skip(found.readable, self.state.sent);
            if (!self.sendPieces(rest)) {
                queue.putBack(1);
                return .blocked;
            }
            self.state.sent = 0;
            trace.emit(.virtio_serial_output_data, .{
                .device = device.id,
                .port = self.number,
                .size = found.readable_length,
            });
            queue.push(found.head, 0);
        }
        return .more;
    }

    /// False when the reader has to catch up first; `sent` says how far it got.
    fn sendPieces(self: *Port, pieces: []const chain.Iovec) bool {
        for (pieces) |piece| {
            const taken = self.chardev.sendSome(piece.base[0..piece.len]);
            self.state.sent += taken;
            if (taken < piece.len) return false;
        }
        return true;
    }
};

/// The same of a queue whose buffers wait for the device: when there is none, the guest says when
/// there is.
pub fn takeBuffer(device: *Device, queue: *Queue, pieces: *Pieces) ?chain.Chain {
    if (take(device, queue, pieces)) |found| return found;
    if (device.broken or !queue.enableNotifications()) return null;
    return take(device, queue, pieces);
}

/// The next chain of a queue; null when there is none, also after a fault of the guest.
pub fn take(device: *Device, queue: *Queue, pieces: *Pieces) ?chain.Chain {
    const popped = queue.pop() catch |err| {
        device.fail(.{ .queue = err });
        return null;
    };
    const head = popped orelse return null;
    return chain.collect(queue, device.memory, head, pieces) catch |err| {
        device.fail(.{ .chain = err });
        return null;
    };
}
