//! What to say to a back end next: compares what the device wishes with what this connection's back
//! end has said and been told, and gives one message after the other until both agree. A new
//! connection begins with an empty `Told` and so comes to the same state by itself.

const std = @import("std");
const limits = @import("../limits.zig");
const protocol = @import("message.zig");
const Table = @import("memory_table.zig").Table;
const system = @import("../kernel/system.zig");

const Message = protocol.Message;
const Protocol = protocol.Protocol;
const Request = protocol.Request;

/// What makes a back end unfit: its answer, or what it cannot do.
pub const Error = error{
    /// An answer to something else than what was asked, or none was asked for.
    Form,
    /// An answer of the wrong length.
    Size,
    /// Descriptors that belong to no answer, or too few.
    Descriptors,
    /// An answer that cannot be true.
    Answer,
    /// The back end refused a request.
    Refused,
    /// It lacks a feature of virtio or of the protocol that is needed.
    Features,
    /// It serves fewer queues than the device has.
    Queues,
};

pub const Needs = struct {
    /// Queues that the back end serves.
    ring_count: u16,
    /// What GET_QUEUE_NUM counts: queues, or pairs of them for a network.
    rings_per_count: u16 = 1,
    /// Rings that every back end has: more need one that tells how many it has.
    rings_always: u16 = 2,
    /// Entries of the largest ring that a driver can make. A driver may make a ring anew that is
    /// larger than before, and the back end's notes must have room for it.
    queue_size_max: u16 = 128,
    /// Bytes of config space that the back end owns; 0: it has none.
    config_size: u32 = 0,
    /// Whether every chain that a back end has taken is finished in time, so that a ring is at rest
    /// when all are: some answer GET_VRING_BASE before they have finished them.
    ends_chains: bool = false,
};

/// How far a ring is set up on the other side, in the order of the messages.
const Stage = enum {
    none,
    size,
    base,
    addresses,
    /// The call is told before the kick, which some back ends take as the start. From here on the
    /// back end may run the ring, for the kick may be on its way.
    call,
    running,

    fn started(self: Stage) bool {
        return @backingInt(self) >= @backingInt(Stage.call);
    }
};

/// What a ring should be. Addresses are those of this process.
pub const RingPlace = struct {
    size: u32,
    descriptors: u64,
    available: u64,
    used: u64,
    kick_fd: i32,
    call_fd: i32,
};

pub const Ring = struct {
    place: RingPlace = undefined,
    wanted: bool = false,
    enabled: bool = true,
    /// Available index where it goes on.
    base: u16 = 0,
    stage: Stage = .none,
    enabled_told: bool = false,

    /// The back end was told to stop and goes on with chains that it had taken.
    is_draining: bool = false,

    pub fn isRunning(self: *const Ring) bool {
        return self.stage == .running;
    }

    fn usedIndex(self: *const Ring) u16 {
        const used: [*]const u16 = @ptrFromInt(self.place.used);
        return @atomicLoad(u16, &used[1], .acquire);
    }
};

/// Memory in which a back end notes what it works on, so that its successor can go on.
const Inflight = struct { fd: i32, size: u64, offset: u64 };

/// What this connection's back end has said and been told.
const Told = struct {
    offered: ?u64 = null,
    protocol_offered: ?u64 = null,
    protocol_set: bool = false,
    owner: bool = false,
    queue_limit: ?u64 = null,
    requests_fd: bool = false,
    config: bool = false,
    features: ?u64 = null,
    inflight: bool = false,
    memory: bool = false,
};

/// VIRTIO_F_VERSION_1 (virtio 1.2, section 6).
const feature_version_1: u64 = 1 << 32;

const Step = struct { request: Request, ring: u16 = 0 };

