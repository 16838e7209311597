//! Saved states as bytes: a header that names the thing, its version and its whole length, then
//! structs and arrays one after the other without gaps. What is read is checked, never trusted.

const std = @import("std");
const errors = @import("errors.zig");

/// "SVst" in little endian.
const magic = 0x7473_5653;

pub const Header = extern struct {
    magic: u32 = magic,
    /// What the state is of: a number that no other kind of thing has.
    kind: u32,
    /// Of the layout that follows; each kind counts its own.
    version: u32,
    reserved: u32 = 0,
    /// Bytes of the whole state, this header among them.
    size: u64 = 0,
};

/// Writes into a buffer that may be too small: then it only counts what would be needed.
pub const Writer = struct {
    buffer: []u8,
    /// Bytes written or needed so far.
    size: usize = 0,

    pub fn begin(buffer: []u8, kind: u32, version: u32) Writer {
        var self: Writer = .{ .buffer = buffer };
        self.put(&Header{ .kind = kind, .version = version });
        return self;
    }

    /// `value` points to a struct or an array without padding: its bytes leave the process.
    pub fn put(self: *Writer, value: anytype) void {
        self.putBytes(std.mem.asBytes(value));
    }

    pub fn putBytes(self: *Writer, bytes: []const u8) void {
        if (self.size + bytes.len <= self.buffer.len) {
            @memcpy(self.buffer[self.size..][0..bytes.len], bytes);
        }
        self.size += bytes.len;
    }

    /// Completes the header; returns the whole size. Limit when the buffer is smaller than that.
    pub fn finish(self: *Writer) error{Limit}!void {
        if (self.size > self.buffer.len) return error.Limit;
        const offset = @offsetOf(Header, "size");
        std.mem.writeInt(u64, self.buffer[offset..][0..8], self.size, .little);
    }
};

pub const Reader = struct {
    bytes: []const u8,
    offset: usize,
    failure: *errors.Failure,

    /// Checks the header. `failure` says what is wrong whenever this or a later call is Invalid.
    pub fn begin(
        bytes: []const u8,
        kind: u32,
        version: u32,
        failure: *errors.Failure,
    ) error{Invalid}!Reader {
        var self: Reader = .{ .bytes = bytes, .offset = 0, .failure = failure };
        const header = try self.take(Header);
        if (header.magic != magic) return self.refuse(.state_kind, header.magic);
        if (header.kind != kind) return self.refuse(.state_kind, header.kind);
        if (header.version != version) return self.refuse(.state_version, header.version);
        if (header.size != bytes.len) return self.refuse(.state_size, header.size);
        return self;
    }

    pub fn take(self: *Reader, comptime T: type) error{Invalid}!T {
        const bytes = try self.takeBytes(@sizeOf(T));
        return std.mem.bytesToValue(T, bytes);
    }

    fn takeBytes(self: *Reader, size: usize) error{Invalid}![]const u8 {
        const rest = self.bytes[self.offset..];
        if (size > rest.len) return self.refuse(.state_size, self.bytes.len);
        self.offset += size;
        return rest[0..size];
    }

    /// Fills a table with `count` items.
    pub fn takeInto(self: *Reader, items: anytype) error{Invalid}!void {
        const target = std.mem.sliceAsBytes(items);
        @memcpy(target, try self.takeBytes(target.len));
    }

    /// What was taken last makes no sense.
    pub fn senseless(self: *Reader, size: usize) error{Invalid} {
        return self.refuse(.state_content, self.offset - size);
    }

    /// Nothing may be left.
    pub fn end(self: *Reader) error{Invalid}!void {
        if (self.offset != self.bytes.len) return self.refuse(.state_size, self.bytes.len);
    }

    pub fn refuse(self: *Reader, operation: errors.Operation, value: u64) error{Invalid} {
        self.failure.* = .{ .operation = operation, .value = value };
        return error.Invalid;
    }
};

test "what was written is read, and a buffer that is too small says how much is needed" {
    var buffer: [64]u8 = undefined;
    for (0..buffer.len) |size| {
        var writer: Writer = .begin(buffer[0..size], 7, 1);
        writer.put(&@as(u64, 42));
        writer.putBytes("abc");
        try std.testing.expectEqual(@sizeOf(Header) + 11, writer.size);
        if (size < writer.size) {
            try std.testing.expectError(error.Limit, writer.finish());
            continue;
        }
        try writer.finish();
        var failure: errors.Failure = .{};
        var reader: Reader = try .begin(buffer[0..writer.size], 7, 1, &failure);
        try std.testing.expectEqual(42, try reader.take(u64));
        try std.testing.expectEqualStrings("abc", try reader.takeBytes(3));
        try reader.end();
        try std.testing.expectError(error.Invalid, reader.take(u8));
    }
}

test "another kind, another version and another length are told apart" {
    var buffer: [40]u8 = undefined;
    var writer: Writer = .begin(&buffer, 7, 1);
    writer.put(&@as(u64, 42));
    try writer.finish();
    const bytes = buffer[0..writer.size];
    var failure: errors.Failure = .{};
    try std.testing.expectError(error.Invalid, Reader.begin(bytes, 8, 1, &failure));
    try std.testing.expectEqual(errors.Operation.state_kind, failure.operation);
    try std.testing.expectError(error.Invalid, Reader.begin(bytes, 7, 2, &failure));
    const newer: errors.Failure = .{ .operation = .state_version, .value = 1 };
    try std.testing.expectEqual(newer, failure);
    try std.testing.expectError(error.Invalid, Reader.begin(bytes[0..31], 7, 1, &failure));
    try std.testing.expectEqual(errors.Operation.state_size, failure.operation);
    var reader: Reader = try .begin(bytes, 7, 1, &failure);
    try std.testing.expectError(error.Invalid, reader.end());
    bytes[0] +%= 1;
    try std.testing.expectError(error.Invalid, Reader.begin(bytes, 7, 1, &failure));
    try std.testing.expectEqual(errors.Operation.state_kind, failure.operation);
}
