"""Vectors of bundles: whole small files, and what somebody may make of them. Written by hand, from BLAKE3,
AES-GCM and the vectors' own packs, nodes and documents."""

import gzip
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from blake3 import blake3

from tests.vectors.age import IDENTITY
from tests.vectors.documents import CONFIG, DOCUMENT
from tests.vectors.keys import FILE, PASSPHRASE, TIME, head, keys, wrapped
from tests.vectors.model import Json, Vector, parts_of, stated
from tests.vectors.nodes import node
from tests.vectors.packs import Row, end_of, tables
from tests.vectors.primitives import canonical, chunk_id, envelope
from tests.vectors.sealing import DATA_KEYS, OTHER_REPOSITORY, SEALED_CONFIG, declared_bytes, sealed

RECORD, NODE, DEFINITION, ENTITIES = 1, 2, 4, 7
MOST_MEMBER_BYTES = 65 << 20
END = bytes(1024)

Members = Sequence[tuple[str, bytes]]
Chunk = tuple[int, bytes]
"""Kind and plain bytes."""

SCHEMA: Json = [
    ["pre-data", "TABLE", "public", "event", "CREATE TABLE public.event (what text);"],
    [
        "pre-data",
        "TABLE",
        "public",
        "product",
        "CREATE TABLE public.product (id integer NOT NULL, name text, price numeric(8,2));",
    ],
    [
        "post-data",
        "CONSTRAINT",
        "public",
        "product product_pkey",
        "ALTER TABLE ONLY public.product ADD CONSTRAINT product_pkey PRIMARY KEY (id);",
    ],
]


@dataclass(frozen=True, slots=True)
class Table:
    """One entity. `records` in the order of their keys, those of a bag as often as they occur."""

    name: str
    columns: Mapping[str, str]
    records: Sequence[bytes]
    is_bag: bool = False

    @property
    def label(self) -> str:
        return f"public.{self.name}"

    @property
    def definition(self) -> Mapping[str, Json]:
        return {
            "columns": [
                {
                    "collation": None,
                    "default": None,
                    "identity": None,
                    "name": name,
                    "not_null": name == "id",
                    "type": kind,
                }
                for name, kind in self.columns.items()
            ],
            "fingerprint": "",
            "key": [] if self.is_bag else [["id", "integer"]],
            "kind": "table",
            "name": self.name,
            "schema": "public",
        }

    @property
    def tree(self) -> bytes:
        """One leaf: these keys make no node end before the last."""
        if self.is_bag:
            ids = sorted({chunk_id(RECORD, one) for one in self.records})
            found = [chunk_id(RECORD, one) for one in self.records]
            return node(0, ids, ids, [found.count(one) for one in ids])
        numbers = [int(one.split(b"\t")[0]) for one in self.records]
        places = [(number + (1 << 63)).to_bytes(8, "big") for number in numbers]
        return node(0, places, [chunk_id(RECORD, one) for one in self.records])

    @property
    def row(self) -> Mapping[str, Json]:
        return {
            "definition": chunk_id(DEFINITION, canonical(self.definition)).hex(),
            "dictionary": None,
            "payload_bytes": sum(map(len, self.records)),
            "records": len(self.records),
            "root": chunk_id(NODE, self.tree).hex(),
        }

    @property
    def checksum(self) -> bytes:
        covered = {name: self.definition[name] for name in ("key", "kind", "name", "schema")}
        columns: Json = [[name, kind] for name, kind in self.columns.items()]
        row = {name: self.row[name] for name in ("records", "root")}
        return blake3(canonical({**covered, **row, "columns": columns})).digest()

    def chunks(self) -> list[Chunk]:
        records = [(RECORD, one) for one in dict.fromkeys(self.records)]
        return [*records, (NODE, self.tree), (DEFINITION, canonical(self.definition))]


_EVENTS = [b"bought", b"seen", b"seen"]
EVENT = Table("event", {"what": "text"}, sorted(_EVENTS, key=lambda one: chunk_id(RECORD, one)), is_bag=True)
PRODUCT = Table(
    "product",
    {"id": "integer", "name": "text", "price": "numeric(8,2)"},
    [b"1\toak table\t320.00", b"2\tred lamp\t49.90", b"3\tmirror\t\\N"],
)
CHANGED = Table("product", PRODUCT.columns, [PRODUCT.records[0], b"2\tred lamp\t44.90", PRODUCT.records[2]])


