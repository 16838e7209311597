// Compares the project's dynamic_cast and red-black tree with those of the C++ library: each cast
// between the types of a hierarchy, and the shape of two trees after the same random changes.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <typeinfo>
#include <vector>
#include <cxxabi.h>

extern "C" void *own_dynamic_cast(const void *, const std::type_info *, const std::type_info *);

struct Root { virtual ~Root() {} long r = 1; };
struct Left : Root { long l = 2; };
struct Right : Root { long x = 3; };
struct Twice : Left, Right { long t = 4; };
struct VirtualLeft : virtual Root { long l = 5; };
struct VirtualRight : virtual Root { long x = 6; };
struct Diamond : VirtualLeft, VirtualRight { long d = 7; };
struct Hidden : private Root { virtual ~Hidden() {} long h = 8; };
struct Other { virtual ~Other() {} long o = 9; };
struct Mixed : Hidden, Other, VirtualLeft { long m = 10; };
struct Deep : Diamond, private Other { long e = 11; };
struct Last : Deep, Twice { long z = 12; };

static int checked, differing;

template <class Source, class Wanted> void compareCall(Source *source) {
  void *expected = dynamic_cast<Wanted *>(source);
  void *actual = own_dynamic_cast(source, &typeid(Source), &typeid(Wanted));
  checked++;
  if (expected == actual) return;
  differing++;
  const char *from = typeid(Source).name(), *to = typeid(Wanted).name();
  std::printf("%s to %s: %p, not %p\n", from, to, actual, expected);
}

// A cast to a base is the compiler's own work and calls no library.
template <class Source, class Wanted> void compare(Source *source) {
  if constexpr (!std::is_base_of_v<Wanted, Source>) compareCall<Source, Wanted>(source);
}

template <class Source, class... Wanted> void compareAll(Source *source) {
  (compare<Source, Wanted>(source), ...);
}

template <class Source> void castFrom(Source *source) {
  compareAll<Source, Root, Left, Right, Twice, VirtualLeft, VirtualRight, Diamond, Hidden, Other,
             Mixed, Deep, Last>(source);
}

static void compareCasts() {
  Last last; Mixed mixed; Deep deep; Diamond diamond; Twice twice; Hidden hidden; Root root;
  castFrom<Left>(&last); castFrom<Right>(&last); castFrom<Twice>(&last);
  castFrom<VirtualLeft>(&last); castFrom<VirtualRight>(&last); castFrom<Deep>(&last);
  castFrom<Hidden>(&mixed); castFrom<Other>(&mixed); castFrom<VirtualLeft>(&mixed);
  castFrom<Diamond>(&deep); castFrom<Root>(&deep); castFrom<Other>((Other *)&deep);
  castFrom<Root>(&diamond); castFrom<VirtualRight>(&diamond);
  castFrom<Left>(&twice); castFrom<Right>(&twice); castFrom<Hidden>(&hidden); castFrom<Root>(&root);
}

struct Node { int color; Node *parent, *left, *right; long key; };

extern "C" {
void own_insert(bool, Node *, Node *, Node *);
Node *own_erase(Node *, Node *);
Node *own_next(Node *);
Node *own_previous(Node *);
void library_insert(bool, Node *, Node *, Node &)
    __asm__("_ZSt29_Rb_tree_insert_and_rebalancebPSt18_Rb_tree_node_baseS0_RS_");
Node *library_erase(Node *, Node &)
    __asm__("_ZSt28_Rb_tree_rebalance_for_erasePSt18_Rb_tree_node_baseRS_");
}

struct Tree {
  Node header{0, nullptr, &header, &header, -1};
  std::vector<Node> nodes;
  explicit Tree(int count) : nodes(count) {}
};

template <class Insert> void place(Tree &tree, Node *node, Insert insert) {
  Node *parent = &tree.header, *below = tree.header.parent;
  bool left = true;
  while (below) {
    parent = below;
    left = node->key < below->key;
    below = left ? below->left : below->right;
  }
  insert(left, node, parent, &tree.header);
}

static bool isSame(const Tree &a, const Node *x, const Tree &b, const Node *y) {
  if (x == &a.header || y == &b.header) return x == &a.header && y == &b.header;
  return x && y ? x - a.nodes.data() == y - b.nodes.data() : x == y;
}

static bool isSameNode(const Tree &a, const Node &x, const Tree &b, const Node &y) {
  return x.color == y.color && isSame(a, x.parent, b, y.parent) && isSame(a, x.left, b, y.left) &&
         isSame(a, x.right, b, y.right);
}

static bool walks(Tree &tree, int members) {
  int forward = 0, backward = 0;
  for (Node *n = tree.header.left; n != &tree.header; n = own_next(n)) forward++;
  if (members) {
    Node *node = own_previous(&tree.header);
    for (backward = 1; node != tree.header.left; node = own_previous(node)) backward++;
  }
  return forward == members && backward == members;
}

static void compareTrees(int count, int steps) {
  Tree own(count), library(count);
  std::vector<bool> present(count);
  int members = 0;
  for (int step = 0; step < steps; step++) {
    int i = std::rand() % count;
    if (present[i]) {
      own_erase(&own.nodes[i], &own.header);
      library_erase(&library.nodes[i], library.header);
    } else {
      own.nodes[i].key = library.nodes[i].key = std::rand() % count;
      place(own, &own.nodes[i], own_insert);
      place(library, &library.nodes[i],
            [](bool l, Node *n, Node *p, Node *h) { library_insert(l, n, p, *h); });
    }
    present[i] = !present[i];
    members += present[i] ? 1 : -1;
    bool same = isSameNode(own, own.header, library, library.header) && walks(own, members);
    for (int k = 0; k < count; k++)
      same = same && (!present[k] || isSameNode(own, own.nodes[k], library, library.nodes[k]));
    checked++;
    if (same) continue;
    differing++;
    std::printf("trees of %d differ after step %d\n", count, step);
    return;
  }
}

int main() {
  compareCasts();
  std::srand(1);
  for (int count : {1, 2, 3, 5, 10, 40, 200}) compareTrees(count, 3000);
  std::printf("%d checked, %d differing\n", checked, differing);
  return differing != 0;
}
