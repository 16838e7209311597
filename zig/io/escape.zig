//! The keys of a console that are for the host: Ctrl-A x leaves, Ctrl-A twice sends one.

const std = @import("std");
const Doorbell = @import("doorbell.zig").Doorbell;

const escape_key = 0x01;

pub const Escape = struct {
    /// The last byte so far was the escape key.
    seen: bool = false,

    /// Takes the host's keys out of `data`; what is left are its first bytes.
    pub fn filter(self: *Escape, data: []u8, doorbell: *Doorbell) []u8 {
        var kept: usize = 0;
        for (data) |byte| {
            if (self.seen) {
                self.seen = false;
                if (byte == 'x') doorbell.ring(.console_quit);
                if (byte != escape_key) continue;
            } else if (byte == escape_key) {
                self.seen = true;
                continue;
            }
            data[kept] = byte;
            kept += 1;
        }
        return data[0..kept];
    }
};

test "the escape is taken out, also when it comes in two parts" {
    var doorbell: Doorbell = .{};
    var escape: Escape = .{};
    var first = "one\x01".*;
    var second = "\x01two\x01x".*;
    try std.testing.expectEqualStrings("one", escape.filter(&first, &doorbell));
    try std.testing.expectEqual(@as(u32, 0), doorbell.take());
    try std.testing.expectEqualStrings("\x01two", escape.filter(&second, &doorbell));
    try std.testing.expect(doorbell.take() != 0);
}
