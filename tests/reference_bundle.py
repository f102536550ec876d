r"""Reads bundles from FORMAT.md alone (section 24), in front of reference_reader.py and reference_sealing.py.

    python -m tests.reference_bundle FILE WAY            says what is in it, and proves it
    python -m tests.reference_bundle FILE WAY OUTDIR     restores the version

WAY is `clear`, or of a sealed bundle what reference_sealing.py takes, as `passphrase` or `age:PATH`. Four
files in a folder `tests`, to be carried anywhere: nothing of the product is imported. A bundle that leaves
out what an earlier version has is read by `Bundle` alone, which takes the objects of that one beside it.
"""

import binascii
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from blake3 import blake3

from tests.reference_reader import (
    Object,
    Objects,
    Refused,
    Repository,
    fits,
    form_of,
    open_envelope,
    parse_end,
    parse_header,
    require,
    restore,
)
from tests.reference_sealing import SealedObjects, Secret, secret_of

BLOCK, END = 512, 1024
MOST_MEMBER, MOST_MEMBERS = 65 << 20, 262_144
RANKS = (
    r"bundle",
    r"config",
    r"keys/[0-9]{10}",
    r"packs/([0-9a-f]{2})/\1[0-9a-f]{62}",
    r"versions/[0-9]{10}",
)
HEAD = form_of(
    "checksum:hex32 created_at:time database:text format:natural name:text number:natural reason:text"
    " records:natural repository_id:hex16 type:text",
    entities=(None, ["text"]),
    since=(None, form_of("checksum:hex32 number:natural")),
)


# --- The archive -----------------------------------------------------------------------------------


def header_of(name: bytes, size: int) -> bytes:
    """The one header of a member."""
    zeros, digits = b"0000000\0", b"%011o\0"
    begin = name.ljust(100, b"\0") + b"0000644\0" + zeros + zeros + digits % size + digits % 0
    end = b"0" + bytes(100) + b"ustar\x0000" + bytes(BLOCK - len(begin) - 8 - 109)
    return begin + b"%06o\0 " % sum(begin + b" " * 8 + end) + end


def rank_of(name: str) -> int:
    found = [rank for rank, form in enumerate(RANKS) if re.fullmatch(form, name)]
    require(len(found) == 1 and not name.endswith("0" * 10), "name of a member")
    return found[0]


def parse_member(block: bytes) -> tuple[str, int]:
    """Name and size. The size is looked at before the rest."""
    require(len(block) == BLOCK, "header", "truncated")
    name, digits = block[:100].rstrip(b"\0"), block[124:135]
    require(name.isascii() and re.fullmatch(rb"[0-7]{11}", digits) is not None, "header")
    rank_of(name.decode())
    size = int(digits, 8)
    require(size <= MOST_MEMBER, "member", "limit")
    require(block == header_of(name, size), "header")
    return name.decode(), size


