"""FORMAT.md says what the product does: its examples, numbers, tables and settings are executed."""

import json
import re
from collections.abc import Iterator, Sequence
from uuid import UUID

import psycopg
import pytest
import xxhash
from blake3 import blake3
from psycopg import sql

from cas import limits
from cas.format.config import FORMAT, parse_config
from cas.format.document import KINDS, STATES, TRIGGERS, parse_document
from cas.format.entities import IDENTITIES
from cas.format.frame import Encoding
from cas.format.names import dictionary_key, journal_key, keys_key, notes_key, pack_key, version_key
from cas.format.node import EMPTY_LEAF, encode_node, parse_node
from cas.format.schema import SECTIONS
from cas.ids import ChunkId, ChunkKind, IdKey, PackName
from cas.postgres.connecting import PINS
from cas.records.model import EntityKind, KeyPart
from cas.records.payload import NULL, TAB, pad_with_nulls, strip_trailing_nulls
from cas.tree.boundary import Boundary
from cas.tree.build import TreeBuilder
from tests.format.format_text import TEXT, blocks, code, hex_bytes, section, table
from tests.servers.postgres import Cluster
from tests.vectors.generate import scenarios
from tests.vectors.model import EXPECTATIONS, Vector, all_vectors
from tests.vectors.primitives import canonical

VECTORS = {f"{vector.of}/{vector.name}": vector for vector in all_vectors()}
KEY = IdKey(bytes(range(32)))


@pytest.mark.parametrize(("name", "block"), blocks("hex"), ids=lambda text: text[:20])
def test_hex_examples_are_the_vectors_of_their_names(name: str, block: str) -> None:
    assert hex_bytes(block) == VECTORS[name].data
    assert VECTORS[name].expect == "success"


@pytest.mark.parametrize(("name", "block"), blocks("json"), ids=lambda text: text[:20])
def test_json_examples_are_the_vectors_of_their_names(name: str, block: str) -> None:
    body = canonical(json.loads(block))
    assert VECTORS[name].data.split(b"\n")[0] == body


def test_the_hash_line_of_the_example_is_right() -> None:
    ((name, block),) = blocks("hash")
    assert VECTORS[name].data.split(b"\n")[1] == block.strip().encode()
    assert blake3(VECTORS[name].data.split(b"\n")[0]).hexdigest() == block.strip()


def test_every_kind_of_binary_bytes_has_an_example() -> None:
    assert {name.split("/")[0] for name, _ in blocks("hex")} == {
        "header",
        "large",
        "node",
        "sealed",
        "trailer",
    }


def test_kinds_and_the_ids_of_the_example() -> None:
    rows = table("number", "kind", "what it is", "id of the example")
    assert [(int(number), name) for number, name, _, _ in rows] == [
        (kind.value, kind.name) for kind in ChunkKind
    ]
    for number, _, _, chunk_id in rows:
        assert KEY.hasher(ChunkKind(int(number)))(b"1\tchair").hex() == code(chunk_id)
    assert (b"1\tchair").hex() in TEXT


def test_encodings() -> None:
    rows = table("number", "encoding", "stored bytes", "bases", "depth")
    assert [(int(row[0]), row[1]) for row in rows] == [(one.value, one.name) for one in Encoding]


def test_limits_are_those_of_the_product() -> None:
    stated = {code(name): int(value) for name, value, _ in table("name", "value", "of")}
    real = {name: value for name, value in vars(limits).items() if name in stated}
    assert stated == real
    enforced = {name for name in vars(limits) if name.startswith("MAX_")}
    assert enforced <= stated.keys(), "a limit of the format that FORMAT.md does not name"


def test_pins_are_those_of_the_product() -> None:
    stated = {code(name): code(value) for name, value, _ in table("setting", "value", "what it decides")}
    no_text = {"synchronous_commit", "jit", *(name for name in PINS if name.endswith("_timeout"))}
    assert stated == {name: value for name, value in PINS.items() if name not in no_text}


def test_words_of_documents() -> None:
    def words(line: str) -> set[str]:
        return set(re.findall(r"`([^`]+)`", line))

    rows = table("field", "value", text=section("12 The version document"))
    fields = {code(row[0]): row[1] for row in rows if row[0].count("`") == 2}
    assert words(fields["trigger"]) == TRIGGERS
    assert words(fields["kind"]) == KINDS
    assert words(fields["state"]) - {"omissions"} == STATES
    kinds = next(row[1] for row in table("field", "value") if row[0] == "`kind`")
    assert words(kinds) == {kind.value for kind in EntityKind}
    assert words(TEXT.split("`identity` (")[1].split(")")[0]) == IDENTITIES
    assert {code(form) for form, _, _ in table("form", "types", "bytes")} == {part.value for part in KeyPart}
    assert all(f"`{section}`" in TEXT for section in SECTIONS)
    assert all(f"*{word}*" in TEXT for word in EXPECTATIONS if word != "success")
    assert FORMAT == 1


def test_fields_of_config_and_document_are_all_described() -> None:
    named = set(re.findall(r"^\| (`[^|]*`) \|", TEXT, re.MULTILINE))
    described = {name for cell in named for name in re.findall(r"`([^`]+)`", cell)}
    for name in ("config/example", "document/full", "sealed-config/example", "keys/example"):
        assert json.loads(VECTORS[name].data.split(b"\n")[0]).keys() <= described
    parse_config(VECTORS["config/example"].data)
    parse_document(VECTORS["document/full"].data)


