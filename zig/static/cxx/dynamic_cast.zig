//! `dynamic_cast` over the type descriptors of the Itanium C++ ABI (sections 2.9.5 and 2.9.7).
//! A descriptor's own virtual table tells its kind; where these tables lie is a parameter.

const std = @import("std");

/// Layout of std::type_info.
pub const TypeInfo = extern struct { table: usize, name: [*:0]const u8 };

/// Layout of abi::__si_class_type_info: one public, non-virtual base at offset 0.
const SingleTypeInfo = extern struct { info: TypeInfo, base: *const TypeInfo };

const Base = extern struct {
    info: *const TypeInfo,
    offset_flags: isize,

    const is_virtual = 1;
    const is_public = 2;
    const offset_shift = 8;
};

/// Layout of the fixed part of abi::__vmi_class_type_info; `base_count` bases follow.
const MultipleTypeInfo = extern struct { info: TypeInfo, flags: c_uint, base_count: c_uint };

/// A descriptor's `table` points past the two words that head every virtual table.
const table_head_size = 2 * @sizeOf(usize);

/// Addresses of the virtual tables of the kinds of descriptors that have bases.
pub const Kinds = struct { single: usize, multiple: usize };

/// A subobject: an address and the type seen there.
const Place = struct { address: usize, info: *const TypeInfo };

/// Whether a subobject can be reached over public bases only.
const Access = enum { public, restricted };

const BasePlace = struct { place: Place, access: Access };

/// The base of a number, or null when the type has fewer.
fn baseAt(kinds: Kinds, place: Place, index: usize) ?BasePlace {
    const table = place.info.table -% table_head_size;
    if (table == kinds.single and index == 0) {
        const info: *const SingleTypeInfo = @ptrCast(place.info);
        return .{ .place = .{ .address = place.address, .info = info.base }, .access = .public };
    }
    if (table != kinds.multiple) return null;
    const info: *const MultipleTypeInfo = @ptrCast(@alignCast(place.info));
    if (index >= info.base_count) return null;
    const end: [*]const MultipleTypeInfo = @ptrCast(info);
    const bases: [*]const Base = @ptrCast(@alignCast(end + 1));
    const base = bases[index];
    return .{
        .place = .{ .address = baseAddress(place.address, base), .info = base.info },
        .access = if (base.offset_flags & Base.is_public != 0) .public else .restricted,
    };
}

/// The offset of a virtual base is in the object's virtual table, at the offset given.
fn baseAddress(object: usize, base: Base) usize {
    const offset = base.offset_flags >> Base.offset_shift;
    if (base.offset_flags & Base.is_virtual == 0) return object +% @as(usize, @bitCast(offset));
    const table: *const usize = @ptrFromInt(object);
    const entry: *const usize = @ptrFromInt(table.* +% @as(usize, @bitCast(offset)));
    return object +% entry.*;
}

/// Two descriptors of one type may exist; a name that begins with '*' is unique to its file.
fn isSameType(left: *const TypeInfo, right: *const TypeInfo) bool {
    if (left == right or left.name == right.name) return true;
    return left.name[0] != '*' and std.mem.orderZ(u8, left.name, right.name) == .eq;
}

/// Whether `base` is `object` or one of its bases, reached over public bases only.
fn isPublicBase(kinds: Kinds, object: Place, base: Place) bool {
    if (object.address == base.address and isSameType(object.info, base.info)) return true;
    var index: usize = 0;
    while (baseAt(kinds, object, index)) |next| : (index += 1) {
        if (next.access == .public and isPublicBase(kinds, next.place, base)) return true;
    }
    return false;
}

/// The distinct subobjects of the wanted type that a walk over the whole object met; a virtual base
/// is met once for each path.
const Candidates = struct {
    last: usize = 0,
    count: usize = 0,
    access: Access = .restricted,

    fn add(candidates: *Candidates, address: usize, access: Access) void {
        if (access == .public) candidates.access = .public;
        if (candidates.last == address) return;
        candidates.last = address;
        candidates.count += 1;
    }
};

const Search = struct {
    kinds: Kinds,
    source: Place,
    wanted: *const TypeInfo,
    /// Candidates that have the source as a public base: a cast down.
    down: Candidates = .{},
    /// Candidates that are bases of the whole object: a cast across, if one and public.
    across: Candidates = .{},

    fn walk(search: *Search, place: Place, access: Access) void {
        if (isSameType(place.info, search.wanted)) {
            const is_down = isPublicBase(search.kinds, place, search.source);
            if (is_down) search.down.add(place.address, .public);
            search.across.add(place.address, access);
            return;
        }
        var index: usize = 0;
        while (baseAt(search.kinds, place, index)) |base| : (index += 1) {
            search.walk(base.place, if (access == .public) base.access else .restricted);
        }
    }
};

/// The address of the `wanted` subobject of the object that holds the `source` subobject, or 0 when
/// there is none, it is not accessible or it is ambiguous (C++ standard, [expr.dynamic.cast]).
pub fn dynamicCast(
    kinds: Kinds,
    source_address: usize,
    source_info: *const TypeInfo,
    wanted: *const TypeInfo,
) usize {
    const source: Place = .{ .address = source_address, .info = source_info };
    const table: *const usize = @ptrFromInt(source_address);
    const head: *const [2]usize = @ptrFromInt(table.* - table_head_size);
    const whole: Place = .{ .address = source_address +% head[0], .info = @ptrFromInt(head[1]) };
    if (isSameType(whole.info, wanted)) {
        return if (isPublicBase(kinds, whole, source)) whole.address else 0;
    }
    var search: Search = .{ .kinds = kinds, .source = source, .wanted = wanted };
    search.walk(whole, .public);
    if (search.down.count == 1) return search.down.last;
    const across = search.across;
    const is_across = search.down.count == 0 and across.count == 1 and across.access == .public;
    return if (is_across and isPublicBase(kinds, whole, source)) across.last else 0;
}
