"""LMDB's data file (lmdb 0.9, 64 bits, little-endian) read octet by octet, with none of the server's code and none of
LMDB's: both meta pages, the trees, what their nodes hold, runs of overflow pages, the free list, and what old pages
still hold. Every octet of the file gets a kind, and everything that a file by LMDB never shows is a fault."""
import struct

HEAD, NODE, DB = 16, 8, 48
BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8
BIG, SUB = 1, 2
NONE = (1 << 64) - 1
INTEGER_KEY = 8  # flag of the free list's tree

# What an octet of the file is.
(LOST, FIELD, KEY, VALUE, SEPARATOR, FREE, GAP, UNUSED, STALE, BEYOND) = range(10)
KINDS = ["in no page of a tree, nor free", "a field of the structure", "a key", "a value", "a separator in a branch",
         "in a free page", "in the gap of a page", "unused by LMDB", "in the stale meta page", "behind the last page"]


class Meta:
    def __init__(self, data, at):
        self.at = at
        (self.flags,) = struct.unpack_from("<H", data, at + 10)
        self.magic, self.version, self.address, self.map_size = struct.unpack_from("<IIQQ", data, at + HEAD)
        self.free, self.main = Tree(data, at + HEAD + 24), Tree(data, at + HEAD + 24 + DB)
        self.last_page, self.txn = struct.unpack_from("<QQ", data, at + HEAD + 24 + 2 * DB)


class Tree:
    def __init__(self, data, at):
        self.at = at
        (self.pad, self.flags, self.depth, self.branches, self.leaves, self.overflows, self.entries,
         self.root) = struct.unpack_from("<IHHQQQQQ", data, at)


class Item:
    """A key and its value, and where they stand in the file."""
    __slots__ = ("key", "value", "key_at", "value_at")

    def __init__(self, key, value, key_at, value_at):
        self.key, self.value, self.key_at, self.value_at = key, value, key_at, value_at