def test_object_keys() -> None:
    keys = [code(row[0]) for row in table("key", "content", "created by", "deleted by")]
    name, chunk_id = PackName("5f" * 32), ChunkId(b"\xab" * 32)
    forms = {
        re.sub(r"<[^>]*10 digits>", "0000000042", re.sub(r"<first 2 hex>", "5f", key))
        .replace("<name, 64 hex>", name)
        .replace("<id, 64 hex>", chunk_id.hex())
        for key in keys
    }
    made = {"config", version_key(42), journal_key(42), notes_key(42), keys_key(42)}
    made |= {pack_key(name), dictionary_key(chunk_id)}
    assert forms == made


def test_payloads_of_the_examples() -> None:
    for fields, columns, payload in table("fields of the row", "columns", "payload"):
        values = [NULL if one == "NULL" else code(one).strip("'").encode() for one in fields.split(", ")]
        stated = (
            b""
            if payload == "the empty payload"
            else code(payload.split(" (")[0]).replace("\\t", "\t").encode()
        )
        assert strip_trailing_nulls(TAB.join(values)) == stated
        assert pad_with_nulls(stated, int(columns)) == TAB.join(values)


def key_of(form: str, value: str) -> bytes:
    match KeyPart(form):
        case KeyPart.INTEGER:
            return (int(value) + 2**63).to_bytes(8, "big")
        case KeyPart.UUID:
            return UUID(value).bytes
        case KeyPart.TEXT:
            return value.encode() + b"\0"


def test_keys_of_the_examples() -> None:
    for form, value, key in table("form", "value", "key"):
        text = "" if value == "the empty text" else code(value)
        assert key_of(code(form), text).hex() == code(key)


def test_the_empty_leaf() -> None:
    stated = bytes.fromhex(re.search(r"without counts: `([0-9a-f ]+)`", TEXT)[1])  # type: ignore[index]  # else it fails
    assert parse_node(stated) == EMPTY_LEAF
    assert encode_node(0, (), ()) == stated


class _Nodes:
    def __init__(self) -> None:
        self.made: dict[ChunkId, bytes] = {}

    def put_node(self, plain: bytes, level: int, last_key: bytes) -> ChunkId:
        node_id = KEY.hasher(ChunkKind.NODE)(plain)
        self.made[node_id] = plain
        return node_id


def test_the_tree_of_the_example() -> None:
    numbers = range(1, 13)
    keys = [key_of("integer", str(number)) for number in numbers]
    seed = int.from_bytes(KEY.derive("cas 1 tree boundary")[:8], "little")
    assert [
        n for n, key in zip(numbers, keys, strict=True) if xxhash.xxh3_64_intdigest(key, seed) % 2 == 0
    ] == [5, 6]
    nodes = _Nodes()
    builder = TreeBuilder(nodes, Boundary.of(KEY, 1))
    builder.add(keys, [KEY.hasher(ChunkKind.RECORD)(b"%d" % number) for number in numbers])
    root = builder.finish()
    rows = table("node", "level", "keys", "why it ends", "id")
    for name, level, held, _, node_id in rows:
        node = parse_node(nodes.made[ChunkId(bytes.fromhex(code(node_id)))])
        assert (str(node.level), node.keys) == (level, tuple(key_of("integer", one) for one in held.split()))
        assert name != "root" or node_id == f"`{root.id.hex()}`"
    assert len(nodes.made) == len(rows)


TYPES = table("type", "SQL value", "field")


@pytest.fixture
def pinned(each_cluster: Cluster) -> Iterator[psycopg.Connection]:
    """A session with the pins of FORMAT.md."""
    with psycopg.connect(each_cluster.url()) as connection:
        for name, value, _ in table("setting", "value", "what it decides"):
            connection.execute(
                sql.SQL("SET {} = {}").format(sql.Identifier(code(name)), sql.Literal(code(value)))
            )
        connection.execute("SET client_encoding = 'UTF8'")
        yield connection


def copied(connection: psycopg.Connection, value: str) -> str:
    with connection.cursor().copy(f"COPY (SELECT {value}) TO STDOUT".encode()) as copy:
        return b"".join(bytes(part) for part in copy).decode().removesuffix("\n")


def test_the_text_of_every_type_on_both_servers(pinned: psycopg.Connection) -> None:
    different: Sequence[tuple[str, str, str]] = [
        (name, copied(pinned, code(value)), code(field))
        for name, value, field in TYPES
        if copied(pinned, code(value)) != code(field)
    ]
    assert different == []


def test_names_of_vectors_that_the_text_mentions_exist() -> None:
    folders = {name.split("/")[0] for name in VECTORS}
    mentioned = set(re.findall(r"`([a-z-]+)/`", TEXT)) - {"dictionaries", "packs", "gc"}
    assert mentioned == folders
    listed = section("25 Test vectors").split("`of` is one of ")[1].split(" (trailer and footer)")[0]
    assert {*re.findall(r"`([a-z-]+)`", listed)} == folders
    assert {f"{v.of}/{v.name}" for v in scenarios()} == VECTORS.keys()


def test_links_within_the_text_lead_somewhere() -> None:
    heads = {
        re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-")
        for head in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= heads


def vector_fields(vector: Vector) -> set[str]:
    return set(vector.given)


def test_lines_of_vectors_are_all_described() -> None:
    names = set().union(*map(vector_fields, VECTORS.values())) | {"expect", "about", "value", "body"}
    described = section("25 Test vectors")
    assert all(f"`{name}" in described for name in names)
