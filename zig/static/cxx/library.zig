//! The functions of the C++ library that Bun's musl build imports, under their C++ names. Bun
//! throws no exception, so whatever would throw one says why and aborts.

const std = @import("std");
const cast = @import("dynamic_cast.zig");
const hash = @import("hash.zig");
const image = @import("../image.zig");
const sync = @import("sync.zig");
const tree = @import("tree.zig");

const policy = "_ZNKSt8__detail20_Prime_rehash_policy";
const list_node = "_ZNSt8__detail15_List_node_base";
const tree_node = "PSt18_Rb_tree_node_base";
const condition = "_ZNSt18condition_variable";

comptime {
    for (.{
        .{ policy ++ "11_M_next_bktEm", &hash.nextBucketCount },
        .{ policy ++ "14_M_need_rehashEmmm", &hash.needRehash },
        .{ "_ZSt11_Hash_bytesPKvmm", &hash.hashBytes },
        .{ list_node ++ "7_M_hookEPS0_", &hookNode },
        .{ list_node ++ "9_M_unhookEv", &unhookNode },
        .{ "_ZSt18_Rb_tree_increment" ++ tree_node, &tree.next },
        .{ "_ZSt18_Rb_tree_decrement" ++ tree_node, &tree.previous },
        .{ "_ZSt29_Rb_tree_insert_and_rebalanceb" ++ tree_node ++ "S0_RS_", &tree.insert },
        .{ "_ZSt28_Rb_tree_rebalance_for_erase" ++ tree_node ++ "RS_", &tree.erase },
        .{ condition ++ "C1Ev", &sync.createCondition },
        .{ condition ++ "D1Ev", &sync.destroyCondition },
        .{ condition ++ "4waitERSt11unique_lockISt5mutexE", &sync.wait },
        .{ condition ++ "10notify_oneEv", &sync.notifyOne },
        .{ condition ++ "10notify_allEv", &sync.notifyAll },
        .{ "__once_proxy", &sync.callOnce },
        .{ "_ZNSt6chrono3_V212steady_clock3nowEv", &sync.steadyNow },
        .{ "__cxa_guard_acquire", &sync.acquireGuard },
        .{ "__cxa_guard_release", &sync.releaseGuard },
        .{ "__cxa_demangle", &demangle },
        .{ "__dynamic_cast", &dynamicCast },
        .{ "_ZSt15get_new_handlerv", &newHandler },
        .{ "_ZSt13set_terminatePFvvE", &setTerminate },
        .{ "_ZSt9terminatev", &terminate },
        .{ "_ZSt17__throw_bad_allocv", failure("out of memory") },
        .{ "_ZSt28__throw_bad_array_new_lengthv", failure("array too long") },
        .{ "_ZSt25__throw_bad_function_callv", failure("call of an empty function") },
        .{ "_ZSt20__throw_system_errori", failure("system error") },
        .{ "__cxa_pure_virtual", failure("call of a pure virtual function") },
        .{ "__cxa_bad_typeid", failure("typeid of a null pointer") },
        .{ "_ZSt19__throw_logic_errorPKc", &failWithText },
        .{ "_ZSt20__throw_length_errorPKc", &failWithText },
        .{ "_ZSt24__throw_out_of_range_fmtPKcz", &failWithText },
        .{ "_ZSt21__glibcxx_assert_failPKciS0_S0_", &failAssertion },
    }) |entry| @export(entry[1], .{ .name = entry[0] });
}

/// A node of std::list.
const ListNode = extern struct { next: *ListNode, previous: *ListNode };

fn hookNode(node: *ListNode, position: *ListNode) callconv(.c) void {
    node.* = .{ .next = position, .previous = position.previous };
    position.previous.next = node;
    position.previous = node;
}

fn unhookNode(node: *ListNode) callconv(.c) void {
    node.next.previous = node.previous;
    node.previous.next = node.next;
}

fn dynamicCast(
    source: ?*anyopaque,
    source_info: *const cast.TypeInfo,
    wanted: *const cast.TypeInfo,
    _: isize,
) callconv(.c) ?*anyopaque {
    const kinds: cast.Kinds = .{
        .single = image.runtime_image.single_type_info,
        .multiple = image.runtime_image.multiple_type_info,
    };
    return @ptrFromInt(cast.dynamicCast(kinds, @intFromPtr(source), source_info, wanted));
}

/// Names stay mangled: -2 says that the name is not one (Itanium C++ ABI, section 3.4).
fn demangle(
    _: ?[*:0]const u8,
    _: ?[*]u8,
    _: ?*usize,
    status: ?*c_int,
) callconv(.c) ?[*]u8 {
    if (status) |result| result.* = -2;
    return null;
}

const Handler = *const fn () callconv(.c) void;

var terminate_handler: ?Handler = null;

fn newHandler() callconv(.c) ?Handler {
    return null;
}

fn setTerminate(handler: ?Handler) callconv(.c) ?Handler {
    return @atomicRmw(?Handler, &terminate_handler, .Xchg, handler, .acq_rel);
}

fn terminate() callconv(.c) noreturn {
    if (@atomicLoad(?Handler, &terminate_handler, .acquire)) |handler| handler();
    std.c.abort();
}

fn failure(comptime text: []const u8) *const fn () callconv(.c) noreturn {
    return &struct {
        fn fail() callconv(.c) noreturn {
            @panic(text);
        }
    }.fail;
}

fn failWithText(text: [*:0]const u8) callconv(.c) noreturn {
    @panic(std.mem.span(text));
}

fn failAssertion(
    _: ?[*:0]const u8,
    _: c_int,
    _: ?[*:0]const u8,
    text: ?[*:0]const u8,
) callconv(.c) noreturn {
    @panic(std.mem.span(text orelse "failed assertion in the C++ library"));
}