@dataclass(frozen=True, slots=True)
class Version:
    """`since`: what this one has is left out of its bundle. `chosen`: these are not all of its entities."""

    number: int
    entities: Sequence[Table]
    since: "Version | None" = None
    chosen: bool = False

    @property
    def checksum(self) -> str:
        return blake3(b"".join(one.checksum for one in self.entities)).hexdigest()

    @property
    def records(self) -> int:
        return sum(len(one.records) for one in self.entities)

    @property
    def labels(self) -> list[str]:
        return [one.label for one in self.entities]

    def chunks(self) -> list[Chunk]:
        """All that it needs, each once."""
        found = [chunk for one in self.entities for chunk in one.chunks()]
        found += [(ENTITIES, canonical([one.row for one in self.entities])), (DEFINITION, canonical(SCHEMA))]
        there = self.since.chunks() if self.since else []
        return [chunk for chunk in dict.fromkeys(found) if chunk not in there]

    def packs(self) -> list[tuple[str, bytes, int, bool]]:
        """Name, bytes, number of chunks, and whether it holds more than records."""
        made = []
        for is_more in (False, True):
            chunks = [chunk for chunk in self.chunks() if (chunk[0] != RECORD) == is_more]
            data = pack(chunks, declared_bytes(f"salt {self.number} {self.labels} {is_more}", 32))
            made.append((blake3(data).hexdigest(), data, len(chunks), is_more))
        return made

    def document(self) -> Mapping[str, Json]:
        packs = sorted((name, len(data), count, is_more) for name, data, count, is_more in self.packs())
        chosen: Mapping[str, Json] = {"kind": "selected", "included": self.labels} if self.chosen else {}
        before: Mapping[str, Json] = {}
        if self.since:
            previous = blake3(envelope(canonical(self.since.document()))).hexdigest()
            before = {"parent": self.since.number, "previous": previous}
        return {
            **DOCUMENT,
            "added_bytes": sum(size for _, size, _, _ in packs),
            "checksum": self.checksum,
            "entities": {
                "id": chunk_id(ENTITIES, canonical([one.row for one in self.entities])).hex(),
                "large": False,
            },
            "number": self.number,
            "original_bytes": sum(len(record) for one in self.entities for record in one.records),
            "packs": [list(row) for row in packs],
            "read": [[one.label, "scan", "every row is read", len(one.records), 0] for one in self.entities],
            "reason": "an example",
            "records": self.records,
            "schema": {"id": chunk_id(DEFINITION, canonical(SCHEMA)).hex(), "large": False},
            **before,
            **chosen,
        }

    def head(self) -> Mapping[str, Json]:
        document, since = self.document(), self.since
        same = ("checksum", "created_at", "name", "number", "reason", "records", "repository_id")
        return {
            **{name: document[name] for name in same},
            "database": "shop",
            "entities": self.labels if self.chosen else None,
            "format": 1,
            "since": {"checksum": since.checksum, "number": since.number} if since else None,
            "type": "bundle",
        }

    def members(self) -> list[tuple[str, bytes]]:
        return [
            ("bundle", envelope(canonical(self.head()))),
            ("config", envelope(canonical(CONFIG))),
            *((f"packs/{name[:2]}/{name}", data) for name, data, _, _ in self.packs()),
            (f"versions/{self.number:010d}", envelope(canonical(self.document()))),
        ]

    def value(self) -> str:
        records: Json = {one.label: [record.hex() for record in one.records] for one in self.entities}
        return stated({"head": self.head(), "records": records})


def pack(chunks: Sequence[Chunk], salt: bytes) -> bytes:
    """Frames of one chunk each, as they are."""
    plains = [plain for _, plain in chunks]
    rows = [Row(kind=kind, stored=len(plain), plain=len(plain)) for kind, plain in chunks]
    shorts = [chunk_id(kind, plain)[:16] for kind, plain in chunks]
    begin = struct.pack("<8sHBB4s32s", b"CASPACK\n", 1, 0, 0, bytes(4), salt)
    return b"".join((begin, *plains, end_of(tables(rows, [*map(len, plains)], shorts=shorts))))


