//! The parts of the C++ library that stand on their own, for tests.

pub const cast = @import("dynamic_cast.zig");
pub const tree = @import("tree.zig");
