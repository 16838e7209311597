//! virtio-balloon (virtio 1.2, section 5.5): gives the pages that the guest puts into the balloon,
//! or reports as free, back to the host. Pages that it takes out come back when it touches them.

const std = @import("std");
const chain = @import("../../virtio/chain.zig");
const device_module = @import("../../virtio/device.zig");
const limits = @import("../../limits.zig");
const model = @import("../../virtio/model.zig");
const trace = @import("../../trace/trace.zig");
const Device = device_module.Device;
const Queue = device_module.Queue;
const QueueSet = @import("../../virtio/queue_set.zig").QueueSet;
const Released = @import("../../memory/guest_memory.zig").Released;

/// Bytes of a page of the balloon, whatever the guest's and the host's are (5.5.6).
pub const page_size = 4096;

pub const flag_deflate_on_oom = 1;
pub const flag_reporting = 2;

const feature_deflate_on_oom = 1 << 2;
const feature_reporting = 1 << 5;

const queue_size = 256;
/// Pieces beyond one for each descriptor: for buffers that cross memory regions.
const spare_piece_count = 8;
/// Page numbers that are copied from the guest at once.
const batch_count = 256;

/// Queues when neither statistics nor hints are offered (5.5.2).
const inflate_queue = 0;
const deflate_queue = 1;

pub const Params = extern struct { flags: u32 = 0, padding: u32 = 0 };

/// Pages are of `page_size`.
pub const Info = extern struct {
    /// How many the guest is asked to give up, and how many it says it has.
    target_page_count: u32,
    actual_page_count: u32,
    /// Given back to the host so far.
    released_page_count: u64,
    /// Page numbers so far that named no memory, or came in chains that are too long.
    ignored_page_count: u64,
    /// Whether the guest has changed `actual` since the last look.
    changed: u32,
    padding: u32 = 0,
};

/// What a snapshot keeps.
pub const State = extern struct { target_page_count: u32 = 0, actual_page_count: u32 = 0 };

