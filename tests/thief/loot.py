#!/usr/bin/env python3
"""A thief with a store's file, and without its key: what data.mdb, or a backup's, tells of whom. Knows the page
docs/store-format.md and has none of the server's code.

    loot.py DATA.MDB [WORD ...]     what is there, by kind and length, and where each word stands in the clear
"""
import base64
import collections
import functools
import math
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import lmdb_pages  # noqa: E402

ACCOUNT_FIRST = 16
GRAM = 8


def entropy(values):
    """Bits that one of these values tells, drawn at random."""
    n = len(values)
    return -sum(c / n * math.log2(c / n) for c in collections.Counter(values).values()) + 0.0 if n else 0.0


def ways_to_write(word):
    """Octets that show a word: as it is, and in base64 wherever it begins."""
    yield word
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + word).rstrip(b"=")
        yield coded[shift + (shift > 0):-1]


class Loot:
    def __init__(self, path):
        self.data = pathlib.Path(path).read_bytes()
        self.file = lmdb_pages.File(self.data)
        if self.file.faults:
            raise ValueError(f"{path}: {self.file.faults[:3]}")
        self.records, self.blobs = {}, collections.defaultdict(dict)
        self.letters = collections.defaultdict(dict)
        for item in self.file.trees[b"kv"]:
            account, key = struct.unpack(">Q", item.key[:8])[0], item.key[8:]
            self.records[account, key] = self.letters[account, key[:1]][key[1:]] = item.value
        for item in self.file.trees[b"blob"]:
            account, number, chunk = struct.unpack(">QQI", item.key)
            self.blobs[account & (1 << 62) - 1, number][account >> 62, chunk] = item.value

    def accounts(self):
        return sorted({a for a, _ in self.records if a >= ACCOUNT_FIRST})

    def letter(self, account, letter):
        """Keys (without the letter) and values of one kind of record."""
        return self.letters[account, letter]

    def messages(self, account):
        """The oldest first: their numbers only grow."""
        return sorted(struct.unpack(">Q", k)[0] for k in self.letter(account, b"m"))

    def record(self, account, message):
        return self.records[account, b"m" + struct.pack(">Q", message)]

    @functools.lru_cache(None)
    def sizes(self, account, message):
        """Every length that a message shows: of its record, and of its blobs by kind."""
        octets = collections.Counter()
        for (kind, _), value in self.blobs.get((account, message), {}).items():
            octets[kind] += len(value)
        return (len(self.record(account, message)), *(octets[k] for k in range(4)))

    def of_message(self, account, message):
        return b"".join([self.record(account, message), *self.blobs.get((account, message), {}).values()])

    def of_account(self, account):
        """Everything that belongs to an account: keys, values, blobs."""
        parts = [k + v for (a, k), v in self.records.items() if a == account]
        return b"\n".join(parts + [b"".join(v.values()) for (a, _), v in self.blobs.items() if a == account])

    def shows(self, word):
        """Whether a word stands anywhere in the file, freed pages and gaps between records included."""
        return any(way in self.data for way in ways_to_write(word))

    # Guesses. Each takes what a thief would be asked and gives a number: the larger, the more likely.

    def same_mail(self, one, other):
        """Whether two messages, each (account, number), are copies of one mail: by octets and by every length."""
        far = sum(abs(x - y) for x, y in zip(self.sizes(*one), self.sizes(*other)))
        return 1e9 * shares_octets(self.of_message(*one), self.of_message(*other)) - far

    def same_thread(self, one, other):
        """Whether they are of one conversation: by anything that both records have."""
        return len(grams(self.record(*one)) & grams(self.record(*other)))

    def is_there(self, account, sizes):
        """Whether a mail is there whose copy has these lengths, as a copy in an account of the thief's own shows."""
        return any(self.sizes(account, m) == sizes for m in self.messages(account))

    def was_there(self, account, sizes):
        """The same of what was deleted: the lengths of pieces in freed pages, against its longest one."""
        return max(sizes[1:]) in self.old_lengths(struct.pack(">Q", account))

    @functools.lru_cache(None)
    def old_lengths(self, partition):
        return {len(i.value) for i in self.file.old_items() if len(i.key) == 20 and i.key[:8] == partition}

    def numbers(self, account, message, least, most):
        """Those in a message's record and its entries that lie between: a moment in seconds since 1970, a length."""
        found = set()
        values = [self.record(account, message)]
        values += [v for v in self.letter(account, b"u").values() if v[:8] == struct.pack(">Q", message)]
        for value in values:
            for width, form in ((8, ">Q"), (8, "<Q"), (4, ">I"), (4, "<I")):
                for at in range(len(value) - width + 1):
                    (number,) = struct.unpack_from(form, value, at)
                    if least <= number <= most:
                        found.add(number)
        return found

    def lengths(self, letter):
        """Of all values of a kind, whoever's."""
        return [len(v) for (_, k), v in self.records.items() if k[:1] == letter]


def shares_octets(one, other):
    """Whether some run of octets stands in both."""
    blocks = (one[at:at + 16] for at in range(0, len(one) - 16, 64))
    return any(len(set(b)) > 6 and b in other for b in blocks)


def grams(data):
    """Runs of octets that two records have in common by more than chance; runs of one octet say nothing."""
    return {g for g in (data[i:i + GRAM] for i in range(len(data) - GRAM + 1)) if len(set(g)) > 4}


def main(path, *words):
    loot = Loot(path)
    print(f"{len(loot.accounts())} accounts, {len(loot.file.free_pages)} free pages, commit {loot.file.meta.txn}")
    for letter in sorted({k[:1] for _, k in loot.records}):
        lengths = loot.lengths(letter)
        print(f"{letter.decode()}: {len(lengths)} records, {len(set(lengths))} lengths, {entropy(lengths):.2f} bits")
    for word in words:
        print(f"{word}: {'in the clear' if loot.shows(word.encode()) else 'not found'}")


if __name__ == "__main__":
    main(*sys.argv[1:]) if sys.argv[1:] else sys.exit(__doc__)