def header(
    name: str, size: int, fields: Mapping[int, bytes] | None = None, *, is_summed: bool = True
) -> bytes:
    """`fields`: other bytes at these offsets."""
    block = bytearray(512)
    fixed = {
        0: name.encode(),
        100: b"0000644\0",
        108: b"0000000\0",
        116: b"0000000\0",
        124: b"%011o\0" % size,
        136: b"00000000000\0",
        148: b" " * 8,
        156: b"0",
        257: b"ustar\x0000",
    }
    for at, data in [*fixed.items(), *(fields or {}).items()]:
        block[at : at + len(data)] = data
    if is_summed:
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name: str, data: bytes) -> bytes:
    return header(name, len(data)) + data + bytes(-len(data) % 512)


def archive(members: Members) -> bytes:
    return b"".join(member(name, data) for name, data in members) + END


def sealed_members(members: Members, kinds: Sequence[str]) -> list[tuple[str, bytes]]:
    """The same in a sealed bundle, with a slot of each of these kinds."""
    contents = canonical({"config": CONFIG, "data_keys": [DATA_KEYS[0].hex()]})
    slots = [wrapped(head(number, kind, label="bundle")) for number, kind in enumerate(kinds, 1)]
    found = [
        (name, b"".join(sealed(data, name=name)) if name != "config" else envelope(canonical(SEALED_CONFIG)))
        for name, data in members
    ]
    return [*found[:2], ("keys/0000000001", envelope(canonical(keys(slots, contents)))), *found[2:]]


FIRST = Version(1, (EVENT, PRODUCT))
SECOND = Version(2, (EVENT, CHANGED), since=FIRST)
SECRETS: Mapping[str, Json] = {"passphrase": PASSPHRASE, "file": FILE.hex(), "age": IDENTITY}


def vectors() -> Iterator[Vector]:
    yield from _good()
    yield from _cut()
    yield from _headers()
    yield from _order()
    yield from _contents()


def _good() -> Iterator[Vector]:
    def one(name: str, about: str, version: Version, data: bytes, **given: Json) -> Vector:
        return Vector("bundle", name, "success", about, parts_of(data), version.value(), given)

    yield one("example", "a version with a table and a bag, in clear", FIRST, archive(FIRST.members()))
    yield one("since", "what version 2 adds to that one", SECOND, archive(SECOND.members()), before="example")
    some = Version(1, (PRODUCT,), chosen=True)
    yield one("chosen", "one entity of the version", some, archive(some.members()))
    for kind in ("passphrase", "file", "age"):
        data = archive(sealed_members(FIRST.members(), [kind]))
        yield one(f"sealed-{kind}", f"sealed, by {kind}", FIRST, data, secrets={"1": SECRETS[kind]})
    data = archive(sealed_members(FIRST.members(), ["age", "passphrase"]))
    each: Json = {"1": IDENTITY, "2": PASSPHRASE}
    yield one("sealed-both", "sealed, by age and by passphrase", FIRST, data, secrets=each)


def _bad(name: str, expect: str, about: str, data: bytes, **given: Json) -> Vector:
    return Vector("bundle", name, expect, about, parts_of(data), None, given)


def _cut() -> Iterator[Vector]:
    members = FIRST.members()
    whole = archive(members)
    second = len(member(*members[0]))
    yield _bad("empty", "malformed", "no byte", b"")
    yield _bad("cut-in-header", "truncated", "it ends within the second header", whole[: second + 300])
    yield _bad("cut-in-content", "truncated", "it ends within the config", whole[: second + 600])
    yield _bad("cut-before-document", "truncated", "it ends before the document", whole[: -len(END) - 2048])
    yield _bad("no-end", "truncated", "it ends before the zeros", whole[: -len(END)])
    yield _bad("half-an-end", "truncated", "512 zeros less", whole[:-512])
    yield _bad("cut", "truncated", "the last byte is missing", whole[:-1])
    yield _bad("trailing-byte", "malformed", "a byte behind the end", whole + b"\0")
    yield _bad("twice", "malformed", "the same once more behind it", whole + whole)
    yield _bad("gzip", "malformed", "compressed by gzip", gzip.compress(whole, mtime=0))
    yield _bad("no-document", "truncated", "an end where the document should be", archive(members[:-1]))


