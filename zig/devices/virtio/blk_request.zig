//! virtio-blk requests: from a descriptor chain to a job on the file or to a status at once (virtio
//! 1.2, section 5.2.6). The layout of the descriptors is the guest's choice and never trusted.

const std = @import("std");
const chain_module = @import("../../virtio/chain.zig");
const config = @import("blk_config.zig");
const engine = @import("../../io/engine.zig");

const Chain = chain_module.Chain;
const Params = config.Params;

pub const Status = enum(u8) { ok = 0, io_error = 1, unsupported = 2 };

/// Request types; others are answered as unsupported.
const Type = enum(u32) {
    read = 0,
    write = 1,
    flush = 4,
    get_id = 8,
    discard = 11,
    write_zeroes = 13,
    _,
};

const Header = extern struct { type: Type, reserved: u32, sector: u64 };

/// One segment of discard and write-zeroes.
const Range = extern struct { sector: u64, sector_count: u32, flags: u32 };

const range_flag_unmap = 1;

/// A request in flight. Its slot in the pool is its own until it is released.
pub const Request = struct {
    job: engine.Job = .{},
    queue_index: u16 = 0,
    head: u16 = 0,
    slot: u32 = 0,
    retry_count: u8 = 0,
    /// Where the guest reads the status.
    status: *volatile u8 = undefined,
    /// What the used ring says was written.
    writable_length: u32 = 0,
    /// Bytes still to be written as zeroes by a file that cannot do so itself.
    zero_rest: u64 = 0,
    /// The range must read as zeroes afterwards (write-zeroes), not only may (discard).
    zeroing: bool = false,
    next_free: ?*Request = null,
};

/// What a well formed request asks for.
pub const Action = union(enum) { start, done: Status };

pub const Disk = struct { params: *const Params, sector_count: u64, durable: bool };

/// Fills the request's job from its chain. The error means that the layout leaves no room for the
/// header or the status: nothing can be answered then.
pub fn parse(request: *Request, chain: Chain, disk: Disk) error{RequestLayout}!Action {
    var header: Header = undefined;
    const header_bytes = std.mem.asBytes(&header);
    if (chain_module.copyFrom(chain.readable, header_bytes) != header_bytes.len) {
        return error.RequestLayout;
    }
    const last = chain_module.takeLastByte(chain.writable) orelse return error.RequestLayout;
    request.head = chain.head;
    request.status = last.byte;
    request.writable_length = std.math.lossyCast(u32, chain.writable_length);
    const output = chain_module.skip(chain.readable, header_bytes.len);
    const job = &request.job;
    job.* = .{ .durable = disk.durable };
    switch (header.type) {
        .read => {
            job.operation = .read;
            return transfer(job, last.pieces, header.sector, chain.writable_length - 1, disk);
        },
        .write => {
            if (disk.params.has(config.flag_read_only)) return .{ .done = .io_error };
            job.operation = .write;
            const length = chain.readable_length - header_bytes.len;
            const action = transfer(job, output, header.sector, length, disk);
            if (action == .start) detectZeroes(request, length, disk.params);
            return action;
        },
        .flush => {
            job.operation = .flush;
            return .start;
        },
        .get_id => {
            _ = chain_module.copyTo(last.pieces, &disk.params.serial);
            return .{ .done = .ok };
        },
        .discard, .write_zeroes => return parseRange(request, header.type, output, disk),
        _ => return .{ .done = .unsupported },
    }
}

fn transfer(
    job: *engine.Job,
    pieces: []chain_module.Iovec,
    sector: u64,
    length: u64,
    disk: Disk,
) Action {
    if (length % config.sector_size != 0) return .{ .done = .io_error };
    if (!inside(disk, sector, length / config.sector_size)) return .{ .done = .io_error };
    if (length == 0) return .{ .done = .ok };
    job.offset = sector * config.sector_size;
    job.iovecs = pieces;
    return .start;
}

/// A write of zeroes becomes a change of the file's allocation, if the user wants that.
fn detectZeroes(request: *Request, length: u64, params: *const Params) void {
    if (!params.has(config.flag_detect_zeroes)) return;
    for (request.job.iovecs) |piece| {
        if (!allZero(piece.base[0..piece.len])) return;
    }
    const unmap = params.has(config.flag_detect_unmap);
    request.job.operation = if (unmap) .punch_hole else .zero_range;
    request.job.length = length;
    request.zeroing = true;
}

/// A slice is all zero when its first byte is and each byte equals the next: one fast compare.
fn allZero(bytes: []const u8) bool {
    if (bytes.len == 0) return true;
    return bytes[0] == 0 and std.mem.eql(u8, bytes[0 .. bytes.len - 1], bytes[1..]);
}

fn inside(disk: Disk, sector: u64, count: u64) bool {
    return sector <= disk.sector_count and count <= disk.sector_count - sector;
}

fn parseRange(
    request: *Request,
    request_type: Type,
    pieces: []const chain_module.Iovec,
    disk: Disk,
) Action {
    const zeroing = request_type == .write_zeroes;
    const needed: u32 = if (zeroing) config.flag_write_zeroes else config.flag_discard;
    if (!disk.params.has(needed)) return .{ .done = .unsupported };
    if (disk.params.has(config.flag_read_only)) return .{ .done = .io_error };
    var ranges: [2]Range = undefined;
    const size = chain_module.copyFrom(pieces, std.mem.asBytes(&ranges));
    if (size < @sizeOf(Range)) return .{ .done = .io_error };
    if (size > @sizeOf(Range)) return .{ .done = .unsupported };
    const range = ranges[0];
    const allowed: u32 = if (zeroing) range_flag_unmap else 0;
    if (range.flags & ~allowed != 0) return .{ .done = .unsupported };
    if (range.sector_count > config.range_sector_count_max) return .{ .done = .io_error };
    if (!inside(disk, range.sector, range.sector_count)) return .{ .done = .io_error };
    if (range.sector_count == 0) return .{ .done = .ok };
    const job = &request.job;
    request.zeroing = zeroing;
    const unmap = range.flags & range_flag_unmap != 0 and disk.params.has(config.flag_discard);
    job.operation = if (!zeroing or unmap) .punch_hole else .zero_range;
    job.offset = range.sector * config.sector_size;
    job.length = @as(u64, range.sector_count) * config.sector_size;
    return .start;
}

comptime {
    std.debug.assert(@sizeOf(Header) == 16);
    std.debug.assert(@sizeOf(Range) == 16);
}
