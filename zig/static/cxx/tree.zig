//! The red-black tree below std::map and std::set, with the node layout of libstdc++'s ABI.
//! The header node holds the root as parent, the first node as left and the last one as right.
//! Balancing after Cormen, Leiserson, Rivest, Stein: Introduction to Algorithms, chapter 13.

const Color = enum(c_int) { red, black };

pub const Node = extern struct {
    color: Color,
    parent: ?*Node,
    left: ?*Node,
    right: ?*Node,
};

const Side = enum {
    left,
    right,

    fn other(side: Side) Side {
        return switch (side) {
            .left => .right,
            .right => .left,
        };
    }
};

fn child(node: *Node, side: Side) *?*Node {
    return switch (side) {
        .left => &node.left,
        .right => &node.right,
    };
}

fn isRed(node: ?*Node) bool {
    return if (node) |present| present.color == .red else false;
}

fn outermost(node: *Node, side: Side) *Node {
    var current = node;
    while (child(current, side).*) |further| current = further;
    return current;
}

/// The node after `node`; the header after the last one.
pub fn next(node: *Node) callconv(.c) *Node {
    return step(node, .right);
}

/// The node before `node`; the last node before the header.
pub fn previous(node: *Node) callconv(.c) *Node {
    const isHeader = node.color == .red and node.parent.?.parent == node;
    return if (isHeader) node.right.? else step(node, .left);
}

fn step(node: *Node, side: Side) *Node {
    if (child(node, side).*) |subtree| return outermost(subtree, side.other());
    var below = node;
    var above = node.parent.?;
    while (below == child(above, side).*) {
        below = above;
        above = above.parent.?;
    }
    // The walk up from the last node of a root without that side ends one step beyond the header.
    return if (child(below, side).* != above) above else below;
}

/// Puts `replacement` where `node` hangs below its parent.
fn replaceInParent(header: *Node, node: *Node, replacement: ?*Node) void {
    const parent = node.parent.?;
    if (header.parent == node) {
        header.parent = replacement;
    } else if (parent.left == node) {
        parent.left = replacement;
    } else {
        parent.right = replacement;
    }
}

fn rotate(header: *Node, node: *Node, side: Side) void {
    const risen = child(node, side.other()).*.?;
    child(node, side.other()).* = child(risen, side).*;
    if (child(risen, side).*) |moved| moved.parent = node;
    risen.parent = node.parent;
    replaceInParent(header, node, risen);
    child(risen, side).* = node;
    node.parent = risen;
}

/// Hangs `node` below `parent` and restores the balance.
pub fn insert(is_left: bool, node: *Node, parent: *Node, header: *Node) callconv(.c) void {
    node.* = .{ .color = .red, .parent = parent, .left = null, .right = null };
    if (parent == header) {
        header.parent = node;
        header.left = node;
        header.right = node;
    } else if (is_left) {
        parent.left = node;
        if (parent == header.left) header.left = node;
    } else {
        parent.right = node;
        if (parent == header.right) header.right = node;
    }
    var current = node;
    while (current != header.parent and current.parent.?.color == .red) {
        current = fixInsertion(header, current);
    }
    header.parent.?.color = .black;
}

/// One step of the repair; the node at which it goes on.
fn fixInsertion(header: *Node, node: *Node) *Node {
    var parent = node.parent.?;
    const grandparent = parent.parent.?;
    const side: Side = if (parent == grandparent.left) .left else .right;
    const uncle = child(grandparent, side.other()).*;
    if (isRed(uncle)) {
        parent.color = .black;
        uncle.?.color = .black;
        grandparent.color = .red;
        return grandparent;
    }
    var current = node;
    if (current == child(parent, side.other()).*) {
        current = parent;
        rotate(header, current, side);
        parent = current.parent.?;
    }
    parent.color = .black;
    grandparent.color = .red;
    rotate(header, grandparent, side.other());
    return current;
}

/// Takes `node` out, restores the balance and returns it.
pub fn erase(node: *Node, header: *Node) callconv(.c) *Node {
    if (header.left == node) header.left = next(node);
    if (header.right == node) header.right = if (node.parent == header and node.left == null)
        header
    else
        previousInTree(node);
    const gap = if (node.left != null and node.right != null)
        exchangeWithSuccessor(node, header)
    else
        unlink(node, header);
    if (gap.removed_color == .black) fixRemoval(header, gap);
    return node;
}

fn previousInTree(node: *Node) *Node {
    if (node.left) |subtree| return outermost(subtree, .right);
    return node.parent.?;
}

/// Where a node is missing: what took its place, and below which node.
const Gap = struct { child: ?*Node, parent: *Node, removed_color: Color };

fn unlink(node: *Node, header: *Node) Gap {
    const parent = node.parent.?;
    const orphan = node.left orelse node.right;
    replaceInParent(header, node, orphan);
    if (orphan) |present| present.parent = parent;
    return .{ .child = orphan, .parent = parent, .removed_color = node.color };
}

fn exchangeWithSuccessor(node: *Node, header: *Node) Gap {
    const successor = outermost(node.right.?, .left);
    var gap = unlink(successor, header);
    if (gap.parent == node) gap.parent = successor;
    replaceInParent(header, node, successor);
    successor.* = node.*;
    if (successor.left) |left| left.parent = successor;
    if (successor.right) |right| right.parent = successor;
    return gap;
}

fn fixRemoval(header: *Node, gap: Gap) void {
    var current = gap.child;
    var parent = gap.parent;
    while (current != header.parent and !isRed(current)) {
        const side: Side = if (current == parent.left) .left else .right;
        var sibling = child(parent, side.other()).*.?;
        if (sibling.color == .red) {
            sibling.color = .black;
            parent.color = .red;
            rotate(header, parent, side);
            sibling = child(parent, side.other()).*.?;
        }
        if (!isRed(sibling.left) and !isRed(sibling.right)) {
            sibling.color = .red;
            current = parent;
            parent = parent.parent.?;
            continue;
        }
        closeGap(header, parent, side);
        break;
    }
    if (current) |present| present.color = .black;
}

/// The sibling is black and has a red child: at most two rotations end the repair.
fn closeGap(header: *Node, parent: *Node, side: Side) void {
    var sibling = child(parent, side.other()).*.?;
    if (!isRed(child(sibling, side.other()).*)) {
        child(sibling, side).*.?.color = .black;
        sibling.color = .red;
        rotate(header, sibling, side.other());
        sibling = child(parent, side.other()).*.?;
    }
    sibling.color = parent.color;
    parent.color = .black;
    if (child(sibling, side.other()).*) |outer| outer.color = .black;
    rotate(header, parent, side);
}
