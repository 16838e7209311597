//! What CPUID tells a vCPU: the host's supported leaves with the machine's own topology
//! (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E; behaviour of leaf 0x1F with dies).

const std = @import("std");
const kvm = @import("../../kernel/kvm.zig");

pub const entry_count_max = 256;

/// CPUs per container; each is at least 1. APIC ids use a power of two for each level.
pub const Topology = extern struct {
    threads: u32,
    cores: u32,
    dies: u32,
    sockets: u32,

    fn threadShift(self: Topology) u5 {
        return shiftFor(self.threads);
    }
    fn coreShift(self: Topology) u5 {
        return self.threadShift() + shiftFor(self.cores);
    }
    fn packageShift(self: Topology) u5 {
        return self.coreShift() + shiftFor(self.dies);
    }
    fn threadsPerPackage(self: Topology) u32 {
        return self.threads * self.cores * self.dies;
    }

    /// APIC id of the CPU with this index, counted thread, core, die, socket.
    pub fn apicId(self: Topology, index: u32) u32 {
        const thread = index % self.threads;
        const core = index / self.threads % self.cores;
        const die = index / (self.threads * self.cores) % self.dies;
        const socket = index / self.threadsPerPackage();
        return thread | core << self.threadShift() | die << self.coreShift() |
            socket << self.packageShift();
    }
};

fn shiftFor(count: u32) u5 {
    return @intCast(std.math.log2_int_ceil(u32, count));
}

/// The smaller one, in full width so that it can be shifted into place.
fn capped(value: u32, bound: u32) u32 {
    return @min(value, bound);
}

pub const Options = struct {
    topology: Topology,
    apic_id: u32,
    tsc_deadline: bool,
};