pub const Balloon = struct {
    /// Set by the device that carries this model.
    device: *Device = undefined,
    flags: u32,
    /// Config space (5.5.4).
    target: std.atomic.Value(u32) = .init(0),
    actual: std.atomic.Value(u32) = .init(0),
    /// People are told of the first change after each look only.
    changed: std.atomic.Value(bool) = .init(false),
    released_page_count: std.atomic.Value(u64) = .init(0),
    ignored_page_count: std.atomic.Value(u64) = .init(0),
    error_count: u64 = 0,
    last_errno: i32 = 0,
    /// Queues with completions that the guest has not been told of.
    touched: QueueSet = .{},
    pieces: [queue_size + spare_piece_count]chain.Iovec = undefined,

    pub fn init(self: *Balloon, params: Params) void {
        self.* = .{ .flags = params.flags };
    }

    pub fn identity(self: *const Balloon) model.Identity {
        var features: u64 = device_module.feature_indirect | device_module.feature_event_index;
        if (self.flags & flag_deflate_on_oom != 0) features |= feature_deflate_on_oom;
        const reporting = self.flags & flag_reporting != 0;
        if (reporting) features |= feature_reporting;
        return .{
            .device_id = 5,
            .features = features,
            .queue_count = if (reporting) 3 else 2,
            .queue_size_max = queue_size,
        };
    }

    pub fn activate(_: *Balloon, _: u64) void {}

    pub fn save(self: *const Balloon) State {
        return .{
            .target_page_count = self.target.load(.acquire),
            .actual_page_count = self.actual.load(.acquire),
        };
    }

    /// The pages that the balloon holds are holes of the memory that was restored.
    pub fn restore(self: *Balloon, state: State) error{Invalid}!void {
        self.target.store(state.target_page_count, .release);
        self.actual.store(state.actual_page_count, .release);
    }

    /// Asks the guest for a balloon of so many pages; it takes its time. Not on the loop's thread.
    pub fn setTarget(self: *Balloon, page_count: u32) void {
        self.device.registers.lock();
        defer self.device.registers.unlock();
        trace.emit(.virtio_balloon_target, .{ .device = self.device.id, .pages = page_count });
        if (self.target.swap(page_count, .acq_rel) != page_count) self.device.configChanged();
    }

    pub fn takeInfo(self: *Balloon) Info {
        return .{
            .changed = @intFromBool(self.changed.swap(false, .acq_rel)),
            .target_page_count = self.target.load(.acquire),
            .actual_page_count = self.actual.load(.acquire),
            .released_page_count = self.released_page_count.load(.acquire),
            .ignored_page_count = self.ignored_page_count.load(.acquire),
        };
    }

    pub fn readConfig(self: *const Balloon, offset: usize, data: []u8) void {
        const fields = [2]u32{ self.target.load(.acquire), self.actual.load(.acquire) };
        const bytes = std.mem.sliceAsBytes(&fields);
        if (offset >= bytes.len) return;
        const size = @min(data.len, bytes.len - offset);
        @memcpy(data[0..size], bytes[offset..][0..size]);
    }

    /// `actual` is the driver's to write, and nothing else (5.5.4).
    pub fn writeConfig(self: *Balloon, offset: usize, data: []const u8) void {
        var value = self.actual.load(.acquire);
        const bytes = std.mem.asBytes(&value);
        for (data, offset..) |byte, position| {
            if (position >= 4 and position < 8) bytes[position - 4] = byte;
        }
        self.setActual(value);
    }

    fn setActual(self: *Balloon, page_count: u32) void {
        if (self.actual.swap(page_count, .acq_rel) == page_count) return;
        trace.emit(.virtio_balloon_actual, .{ .device = self.device.id, .pages = page_count });
        if (!self.changed.swap(true, .acq_rel)) self.device.tellHost();
    }

    pub fn notify(self: *Balloon, queue_index: u16) void {
        const queue = &self.device.queues[queue_index];
        var count: u64 = 0;
        for (0..limits.queue_pass_count_max) |_| {
            queue.disableNotifications();
            while (count < limits.balloon_turn_count_max) {
                const head = queue.pop() catch |err| return self.device.fail(.{ .queue = err });
                count += self.take(queue, queue_index, head orelse break) orelse return;
            } else break;
            if (!queue.enableNotifications()) return;
        }
        // Other devices of the loop get their turn first.
        self.device.kick(queue_index);
    }

    /// Handles one chain; returns how much work it was, or null when the guest broke a rule.
    fn take(self: *Balloon, queue: *Queue, queue_index: u16, head: u16) ?u64 {
        const device = self.device;
        const found = chain.collect(queue, device.memory, head, &self.pieces) catch |err| {
            device.fail(.{ .chain = err });
            return null;
        };
        const count = switch (queue_index) {
            inflate_queue => self.inflate(found.readable),
            deflate_queue => 0,
            else => self.releaseReported(found.writable),
        };
        queue.push(head, 0);
        self.touched.add(queue_index);
        return 1 + count;
    }

    /// Chains hold page numbers, 32 bits each (5.5.6).
    fn inflate(self: *Balloon, readable: []chain.Iovec) u64 {
        var pieces = readable;
        var run: Run = .{};
        var count: u64 = 0;
        var numbers: [batch_count]u32 = undefined;
        while (count < limits.balloon_chain_page_count_max) {
            const size = chain.copyFrom(pieces, std.mem.sliceAsBytes(&numbers));
            const batch = numbers[0 .. size / @sizeOf(u32)];
            if (batch.len == 0) break;
            count += batch.len;
            // Pages that lie together need not come together.
            std.mem.sortUnstable(u32, batch, {}, std.sort.asc(u32));
            for (batch) |number| self.addPage(&run, number);
            pieces = chain.skip(pieces, size);
        }
        self.releaseRun(run);
        var excess: u64 = 0;
        for (pieces) |piece| excess += piece.len;
        _ = self.ignored_page_count.fetchAdd(excess / @sizeOf(u32), .monotonic);
        return count;
    }

    fn addPage(self: *Balloon, run: *Run, number: u32) void {
        if (self.device.memory.slice(@as(u64, number) * page_size, page_size) == null) {
            _ = self.ignored_page_count.fetchAdd(1, .monotonic);
            return;
        }
        if (run.extend(number)) return;
        self.releaseRun(run.*);
        run.* = .{ .start = number, .end = @as(u64, number) + 1 };
    }

    fn releaseRun(self: *Balloon, run: Run) void {
        if (run.start == run.end) return;
        const size = (run.end - run.start) * page_size;
        self.tally(self.device.memory.release(run.start * page_size, size));
    }

    /// Each buffer is a range of memory that the guest does not use now (5.5.6.7).
    fn releaseReported(self: *Balloon, writable: []const chain.Iovec) u64 {
        for (writable) |range| self.tally(self.device.memory.releaseView(range.base[0..range.len]));
        return writable.len;
    }

    fn tally(self: *Balloon, released: Released) void {
        _ = self.released_page_count.fetchAdd(released.size / page_size, .monotonic);
        if (released.errno == 0) return;
        self.error_count += 1;
        self.last_errno = released.errno;
        // The host will refuse the others, too: once is enough.
        if (self.error_count == 1) self.device.tellHost();
    }

    pub fn endBatch(self: *Balloon) void {
        self.device.publish(&self.touched);
    }

    /// See `Model.drain`: nothing is ever in flight. A guest that resets the device has all of its
    /// memory again.
    pub fn drain(self: *Balloon, mode: model.DrainMode) void {
        switch (mode) {
            .finish => self.endBatch(),
            .abandon => {
                self.touched = .{};
                self.setActual(0);
            },
        }
    }
};

/// Pages in a row, which go back to the host with one call.
const Run = struct {
    start: u64 = 0,
    end: u64 = 0,

    /// Takes in the page behind the run, or one that it has.
    fn extend(self: *Run, number: u64) bool {
        if (self.start == self.end or number < self.start or number > self.end) return false;
        self.end = @max(self.end, number + 1);
        return true;
    }
};

test "a run grows by the page behind it, and is not made longer by one that it has" {
    var run: Run = .{};
    try std.testing.expect(!run.extend(0));
    run = .{ .start = 7, .end = 8 };
    try std.testing.expect(run.extend(8));
    try std.testing.expect(run.extend(7));
    try std.testing.expect(!run.extend(6));
    try std.testing.expect(!run.extend(10));
    try std.testing.expectEqual(Run{ .start = 7, .end = 9 }, run);
}
