//! Offers the project's C++ functions under names of their own, to compare them with a library's.

/// Traps: a message would pull in the unwinder.
pub const panic = @import("std").debug.no_panic;

const cast = @import("cxx").cast;
const tree = @import("cxx").tree;

extern const _ZTVN10__cxxabiv120__si_class_type_infoE: u8;
extern const _ZTVN10__cxxabiv121__vmi_class_type_infoE: u8;

export fn own_dynamic_cast(
    source: usize,
    source_info: *const cast.TypeInfo,
    wanted: *const cast.TypeInfo,
) usize {
    const kinds: cast.Kinds = .{
        .single = @intFromPtr(&_ZTVN10__cxxabiv120__si_class_type_infoE),
        .multiple = @intFromPtr(&_ZTVN10__cxxabiv121__vmi_class_type_infoE),
    };
    return cast.dynamicCast(kinds, source, source_info, wanted);
}

comptime {
    @export(&tree.insert, .{ .name = "own_insert" });
    @export(&tree.erase, .{ .name = "own_erase" });
    @export(&tree.next, .{ .name = "own_next" });
    @export(&tree.previous, .{ .name = "own_previous" });
}
