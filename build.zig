//! Builds the core library, the generator of its TypeScript side, and the unit tests.

const std = @import("std");

pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{});
    const optimize = b.standardOptimizeOption(.{ .preferred_optimize_mode = .ReleaseSafe });

    const library = b.addLibrary(.{
        .name = "stratovirt_core",
        .linkage = .dynamic,
        .root_module = coreModule(b, "zig/lib.zig", target, optimize),
    });
    b.installArtifact(library);

    const gen = b.step("gen", "Print the files for TypeScript into zig-out/gen");
    addGenerator(b, gen, .{ .root = "zig/abi_gen.zig", .output = "abi.gen.ts" });
    addGenerator(b, gen, .{ .root = "zig/trace_gen.zig", .output = "trace_events.gen.ts" });

    const fuzzer = b.addExecutable(.{
        .name = "fuzz",
        .root_module = coreModule(b, "zig/fuzz.zig", target, .ReleaseSafe),
    });
    const fuzz = b.addRunArtifact(fuzzer);
    fuzz.addPassthruArgs();
    b.step("fuzz", "Run a fuzzer: -- NAME SEED [STEPS|SECONDSs]").dependOn(&fuzz.step);

    const tests = b.addTest(.{ .root_module = coreModule(b, "zig/tests.zig", target, .Debug) });
    b.step("test", "Run the unit tests").dependOn(&b.addRunArtifact(tests).step);
}

/// A program that prints a file for TypeScript.
fn addGenerator(
    b: *std.Build,
    gen: *std.Build.Step,
    options: struct { root: []const u8, output: []const u8 },
) void {
    const generator = b.addExecutable(.{
        .name = std.fs.path.stem(options.root),
        .root_module = coreModule(b, options.root, b.graph.host, .Debug),
    });
    const generate = b.addRunArtifact(generator);
    const update = b.addInstallFileWithDir(
        generate.captureStdOut(.{}),
        .{ .custom = "../zig-out/gen" },
        options.output,
    );
    gen.dependOn(&update.step);
}

fn coreModule(
    b: *std.Build,
    root: []const u8,
    target: std.Build.ResolvedTarget,
    optimize: std.lang.OptimizeMode,
) *std.Build.Module {
    return b.createModule(.{
        .root_source_file = b.path(root),
        .target = target,
        .optimize = optimize,
        .link_libc = true,
    });
}