/// A table of leaves in the form that KVM_SET_CPUID2 takes.
pub const Table = extern struct {
    header: kvm.CpuidHeader,
    entries: [entry_count_max]kvm.CpuidEntry,

    pub fn used(self: *Table) []kvm.CpuidEntry {
        return self.entries[0..self.header.count];
    }

    fn find(self: *Table, function: u32) ?*kvm.CpuidEntry {
        for (self.used()) |*entry| if (entry.function == function) return entry;
        return null;
    }

    fn removeAll(self: *Table, function: u32) void {
        var kept: u32 = 0;
        for (self.used()) |entry| {
            if (entry.function == function) continue;
            self.entries[kept] = entry;
            kept += 1;
        }
        self.header.count = kept;
    }

    fn append(self: *Table, entry: kvm.CpuidEntry) void {
        if (self.header.count == entry_count_max) return;
        self.entries[self.header.count] = entry;
        self.header.count += 1;
    }

    /// Turns the host's supported leaves into those of one vCPU.
    pub fn adjust(self: *Table, options: Options) void {
        const topology = options.topology;
        self.adjustBasic(options);
        self.adjustCaches(4, topology);
        self.adjustCaches(0x8000_001d, topology);
        self.removeAll(0xb);
        self.appendLevels(0xb, &.{ .thread, .core }, options);
        self.removeAll(0x1f);
        if (topology.dies > 1) {
            self.appendLevels(0x1f, &.{ .thread, .core, .die }, options);
            if (self.find(0)) |leaf| leaf.eax = @max(leaf.eax, 0x1f);
        }
        if (self.find(0)) |leaf| leaf.eax = @max(leaf.eax, 0xb);
        if (self.find(0x6)) |leaf| leaf.ecx &= ~@as(u32, 1 << 3);
        if (self.find(0xa)) |leaf| {
            if (leaf.eax & 0xff != 2) {
                leaf.eax = 0;
                leaf.ebx = 0;
                leaf.ecx = 0;
                leaf.edx = 0;
            }
        }
        self.adjustAmd(options);
    }

    fn adjustBasic(self: *Table, options: Options) void {
        const leaf = self.find(1) orelse return;
        const count = options.topology.threadsPerPackage();
        leaf.ebx = (leaf.ebx & 0xffff) | capped(count, 255) << 16 | options.apic_id << 24;
        leaf.ecx |= feature_hypervisor | feature_x2apic;
        if (options.tsc_deadline) leaf.ecx |= feature_tsc_deadline;
        if (count > 1) leaf.edx |= feature_multithreading else leaf.edx &= ~feature_multithreading;
    }

    /// Leaf 4 and its AMD twin: how many CPUs share each cache.
    fn adjustCaches(self: *Table, function: u32, topology: Topology) void {
        for (self.used()) |*entry| {
            if (entry.function != function or entry.eax & 0x1f == 0) continue;
            const level = entry.eax >> 5 & 7;
            const sharing = if (level < 3) topology.threads else topology.threads * topology.cores;
            entry.eax = (entry.eax & 0x3fff) | (capped(sharing, 4096) - 1) << 14;
            if (function == 4) entry.eax |= (capped(topology.cores * topology.dies, 64) - 1) << 26;
        }
    }

    const Level = enum(u32) { thread = 1, core = 2, die = 5 };

    /// Extended topology: one sub-leaf for each level, and one that ends the list.
    fn appendLevels(self: *Table, function: u32, levels: []const Level, options: Options) void {
        const topology = options.topology;
        for (levels, 0..) |level, index| {
            const last = index + 1 == levels.len;
            self.append(.{
                .function = function,
                .index = @intCast(index),
                .flags = kvm.CpuidEntry.significant_index,
                .eax = switch (level) {
                    .thread => topology.threadShift(),
                    .core => if (last) topology.packageShift() else topology.coreShift(),
                    .die => topology.packageShift(),
                },
                .ebx = switch (level) {
                    .thread => topology.threads,
                    .core => if (last)
                        topology.threadsPerPackage()
                    else
                        topology.threads * topology.cores,
                    .die => topology.threadsPerPackage(),
                },
                .ecx = @as(u32, @intCast(index)) | @backingInt(level) << 8,
                .edx = options.apic_id,
            });
        }
        self.append(.{
            .function = function,
            .index = @intCast(levels.len),
            .flags = kvm.CpuidEntry.significant_index,
            .eax = 0,
            .ebx = 0,
            .ecx = @intCast(levels.len),
            .edx = options.apic_id,
        });
    }

    fn adjustAmd(self: *Table, options: Options) void {
        const topology = options.topology;
        const count = topology.threadsPerPackage();
        if (self.find(0x8000_0001)) |leaf| {
            if (count > 1) leaf.ecx |= feature_amd_legacy else leaf.ecx &= ~feature_amd_legacy;
        }
        if (self.find(0x8000_0008)) |leaf| {
            leaf.ecx = (count - 1) & 0xff | @as(u32, topology.packageShift()) << 12;
        }
        if (self.find(0x8000_001e)) |leaf| {
            leaf.eax = options.apic_id;
            const core = options.apic_id >> topology.threadShift() & 0xff;
            leaf.ebx = core | (topology.threads - 1) << 8;
            const die = options.apic_id >> topology.coreShift();
            leaf.ecx = die & 0xff | (capped(topology.dies, 8) - 1) << 8;
            leaf.edx = 0;
        }
    }
};

const feature_hypervisor = 1 << 31;
const feature_tsc_deadline = 1 << 24;
const feature_x2apic = 1 << 21;
const feature_multithreading: u32 = 1 << 28;
const feature_amd_legacy: u32 = 1 << 1;

test "APIC ids leave room for a power of two at each level" {
    const topology: Topology = .{ .threads = 2, .cores = 3, .dies = 1, .sockets = 2 };
    try std.testing.expectEqual(@as(u32, 0), topology.apicId(0));
    try std.testing.expectEqual(@as(u32, 1), topology.apicId(1));
    try std.testing.expectEqual(@as(u32, 2), topology.apicId(2));
    try std.testing.expectEqual(@as(u32, 8), topology.apicId(6));
}

test "leaf 0x1F appears with more than one die and leaf 0 names it" {
    var table: Table = .{ .header = .{ .count = 1 }, .entries = undefined };
    table.entries[0] = std.mem.zeroes(kvm.CpuidEntry);
    table.entries[0].eax = 0xd;
    const topology: Topology = .{ .threads = 1, .cores = 2, .dies = 2, .sockets = 1 };
    table.adjust(.{ .topology = topology, .apic_id = 3, .tsc_deadline = true });
    try std.testing.expectEqual(@as(u32, 0x1f), table.find(0).?.eax);
    const die = table.used()[table.header.count - 2];
    try std.testing.expectEqual(@as(u32, 0x502), die.ecx);
    try std.testing.expectEqual(@as(u32, 4), die.ebx);
    try std.testing.expectEqual(@as(u32, 3), die.edx);
}
