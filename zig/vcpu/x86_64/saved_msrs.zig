//! The model-specific registers that a snapshot keeps: all that KVM lists and can read, but for
//! those that have no meaning for another machine.

const std = @import("std");
const errors = @import("../../errors.zig");
const kvm = @import("../../kernel/kvm.zig");
const kvm_state = @import("../../kernel/kvm_state.zig");
const limits = @import("../../limits.zig");
const system = @import("../../kernel/system.zig");

pub const tsc = 0x10;
pub const tsc_deadline = 0x6e0;

/// Saved and restored apart from the others, for their values go with the time.
const timed = [_]u32{ tsc, tsc_deadline };

/// A write makes KVM put the time of the boot where they point to: a guest reads that once, right
/// after its own write, and may have other things there by now (KVM's x86/msr.rst).
const wall_clocks = [_]u32{ 0x11, 0x4b56_4d00 };

/// Of Hyper-V, which no guest of ours is told of.
const hyperv_first = 0x4000_0000;
const hyperv_last = 0x4000_01ff;

/// Memory types (Intel SDM volume 3, 13.11.2): KVM keeps them, and old ones do not list them.
const memory_types = [_]u32{
    0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207, 0x208, 0x209, 0x20a, 0x20b,
    0x20c, 0x20d, 0x20e, 0x20f, 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c,
    0x26d, 0x26e, 0x26f, 0x2ff,
};

const IndexList = extern struct {
    header: kvm_state.MsrIndexHeader,
    indices: [limits.msr_count_max]u32,
};

pub const Table = struct {
    entries: [limits.msr_count_max]kvm.MsrEntry = undefined,
    count: usize = 0,

    pub fn used(self: *const Table) []const kvm.MsrEntry {
        return self.entries[0..self.count];
    }

    /// The registers to save, without values. `system_fd` is /dev/kvm. Errors: Host.
    pub fn list(self: *Table, system_fd: i32, failure: *errors.Failure) errors.HostError!void {
        var known: IndexList = .{
            .header = .{ .count = limits.msr_count_max },
            .indices = undefined,
        };
        const argument = @intFromPtr(&known);
        const answer = system.ioctl(system_fd, kvm_state.get_msr_index_list, argument);
        if (!answer.ok()) return failure.set(.kvm_save_vcpu, answer.errno, 0x02);
        for (known.indices[0..known.header.count]) |index| self.add(index);
        for (memory_types) |index| self.add(index);
    }

    fn add(self: *Table, index: u32) void {
        if (self.count == self.entries.len or isLeftOut(index)) return;
        for (self.used()) |entry| if (entry.index == index) return;
        self.entries[self.count] = .{ .index = index, .data = 0 };
        self.count += 1;
    }

    /// Reads all values; those that this vCPU has not are dropped.
    pub fn read(self: *Table, vcpu_fd: i32) void {
        var kept: usize = 0;
        var next: usize = 0;
        while (next < self.count) {
            const rest = self.entries[next..self.count];
            const done = transfer(vcpu_fd, kvm_state.get_msrs, rest);
            std.mem.copyForwards(kvm.MsrEntry, self.entries[kept..], rest[0..done]);
            kept += done;
            // One that stopped the kernel is passed over.
            next += if (done < @min(rest.len, batch_count)) done + 1 else done;
        }
        self.count = kept;
    }

    /// Sets all values. A register that refuses is well if it holds its value already.
    pub fn write(
        self: *Table,
        vcpu_fd: i32,
        failure: *errors.Failure,
    ) errors.HostError!void {
        var next: usize = 0;
        while (next < self.count) {
            const rest = self.entries[next..self.count];
            const done = transfer(vcpu_fd, kvm.set_msrs, rest);
            next += done;
            if (done == @min(rest.len, batch_count)) continue;
            const refused = self.entries[next];
            var held: [1]kvm.MsrEntry = .{refused};
            const was_read = transfer(vcpu_fd, kvm_state.get_msrs, &held) == 1;
            if (!was_read or held[0].data != refused.data) {
                return failure.set(.kvm_restore_msr, system.EINVAL, refused.index);
            }
            next += 1;
        }
    }
};

/// One register's value; null when the vCPU has no such register.
pub fn readOne(vcpu_fd: i32, index: u32) ?u64 {
    var entries = [1]kvm.MsrEntry{.{ .index = index, .data = 0 }};
    return if (transfer(vcpu_fd, kvm_state.get_msrs, &entries) == 1) entries[0].data else null;
}

pub fn writeOne(
    vcpu_fd: i32,
    index: u32,
    value: u64,
    failure: *errors.Failure,
) errors.HostError!void {
    var table: Table = .{ .count = 1 };
    table.entries[0] = .{ .index = index, .data = value };
    return table.write(vcpu_fd, failure);
}

fn isLeftOut(index: u32) bool {
    if (index >= hyperv_first and index <= hyperv_last) return true;
    return std.mem.findScalar(u32, &(timed ++ wall_clocks), index) != null;
}

/// The kernel takes at most 256 at once.
const batch_count = 128;

/// How many of the first `batch_count` were read or written before one was refused.
fn transfer(vcpu_fd: i32, request: u32, entries: []kvm.MsrEntry) usize {
    var list: extern struct { header: kvm.MsrHeader, entries: [batch_count]kvm.MsrEntry } = .{
        .header = .{ .count = @intCast(@min(entries.len, batch_count)) },
        .entries = undefined,
    };
    const count = list.header.count;
    @memcpy(list.entries[0..count], entries[0..count]);
    const answer = system.ioctl(vcpu_fd, request, @intFromPtr(&list));
    if (!answer.ok()) return 0;
    const done = @min(answer.value, count);
    @memcpy(entries[0..done], list.entries[0..done]);
    return done;
}
