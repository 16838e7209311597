//! The device models that a virtio transport can carry: a closed list with static dispatch. A new
//! model adds its line here and gives the functions below.

const balloon = @import("../devices/virtio/balloon.zig");
const blk = @import("../devices/virtio/blk.zig");
const rng = @import("../devices/virtio/rng.zig");
const net = @import("../devices/virtio/net.zig");
const vhost_user = @import("../devices/virtio/vhost_user.zig");
const console = @import("../devices/virtio/console.zig");
const vsock = @import("../devices/virtio/vsock.zig");
const Device = @import("device.zig").Device;
const Ring = @import("served.zig").Ring;
const Job = @import("../io/engine.zig").Job;

/// What a transport asks a model at the start (virtio 1.2, section 5).
pub const Identity = struct {
    device_id: u32,
    features: u64,
    queue_count: u16,
    queue_size_max: u16,
    /// Queues that somebody else serves, a bit each: see served.zig.
    served_queues: u64 = 0,
};

pub const Model = union(enum) {
    blk: *blk.Block,
    rng: *rng.Rng,
    balloon: *balloon.Balloon,
    net: *net.Net,
    vsock: *vsock.Vsock,
    vhost_user: *vhost_user.VhostUser,
    console: *console.Console,

    pub fn identity(self: Model) Identity {
        return switch (self) {
            inline else => |model| model.identity(),
        };
    }

    /// The device that carries the model; called once, before anything else.
    pub fn attach(self: Model, device: *Device) void {
        switch (self) {
            // Something goes on there before there is a device.
            .vhost_user => |model| model.attach(device),
            inline else => |model| model.device = device,
        }
    }

    /// DRIVER_OK with these features. Work lock held.
    pub fn activate(self: Model, features: u64) void {
        switch (self) {
            inline else => |model| model.activate(features),
        }
    }

    /// Takes chains from a queue. Loop thread, work lock held, device active.
    pub fn notify(self: Model, queue_index: u16) void {
        switch (self) {
            inline else => |model| model.notify(queue_index),
        }
    }

    /// After the events of one turn of the loop: submit, finish, interrupt. Loop thread, work lock.
    pub fn endBatch(self: Model) void {
        switch (self) {
            inline else => |model| model.endBatch(),
        }
    }

    /// Comes to rest: nothing in flight after it. Work lock held, let go while it waits; never on
    /// the loop's thread.
    pub fn drain(self: Model, mode: DrainMode) void {
        switch (self) {
            inline else => |model| model.drain(mode),
        }
    }

    /// Hands the rings of the served queues that are ready to their server, once. False when it is
    /// not there or refuses; the model calls `Served.look` when that has changed. Loop thread, work
    /// lock held, device active.
    pub fn serve(self: Model, rings: []const Ring) bool {
        switch (self) {
            inline else => |model| {
                if (comptime isServed(@TypeOf(model.*))) return model.serve(rings);
                unreachable;
            },
        }
    }

    /// Asks the server for all its rings; the model answers with `Served.giveBack` for each, at
    /// once or later, but within a time of its own. Loop thread, work lock held.
    pub fn release(self: Model) void {
        switch (self) {
            inline else => |model| {
                if (comptime isServed(@TypeOf(model.*))) return model.release();
                unreachable;
            },
        }
    }

    /// Bytes of config space; those beyond its end stay as they are. Register lock held.
    pub fn readConfig(self: Model, offset: usize, data: []u8) void {
        switch (self) {
            inline else => |model| model.readConfig(offset, data),
        }
    }

    pub fn writeConfig(self: Model, offset: usize, data: []const u8) void {
        switch (self) {
            inline else => |model| model.writeConfig(offset, data),
        }
    }
};

/// Whether a model gives queues away: only such a one has the two functions for it.
fn isServed(comptime T: type) bool {
    return @hasDecl(T, "serve");
}

/// `finish`: requests end as always and the guest sees it. `abandon`: the guest has reset the
/// device; its memory is not written after the drain.
pub const DrainMode = enum { finish, abandon };
