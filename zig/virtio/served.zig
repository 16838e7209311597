//! Queues that somebody else serves: the kernel's vhost, or another process. The loop's thread
//! alone hands rings over and asks for them back, so that the filters of vCPUs need no more calls
//! and no server is asked by two threads. Others say what has changed; who needs the rings back
//! waits for them. `Model.serve` and `Model.release` are what a model adds to be served.

const std = @import("std");
const errors = @import("../errors.zig");
const limits = @import("../limits.zig");
const loop_module = @import("../io/loop.zig");
const system = @import("../kernel/system.zig");
const Device = @import("device.zig").Device;

/// Where a part of a ring is: for a server that shares this address space, or only the memory.
pub const Place = struct { guest_address: u64, host_address: usize };

/// What a server needs of one queue. The descriptors stay the device's.
pub const Ring = struct {
    queue_index: u16,
    /// Entries.
    size: u32,
    descriptors: Place,
    available: Place,
    used: Place,
    /// Index in the available ring of the first chain that is still to be taken.
    next_available: u16,
    /// Signalled for the guest's notifications; the server alone reads it while it has the ring.
    kick_fd: i32,
    /// To be signalled for an interrupt.
    ///
    /// With KVM it is the irqfd of the interrupt itself: no thread of ours runs between server and
    /// guest. Nobody can then set the interrupt status for each interrupt, so its queue bit stands
    /// while a ring is away: the driver looks at its rings, which is all that the bit asks for
    /// (virtio 1.2, 4.2.2.1). Without KVM it is an eventfd on the loop, which raises each in turn.
    call_fd: i32,
};

/// An eventfd that stands for the irqfd where there is none.
const Call = struct { source: loop_module.Source, device: *Device, queue_index: u16 };

