//! Scalars of the boundary whose meaning their width does not tell.

/// A number that does not fit 53 bits crosses as a bigint; u64 crosses as a checked number.
pub const Bits64 = enum(u64) { _ };

/// An address of TypeScript's memory: a typed array on that side.
pub const Pointer = enum(usize) { _ };
