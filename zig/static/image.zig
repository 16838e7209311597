//! What the glue must know about Bun's image: facts read from its ELF file at build time and laid
//! down by scripts/static/imports.ts, in this order.

/// An object that Bun keeps in its own image and expects filled from a library (R_*_COPY).
pub const Copy = extern struct { destination: usize, source: usize, size: usize };

/// A constructor or destructor.
pub const Hook = *const fn () callconv(.c) void;

pub const RuntimeImage = extern struct {
    init: Hook,
    fini: Hook,
    init_array: [*]const usize,
    init_array_count: usize,
    fini_array: [*]const usize,
    fini_array_count: usize,
    /// Every word that a dynamic loader would have bound lies between these two addresses.
    bound_start: usize,
    bound_end: usize,
    /// Addresses of the virtual tables of the three `std::type_info` kinds.
    class_type_info: usize,
    single_type_info: usize,
    multiple_type_info: usize,
};

pub extern const runtime_image: RuntimeImage;

/// The copies follow the image; a null one ends them.
pub fn copies() [*]const Copy {
    const end: [*]const RuntimeImage = @ptrCast(&runtime_image);
    return @ptrCast(end + 1);
}
