//! Puts another tap behind a network device, or none, while its guest goes on (hot replace).

const errors = @import("../../errors.zig");
const net_config = @import("net_config.zig");
const net_module = @import("net.zig");
const Net = net_module.Net;

/// The guest is told by a config interrupt of its link and of its address, which changes; frames to
/// the one before pass as well, for drivers look at it at their start alone. Features and queues
/// stay. The caller may close the old descriptors. Not on the loop's thread. Error: Invalid (more
/// pairs than before, or a tap that cannot do what the driver may have negotiated).
pub fn replace(net: *Net, backend: net_config.Params) error{Invalid}!void {
    const params = &net.params;
    if (params.has(net_config.flag_vhost) or backend.has(net_config.flag_vhost)) {
        return error.Invalid;
    }
    if (backend.pair_count > params.pair_count) return error.Invalid;
    const has_tap = backend.fd(0) >= 0;
    const is_able = backend.flags | ~net.offered_flags;
    const needed = net_config.flag_offload | net_config.flag_ufo;
    if (has_tap and is_able & needed != needed) return error.Invalid;
    const was_paused = net.device.paused;
    net.device.pause();
    defer if (!was_paused) net.device.unpause();
    for (net.pairs[0..params.pair_count]) |*pair| {
        if (pair.watched != null and !pair.gone) net.loop.remove(&pair.source);
    }
    net.device.registers.lock();
    defer net.device.registers.unlock();
    net.device.work.lock();
    defer net.device.work.unlock();
    params.fds = backend.fds;
    params.flags = backend.flags;
    for (net.pairs[0..params.pair_count], 0..) |*pair, index| {
        const fd = if (index < backend.pair_count) backend.fd(index) else -1;
        pair.source.fd = fd;
        pair.gone = fd < 0;
        pair.watched = null;
        pair.attached = true;
        pair.wants_input = false;
        pair.wants_output = false;
        pair.rest.size = 0;
    }
    net.configured = false;
    takeAddress(net, backend.mac);
    net.link_up.store(has_tap, .release);
    net.device.configChanged();
}

fn takeAddress(net: *Net, address: net_config.Address) void {
    const before = net.mac.load(.monotonic);
    net.params.mac = address;
    net.mac.store(net_module.addressBits(address), .release);
    if (net.mac.load(.monotonic) != before) net.filter.former = net_module.bitsAddress(before);
}
