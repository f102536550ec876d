"""Vectors of config, document, notes, entities, definition and schema: canonical JSON, some in envelopes."""

from collections.abc import Iterator, Mapping
from typing import cast

from blake3 import blake3

from tests.vectors.model import Json, Vector, parts_of
from tests.vectors.primitives import ID_KEY, canonical, chunk_id, envelope

CONFIG: Mapping[str, Json] = {
    "created_at": "2026-01-31T12:00:00.000000+00:00",
    "format": 1,
    "generation": 1,
    "id_key": ID_KEY.hex(),
    "node_bits": 6,
    "repository_id": "00112233445566778899aabbccddeeff",
    "sealing": None,
    "type": "config",
}

PACKS = sorted(blake3(content).hexdigest() for content in (b"a", b"b"))

SOURCE: Mapping[str, Json] = {
    "database": "shop",
    "encoding": "UTF8",
    "extensions": [["plpgsql", "1.0"]],
    "locale": "C.UTF-8",
    "roles": ["shop_owner"],
    "server_version": "18.1",
    "system_identifier": "7300000000000000001",
    "url": "postgresql://shop@localhost/shop",
}

DOCUMENT: Mapping[str, Json] = {
    "added_bytes": 12345,
    "checksum": blake3(b"checksum").hexdigest(),
    "created_at": "2026-01-31T12:00:00.000000+00:00",
    "created_by": "",
    "description": "",
    "entities": {"id": chunk_id(7, b"[]").hex(), "large": False},
    "excluded": [],
    "finished_at": "2026-01-31T12:00:01.500000+00:00",
    "format": 1,
    "included": [],
    "included_schemas": [],
    "kind": "full",
    "metadata": {},
    "name": "",
    "number": 1,
    "omissions": [],
    "original_bytes": 0,
    "packs": [],
    "parent": None,
    "previous": None,
    "protected": False,
    "read": [],
    "reason": "",
    "records": 0,
    "repository_id": "00112233445566778899aabbccddeeff",
    "schema": None,
    "source": SOURCE,
    "state": "complete",
    "tags": [],
    "trigger": "MANUAL",
    "type": "version",
}

FULL: Mapping[str, Json] = {
    **DOCUMENT,
    "created_by": "ren\u00e9e",
    "description": 'line one\nline two\t"quoted" \\ \u2028 \x7f',
    "excluded": ["audit.*"],
    "included": ["public.product", "*"],
    "included_schemas": ["public"],
    "kind": "selected",
    "metadata": {"\U00010000": "after U+FFFF", "\uffff": "before U+10000", "a": "\U0001f600"},
    "name": "before the import",
    "number": 9_999_999_999,
    "omissions": [["public.remote", "foreign table"]],
    "original_bytes": 2**63 - 1,
    "packs": [[PACKS[0], 4096, 12, False], [PACKS[1], 67_108_864, 1_048_576, True]],
    "parent": 9_999_999_998,
    "previous": blake3(b"parent").hexdigest(),
    "protected": True,
    "read": [["public.product", "scan", "every row is read", 4, 2]],
    "records": 4,
    "schema": {"id": chunk_id(6, b"").hex(), "large": True},
    "source": {**SOURCE, "database": "latin \udce9", "roles": []},
    "state": "incomplete",
    "tags": ["nightly"],
    "trigger": "SYSTEM",
}

NOTES: Mapping[str, Json] = {
    "at": "2026-01-31T12:00:00.000000+00:00",
    "by": "ada",
    "format": 1,
    "notes": [
        {"field": "protected", "value": True, "version": 12},
        {"field": "hold", "value": "case 4711", "version": 13},
        {"setting": "retention.rules", "values": ["last 50", "daily 30"]},
    ],
    "number": 1,
    "repository_id": "00112233445566778899aabbccddeeff",
    "type": "notes",
}

JOURNAL: Mapping[str, Json] = {
    "format": 1,
    "number": 42,
    "packs": [f"{number:02x}" * 32 for number in (1, 2, 0xFF)],
    "repository_id": "00112233445566778899aabbccddeeff",
    "token": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "type": "gc",
}

