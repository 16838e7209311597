//! Calls for the host side of devices: character devices, terminals, files, taps, vhost.

const errors = @import("../errors.zig");
const tap = @import("../kernel/tap.zig");
const vhost = @import("../kernel/vhost.zig");
const chardev = @import("../io/chardev_types.zig");
const readiness = @import("../io/readiness.zig");
const descriptors = @import("../host/descriptors.zig");
const processor = @import("../host/processor.zig");
const sockets = @import("../host/sockets.zig");
const types = @import("../abi_types.zig");
const answers = @import("answers.zig");
const Core = @import("../core.zig").Core;
const Status = errors.Status;
const done = answers.done;
const given = answers.given;

pub fn chardev_create(
    core: *Core,
    params: *const types.ChardevParams,
    out: *u32,
) callconv(.c) Status {
    return given(out, core.addChardev(.{
        .input_fd = params.input_fd,
        .output_fd = params.output_fd,
        .listen_fd = params.listen_fd,
        .client_fd = params.client_fd,
        .peer_fd = params.peer_fd,
        .escape = params.escape != 0,
    }, &core.failure));
}

/// What has happened to a character back end so far.
pub fn chardev_info(core: *Core, index: u32, out: *chardev.Info) callconv(.c) Status {
    const found = core.chardevAt(index) catch |err| return errors.statusOf(err);
    out.* = found.info();
    return .ok;
}

/// Writes the last words of a guest that has ended.
pub fn chardev_finish(core: *Core, index: u32) callconv(.c) Status {
    const found = core.chardevAt(index) catch |err| return errors.statusOf(err);
    found.finish();
    return .ok;
}

/// Puts a terminal into raw mode until the core is destroyed.
pub fn terminal_set_raw(core: *Core, fd: i32) callconv(.c) Status {
    return done(core.terminal.setRaw(fd, &core.failure));
}

/// A listening stream socket at a sockaddr of `size` bytes; `out` is its descriptor.
pub fn host_listen(
    core: *Core,
    address: [*]const u8,
    size: u32,
    out: *i32,
) callconv(.c) Status {
    var copy: sockets.Address = undefined;
    const sockaddr = copy.take(address, size) orelse return .invalid;
    out.* = sockets.listen(sockaddr, &core.failure) catch |err| return errors.statusOf(err);
    return .ok;
}

/// A stream socket that is connected to a sockaddr of `size` bytes; `out` is its descriptor.
pub fn host_connect(
    core: *Core,
    address: [*]const u8,
    size: u32,
    out: *i32,
) callconv(.c) Status {
    var copy: sockets.Address = undefined;
    const sockaddr = copy.take(address, size) orelse return .invalid;
    out.* = sockets.connect(sockaddr, &core.failure) catch |err| return errors.statusOf(err);
    return .ok;
}

/// Whether the unix socket at a sockaddr of `size` bytes belongs to a process that lives.
pub fn host_socket_in_use(
    core: *Core,
    address: [*]const u8,
    size: u32,
    out: *u32,
) callconv(.c) Status {
    var copy: sockets.Address = undefined;
    const sockaddr = copy.take(address, size) orelse return .invalid;
    return given(out, sockets.inUse(sockaddr, &core.failure));
}

/// Makes an open /dev/ptmx usable; `out` is the number of its other end.
pub fn host_prepare_pty(core: *Core, fd: i32, out: *u32) callconv(.c) Status {
    return given(out, descriptors.preparePty(fd, &core.failure));
}

/// A descriptor that is readable when somebody opens or leaves a pseudo terminal, by the number of
/// its other end.
pub fn host_watch_pty(core: *Core, number: u32, out: *i32) callconv(.c) Status {
    out.* = descriptors.watchPty(number, &core.failure) catch |err| return errors.statusOf(err);
    return .ok;
}

/// Locks an open file; EAGAIN says that another machine has it.
pub fn host_lock_file(core: *Core, fd: i32, exclusive: u32) callconv(.c) Status {
    const mode: descriptors.LockMode = if (exclusive != 0) .exclusive else .shared;
    return done(descriptors.lockFile(fd, mode, &core.failure));
}

/// Writes what a descriptor takes without waiting; `out` is how many bytes that were.
pub fn host_write_now(fd: i32, data: [*]const u8, size: u32, out: *u32) callconv(.c) Status {
    out.* = @intCast(readiness.writeNow(fd, data[0..size]));
    return .ok;
}

/// Writes 12 bytes: the maker of the host's processor, zeroes where none is told.
pub fn cpu_vendor(out: *[processor.vendor_size]u8) callconv(.c) Status {
    out.* = processor.vendor();
    return .ok;
}

/// A file in memory of `size` bytes, which nobody can resize; `out` is its descriptor.
pub fn host_memory_file(core: *Core, size: u64, out: *i32) callconv(.c) Status {
    out.* = descriptors.memoryFile(size, &core.failure) catch |err|
        return errors.statusOf(err);
    return .ok;
}

/// What O_DIRECT needs of an open file; all 0 when the kernel does not say.
pub fn host_direct_alignment(
    core: *Core,
    fd: i32,
    out: *descriptors.DirectAlignment,
) callconv(.c) Status {
    out.* = descriptors.directAlignment(fd, &core.failure) catch |err|
        return errors.statusOf(err);
    return .ok;
}

/// Ties an open /dev/net/tun to the interface that an ifreq of `tap_request_size` bytes names;
/// the kernel completes the request.
pub fn host_attach_tap(core: *Core, fd: i32, request: *tap.Request) callconv(.c) Status {
    return done(tap.attach(fd, request, &core.failure));
}

/// Name and flags of the interface behind a tap queue, as an ifreq.
pub fn host_inspect_tap(core: *Core, fd: i32, request: *tap.Request) callconv(.c) Status {
    return done(tap.inspect(fd, request, &core.failure));
}

/// Makes a tap queue ready for a device; `out` tells the offloads that it can do.
pub fn host_prepare_tap(core: *Core, fd: i32, out: *u32) callconv(.c) Status {
    return given(out, tap.prepare(fd, &core.failure));
}

/// Ties an open /dev/vhost-net or /dev/vhost-vsock to this process; `out` tells its features, but
/// for those above bit 47, which no device here knows and a number of JavaScript may not hold.
pub fn host_open_vhost(core: *Core, fd: i32, out: *u64) callconv(.c) Status {
    const features = vhost.open(fd, &core.failure) catch |err| return errors.statusOf(err);
    out.* = features & 0xffff_ffff_ffff;
    return .ok;
}

/// Gives an open /dev/vhost-vsock the address of its guest; EADDRINUSE says that another has it.
pub fn host_set_vsock_guest(core: *Core, fd: i32, guest_cid: u32) callconv(.c) Status {
    return done(vhost.setGuest(fd, guest_cid, &core.failure));
}
