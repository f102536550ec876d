r"""What a tiny repository holds: entities with records of every kind, in three versions.

Small on purpose and made by rule, so that a test can state every byte of a restored file.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cas.limits import LARGE_VALUE_BYTES
from cas.records.large_objects import LARGE_OBJECTS, LargeObjectHead, LargeObjectPage, encode_large_object
from cas.records.model import Column, Entity, EntityKind, KeyPart
from cas.records.sequences import SEQUENCES, SequenceState, encode_sequence
from cas.records.source import SchemaItem

ROWS = 400


@dataclass(frozen=True, slots=True)
class Content:
    """One entity's records. For a bag the keys are numbers of no meaning, and payloads may be equal."""

    entity: Entity
    records: Mapping[bytes, bytes]
    has_dictionary: bool = False


def integer_key(number: int) -> bytes:
    return (number + (1 << 63)).to_bytes(8, "big")


def _table(name: str, columns: str, *key: tuple[str, KeyPart], schema: str = "public") -> Entity:
    pairs = [column.split(" ", 1) for column in columns.split(", ")] if columns else []
    parsed = tuple(Column(name, type_, not_null=False) for name, type_ in pairs)
    return Entity(EntityKind.TABLE, schema, name, parsed, key)


PRODUCT = _table("product", "id integer, name text, stock integer, note text", ("id", KeyPart.INTEGER))
LABEL = _table("label", "lang text, code text, text text", ("lang", KeyPart.TEXT), ("code", KeyPart.TEXT))
PAPER = _table("paper", "id uuid, body text", ("id", KeyPart.UUID))
LOG = _table("log", "line text")
VOID = _table("void", "")
NOTHING = _table("nothing", "id bigint", ("id", KeyPart.INTEGER))
ODD = _table('o"d.d', "id integer, ü text", ("id", KeyPart.INTEGER), schema="s p.ace")


def _product(number: int, version: int) -> bytes:
    note = b"\tchanged" if version > 1 and number % 97 == version else b""
    stock = number * 7 % 50 + (version if number % 83 == 5 else 0)
    return b"%d\tproduct %d of series %d\t%d%b" % (number, number, number // 20, stock, note)


def _products(version: int) -> dict[bytes, bytes]:
    numbers = [number for number in range(-50, ROWS - 50) if version < 3 or number % 111 != 7]
    return {integer_key(number): _product(number, version) for number in numbers}


def _papers(version: int) -> dict[bytes, bytes]:
    large = b"all work and no play\\n" * (LARGE_VALUE_BYTES // 21) + b"%d" % min(version, 2)
    return {
        bytes(15) + b"\1": b"00000000-0000-0000-0000-000000000001\t" + large,
        bytes(15) + b"\2": b"00000000-0000-0000-0000-000000000002\tshort",
        bytes(15) + b"\3": b"00000000-0000-0000-0000-000000000003",
    }


def contents(version: int) -> tuple[Content, ...]:
    """All entities of version 1, 2 or 3."""
    words = [(lang, code) for lang in (b"de", b"en") for code in (b"a", b"ab", b"b")]
    lines = [b"started", b"", rb"\N", rb"a\tb\\", b"started", b"started"] + [b"tick"] * version
    large = LargeObjectHead(16400, 262_150, b"postgres")
    objects = {
        integer_key(16400) + integer_key(-1): encode_large_object(large),
        integer_key(16400) + integer_key(1): encode_large_object(LargeObjectPage(16400, 1, b"\1\2\3")),
    }
    state = SequenceState(b'"public"."product_id_seq"', 350 + version, is_called=True)
    return (
        Content(PRODUCT, _products(version), has_dictionary=True),
        Content(LABEL, {a + b"\0" + c + b"\0": a + b"\t" + c + b"\t" + a.upper() + c for a, c in words}),
        Content(PAPER, _papers(version)),
        Content(LOG, {b"%d" % number: line for number, line in enumerate(lines)}),
        Content(VOID, {b"%d" % number: b"" for number in range(3)}),
        Content(NOTHING, {}),
        Content(ODD, {integer_key(7): "7\tgrün".encode()}),
        Content(SEQUENCES, {state.name + b"\0": encode_sequence(state)}),
        Content(LARGE_OBJECTS, objects),
    )


SCHEMA = (
    SchemaItem("pre-data", "SCHEMA", "", "s p.ace", 'CREATE SCHEMA "s p.ace";'),
    SchemaItem(
        "pre-data",
        "TABLE",
        "public",
        "product",
        "CREATE TABLE public.product (id integer NOT NULL, name text, stock integer, note text);",
    ),
    SchemaItem(
        "pre-data",
        "SEQUENCE",
        "public",
        "product_id_seq",
        "CREATE SEQUENCE public.product_id_seq OWNED BY public.product.id;",
    ),
    SchemaItem(
        "pre-data", "TABLE", "public", "label", "CREATE TABLE public.label (lang text, code text, text text);"
    ),
    SchemaItem(
        "pre-data", "TABLE", "public", "paper", "CREATE TABLE public.paper (id uuid NOT NULL, body text);"
    ),
    SchemaItem("pre-data", "TABLE", "public", "log", "CREATE TABLE public.log (line text);"),
    SchemaItem("pre-data", "TABLE", "public", "void", "CREATE TABLE public.void ();"),
    SchemaItem("pre-data", "TABLE", "public", "nothing", "CREATE TABLE public.nothing (id bigint NOT NULL);"),
    SchemaItem(
        "pre-data", "TABLE", "s p.ace", 'o"d.d', 'CREATE TABLE "s p.ace"."o""d.d" (id integer, "ü" text);'
    ),
    SchemaItem(
        "post-data",
        "CONSTRAINT",
        "public",
        "product product_pkey",
        "ALTER TABLE ONLY public.product ADD CONSTRAINT product_pkey PRIMARY KEY (id);",
    ),
)