TEXTS = (
    ("white-space", "malformed", "a space after a colon", lambda text: text.replace(b'":', b'": ', 1)),
    ("key-order", "malformed", "type before everything else", lambda text: b'{"type":"X",' + text[1:]),
    (
        "escaped-letter",
        "malformed",
        "a letter written as an escape",
        lambda t: t.replace(b'"U', b'"\\u0055', 1),
    ),
    (
        "escaped-solidus",
        "malformed",
        "an escape that is not needed",
        lambda t: t.replace(b"//", b"\\/\\/", 1),
    ),
    ("float", "malformed", "1.0 for 1", lambda text: text.replace(b'"format":1', b'"format":1.0')),
    ("exponent", "malformed", "1e0 for 1", lambda text: text.replace(b'"format":1', b'"format":1e0')),
    ("leading-zero", "malformed", "01 for 1", lambda text: text.replace(b'"format":1', b'"format":01')),
    ("minus-zero", "malformed", "-0 for 0", lambda text: text.replace(b'"records":0', b'"records":-0')),
    ("negative", "malformed", "a number below 0", lambda text: text.replace(b'"records":0', b'"records":-1')),
    (
        "true-for-1",
        "malformed",
        "true where a number is",
        lambda t: t.replace(b'"format":1', b'"format":true'),
    ),
    ("nan", "malformed", "NaN", lambda text: text.replace(b'"records":0', b'"records":NaN')),
    ("2-to-63", "malformed", "2^63", lambda t: t.replace(b'"records":0', b'"records":9223372036854775808')),
    (
        "huge-number",
        "malformed",
        "5,000 digits",
        lambda t: t.replace(b'"records":0', b'"records":' + b"9" * 5000),
    ),
    (
        "deep",
        "malformed",
        "100,000 lists in each other",
        lambda t: t.replace(b"[]", b"[" * 10**5 + b"]" * 10**5, 1),
    ),
    (
        "not-ascii",
        "malformed",
        "a byte above 127",
        lambda text: text.replace(b'"name":""', b'"name":"\xc3\xa9"'),
    ),
    ("control", "malformed", "a control byte", lambda text: text.replace(b'"name":""', b'"name":"\x01"')),
    ("nul", "malformed", "U+0000", lambda text: text.replace(b'"name":""', b'"name":"\\u0000"')),
    ("lone-high", "malformed", "half a pair", lambda text: text.replace(b'"name":""', b'"name":"\\ud83d"')),
    ("lone-low", "malformed", "U+DC00", lambda text: text.replace(b'"name":""', b'"name":"\\udc00"')),
    (
        "upper-hex",
        "malformed",
        "an escape in upper case",
        lambda t: t.replace(b'"name":""', b'"name":"\\u00E9"'),
    ),
    (
        "duplicate-key",
        "malformed",
        "a field twice",
        lambda t: t.replace(b'"name":""', b'"name":"","name":""'),
    ),
    ("two-values", "malformed", "a second value behind the first", lambda text: text + b"{}"),
    ("empty-body", "malformed", "no value at all", lambda text: b""),
    ("list", "malformed", "a list where an object belongs", lambda text: b"[" + text + b"]"),
)


def vectors() -> Iterator[Vector]:
    yield from _configs()
    yield from _envelopes()
    for name, expect, about, change in TEXTS:
        body = canonical(DOCUMENT)
        changed = change(body)
        assert changed != body
        yield _vector("document", f"json-{name}", expect, f"canonical JSON: {about}", envelope(changed))
    yield from _documents()
    yield from _notes()
    yield from _journals()
    yield from _entities()
    yield from _definitions()
    yield from _schemas()


def _vector(of: str, name: str, expect: str, about: str, data: bytes) -> Vector:
    return Vector(of, name, expect, about, parts_of(data))


def _changed(base: Mapping[str, Json], **changes: Json) -> bytes:
    return envelope(canonical({**base, **changes}))


def _without(base: Mapping[str, Json], name: str) -> bytes:
    return envelope(canonical({key: value for key, value in base.items() if key != name}))