def _headers() -> Iterator[Vector]:
    members = FIRST.members()
    behind = b"".join(member(*one) for one in members[2:]) + END
    first = member(*members[0])
    config = members[1][1]

    def one(name: str, expect: str, about: str, block: bytes, content: bytes = config) -> Vector:
        filled = content + bytes(-len(content) % 512)
        return _bad(f"header-{name}", expect, about, first + block + filled + behind)

    def changed(name: str, about: str, fields: Mapping[int, bytes]) -> Vector:
        return one(name, "malformed", about, header("config", len(config), fields))

    for name, path in (
        ("path-up", "../config"),
        ("path-absolute", "/etc/config"),
        ("path-within", "packs/../config"),
        ("path-dot", "./config"),
        ("path-windows", "..\\config"),
        ("path-unknown", "notes/0000000001"),
        ("path-directory", "packs/"),
    ):
        yield one(name, "malformed", f"the name {path}", header(path, len(config)))
    yield changed("prefix", "a prefix before the name", {345: b"../.."})
    yield changed("behind-name", "something behind the zero of the name", {50: b"x"})
    yield changed("symlink", "a symbolic link", {156: b"2", 157: b"/etc/passwd"})
    yield changed("hard-link", "a hard link", {156: b"1", 157: b"bundle"})
    yield changed("directory", "a directory", {156: b"5"})
    yield changed("device", "a device", {156: b"3"})
    yield changed("pax", "a header of pax", {156: b"x"})
    yield changed("long-name", "a long name of GNU", {156: b"L"})
    yield changed("type-zero", "the old type of a file", {156: b"\0"})
    yield changed("mode", "another mode", {100: b"0004755\0"})
    yield changed("owner", "an owner", {108: b"0001750\0"})
    yield changed("owner-name", "the name of an owner", {265: b"root"})
    yield changed("time", "a time", {136: b"15146473000\0"})
    yield changed("gnu", "the magic of GNU", {257: b"ustar  \0"})
    yield changed("padding", "something behind the prefix", {500: b"x"})
    yield changed("size-spaced", "a size with spaces", {124: b"%11o " % len(config)})
    yield changed("size-binary", "a size in base 256", {124: b"\x80" + bytes(9) + b"\1\x39"})
    yield changed("size-minus", "a negative size", {124: b"-0000000471\0"})
    flipped = bytearray(header("config", len(config)))
    flipped[130] ^= 1
    yield one("flipped", "malformed", "a bit flipped in the size", bytes(flipped))
    yield one(
        "sum-spaced",
        "malformed",
        "a checksum of another form",
        header("config", len(config), {148: b"  7137\0 "}, is_summed=False),
    )
    most = header("config", MOST_MEMBER_BYTES)
    yield one("size-max", "truncated", "65 MiB are declared, and not there", most)
    yield one("size-max-1", "limit", "a byte more is declared", header("config", MOST_MEMBER_BYTES + 1))
    yield one("size-huge", "limit", "8 GiB are declared", header("config", 8**11 - 1))
    filled = bytearray(member("config", config))
    filled[-1] = 1
    yield _bad("filling", "malformed", "a filling that is not zero", first + bytes(filled) + behind)


def _order() -> Iterator[Vector]:
    head_, config, records, more, document = FIRST.members()

    def one(name: str, about: str, *members: tuple[str, bytes]) -> Vector:
        return _bad(name, "malformed", about, archive(members))

    yield one("bundle-twice", "what it is, twice", head_, head_, config, records, more, document)
    yield one("config-twice", "two configs", head_, config, config, records, more, document)
    yield one("pack-twice", "a pack twice", head_, config, records, more, records, document)
    yield one("document-twice", "a document twice", head_, config, records, more, document, document)
    second = SECOND.members()[-1]
    yield one("two-documents", "two versions", head_, config, records, more, document, second)
    yield one("no-bundle", "nothing says what it is", config, records, more, document)
    yield one("no-config", "no config", head_, records, more, document)
    yield one("config-first", "the config first", config, head_, records, more, document)
    yield one("pack-last", "a pack behind the document", head_, config, records, document, more)
    keys_ = sealed_members(FIRST.members(), ["file"])[2]
    yield one("keys-behind-packs", "keys behind packs", head_, config, records, keys_, more, document)