pub const Dialogue = struct {
    needs: Needs,
    /// Where the back end's own requests go to: its end of a socket pair.
    requests_fd: i32 = -1,
    /// Features that the guest was shown, so that every back end must have them.
    required: u64 = 0,
    /// DRIVER_OK with these features.
    active: bool = false,
    features: u64 = 0,
    /// The guest has reset its device, and the back end was not told yet.
    reset_due: bool = false,
    memory: Table = .{},
    rings: [limits.queue_count_max]Ring = @splat(.{}),
    inflight: ?Inflight = null,
    config: [protocol.config_size_max]u8 = @splat(0),
    /// Range of `config` that the driver wrote and the back end has not been told.
    written_start: u32 = 0,
    written_end: u32 = 0,
    told: Told = .{},
    asked: ?Step = null,
    features_sent: u64 = 0,
    /// The inflight memory that was asked for is for a driver that is gone.
    inflight_is_stale: bool = false,
    /// Config space has changed since this was last taken.
    config_changed: bool = false,
    /// What the last back end offered, that of this connection or one before.
    offered: u64 = 0,

    /// Everything is known of the back end that the device needs for its guest.
    pub fn introduced(self: *const Dialogue) bool {
        return self.introduction() == null;
    }

    /// The next message, or null while an answer is awaited or nothing is to be said.
    pub fn next(self: *Dialogue) ?Message {
        if (self.asked != null) return null;
        const step = self.introduction() orelse self.operation() orelse return null;
        self.asked = step;
        var message = self.compose(step);
        // What changes while the answer is awaited is told after it.
        switch (step.request) {
            .set_config => self.written_end = 0,
            .set_features => self.features_sent = self.features,
            .reset_device => self.reset_due = false,
            .get_inflight_fd => self.inflight_is_stale = false,
            else => {},
        }
        if (self.has(Protocol.reply_ack) and !step.request.hasAnswer()) {
            message.flags |= protocol.flag_need_reply;
        }
        return message;
    }

    /// After a message is sent: one without an answer is done.
    pub fn sent(self: *Dialogue) void {
        const step = self.asked orelse return;
        if (step.request.hasAnswer() or self.has(Protocol.reply_ack)) return;
        self.asked = null;
        self.done(step);
    }

    fn has(self: *const Dialogue, feature: u64) bool {
        if (!self.told.protocol_set) return false;
        return (self.told.protocol_offered orelse 0) & self.knownProtocol() & feature != 0;
    }

    fn knownProtocol(self: *const Dialogue) u64 {
        const always = Protocol.multi_queue | Protocol.reply_ack | Protocol.inflight |
            Protocol.reset_device;
        if (self.needs.config_size == 0) return always;
        return always | Protocol.config | Protocol.back_end_requests;
    }

    fn introduction(self: *const Dialogue) ?Step {
        const told = &self.told;
        const offered = told.offered orelse return .{ .request = .get_features };
        if (offered & protocol.feature_protocol != 0) {
            if (told.protocol_offered == null) return .{ .request = .get_protocol_features };
            if (!told.protocol_set) return .{ .request = .set_protocol_features };
        }
        if (!told.owner) return .{ .request = .set_owner };
        if (self.has(Protocol.multi_queue) and told.queue_limit == null) {
            return .{ .request = .get_queue_num };
        }
        if (self.has(Protocol.back_end_requests) and !told.requests_fd) {
            return .{ .request = .set_backend_req_fd };
        }
        if (self.needs.config_size != 0 and !told.config) return .{ .request = .get_config };
        return null;
    }

    fn operation(self: *const Dialogue) ?Step {
        const rings = self.rings[0..self.needs.ring_count];
        for (rings, 0..) |*ring, index| {
            if (ring.stage == .none or ring.wanted) continue;
            return .{ .request = .get_vring_base, .ring = @intCast(index) };
        }
        if (self.written_end != 0) return .{ .request = .set_config };
        const told = &self.told;
        if (self.reset_due and self.has(Protocol.reset_device)) {
            return .{ .request = .reset_device };
        }
        if (!self.active) return null;
        if (told.features != self.features) return .{ .request = .set_features };
        if (self.has(Protocol.inflight)) {
            if (self.inflight == null) return .{ .request = .get_inflight_fd };
            if (!told.inflight) return .{ .request = .set_inflight_fd };
        }
        if (!told.memory) return .{ .request = .set_mem_table };
        for (rings, 0..) |*ring, index| {
            if (self.ringStep(ring)) |request| {
                return .{ .request = request, .ring = @intCast(index) };
            }
        }
        return null;
    }

    fn ringStep(self: *const Dialogue, ring: *const Ring) ?Request {
        if (!ring.wanted) return null;
        return switch (ring.stage) {
            .none => .set_vring_num,
            .size => .set_vring_base,
            .base => .set_vring_addr,
            .addresses => .set_vring_call,
            .call => .set_vring_kick,
            .running => {
                // Without protocol features a ring runs as soon as it has its descriptors.
                const switched = self.told.protocol_set and ring.enabled_told != ring.enabled;
                return if (switched) .set_vring_enable else null;
            },
        };
    }

    fn compose(self: *Dialogue, step: Step) Message {
        const ring = &self.rings[step.ring];
        const index: u32 = step.ring;
        return switch (step.request) {
            .get_features, .get_protocol_features, .get_queue_num => .of(step.request, &.{}),
            .set_owner, .reset_device => .of(step.request, &.{}),
            .set_protocol_features => .ofNumber(step.request, self.knownProtocol() &
                (self.told.protocol_offered orelse 0)),
            .set_features => .ofNumber(step.request, self.features |
                ((self.told.offered orelse 0) & protocol.feature_protocol)),
            .set_backend_req_fd => .withFd(step.request, &.{}, self.requests_fd),
            .get_config => self.configMessage(step.request, 0, self.needs.config_size),
            .set_config => self.configMessage(step.request, self.written_start, self.written_end),
            .get_inflight_fd, .set_inflight_fd => self.inflightMessage(step.request),
            .set_mem_table => self.memory.message(),
            .set_vring_num => .ofState(step.request, index, ring.place.size),
            .set_vring_base => .ofState(step.request, index, ring.base),
            .get_vring_base => .ofState(step.request, index, 0),
            .set_vring_enable => .ofState(step.request, index, @intFromBool(ring.enabled)),
            .set_vring_addr => .of(step.request, std.mem.asBytes(&protocol.VringAddress{
                .index = index,
                .descriptors = ring.place.descriptors,
                .available = ring.place.available,
                .used = ring.place.used,
            })),
            .set_vring_kick => .ofDescriptor(step.request, index, ring.place.kick_fd),
            .set_vring_call => .ofDescriptor(step.request, index, ring.place.call_fd),
        };
    }

    fn configMessage(self: *const Dialogue, request: Request, start: u32, end: u32) Message {
        const header: protocol.ConfigHeader = .{ .offset = start, .size = end - start };
        var message: Message = .of(request, std.mem.asBytes(&header));
        message.append(self.config[start..end]);
        return message;
    }

    fn inflightMessage(self: *const Dialogue, request: Request) Message {
        var payload: protocol.Inflight = .{
            .queue_count = self.needs.ring_count,
            .queue_size = self.needs.queue_size_max,
        };
        const inflight = self.inflight orelse return .of(request, std.mem.asBytes(&payload));
        payload.size = inflight.size;
        payload.offset = inflight.offset;
        return .withFd(request, std.mem.asBytes(&payload), inflight.fd);
    }

    /// Takes an answer in; what it brings beside is closed or kept here.
    pub fn answer(self: *Dialogue, reply: *const Message) Error!void {
        var kept = false;
        defer if (!kept) for (reply.fds[0..reply.fd_count]) |fd| system.close(fd);
        const step = self.asked orelse return error.Form;
        if (reply.request != @backingInt(step.request)) return error.Form;
        const flags = protocol.flag_version | protocol.flag_reply;
        if (reply.flags & ~protocol.flag_need_reply != flags) return error.Form;
        const fds_wanted = step.request == .get_inflight_fd;
        if (!fds_wanted and reply.fd_count != 0) return error.Descriptors;
        try self.takeAnswer(step, reply);
        kept = fds_wanted;
        self.asked = null;
        self.done(step);
    }

    fn takeAnswer(self: *Dialogue, step: Step, reply: *const Message) Error!void {
        switch (step.request) {
            .get_features => {
                const offered = reply.as(u64) orelse return error.Size;
                const needed = feature_version_1 | self.required;
                if (needed & ~offered != 0) return error.Features;
                if (offered & protocol.feature_protocol == 0) try self.checkProtocol(0);
                self.told.offered = offered;
                self.offered = offered;
            },
            .get_protocol_features => {
                const offered = reply.as(u64) orelse return error.Size;
                try self.checkProtocol(offered);
                self.told.protocol_offered = offered;
            },
            .get_queue_num => {
                const count = reply.as(u64) orelse return error.Size;
                if (count *| self.needs.rings_per_count < self.needs.ring_count) {
                    return error.Queues;
                }
                self.told.queue_limit = count;
            },
            .get_vring_base => {
                const got = reply.as(protocol.VringState) orelse return error.Size;
                if (got.index != step.ring) return error.Answer;
                const ring = &self.rings[step.ring];
                if (!ring.stage.started()) return;
                ring.base = @truncate(got.number);
                ring.is_draining = self.needs.ends_chains;
            },
            .get_config => try self.takeConfig(reply),
            // A driver may ask for what its disk cannot do: what came of it, config space tells.
            .set_config => {
                _ = reply.as(u64) orelse return error.Size;
                self.told.config = false;
            },
            .get_inflight_fd => try self.takeInflight(reply),
            else => {
                const result = reply.as(u64) orelse return error.Size;
                if (result != 0) return error.Refused;
            },
        }
    }

    fn checkProtocol(self: *const Dialogue, offered: u64) Error!void {
        const needs = &self.needs;
        if (needs.config_size != 0 and offered & Protocol.config == 0) return error.Features;
        const counts = offered & Protocol.multi_queue != 0;
        if (needs.ring_count > needs.rings_always and !counts) return error.Queues;
    }

    fn takeConfig(self: *Dialogue, reply: *const Message) Error!void {
        const size = self.needs.config_size;
        if (reply.size != @sizeOf(protocol.ConfigHeader) + size) return error.Size;
        const bytes = reply.payload[@sizeOf(protocol.ConfigHeader)..][0..size];
        if (std.mem.eql(u8, bytes, self.config[0..size])) return;
        @memcpy(self.config[0..size], bytes);
        self.config_changed = true;
    }

    fn takeInflight(self: *Dialogue, reply: *const Message) Error!void {
        const got = reply.as(protocol.Inflight) orelse return error.Size;
        if (reply.fd_count != 1) return error.Descriptors;
        if (got.size == 0 or got.size > limits.vhost_user_inflight_size_max) return error.Answer;
        if (self.inflight_is_stale) return system.close(reply.fds[0]);
        self.inflight = .{ .fd = reply.fds[0], .size = got.size, .offset = got.offset };
    }

    /// A step that the back end took.
    fn done(self: *Dialogue, step: Step) void {
        const told = &self.told;
        const ring = &self.rings[step.ring];
        switch (step.request) {
            .get_features, .get_protocol_features, .get_queue_num, .get_inflight_fd => {},
            .set_protocol_features => told.protocol_set = true,
            .set_owner => told.owner = true,
            .set_backend_req_fd => told.requests_fd = true,
            .get_config => told.config = true,
            .set_config => {},
            .set_features => told.features = self.features_sent,
            .set_inflight_fd => told.inflight = true,
            .set_mem_table => told.memory = true,
            .reset_device => {
                told.features = null;
                told.inflight = false;
                told.memory = false;
            },
            .set_vring_num => ring.stage = .size,
            .set_vring_base => ring.stage = .base,
            .set_vring_addr => ring.stage = .addresses,
            .set_vring_call => ring.stage = .call,
            .set_vring_kick => {
                ring.stage = .running;
                ring.enabled_told = false;
            },
            .get_vring_base => ring.stage = .none,
            .set_vring_enable => ring.enabled_told = ring.enabled,
        }
    }

    /// The connection is gone, and no ring is wanted until its owner hands it over again. One that
    /// ran goes on where the guest has seen it: what the back end had taken and not finished is in
    /// `inflight`, or taken once more.
    pub fn lose(self: *Dialogue) void {
        for (self.rings[0..self.needs.ring_count]) |*ring| {
            if (ring.stage.started() or ring.is_draining) ring.base = ring.usedIndex();
            ring.is_draining = false;
            ring.stage = .none;
            ring.wanted = false;
        }
        self.told = .{};
        self.asked = null;
        self.reset_due = false;
        self.written_end = 0;
    }

    /// The guest has reset its device: nothing of it goes on. All rings are back.
    pub fn forget(self: *Dialogue) void {
        self.active = false;
        self.reset_due = self.told.features != null;
        self.inflight_is_stale = true;
        self.written_end = 0;
        for (&self.rings) |*ring| ring.enabled = true;
        self.dropInflight();
    }

    /// Whether a ring that is not wanted is its owner's again, and `base` says where it goes on.
    pub fn isBack(self: *const Dialogue, index: u16) bool {
        const ring = &self.rings[index];
        if (ring.wanted or ring.stage != .none or ring.is_draining) return false;
        const step = self.asked orelse return true;
        return step.ring != index or !step.request.isOfRing();
    }

    /// Looks after rings whose last chains are awaited; true while there are some.
    pub fn drain(self: *Dialogue) bool {
        var waits = false;
        for (self.rings[0..self.needs.ring_count]) |*ring| {
            if (ring.is_draining and ring.usedIndex() == ring.base) ring.is_draining = false;
            waits = waits or ring.is_draining;
        }
        return waits;
    }

    /// All rings that are not wanted are back.
    pub fn quiet(self: *const Dialogue) bool {
        for (0..self.needs.ring_count) |index| {
            const wanted = self.rings[index].wanted;
            if (!wanted and !self.isBack(@intCast(index))) return false;
        }
        return true;
    }

    /// A driver wrote a byte of config space.
    pub fn writeConfig(self: *Dialogue, offset: usize, value: u8) void {
        const at: u32 = @intCast(offset);
        if (at >= self.needs.config_size) return;
        self.config[at] = value;
        self.written_start = if (self.written_end == 0) at else @min(self.written_start, at);
        self.written_end = @max(self.written_end, at + 1);
    }

    pub fn dropInflight(self: *Dialogue) void {
        const inflight = self.inflight orelse return;
        system.close(inflight.fd);
        self.inflight = null;
        self.told.inflight = false;
    }
};
