"""The entity of all large objects: their bytes in pages, and one record each for what surrounds them.

Every object has one record with page -1: size, owner, privileges and comment. Its bytes follow in
pages of PAGE_BYTES, numbered from 0, the last one shorter. A page of zero bytes only is left out:
the size says that it is there, and an object with a hole of terabytes stays small. A restore writes
the pages at `page * PAGE_BYTES` and sets the size by lo_truncate64.

Payload, as COPY text fields in the order of COLUMNS, trailing NULLs stripped:
page -1 is `oid, -1, NULL, size, owner, privileges, comment`; a page is `oid, page, data`.
"""

from dataclasses import dataclass

from cas.records.model import Column, Entity, EntityKind, KeyPart
from cas.records.payload import NULL, TAB, escape, fields, strip_trailing_nulls

PAGE_BYTES = 256 * 1024
"""As hex text half a MiB: below the size at which a payload is cut into pieces."""

MAX_OBJECT_BYTES = 4 * 1024**4
"""PostgreSQL's own limit: 2^31 pages of 2 KiB."""

MAX_OID = (1 << 32) - 1

COLUMNS = (
    Column("oid", "oid", not_null=True),
    Column("page", "bigint", not_null=True),
    Column("data", "bytea", not_null=False),
    Column("size", "bigint", not_null=False),
    Column("owner", "text", not_null=False),
    Column("privileges", "aclitem[]", not_null=False),
    Column("comment", "text", not_null=False),
)

LARGE_OBJECTS = Entity(
    kind=EntityKind.LARGE_OBJECTS,
    schema="",
    name="large_objects",
    columns=COLUMNS,
    key=(("oid", KeyPart.INTEGER), ("page", KeyPart.INTEGER)),
)


@dataclass(frozen=True, slots=True)
class LargeObjectHead:
    """What surrounds one object's bytes. Texts are in the server's encoding.

    `owner` is a role's name, unquoted. `privileges` is the output text of an aclitem[], None where
    the owner never granted anything; it can be cast back where all its roles exist.
    """

    oid: int
    size: int
    owner: bytes
    privileges: bytes | None = None
    comment: bytes | None = None


@dataclass(frozen=True, slots=True)
class LargeObjectPage:
    """At most PAGE_BYTES bytes of one object, from byte `page * PAGE_BYTES`."""

    oid: int
    page: int
    data: bytes


def encode_large_object(record: LargeObjectHead | LargeObjectPage) -> bytes:
    """The payload of one record."""
    if isinstance(record, LargeObjectPage):
        return b"%d\t%d\t\\\\x%b" % (record.oid, record.page, record.data.hex().encode())
    last = TAB.join(map(escape, (record.owner, record.privileges, record.comment)))
    return strip_trailing_nulls(b"%d\t-1\t%b\t%d\t%b" % (record.oid, NULL, record.size, last))


def decode_large_object(payload: bytes) -> LargeObjectHead | LargeObjectPage:
    """The record in a payload. ValueError where it is none, not the one encoding of it, or beyond
    PostgreSQL's limits."""
    record = _decoded(payload)
    if encode_large_object(record) != payload or not 0 < record.oid <= MAX_OID:
        raise ValueError("not the one encoding of a large object, or an oid that no object has")
    return record


def _decoded(payload: bytes) -> LargeObjectHead | LargeObjectPage:
    oid, page, data, size, owner, privileges, comment = fields(payload, len(COLUMNS))
    if oid is None or page is None:
        raise ValueError("not a large object's payload")
    if page == b"-1":
        if data is not None or size is None or owner is None or not 0 <= int(size) <= MAX_OBJECT_BYTES:
            raise ValueError("not a large object's head")
        return LargeObjectHead(int(oid), int(size), owner, privileges, comment)
    if data is None or not data.startswith(b"\\x") or len(data) > 2 * PAGE_BYTES + 2:
        raise ValueError("not a large object's page")
    number = int(page)
    if not 0 <= number * PAGE_BYTES < MAX_OBJECT_BYTES:
        raise ValueError("a page outside of every large object")
    return LargeObjectPage(int(oid), number, bytes.fromhex(data[2:].decode("ascii")))
