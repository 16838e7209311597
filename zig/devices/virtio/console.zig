//! virtio-console (virtio 1.2, section 5.3): consoles and generic ports, each on a character back
//! end, and the control messages that announce them. It runs on the loop of its back ends.

const std = @import("std");
const trace = @import("../../trace/trace.zig");
const chain = @import("../../virtio/chain.zig");
const config = @import("console_config.zig");
const device_module = @import("../../virtio/device.zig");
const errors = @import("../../errors.zig");
const limits = @import("../../limits.zig");
const model = @import("../../virtio/model.zig");
const port_module = @import("console_port.zig");
const Chardev = @import("../../io/chardev.zig").Chardev;
const QueueSet = @import("../../virtio/queue_set.zig").QueueSet;
const Device = device_module.Device;
const Port = port_module.Port;

/// What a snapshot keeps.
pub const State = extern struct {
    ports: [config.port_count_max]port_module.State = @splat(.{}),
    port_count: u32 = 0,
    padding: u32 = 0,
};

/// A port as its back end calls it.
const Slot = struct {
    owner: *Console,
    port: Port,
};

pub const Console = struct {
    /// Set by the device that carries this model; null while input can come already.
    device: ?*Device = null,
    port_limit: u32,
    slots: [config.port_count_max]Slot = undefined,
    names: [config.port_count_max][config.name_size_max]u8 = undefined,
    port_count: u32 = 0,
    /// Negotiated; guarded by the device's work lock.
    multiport: bool = false,
    error_count: u64 = 0,
    last_errno: i32 = 0,
    /// Queues with completions that the guest has not been told of.
    touched: QueueSet = .{},
    pieces: port_module.Pieces = undefined,

    /// `self` stays at one address until `deinit`. Errors: Invalid (ports that cannot be).
    pub fn init(
        self: *Console,
        params: config.Params,
        chardevs: []const *Chardev,
    ) errors.CoreError!void {
        self.* = .{ .port_limit = params.port_limit };
        const limit = params.port_limit;
        if (limit == 0 or limit > config.port_count_max) return error.Invalid;
        if (params.port_count > config.port_count_max) return error.Invalid;
        const given = std.mem.bytesAsSlice(config.PortParams, &params.ports);
        for (given[0..params.port_count]) |each| {
            const named = each.name_size <= config.name_size_max;
            if (each.number >= limit or each.chardev >= chardevs.len or !named)
                return error.Invalid;
            const name = &self.names[self.port_count];
            name.* = each.name;
            self.slots[self.port_count] = .{ .owner = self, .port = .{
                .chardev = chardevs[each.chardev],
                .number = each.number,
                .console = each.console != 0,
                .name = name[0..each.name_size],
            } };
            self.port_count += 1;
        }
        for (self.all()) |*slot| slot.port.chardev.setFrontend(.{
            .context = slot,
            .receive = onInput,
            .drained = onDrained,
            .connected = onConnected,
        });
    }

    /// After the device that carries it is gone. Not on the loop's thread.
    pub fn deinit(self: *Console) void {
        for (self.all()) |*slot| slot.port.chardev.setFrontend(null);
    }

    fn all(self: *Console) []Slot {
        return self.slots[0..self.port_count];
    }

    pub fn identity(self: *const Console) model.Identity {
        return .{
            .device_id = 3,
            .features = device_module.feature_indirect | device_module.feature_event_index |
                config.feature_multiport,
            .queue_count = config.queueCount(self.port_limit),
            .queue_size_max = config.queue_size,
        };
    }

    /// Without control messages port 0 is there and open.
    pub fn activate(self: *Console, features: u64) void {
        self.multiport = features & config.feature_multiport != 0;
        if (self.multiport) return;
        if (self.find(0)) |port| port.setGuestOpen(true);
    }

    pub fn save(self: *const Console) State {
        var state: State = .{ .port_count = self.port_count };
        for (self.slots[0..self.port_count], state.ports[0..self.port_count]) |slot, *saved| {
            saved.* = slot.port.state;
        }
        return state;
    }

    pub fn restore(self: *Console, state: State) error{Invalid}!void {
        if (state.port_count != self.port_count) return error.Invalid;
        for (self.all(), state.ports[0..self.port_count]) |*slot, saved| slot.port.state = saved;
    }

    pub fn readConfig(self: *const Console, offset: usize, data: []u8) void {
        const fields: config.Config = .{ .port_limit = self.port_limit };
        const bytes = std.mem.asBytes(&fields);
        if (offset >= bytes.len) return;
        const count = @min(data.len, bytes.len - offset);
        @memcpy(data[0..count], bytes[offset..][0..count]);
    }

    pub fn writeConfig(_: *Console, _: usize, _: []const u8) void {}

    pub fn notify(self: *Console, queue_index: u16) void {
        switch (queue_index) {
            config.control_receive_queue => self.tellNews(),
            config.control_transmit_queue => self.takeMessages(),
            else => self.notifyPort(queue_index),
        }
    }

    fn notifyPort(self: *Console, queue_index: u16) void {
        const number = if (queue_index < 2) 0 else (queue_index - 2) / 2;
        const port = self.find(number) orelse return;
        const device = self.device.?;
        if (queue_index == config.receiveQueue(number)) {
            const name = .{ .device = device.id, .port = number };
            trace.emit(.virtio_serial_new_inputqueue_buf, name);
            return port.chardev.resumeInput();
        }
        const queue = &device.queues[queue_index];
        for (0..limits.queue_pass_count_max) |_| {
            queue.disableNotifications();
            self.touched.add(queue_index);
            switch (port.transmit(device, &self.pieces)) {
                .all => if (device.broken or !queue.enableNotifications()) return,
                .blocked => return,
                .more => break,
            }
        }
        device.kick(queue_index);
    }

    fn find(self: *Console, number: u32) ?*Port {
        for (self.all()) |*slot| if (slot.port.number == number) return &slot.port;
        return null;
    }

    /// Reads the guest's control messages; those that make no sense are answered by nothing.
    fn takeMessages(self: *Console) void {
        const device = self.device.?;
        const queue = &device.queues[config.control_transmit_queue];
        self.touched.add(config.control_transmit_queue);
        for (0..config.queue_size) |_| {
            const found = port_module.takeBuffer(device, queue, &self.pieces) orelse break;
            var message: config.Message = undefined;
            const bytes = std.mem.asBytes(&message);
            if (chain.copyFrom(found.readable, bytes) == bytes.len) self.handle(message);
            queue.push(found.head, 0);
        } else device.kick(config.control_transmit_queue);
        if (device.runnable(config.control_receive_queue)) self.tellNews();
    }

    fn handle(self: *Console, message: config.Message) void {
        if (message.event == config.Event.device_ready) {
            if (message.value == 0) return;
            for (self.all()) |*slot| slot.port.setNews(.{ .added = true });
            return;
        }
        const port = self.find(message.port) orelse return;
        switch (message.event) {
            config.Event.port_ready => {
                port.state.ready = @intFromBool(message.value == 1);
                if (message.value != 1) return;
                const open = port.console or port.chardev.isConnected();
                port.setNews(.{ .console = port.console, .name = true, .open = open });
            },
            config.Event.port_open => port.setGuestOpen(message.value != 0),
            else => {},
        }
    }

    /// Tells the guest what it has buffers for; the rest waits for more of them.
    fn tellNews(self: *Console) void {
        for (self.all()) |*slot| {
            const port = &slot.port;
            var news = port.news();
            defer port.setNews(news);
            if (news.added) {
                if (!self.tell(port, config.Event.device_add, 0)) return;
                news.added = false;
            }
            if (news.console) {
                if (!self.tell(port, config.Event.console_port, 1)) return;
                news.console = false;
            }
            if (news.name) {
                if (!self.tell(port, config.Event.port_name, 1)) return;
                news.name = false;
            }
            if (news.open) {
                const open = port.console or port.chardev.isConnected();
                if (!self.tell(port, config.Event.port_open, @intFromBool(open))) return;
                news.open = false;
            }
        }
    }

    /// One message; false when the guest has no buffer for it.
    fn tell(self: *Console, port: *const Port, event: u16, value: u16) bool {
        const device = self.device.?;
        const index = config.control_receive_queue;
        if (!device.runnable(index)) return false;
        const queue = &device.queues[index];
        const found = port_module.takeBuffer(device, queue, &self.pieces) orelse return false;
        const message: config.Message = .{ .port = port.number, .event = event, .value = value };
        var bytes: [@sizeOf(config.Message) + config.name_size_max + 1]u8 = @splat(0);
        @memcpy(bytes[0..@sizeOf(config.Message)], std.mem.asBytes(&message));
        var size: usize = @sizeOf(config.Message);
        if (event == config.Event.port_name) {
            @memcpy(bytes[size..][0..port.name.len], port.name);
            // Drivers expect the name to end with a zero, which is counted.
            size += port.name.len + 1;
        }
        if (found.writable_length < size) {
            device.fail(.request_layout);
            return false;
        }
        queue.push(found.head, @intCast(chain.copyTo(found.writable, bytes[0..size])));
        self.touched.add(index);
        return true;
    }

    pub fn endBatch(self: *Console) void {
        self.device.?.publish(&self.touched);
    }

    /// See `Model.drain`: nothing is ever in flight. After a reset the guest begins anew.
    pub fn drain(self: *Console, mode: model.DrainMode) void {
        if (mode == .finish) return self.endBatch();
        self.touched = .{};
        for (self.all()) |*slot| slot.port.state = .{};
    }

    fn onInput(context: *anyopaque, data: []const u8) usize {
        const slot: *Slot = @ptrCast(@alignCast(context));
        const self = slot.owner;
        const device = @atomicLoad(?*Device, &self.device, .acquire) orelse return 0;
        device.work.lock();
        defer device.work.unlock();
        const count = slot.port.receive(device, data, &self.pieces);
        if (count != 0) self.touched.add(config.receiveQueue(slot.port.number));
        return count;
    }

    fn onDrained(context: *anyopaque) void {
        const slot: *Slot = @ptrCast(@alignCast(context));
        const device = @atomicLoad(?*Device, &slot.owner.device, .acquire) orelse return;
        device.kick(config.transmitQueue(slot.port.number));
    }

    /// A console is always there for its guest; of a generic port it learns who comes and goes.
    fn onConnected(context: *anyopaque) void {
        const slot: *Slot = @ptrCast(@alignCast(context));
        const self = slot.owner;
        const device = @atomicLoad(?*Device, &self.device, .acquire) orelse return;
        device.work.lock();
        defer device.work.unlock();
        if (slot.port.console or slot.port.state.ready == 0) return;
        var news = slot.port.news();
        news.open = true;
        slot.port.setNews(news);
        if (device.runnable(config.control_receive_queue)) self.tellNews();
    }
};
