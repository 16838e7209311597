//! The virtio models as values: what a device slot holds beside the registers that lead to it. A
//! new model adds its kind, its field and its line in `init`.

const std = @import("std");
const errors = @import("../../errors.zig");
const Chardev = @import("../../io/chardev.zig").Chardev;
const Loop = @import("../../io/loop.zig").Loop;
const Model = @import("../../virtio/model.zig").Model;
const blk_config = @import("blk_config.zig");
const balloon = @import("balloon.zig");
const blk = @import("blk.zig");
const console = @import("console.zig");
const console_config = @import("console_config.zig");
const net = @import("net.zig");
const rng = @import("rng.zig");
const vhost_user = @import("vhost_user.zig");
const vsock = @import("vsock.zig");

pub const Kind = enum { blk, rng, balloon, net, vsock, vhost_user, console };

/// What any model may count; a model leaves the others' fields at 0. Frames come without headers.
pub const Metrics = extern struct {
    /// Of the queues of any model.
    notification_count: u64 = 0,
    request_count: u64 = 0,
    in_flight_count: u64 = 0,
    read_bytes: u64 = 0,
    written_bytes: u64 = 0,
    received_count: u64 = 0,
    received_bytes: u64 = 0,
    sent_count: u64 = 0,
    sent_bytes: u64 = 0,
    skipped_count: u64 = 0,
    dropped_count: u64 = 0,
    random_bytes: u64 = 0,
    target_page_count: u64 = 0,
    actual_page_count: u64 = 0,
    released_page_count: u64 = 0,
};

pub const Body = union(Kind) {
    blk: blk.Block,
    rng: rng.Rng,
    balloon: balloon.Balloon,
    net: net.Net,
    vsock: vsock.Vsock,
    vhost_user: vhost_user.VhostUser,
    console: console.Console,

    pub const Options = struct {
        kind: Kind,
        /// The model's own parameter struct, as TypeScript encoded it.
        details: []const u8,
        loop: *Loop,
        /// Character back ends of the machine.
        chardevs: []const *Chardev,
    };

    /// `self` stays at one address until `deinit`. Errors: Invalid (details of another model), and
    /// those of the model.
    pub fn init(
        self: *Body,
        options: Options,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        switch (options.kind) {
            .blk => {
                self.* = .{ .blk = undefined };
                const params = try paramsOf(blk_config.Params, options.details);
                try self.blk.init(params, options.loop, failure);
            },
            .rng => {
                self.* = .{ .rng = undefined };
                const params = try paramsOf(rng.Params, options.details);
                try self.rng.init(params, options.loop, failure);
            },
            .balloon => {
                self.* = .{ .balloon = undefined };
                self.balloon.init(try paramsOf(balloon.Params, options.details));
            },
            .net => {
                self.* = .{ .net = undefined };
                const params = try paramsOf(net.Params, options.details);
                try self.net.init(params, options.loop, failure);
            },
            .vsock => {
                self.* = .{ .vsock = undefined };
                const params = try paramsOf(vsock.Params, options.details);
                try self.vsock.init(params, options.loop, failure);
            },
            .vhost_user => {
                self.* = .{ .vhost_user = undefined };
                const params = try paramsOf(vhost_user.Params, options.details);
                try self.vhost_user.init(params, options.loop, failure);
            },
            .console => {
                self.* = .{ .console = undefined };
                const params = try paramsOf(console_config.Params, options.details);
                try self.console.init(params, options.chardevs);
            },
        }
    }

    pub fn deinit(self: *Body) void {
        switch (self.*) {
            .balloon => {},
            inline else => |*held| held.deinit(),
        }
    }

    /// Puts another back end behind the model, described as for `init`. Errors: Invalid (a model
    /// that cannot), and those of the model.
    pub fn replace(
        self: *Body,
        details: []const u8,
        failure: *errors.Failure,
    ) errors.CoreError!void {
        switch (self.*) {
            .blk => |*disk| try disk.replace(try paramsOf(blk_config.Params, details), failure),
            .net => |*card| try card.replace(try paramsOf(net.Params, details)),
            else => return error.Invalid,
        }
    }

    pub const ErrorCounters = struct { count: u64, last_errno: i32 };

    /// Requests that the host failed so far.
    pub fn errorCounters(self: *const Body) ErrorCounters {
        return switch (self.*) {
            inline .blk, .net => |*held| .{
                .count = held.counters.error_count,
                .last_errno = held.counters.last_errno,
            },
            inline .rng, .balloon, .vsock, .console => |*held| .{
                .count = held.error_count,
                .last_errno = held.last_errno,
            },
            // What fails there, its back end tells.
            .vhost_user => .{ .count = 0, .last_errno = 0 },
        };
    }

    /// What the model has done so far, for people; the rest is 0.
    pub fn metrics(self: *const Body) Metrics {
        switch (self.*) {
            .blk => |*held| return .{
                .request_count = held.counters.request_count,
                .in_flight_count = held.in_flight.load(.monotonic),
                .read_bytes = held.counters.read_bytes,
                .written_bytes = held.counters.written_bytes,
            },
            .net => |*held| return .{
                .received_count = held.counters.received_count,
                .received_bytes = held.counters.received_bytes,
                .sent_count = held.counters.sent_count,
                .sent_bytes = held.counters.sent_bytes,
                .skipped_count = held.counters.skipped_count,
                .dropped_count = held.counters.dropped_count,
            },
            .rng => |*held| return .{ .random_bytes = held.byte_count },
            .balloon => |*held| return .{
                .target_page_count = held.target.load(.monotonic),
                .actual_page_count = held.actual.load(.monotonic),
                .released_page_count = held.released_page_count.load(.monotonic),
            },
            // What others serve, they count.
            else => return .{},
        }
    }

    /// The model as a transport drives it.
    pub fn model(self: *Body) Model {
        return switch (self.*) {
            .blk => |*block| .{ .blk = block },
            .rng => |*source| .{ .rng = source },
            .balloon => |*held| .{ .balloon = held },
            .net => |*net_model| .{ .net = net_model },
            .vsock => |*held| .{ .vsock = held },
            .vhost_user => |*held| .{ .vhost_user = held },
            .console => |*held| .{ .console = held },
        };
    }
};

fn paramsOf(comptime Params: type, details: []const u8) error{Invalid}!Params {
    if (details.len != @sizeOf(Params)) return error.Invalid;
    return std.mem.bytesToValue(Params, details);
}