pub const Served = struct {
    /// The model's queues that are handed over, a bit each; 0: it serves all itself.
    queues: u64 = 0,
    /// Those that the server has now. Guarded, as all below, by the device's work lock.
    away: u64 = 0,
    /// The server was asked for them and has not returned all yet.
    asked_back: bool = false,
    /// Somebody waits until all are back: none may leave.
    held: bool = false,
    /// Queues with an eventfd of their own to call; the others call the interrupt itself.
    called: u64 = 0,
    /// Whether the interrupt status shows a used buffer without end. Read without the lock.
    standing: std.atomic.Value(bool) = .init(false),
    /// Grows when the last ring returns, for who waits.
    return_count: std.atomic.Value(u32) = .init(0),
    /// Signalled when there may be something to hand over or to ask back.
    change: loop_module.Source = undefined,
    calls: [limits.queue_count_max]Call = undefined,

    /// Opens what `queues` needs: nothing for 0. Errors: Host (eventfd, epoll).
    pub fn open(
        self: *Served,
        device: *Device,
        queues: u64,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        if (queues == 0) return;
        self.change = .{ .fd = -1, .context = device, .handler = handleChange };
        try device.loop.addEvent(&self.change, 0, failure);
        errdefer device.loop.removeEvent(&self.change);
        errdefer self.closeCalls(device);
        var rest = queues;
        while (rest != 0) : (rest &= rest - 1) {
            const index: u16 = @ctz(rest);
            if (device.interrupt.descriptor(index) == null) {
                try self.openCall(device, index, failure);
            }
        }
        self.queues = queues;
    }

    fn openCall(
        self: *Served,
        device: *Device,
        index: u16,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        const call = &self.calls[index];
        call.* = .{
            .source = .{ .fd = -1, .context = call, .handler = handleCall },
            .device = device,
            .queue_index = index,
        };
        try device.loop.addEvent(&call.source, index, failure);
        self.called |= bit(index);
    }

    /// The rings are back. Not on the loop's thread.
    pub fn close(self: *Served, device: *Device) void {
        if (self.queues == 0) return;
        // First: a server that comes or goes meanwhile must not signal a number that is closed.
        device.work.lock();
        self.queues = 0;
        device.work.unlock();
        self.closeCalls(device);
        device.loop.removeEvent(&self.change);
    }

    fn closeCalls(self: *Served, device: *Device) void {
        while (self.called != 0) : (self.called &= self.called - 1) {
            device.loop.removeEvent(&self.calls[@ctz(self.called)].source);
        }
    }

    pub fn serves(self: *const Served, queue_index: u16) bool {
        return self.queues & bit(queue_index) != 0;
    }

    /// Whether the server has the queue now. Work lock held.
    pub fn has(self: *const Served, queue_index: u16) bool {
        return self.away & bit(queue_index) != 0;
    }

    /// Has the loop's thread compare what the server has with what it should have: after a change
    /// of the device, or when a server that was not there has come. From any thread.
    pub fn look(self: *const Served) void {
        if (self.queues != 0) system.eventfdSignal(self.change.fd);
    }

    /// Waits until no ring is away; the next `look` lets them leave again. Register lock held, and
    /// the work lock, which is let go while it waits; never on the loop's thread.
    pub fn awaitReturn(self: *Served, device: *Device) void {
        self.held = true;
        defer self.held = false;
        while (self.away != 0) {
            const count = self.return_count.load(.acquire);
            device.work.unlock();
            self.look();
            system.futexWait(&self.return_count, count, 0);
            device.work.lock();
        }
    }

    /// Loop thread, work lock held.
    fn compare(self: *Served, device: *Device) void {
        if (self.held or !device.mayRun()) {
            if (self.away == 0 or self.asked_back) return;
            self.asked_back = true;
            return device.model.release();
        }
        if (self.away != 0) return;
        var rings: [limits.queue_count_max]Ring = undefined;
        var count: usize = 0;
        var away: u64 = 0;
        for (device.queues[0..device.queue_count], 0..) |*queue, index| {
            if (!self.serves(@intCast(index)) or !queue.ready()) continue;
            rings[count] = self.ringOf(device, @intCast(index));
            count += 1;
            away |= bit(@intCast(index));
        }
        if (away == 0) return;
        self.watch(device, away, .none);
        if (device.model.serve(rings[0..count])) {
            self.away = away;
            self.standing.store(away & ~self.called != 0, .release);
        } else self.watch(device, away, .readable);
        // Also what came before belongs to whoever listens now.
        for (rings[0..count]) |ring| system.eventfdSignal(ring.kick_fd);
    }

    fn ringOf(self: *Served, device: *Device, index: u16) Ring {
        const queue = &device.queues[index];
        const state = &queue.state;
        return .{
            .queue_index = index,
            .size = state.size,
            .descriptors = place(state.descriptor_address, queue.descriptors),
            .available = place(state.available_address, queue.available),
            .used = place(state.used_address, queue.used),
            .next_available = state.next_available,
            .kick_fd = device.notificationFd(index),
            .call_fd = device.interrupt.descriptor(index) orelse self.calls[index].source.fd,
        };
    }

    fn watch(_: *const Served, device: *Device, queues: u64, interest: loop_module.Interest) void {
        var rest = queues;
        while (rest != 0) : (rest &= rest - 1) {
            device.loop.modify(&device.notifications[@ctz(rest)].source, interest);
        }
    }

    /// The server has let go of a ring and neither reads nor writes it any more: the model's answer
    /// to `release`, for each, at once or later; also unasked, when the server has gone. Loop
    /// thread, work lock held. `next_available` as in `Ring`.
    pub fn giveBack(self: *Served, device: *Device, index: u16, next_available: u16) void {
        if (!self.has(index)) return;
        device.queues[index].takeBack(next_available);
        if (self.called & bit(index) == 0) {
            // The bit that stood, for an interrupt that the guest has not looked at yet.
            device.markUsed();
        } else if (system.eventfdTake(self.calls[index].source.fd)) {
            device.interruptQueue(index);
        }
        self.away &= ~bit(index);
        self.watch(device, bit(index), .readable);
        if (self.away != 0) return;
        self.asked_back = false;
        self.standing.store(false, .release);
        _ = self.return_count.fetchAdd(1, .release);
        system.futexWake(&self.return_count, std.math.maxInt(i32));
        self.look();
    }

    fn handleChange(context: *anyopaque, _: loop_module.Readiness) void {
        const device: *Device = @ptrCast(@alignCast(context));
        device.work.lock();
        defer device.work.unlock();
        system.eventfdDrain(device.served.change.fd);
        device.served.compare(device);
    }

    fn handleCall(context: *anyopaque, _: loop_module.Readiness) void {
        const call: *Call = @ptrCast(@alignCast(context));
        const device = call.device;
        device.work.lock();
        defer device.work.unlock();
        // A call of a ring that is back came from before the guest's reset.
        if (!system.eventfdTake(call.source.fd)) return;
        if (device.served.has(call.queue_index)) device.interruptQueue(call.queue_index);
    }
};

fn bit(index: u16) u64 {
    return @as(u64, 1) << @intCast(index);
}

fn place(guest_address: u64, host: anytype) Place {
    return .{ .guest_address = guest_address, .host_address = @intFromPtr(host) };
}