class BundleObjects(Objects):
    """The members of a file. Nothing but headers and filling was read yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[str, tuple[int, int]] = {}
        total, at, rank = path.stat().st_size, 0, -1
        require(self.cut(0, 7) == b"bundle\0", "no bundle")
        while any(block := self.cut(at, BLOCK)) or not block:
            name, size = parse_member(block)
            begin, before = at + BLOCK, rank
            rank = rank_of(name)
            follows = rank == before + 1 if before < 1 else rank > before or rank == before == 3
            require(follows and name not in self.places, "order of members")
            require(len(self.places) < MOST_MEMBERS, "members", "limit")
            at = begin + -(-size // BLOCK) * BLOCK
            require(at <= total, name, "truncated")
            require(not any(self.cut(begin + size, at - begin - size)), "filling")
            self.places[name] = (begin, size)
        rest = self.cut(at, END + 1)
        require(len(rest) >= END, "end", "truncated")
        require(rest == bytes(END), "end")
        require(rank == 4, "no document", "truncated")

    def cut(self, start: int, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(length)

    def keys(self, pattern: str) -> list[str]:
        return sorted(name for name in self.places if fnmatchcase(name, pattern))

    def size(self, key: str) -> int:
        return self.places[key][1]

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        begin, size = self.places[key]
        left = max(0, size - start)
        return self.cut(begin + start, left if length is None else min(length, left))


class Together(Objects):
    """A bundle, and the packs and dictionaries of what it goes on from."""

    def __init__(self, bundle: Objects, before: Objects) -> None:
        self.bundle, self.before = bundle, before

    def keys(self, pattern: str) -> list[str]:
        others = self.before.keys(pattern) if pattern.startswith(("packs/", "dictionaries/")) else []
        return sorted({*self.bundle.keys(pattern), *others})

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        place = self.bundle if key in self.bundle.keys(key) else self.before
        return place.read(key, start, length)


# --- What is in it ---------------------------------------------------------------------------------


def parse_head(data: bytes) -> Object:
    value = open_envelope(data, "bundle")
    require(fits(value, HEAD) and 1 <= value["number"] <= 9_999_999_999, "bundle")
    chosen, since = value["entities"], value["since"]
    if chosen is not None:
        require(len(chosen) <= 100_000, "entities", "limit")
        require(0 < len(chosen) == len(set(chosen)), "entities")
    require(since is None or 1 <= since["number"] < value["number"], "since")
    return value


class Bundle:
    """A bundle that was opened: it says the truth of itself, and its packs are those of its document."""

    def __init__(self, path: Path, secret: Secret | None = None, before: Objects | None = None) -> None:
        objects: Objects = BundleObjects(path)
        keys = objects.keys("keys/*")
        if secret is not None:
            objects = SealedObjects(objects, secret)
        else:
            Repository(objects)  # refuses a sealed config
            require(not keys, "keys in a bundle that is not sealed")
        self.head = parse_head(objects.read("bundle"))
        self.repository = Repository(objects if before is None else Together(objects, before))
        self.require_document(objects)
        self.require_packs(objects)

    def require_document(self, objects: Objects) -> None:
        number = self.head["number"]
        require(objects.keys("versions/*") == [f"versions/{number:010d}"], "document", "missing")
        self.document = self.repository.document(number)
        same = ("repository_id", "created_at", "checksum", "reason", "name", "records")
        require(all(self.head[name] == self.document[name] for name in same), "what the bundle says")
        require(self.head["database"] == self.document["source"]["database"], "what the bundle says")

    def require_packs(self, objects: Objects) -> None:
        named, there = {row[0] for row in self.document["packs"]}, objects.keys("packs/*")
        require(named <= {key[-64:] for key in there}, "a pack", "missing")
        require({key[-64:] for key in there} <= named, "a pack that the document does not name")
        for key in there:
            data = objects.read(key)
            require(blake3(data).hexdigest() == key[-64:], key, "hash-mismatch")
            parse_header(data)
            parse_end(data, len(data))

    def records(self) -> Mapping[str, list[bytes]]:
        """All of the version, by labels; the definitions and the schema are proven, too."""
        found = {}
        for definition, row in self.repository.entities(self.document):
            label = ".".join(name for name in (definition["schema"], definition["name"]) if name)
            found[label] = list(self.repository.records(definition, row)) if row["root"] else []
        chosen = self.head["entities"]
        require(chosen is None or chosen == list(found), "entities that the bundle names")
        return found


# --- The command -----------------------------------------------------------------------------------


def main(arguments: Sequence[str]) -> int:
    if len(arguments) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        bundle = Bundle(Path(arguments[0]), None if arguments[1] == "clear" else secret_of(arguments[1]))
        if arguments[2:]:
            for line in restore(bundle.repository, bundle.head["number"], Path(arguments[2])):
                print(line)
        else:
            for label, records in bundle.records().items():
                print(f"{len(records):>12} records  {label}")
    except (Refused, OSError, ValueError, binascii.Error, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"version {bundle.head['number']} is whole: every byte was proven")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