def _configs() -> Iterator[Vector]:
    def one(name: str, expect: str, about: str, /, **changes: Json) -> Vector:
        return _vector("config", name, expect, about, _changed(CONFIG, **changes))

    yield one("example", "success", "a config as it is first written")
    yield one("node-bits-1", "success", "the smallest node_bits", node_bits=1)
    yield one("max", "success", "all numbers at their greatest", node_bits=7, generation=2**63 - 1)
    yield one("node-bits-0", "malformed", "node_bits below 1", node_bits=0)
    yield one("node-bits-8", "malformed", "node_bits above 7", node_bits=8)
    yield one("generation-0", "malformed", "generations count from 1", generation=0)
    yield one("format-2", "unsupported", "a later format", format=2)
    yield one("format-0", "unsupported", "a format that never was", format=0)
    yield one("sealed", "unsupported", "a sealed repository", sealing={"method": "any"})
    yield one("type", "malformed", "a document of another type", type="version")
    yield one("id-key-31", "malformed", "an id key of 31 bytes", id_key="00" * 31)
    yield one("id-key-upper", "malformed", "hex in upper case", id_key="AB" * 32)
    yield one("id-key-spaced", "malformed", "hex with a space", id_key="00 " + "00" * 31)
    yield one("unknown-field", "malformed", "a field that format 1 does not have", colour="red")
    yield one(
        "time-z", "malformed", "another form of the same time", created_at="2026-01-31T12:00:00.000000Z"
    )
    yield one("time-short", "malformed", "no microseconds", created_at="2026-01-31T12:00:00+00:00")
    yield one("time-zone", "malformed", "not in UTC", created_at="2026-01-31T12:00:00.000000+01:00")
    yield one("time-leap-day", "success", "29 February", created_at="2024-02-29T23:59:59.999999+00:00")
    yield one(
        "time-no-day", "malformed", "29 February of 2100", created_at="2100-02-29T00:00:00.000000+00:00"
    )
    yield one(
        "time-digits",
        "malformed",
        "digits of another script",
        created_at="\u0662026-01-31T12:00:00.000000+00:00",
    )
    yield _vector("config", "missing-field", "malformed", "no node_bits", _without(CONFIG, "node_bits"))


