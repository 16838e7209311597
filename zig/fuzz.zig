//! The fuzzers in one program, by name and seed: `zig build fuzz -- NAME SEED [ITERATIONS]`. The
//! same words repeat the same run.

const std = @import("std");
const linux = std.os.linux;

const fuzzers = .{
    .queue = @import("virtio/fuzz_queue.zig"),
    .state = @import("fuzz_state.zig"),
};

const default_iteration_count = 100_000;

pub fn main(init: std.process.Init.Minimal) !void {
    var arguments = init.args.iterate();
    _ = arguments.skip();
    const name = arguments.next() orelse return fail("name a fuzzer: queue, state\n");
    const seed = try readNumber(arguments.next()) orelse return fail("give a seed, such as 1\n");
    const iterations = try readNumber(arguments.next()) orelse default_iteration_count;
    inline for (@typeInfo(@TypeOf(fuzzers)).@"struct".field_names) |known| {
        if (std.mem.eql(u8, name, known)) return @field(fuzzers, known).run(seed, iterations);
    }
    return fail("there is no such fuzzer; known are: queue, state\n");
}

fn readNumber(text: ?[:0]const u8) !?u64 {
    return try std.fmt.parseInt(u64, text orelse return null, 0);
}

fn fail(sentence: []const u8) error{BadArguments} {
    _ = linux.write(2, sentence.ptr, sentence.len);
    return error.BadArguments;
}
