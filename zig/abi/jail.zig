//! The launcher's calls, which act on the calling thread and need no core.

const jail = @import("../host/jail_abi.zig");

pub const jail_unshare = jail.unshareNamespaces;
pub const jail_join_network = jail.joinNetwork;
pub const jail_set_host_name = jail.setHostName;
pub const jail_mount = jail.mount;
pub const jail_unmount = jail.unmount;
pub const jail_make_node = jail.makeNode;
pub const jail_lock = jail.lock;
pub const jail_enter = jail.enter;
