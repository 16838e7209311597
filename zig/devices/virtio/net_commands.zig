//! Takes the commands of virtio-net's control queue from the guest and answers them; what they mean
//! is in net_control.zig.

const chain = @import("../../virtio/chain.zig");
const limits = @import("../../limits.zig");
const net_control = @import("net_control.zig");
const net_module = @import("net.zig");
const trace = @import("../../trace/trace.zig");
const Net = net_module.Net;
const Queue = @import("../../virtio/device.zig").Queue;

/// Runs what waits in the control queue. Loop thread, work lock held.
pub fn run(net: *Net, queue_index: u16) void {
    const device = net.device;
    const queue = &device.queues[queue_index];
    for (0..limits.queue_pass_count_max) |_| {
        queue.disableNotifications();
        for (0..queue.state.size) |_| {
            const popped = queue.pop() catch |err| return device.fail(.{ .queue = err });
            const head = popped orelse break;
            if (!runOne(net, queue, head)) return;
            net.touched.add(queue_index);
        }
        if (!queue.enableNotifications()) return;
    }
    device.kick(queue_index);
}

/// False when the chain is not that of a command.
fn runOne(net: *Net, queue: *Queue, head: u16) bool {
    const device = net.device;
    const found = chain.collect(queue, device.memory, head, &net.pieces) catch |err| {
        device.fail(.{ .chain = err });
        return false;
    };
    if (found.readable_length < net_control.header_size or found.writable_length == 0) {
        device.fail(.request_layout);
        return false;
    }
    const answer = execute(net, found.readable);
    trace.emit(.virtio_net_handle_ctrl, .{ .device = device.id, .status = answer });
    _ = chain.copyTo(found.writable, &.{@backingInt(answer)});
    queue.push(head, 1);
    return true;
}

fn execute(net: *Net, request: []chain.Iovec) net_control.Answer {
    switch (net_control.execute(&net.filter, request)) {
        .none => return .ok,
        .refused => return .refused,
        .address => |address| {
            net.mac.store(net_module.addressBits(address), .release);
            return .ok;
        },
        .pair_count => |count| return if (net.setPairs(count)) .ok else .refused,
    }
}