def _envelopes() -> Iterator[Vector]:
    whole = _changed(CONFIG)

    def one(name: str, expect: str, about: str, data: bytes) -> Vector:
        return _vector("config", f"envelope-{name}", expect, about, data)

    def flipped(at: int) -> bytes:
        return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]

    hash_line = len(whole) - 65
    yield one("empty", "truncated", "an empty object", b"")
    yield one("short", "truncated", "shorter than a hash line", b"{}\n")
    yield one("cut", "truncated", "the last byte is missing", whole[:-1])
    yield one("half", "truncated", "the second half is missing", whole[: len(whole) // 2])
    yield one("trailing-byte", "truncated", "a byte behind the end", whole + b"x")
    yield one("trailing-line", "truncated", "an empty line behind the end", whole + b"\n")
    yield one("flipped-body", "hash-mismatch", "a bit flipped in the body", flipped(20))
    yield one("flipped-hash", "hash-mismatch", "a bit flipped in the hash", flipped(hash_line + 10))
    yield one(
        "flipped-separator",
        "truncated",
        "a bit flipped in the line end before the hash",
        flipped(hash_line - 1),
    )
    yield one(
        "upper-hash", "hash-mismatch", "the hash in upper case", whole[:hash_line] + whole[hash_line:].upper()
    )
    body = whole[: hash_line - 1]
    yield one("carriage-return", "hash-mismatch", "CR LF line ends", body + b"\r\n" + whole[hash_line:])


def _documents() -> Iterator[Vector]:
    def one(name: str, expect: str, about: str, /, **changes: Json) -> Vector:
        return _vector("document", name, expect, about, _changed(DOCUMENT, **changes))

    yield one("empty", "success", "a version of an empty database, without schema")
    yield _vector("document", "full", "success", "every field in use", envelope(canonical(FULL)))
    first, second = b'"\\uffff":"before U+10000"', b'"\\ud800\\udc00":"after U+FFFF"'
    twin = canonical(FULL).replace(first + b"," + second, second + b"," + first)
    assert twin != canonical(FULL)
    yield _vector(
        "document",
        "keys-by-code-units",
        "malformed",
        "keys ordered otherwise than by code points",
        envelope(twin),
    )
    yield one("text-of-any-byte", "success", "U+DC80 and U+DCFF stand for bytes", name="\udc80\udcff")
    yield one("number-0", "malformed", "versions count from 1", number=0)
    yield one("number-10-digits", "success", "the greatest number", number=9_999_999_999)
    yield one("number-11-digits", "malformed", "one more", number=10_000_000_000)
    yield one("parent-of-itself", "malformed", "a parent that is not older", number=2, parent=2)
    yield one("parent-0", "malformed", "a parent that cannot be", number=2, parent=0)
    yield one("parent-unread", "success", "a parent whose document could not be read", number=2, parent=1)
    yield one("previous-alone", "malformed", "a hash of no parent", number=2, previous="00" * 32)
    yield one("other-format", "unsupported", "a later format", format=2)
    yield one("other-type", "malformed", "a config", type="config")
    yield one("unknown-state", "unsupported", "a state that came later", state="sketched")
    yield one("unknown-trigger", "unsupported", "triggers are upper case", trigger="auto")
    yield one("unknown-kind", "unsupported", "a kind that came later", kind="sampled")
    yield one("unknown-field", "malformed", "a field that format 1 does not have", zeal=1)
    yield one("number-as-text", "malformed", "text where a number is", number="1")
    yield one("null-text", "malformed", "null where text is", name=None)
    yield one("tags-not-list", "malformed", "text where a list is", tags="nightly")
    yield one("metadata-number", "malformed", "a number where text is", metadata={"a": 1})
    yield one("omission-of-three", "malformed", "three texts where two are", omissions=[["a", "b", "c"]])
    yield one("entities-id-31", "malformed", "an id of 31 bytes", entities={"id": "00" * 31, "large": False})
    yield one("entities-null", "malformed", "no list of entities", entities=None)
    yield one(
        "read-true-rows", "malformed", "true where a number of rows is", read=[["a", "scan", "", True, 0]]
    )
    yield one("read-negative", "malformed", "rows below 0", read=[["a", "scan", "", -1, 0]])
    odd_packs: tuple[tuple[str, str, str, list[Json]], ...] = (
        ("chunks-true", "malformed", "true where a number of chunks is", [PACKS[0], 4096, True, False]),
        ("chunks-0", "malformed", "a pack without chunks", [PACKS[0], 4096, 0, False]),
        ("chunks-max-1", "limit", "one chunk more than a pack holds", [PACKS[0], 4096, 1_048_577, False]),
        ("bytes-max-1", "limit", "one byte more than a pack has", [PACKS[0], 67_108_865, 1, False]),
        ("name-upper", "malformed", "a name in upper case", [PACKS[0].upper(), 4096, 1, False]),
        ("name-path", "malformed", "a name that is a path", ["../" * 21 + "x", 4096, 1, False]),
        ("holds-1", "malformed", "1 where true is", [PACKS[0], 4096, 1, 1]),
    )
    for name, expect, about, pack in odd_packs:
        yield one(f"pack-{name}", expect, about, packs=[pack])
    rows: list[Json] = [[name, 4096, 1, False] for name in PACKS]
    yield one("packs-descend", "malformed", "packs not ascending", packs=rows[::-1])
    yield one("packs-twice", "malformed", "a pack twice", packs=[rows[0], rows[0]])
    yield _vector(
        "document",
        "source-without-url",
        "malformed",
        "no url",
        envelope(canonical({**DOCUMENT, "source": {k: v for k, v in SOURCE.items() if k != "url"}})),
    )
    room = 32 * 1024 * 1024 - len(_changed(DOCUMENT))
    yield one("max-bytes", "success", "32 MiB with its envelope", description="a" * room)
    yield one("max-bytes-1", "limit", "one byte more", description="a" * (room + 1))


def _notes() -> Iterator[Vector]:
    def one(name: str, expect: str, about: str, /, **changes: Json) -> Vector:
        return _vector("notes", name, expect, about, _changed(NOTES, **changes))

    def about(field: str, value: Json, version: Json = 12) -> list[Json]:
        return [{"field": field, "value": value, "version": version}]

    yield one("example", "success", "two versions and a setting")
    yield one("forgotten", "success", "a version that goes", notes=about("forgotten", "no rule wants it"))
    yield one("forgotten-empty", "malformed", "one without a reason", notes=about("forgotten", ""))
    yield one("lifted", "success", "a hold that is lifted", notes=about("hold", ""))
    yield one("no-date", "success", "the rules decide again", notes=about("expires_at", None))
    date = "2027-01-31T00:00:00.000000+00:00"
    yield one("date", "success", "a date until which it stays", notes=about("expires_at", date))
    yield one("default", "success", "a default again", notes=[{"setting": "a", "values": None}])
    yield one("no-values", "success", "a setting of nothing", notes=[{"setting": "a", "values": []}])
    yield one("number-max", "success", "the greatest number", number=9_999_999_999)
    yield one("number-0", "malformed", "notes count from 1", number=0)
    yield one("none", "malformed", "notes that say nothing", notes=[])
    yield one("version-0", "malformed", "versions count from 1", notes=about("hold", "", 0))
    yield one("version-true", "malformed", "true where a number is", notes=about("hold", "", True))
    yield one("protected-1", "malformed", "1 where true is", notes=about("protected", 1))
    yield one("hold-null", "malformed", "no text", notes=about("hold", None))
    yield one("date-short", "malformed", "no time", notes=about("expires_at", "2027-01-31"))
    yield one("unknown-word", "unsupported", "a word that came later", notes=about("colour", "red"))
    yield one("format-2", "unsupported", "a later format", format=2)
    yield one("type", "malformed", "a document of another type", type="version")
    yield one("unknown-field", "malformed", "a field that format 1 does not have", colour="red")
    yield one("not-a-note", "malformed", "a text where a note is", notes=["protected"])
    yield one("values-text", "malformed", "text where a list is", notes=[{"setting": "a", "values": "b"}])
    long = "x" * 10_000
    yield one("hold-max", "success", "a hold of 10,000 characters", notes=about("hold", long))
    yield one("hold-max-1", "limit", "one more", notes=about("hold", long + "x"))
    yield one("value-max-1", "limit", "a value of one more", notes=[{"setting": "a", "values": [long + "x"]}])
    yield one("name-400", "success", "a long name", notes=[{"setting": "a" * 400, "values": []}])
    yield one("name-401", "malformed", "a longer one", notes=[{"setting": "a" * 401, "values": []}])
    yield one("name-empty", "malformed", "no name", notes=[{"setting": "", "values": []}])
    both: Json = {"setting": "a", "values": [], "version": 1}
    yield one("both", "malformed", "a setting of one version", notes=[both])
    many = about("protected", True) * 10_000
    yield one("max", "success", "10,000 notes", notes=many)
    yield one("max-1", "limit", "one more", notes=[*many, *about("protected", True)])
    cut = _changed(NOTES)[:-1]
    yield _vector("notes", "cut", "truncated", "the last byte is missing", cut)
    flipped = bytearray(_changed(NOTES))
    flipped[20] ^= 1
    yield _vector("notes", "flipped", "hash-mismatch", "a bit flipped in the body", bytes(flipped))


def _journals() -> Iterator[Vector]:
    def one(name: str, expect: str, about: str, /, **changes: Json) -> Vector:
        return _vector("journal", name, expect, about, _changed(JOURNAL, **changes))

    names = cast(list[str], JOURNAL["packs"])
    yield one("example", "success", "three packs")
    yield one("none", "success", "all were spared", packs=[])
    yield one("number-max", "success", "the last number", number=9_999_999_999)
    yield one("number-max-1", "malformed", "one more", number=10_000_000_000)
    yield one("number-0", "malformed", "journals count from 1", number=0)
    yield one("unsorted", "malformed", "names that do not ascend", packs=names[::-1])
    yield one("twice", "malformed", "a name twice", packs=[names[0], names[0]])
    yield one("short-name", "malformed", "a name of 62 digits", packs=[names[0][2:]])
    yield one("upper-case", "malformed", "a name in upper case", packs=[names[2].upper()])
    yield one("no-text", "malformed", "a number where a token is", token=7)
    yield one("format-2", "unsupported", "a later format", format=2)
    yield one("type", "malformed", "notes where a journal is", type="notes")
    yield one("unknown-field", "malformed", "a field that format 1 does not have", colour="red")
    yield _vector("journal", "cut", "truncated", "the last byte is missing", _changed(JOURNAL)[:-1])
    flipped = bytearray(_changed(JOURNAL))
    flipped[20] ^= 1
    yield _vector("journal", "flipped", "hash-mismatch", "a bit flipped in the body", bytes(flipped))


def _entities() -> Iterator[Vector]:
    definition, root = chunk_id(4, b"definition").hex(), chunk_id(2, b"root").hex()
    row: dict[str, Json] = {
        "definition": definition,
        "dictionary": None,
        "payload_bytes": 120,
        "records": 3,
        "root": root,
    }

    def one(name: str, expect: str, about: str, *rows: Json) -> Vector:
        return _vector("entities", name, expect, about, canonical(rows))

    yield one("empty", "success", "no entity")
    yield one(
        "one",
        "success",
        "one entity with records and dictionary",
        {**row, "dictionary": chunk_id(3, b"").hex()},
    )
    yield one(
        "no-data",
        "success",
        "an entity of a schema-only version",
        {**row, "payload_bytes": 0, "records": 0, "root": None},
    )
    yield one("twice", "malformed", "the same definition twice", row, row)
    yield one("records-without-root", "malformed", "records, and no root", {**row, "root": None})
    yield one("unknown-field", "malformed", "a field that format 1 does not have", {**row, "name": "a"})
    yield one("not-a-row", "malformed", "a number where a row is", 1)
    yield _vector("entities", "object", "malformed", "an object where a list is", b"{}")
    yield _vector("entities", "trailing-byte", "malformed", "a line end behind the list", b"[]\n")
    text = canonical(row)
    parts = ((b"[", 1), (text + b",", 100_000), (text + b"]", 1))
    yield Vector("entities", "max-entities-1", "limit", "100,001 entities", parts)


def _definitions() -> Iterator[Vector]:
    column: dict[str, Json] = {
        "collation": None,
        "default": None,
        "identity": "by default",
        "name": "id",
        "not_null": True,
        "type": "integer",
    }
    base: dict[str, Json] = {
        "columns": [
            column,
            {
                **column,
                "collation": '"C"',
                "default": "''::text",
                "identity": None,
                "name": "na\u00efve",
                "not_null": False,
                "type": "text",
            },
        ],
        "fingerprint": "",
        "key": [["id", "integer"]],
        "kind": "table",
        "name": "product",
        "schema": "public",
    }

    def one(name: str, expect: str, about: str, /, **changes: Json) -> Vector:
        return _vector("definition", name, expect, about, canonical({**base, **changes}))

    yield one("table", "success", "a table with a primary key")
    yield one("bag", "success", "a table without columns and without key", columns=[], key=[])
    yield one(
        "key-beside-columns",
        "success",
        "a generated column as key is not among the columns",
        key=[["g", "text"], ["id", "uuid"]],
    )
    yield one("unknown-kind", "unsupported", "a kind that came later", kind="later")
    yield one("unknown-part", "unsupported", "a form of key that came later", key=[["id", "float"]])
    yield one(
        "unknown-identity",
        "unsupported",
        "an identity that came later",
        columns=[{**column, "identity": "never"}],
    )
    yield one("column-twice", "malformed", "two columns of one name", columns=[column, column])
    yield one("key-twice", "malformed", "a key column twice", key=[["id", "integer"], ["id", "integer"]])
    yield one("key-of-three", "malformed", "three texts where two are", key=[["id", "integer", "x"]])
    yield one(
        "column-without-type",
        "malformed",
        "no type",
        columns=[{k: v for k, v in column.items() if k != "type"}],
    )
    yield one("unknown-field", "malformed", "a field that format 1 does not have", owner="me")


def _schemas() -> Iterator[Vector]:
    item: list[Json] = [
        "pre-data",
        "TABLE",
        "public",
        "product",
        "CREATE TABLE public.product (id integer);\n",
    ]

    def one(name: str, expect: str, about: str, *rows: Json) -> Vector:
        return _vector("schema", name, expect, about, canonical(rows))

    yield one("empty", "success", "no statement")
    yield one("two", "success", "a statement before the data and one after", item, ["post-data", *item[1:]])
    yield one("unknown-section", "unsupported", "a section that came later", ["data", *item[1:]])
    yield one("item-of-four", "malformed", "four texts", item[:4])
    yield one("number-for-text", "malformed", "a number where text is", [*item[:4], 1])
    yield _vector("schema", "text", "malformed", "text where a list is", b'"pre-data"')
