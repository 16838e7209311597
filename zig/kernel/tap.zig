//! Tap queues (linux/if_tun.h): thin calls on open descriptors of /dev/net/tun or a macvtap. A
//! request's bytes, with the interface's name in it, come from above.

const std = @import("std");
const linux = std.os.linux;
const errors = @import("../errors.zig");
const system = @import("system.zig");

/// Bytes of `struct ifreq` (netdevice(7)).
pub const request_size = 40;
/// Bytes of the header before each frame: virtio_net_hdr with num_buffers (virtio 1.2, 5.1.6).
pub const header_size = 12;

const set_interface = 0x4004_54ca;
const get_interface = 0x8004_54d2;
const set_offload = 0x4004_54d0;
const set_header_size = 0x4004_54d8;
const set_queue = 0x4004_54d9;

/// What the host may hand over unfinished: TUN_F_….
pub const offload_checksum = 0x01;
pub const offload_tso4 = 0x02;
pub const offload_tso6 = 0x04;
pub const offload_ufo = 0x10;

const name_size = 16;
const attach_queue = 0x0200;
const detach_queue = 0x0400;

pub const Request = [request_size]u8;

/// Ties an open /dev/net/tun to an interface; the kernel completes the request.
pub fn attach(fd: i32, request: *Request, failure: *errors.Failure) errors.HostError!void {
    const answer = system.ioctl(fd, set_interface, @intFromPtr(request));
    if (!answer.ok()) return failure.set(.tap_attach, answer.errno, @intCast(fd));
}

/// Name and flags of the interface behind a descriptor.
pub fn inspect(fd: i32, request: *Request, failure: *errors.Failure) errors.HostError!void {
    const answer = system.ioctl(fd, get_interface, @intFromPtr(request));
    if (!answer.ok()) return failure.set(.tap_inspect, answer.errno, @intCast(fd));
}

/// Makes a queue ready for a device: never blocking, headers of `header_size`, nothing unfinished.
/// Returns the offloads that it can do.
pub fn prepare(fd: i32, failure: *errors.Failure) errors.HostError!u32 {
    const flags = system.result(linux.fcntl(fd, linux.F.GETFL, 0));
    if (!flags.ok()) return failure.set(.tap_prepare, flags.errno, @intCast(fd));
    const open_flags = flags.value | nonblocking;
    const set = system.result(linux.fcntl(fd, linux.F.SETFL, open_flags));
    if (!set.ok()) return failure.set(.tap_prepare, set.errno, @intCast(fd));
    const kept = system.result(linux.fcntl(fd, linux.F.SETFD, linux.FD_CLOEXEC));
    if (!kept.ok()) return failure.set(.tap_prepare, kept.errno, @intCast(fd));
    var size: i32 = header_size;
    const sized = system.ioctl(fd, set_header_size, @intFromPtr(&size));
    if (!sized.ok()) return failure.set(.tap_prepare, sized.errno, @intCast(fd));
    const usual = offload_checksum | offload_tso4 | offload_tso6;
    for ([_]u32{ usual | offload_ufo, usual, offload_checksum }) |offloads| {
        if (setOffload(fd, offloads) != 0) continue;
        _ = setOffload(fd, 0);
        return offloads;
    }
    return 0;
}

const nonblocking: usize = @as(u32, @bitCast(linux.O{ .NONBLOCK = true }));

/// What frames from the host may leave to the guest; returns 0 or the errno.
pub fn setOffload(fd: i32, offloads: u32) i32 {
    return system.ioctl(fd, set_offload, offloads).errno;
}

pub const QueueState = enum { attached, detached };

/// Whether the interface hands frames to this queue of several; returns 0 or the errno.
pub fn setQueue(fd: i32, state: QueueState) i32 {
    var request: Request = @splat(0);
    const flags: u16 = if (state == .attached) attach_queue else detach_queue;
    std.mem.writeInt(u16, request[name_size..][0..2], flags, .little);
    return system.ioctl(fd, set_queue, @intFromPtr(&request)).errno;
}

/// One frame is lost and the next may pass: the interface is down, memory is short, or the guest's
/// header or length makes no sense.
pub fn isFrameLoss(errno: i32) bool {
    return switch (errno) {
        system.EIO, system.EINVAL, system.ENOMEM, system.EINTR => true,
        errno_no_buffers, errno_message_size => true,
        else => false,
    };
}

const errno_no_buffers = 105;
const errno_message_size = 90;