class File:
    def __init__(self, data):
        self.data, self.faults, self.trees, self.free_pages = data, [], {}, {}
        self.kind = bytearray(len(data))
        self.page_size = struct.unpack_from("<I", data, HEAD + 24)[0] if len(data) > 200 else 0
        if self.page_size != 4096 or len(data) < 2 * 4096:
            self.faults.append((0, "no meta page"))
            return
        self.metas = [Meta(data, 0), Meta(data, self.page_size)]
        self._metas()
        if not self.faults:
            self._trees()

    def fault(self, page, what):
        self.faults.append((page, what))

    def mark(self, at, length, kind):
        self.kind[at:at + length] = bytes([kind]) * length

    def _metas(self):
        a, b = self.metas
        self.meta = m = a if a.txn > b.txn else b
        stale = b if m is a else a
        for i, x in enumerate(self.metas):
            number, _, flags = struct.unpack_from("<QHH", self.data, x.at)
            if (number, flags, x.magic, x.version) != (i, META, 0xBEEFC0DE, 1):
                self.fault(i, "no meta page")
            self.mark(x.at, 4096, UNUSED)
            self.mark(x.at, HEAD + 24 + 2 * DB + 16, STALE if x is stale else FIELD)
            for at in (8, 12, 13, 14, 15, *range(HEAD + 8, HEAD + 24)):  # padding, address; the size of the map
                self.mark(x.at + at, 1, UNUSED)
            self.mark(x.at + 9, 1, UNUSED)
            self.mark(x.at + HEAD + 24 + DB, 4, UNUSED)
        if m.txn & 1 != m.at // 4096 or (m.txn - stale.txn) != (1 if m.txn else 0):
            self.fault(m.at // 4096, "its transaction number does not follow the other's")
        if (m.last_page + 1) * 4096 > len(self.data):
            self.fault(m.at // 4096, "the file is shorter than it says")
        if stale.last_page > m.last_page:
            self.fault(m.at // 4096, "the last page comes before the one of the commit before")

    def _trees(self):
        m = self.meta
        self.seen = bytearray(m.last_page + 1)
        self.seen[0] = self.seen[1] = 1
        free = self._tree(m.free, "free list", integers=True)
        main = self._tree(m.main, "main")
        for item in main:
            if len(item.value) == DB and self._is_sub(item):
                t = Tree(self.data, item.value_at)
                self.mark(item.value_at, 4, UNUSED)
                self.mark(item.value_at + 4, DB - 4, FIELD)
                self.trees[item.key] = self._tree(t, item.key.decode("latin-1"))
            else:
                self.fault(item.value_at // 4096, "a value in the main tree that is no tree")
        for item in free:
            self._free_record(item)
        for page in range(m.last_page + 1):
            if not self.seen[page]:
                self.fault(page, "neither used nor free")
        self.mark((m.last_page + 1) * 4096, len(self.data) - (m.last_page + 1) * 4096, BEYOND)

    def _is_sub(self, item):
        return struct.unpack_from("<H", self.data, item.key_at - 4)[0] == SUB

    def take(self, page, what):
        if page > self.meta.last_page or page < 2:
            self.fault(page, f"{what}: there is no such page")
            return False
        if self.seen[page]:
            self.fault(page, f"{what}: the page is named twice")
            return False
        self.seen[page] = 1
        return True

    def _free_record(self, item):
        txn, n = struct.unpack("<Q", item.key)[0], struct.unpack_from("<Q", item.value)[0]
        page = item.value_at // 4096
        if (n + 1) * 8 > len(item.value) or txn > self.meta.txn:
            self.fault(page, "free list: a record that is none")
            return
        self.mark(item.value_at, (n + 1) * 8, FIELD)
        self.mark(item.value_at + (n + 1) * 8, len(item.value) - (n + 1) * 8, UNUSED)
        pages = struct.unpack_from(f"<{n}Q", item.value, 8)
        if list(pages) != sorted(set(pages), reverse=True):
            self.fault(page, "free list: out of order")
        for p in pages:
            if self.take(p, "free list"):
                self.free_pages[p] = txn
                self.mark(p * 4096, 4096, FREE)

    def _tree(self, tree, name, integers=False):
        self.counts = {"b": 0, "l": 0, "o": 0}
        items = []
        self.name, self.integers = name, integers
        if tree.flags != (INTEGER_KEY if integers else 0):
            self.fault(tree.at // 4096, f"{name}: flags of another kind of tree")
        if tree.root != NONE:
            self._page(tree.root, 1, tree.depth, None, None, items)
        said = (tree.branches, tree.leaves, tree.overflows, tree.entries)
        if said != (self.counts["b"], self.counts["l"], self.counts["o"], len(items)) or (tree.root == NONE and
                                                                                         tree.depth):
            self.fault(tree.at // 4096, f"{name}: its counts are not those of its pages")
        return items

    def order(self, key):
        return struct.unpack("<Q", key)[0] if self.integers and len(key) == 8 else key

    def _page(self, page, level, depth, low, high, items):
        """low <= every key < high."""
        if level > depth or depth > 32 or not self.take(page, self.name):
            if level > depth:
                self.fault(page, f"{self.name}: deeper than it says")
            return
        at = page * 4096
        number, _, flags, lower, upper = struct.unpack_from("<QHHHH", self.data, at)
        want = LEAF if level == depth else BRANCH
        if number != page or flags != want or lower < HEAD or lower > upper or upper > 4096 or lower & 1:
            self.fault(page, f"{self.name}: no page of its kind")
            return
        self.counts["l" if want == LEAF else "b"] += 1
        self.mark(at, HEAD, FIELD)
        self.mark(at + 8, 2, UNUSED)
        self.mark(at + HEAD, lower - HEAD, FIELD)
        self.mark(at + lower, upper - lower, GAP)
        nodes = self._nodes(page, lower, upper, want)
        if nodes is None:
            return
        if not nodes or (want == BRANCH and len(nodes) < 2):
            self.fault(page, f"{self.name}: a page with too little in it")
            return
        keys = [self.order(k) for k, *_ in nodes]
        first = 1 if want == BRANCH else 0
        for i in range(first, len(keys)):
            if (i > first and not keys[i - 1] < keys[i]) or (low is not None and keys[i] < low) or (
                    high is not None and not keys[i] < high):
                self.fault(page, f"{self.name}: keys out of order")
                return
        for i, (key, node, node_flags) in enumerate(nodes):
            if want == BRANCH:
                child = struct.unpack_from("<HHH", self.data, node)
                self._page(child[0] | child[1] << 16 | child[2] << 32, level + 1, depth,
                           keys[i] if i else low, keys[i + 1] if i + 1 < len(keys) else high, items)
            else:
                self._leaf(page, key, node, node_flags, items)

    def _nodes(self, page, lower, upper, want):
        at, nodes, ends = page * 4096, [], []
        for (offset,) in struct.iter_unpack("<H", self.data[at + HEAD:at + lower]):
            if offset < upper or offset + NODE > 4096 or offset & 1:
                self.fault(page, f"{self.name}: a node that is not in its page")
                return None
            lo, hi, flags, key_len = struct.unpack_from("<HHHH", self.data, at + offset)
            size = NODE + key_len
            if want == LEAF:
                size += 8 if flags & BIG else lo | hi << 16
            if offset + size > 4096 or (want == LEAF and flags & ~(BIG | SUB)):
                self.fault(page, f"{self.name}: a node that is not in its page")
                return None
            key = self.data[at + offset + NODE:at + offset + NODE + key_len]
            if self.integers and (want == LEAF or nodes) and key_len != 8:
                self.fault(page, f"{self.name}: a key of another length")
                return None
            self.mark(at + offset, NODE, FIELD)
            self.mark(at + offset + NODE, key_len, KEY if want == LEAF else SEPARATOR if nodes else UNUSED)
            self.mark(at + offset + size, size & 1, UNUSED)
            nodes.append((key, at + offset, flags))
            ends.append((offset, offset + size + (size & 1)))
        ends.sort()
        if [b for a, b in ends] != [a for a, b in ends[1:]] + [4096] or (ends and ends[0][0] != upper):
            self.fault(page, f"{self.name}: nodes that do not fill their page")
            return None
        return nodes

    def _leaf(self, page, key, node, flags, items):
        lo, hi, _, key_len = struct.unpack_from("<HHHH", self.data, node)
        size, at = lo | hi << 16, node + NODE + key_len
        if flags & BIG:
            self.mark(at, 8, FIELD)
            (run,) = struct.unpack_from("<Q", self.data, at)
            pages = (HEAD - 1 + size) // 4096 + 1
            if run + pages - 1 > self.meta.last_page or not all(
                    self.take(run + i, f"{self.name}: a long value") for i in range(pages)):
                self.fault(page, f"{self.name}: a long value outside of the file")
                return
            number, _, page_flags, said = struct.unpack_from("<QHHI", self.data, run * 4096)
            more = range(pages, said)  # where its value was written twice in one transaction
            if (number, page_flags) != (run, OVERFLOW) or said < pages or run + said - 1 > self.meta.last_page or \
                    not all(self.take(run + i, f"{self.name}: a long value") for i in more):
                self.fault(run, f"{self.name}: no page of its kind")
                return
            pages = said
            self.counts["o"] += pages
            self.mark(run * 4096, HEAD, FIELD)
            self.mark(run * 4096 + 8, 2, UNUSED)
            at = run * 4096 + HEAD
            self.mark(at + size, pages * 4096 - HEAD - size, GAP)
        self.mark(at, size, VALUE)
        items.append(Item(key, self.data[at:at + size], node + NODE, at))

    def named(self, at):
        """The record that an octet belongs to, for people."""
        for name, items in self.trees.items():
            for i in items:
                if i.key_at <= at < i.key_at + len(i.key) or i.value_at <= at < i.value_at + len(i.value):
                    where = at - (i.value_at if i.value_at <= at < i.value_at + len(i.value) else i.key_at)
                    return f"{name.decode()} {i.key.hex()} octet {where}"
        return f"page {at // 4096} octet {at % 4096}"

    # What is left of what was deleted.

    def old_items(self):
        """Keys and values that stand in free pages, and short ones in the gaps of pages, as far as they can be read."""
        for page in self.free_pages:
            at = page * 4096
            _, _, flags, lower, upper = struct.unpack_from("<QHHHH", self.data, at)
            if flags & ~16 != LEAF or not HEAD <= lower <= upper <= 4096:
                continue
            for (offset,) in struct.iter_unpack("<H", self.data[at + HEAD:at + HEAD + (lower - HEAD) // 2 * 2]):
                if not upper <= offset <= 4096 - NODE:
                    continue
                lo, hi, node_flags, key_len = struct.unpack_from("<HHHH", self.data, at + offset)
                value = at + offset + NODE + key_len
                size = lo | hi << 16
                if value + (8 if node_flags & BIG else size) > at + 4096:
                    continue
                if node_flags & BIG:
                    (run,) = struct.unpack_from("<Q", self.data, value)
                    value = run * 4096 + HEAD
                    if run < 2 or value + size > len(self.data):
                        continue
                yield Item(self.data[at + offset + NODE:at + offset + NODE + key_len], self.data[value:value + size],
                           at + offset + NODE, value)