def _contents() -> Iterator[Vector]:
    members = FIRST.members()
    head_, config, records, more, document = members

    def put(at: int, data: bytes) -> bytes:
        return archive([(name, data if at == index else old) for index, (name, old) in enumerate(members)])

    def said(name: str, expect: str, about: str, /, **changes: Json) -> Vector:
        return _bad(name, expect, about, put(0, envelope(canonical({**FIRST.head(), **changes}))))

    yield said("format-2", "unsupported", "a bundle that came later", format=2)
    yield said("type", "malformed", "a document of another type", type="version")
    yield said("field", "malformed", "a field too many", colour="red")
    yield said("other-number", "missing", "it says to be version 2", number=2)
    yield said("other-records", "malformed", "it says another number of records", records=7)
    yield said("other-checksum", "malformed", "it says another checksum", checksum="11" * 32)
    yield said("other-database", "malformed", "it says another database", database="other")
    yield said("other-repository", "malformed", "another repository", repository_id=OTHER_REPOSITORY)
    yield said("entities-none", "malformed", "none was chosen", entities=[])
    yield said("entities-twice", "malformed", "one was chosen twice", entities=["public.event"] * 2)
    yield said("entities-others", "malformed", "others were chosen", entities=["public.event"])
    same: Json = {"checksum": FIRST.checksum, "number": 1}
    yield said("since-itself", "malformed", "since itself", since=same)

    for at, name in enumerate(("bundle", "config", "records", "nodes", "document")):
        data = members[at][1]
        flipped = data[:60] + bytes([data[60] ^ 1]) + data[61:]
        yield _bad(f"flipped-{name}", "hash-mismatch", f"a bit flipped: {name}", put(at, flipped))
    later = envelope(canonical({**CONFIG, "format": 2}))
    yield _bad("config-format-2", "unsupported", "a repository that came later", put(1, later))
    less = archive([head_, config, records, document])
    yield _bad("pack-missing", "missing", "a pack is missing", less)
    name = blake3(SECOND.packs()[0][1]).hexdigest()
    stranger = (f"packs/{name[:2]}/{name}", SECOND.packs()[0][1])
    yield _bad(
        "pack-more",
        "malformed",
        "a pack that the document does not name",
        archive([head_, config, records, more, stranger, document]),
    )
    lacking = Version(1, (EVENT, PRODUCT), since=Version(1, (EVENT, CHANGED)))
    whole = {**lacking.document(), "parent": None, "previous": None}
    rest = [head_, config, *lacking.members()[2:-1], (document[0], envelope(canonical(whole)))]
    yield _bad("chunk-missing", "missing", "chunks that it needs are in no pack", archive(rest))
    opened = sealed_members(members, ["file"])
    secrets: Json = {"1": FILE.hex()}

    def sealed_as(name: str, expect: str, about: str, *changed: tuple[str, bytes]) -> Vector:
        return _bad(f"sealed-{name}", expect, about, archive(changed), secrets=secrets)

    stranger_config = envelope(canonical({**SEALED_CONFIG, "repository_id": OTHER_REPOSITORY}))
    yield sealed_as("no-keys", "missing", "sealed, without keys", *opened[:2], *opened[3:])
    yield sealed_as(
        "other-config",
        "missing",
        "no keys of the repository",
        opened[0],
        ("config", stranger_config),
        *opened[2:],
    )
    text = {**json.loads(opened[2][1].split(b"\n")[0]), "created_at": TIME.replace("2026", "2027")}
    later_keys = (opened[2][0], envelope(canonical(text)))
    yield sealed_as(
        "changed-beside", "hash-mismatch", "another time of the keys", *opened[:2], later_keys, *opened[3:]
    )
    other_number = ("keys/0000000002", opened[2][1])
    yield sealed_as(
        "other-number", "malformed", "keys under another number", *opened[:2], other_number, *opened[3:]
    )
    in_clear = archive([head_, config, opened[2], *members[2:]])
    yield _bad("keys-in-clear", "malformed", "keys in a bundle that is not sealed", in_clear)
    slots = [wrapped(head(1, "age", kept="00"))]
    dear = [*opened[:2], (opened[2][0], envelope(canonical(keys(slots)))), *opened[3:]]
    yield _bad(
        "sealed-no-age-file",
        "malformed",
        "a slot of age without its file",
        archive(dear),
        secrets={"1": IDENTITY},
    )


assert DOCUMENT["created_at"] == TIME, "the keys of a bundle say the time of its version"
