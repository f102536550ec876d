"""Large objects: created under their OIDs, sized, filled page by page, and given to their owners.

A record's payload is `cas.records.large_objects`'. An object's head comes before its pages, since keys
ascend; pages of zeros were never stored, and lo_put leaves such holes alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import psycopg

from cas.errors import CorruptData
from cas.postgres.faults import faults_of
from cas.postgres.filling.faults import refusal
from cas.records.large_objects import PAGE_BYTES, LargeObjectHead, LargeObjectPage, decode_large_object
from cas.records.target import SchemaParts

_BATCH_BYTES = 4 << 20
_BATCH_RECORDS = 500
"""Bounds of one batch: few statements for many small objects, little memory for large ones."""

_ME = "SELECT convert_to(current_user::text, getdatabaseencoding())"

_CREATE = "SELECT count(lo_create(oid)) FROM unnest(%b::oid[]) AS u(oid)"

# 131072 is INV_WRITE. The descriptors are closed at the end of the statement's transaction.
_RESIZE = """
SELECT count(lo_truncate64(lo_open(oid, 131072), size)) FROM unnest(%b::oid[], %b::int8[]) AS u(oid, size)
"""

_PUT = """
SELECT count(lo_put(u.oid, u.place, u.data)::text)
FROM unnest(%b::oid[], %b::int8[], %b::bytea[]) AS u(oid, place, data)
"""

# Texts arrive in the server's encoding. What comes back is SQL.
SURROUNDINGS = """
SELECT CASE WHEN g.comment IS NOT NULL
            THEN format('COMMENT ON LARGE OBJECT %%s IS %%L', g.oid, g.comment) END,
       format('ALTER LARGE OBJECT %%s OWNER TO %%I', g.oid, g.owner)
FROM (SELECT %b::oid AS oid, convert_from(%b::bytea, getdatabaseencoding()) AS comment,
             convert_from(%b::bytea, getdatabaseencoding()) AS owner) g
"""

# An empty list, where the owner revoked all, has no dimension, which aclexplode refuses.
# What is granted by another than the owner needs that other's session, which superusers can have.
PRIVILEGES = """
WITH given AS (
  SELECT %b::oid AS oid, convert_from(%b::bytea, getdatabaseencoding()) AS owner,
         convert_from(%b::bytea, getdatabaseencoding())::aclitem[] AS privileges
), granted AS (
  SELECT g.oid, a.place, a.privilege_type || ' ON LARGE OBJECT ' || g.oid AS what,
         CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee,
         CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS option,
         CASE WHEN a.grantor::regrole::text <> quote_ident(g.owner) THEN a.grantor::regrole::text END AS other
  FROM given g, aclexplode(CASE WHEN cardinality(g.privileges) > 0 THEN g.privileges END) WITH ORDINALITY
    AS a(grantor, grantee, privilege_type, is_grantable, place)
)
SELECT line FROM (
  SELECT 0 AS place, 0 AS part,
         format('REVOKE ALL ON LARGE OBJECT %%s FROM PUBLIC, %%I', oid, owner) AS line FROM given
  UNION ALL SELECT place, 1, 'SET SESSION AUTHORIZATION ' || other FROM granted
  UNION ALL SELECT place, 2, 'GRANT ' || what || ' TO ' || grantee || option FROM granted
  UNION ALL SELECT place, 3, 'RESET SESSION AUTHORIZATION' FROM granted WHERE other IS NOT NULL
) lines WHERE line IS NOT NULL ORDER BY place, part
"""


@dataclass(slots=True)
class _Batch:
    heads: list[LargeObjectHead] = field(default_factory=list)
    pages: list[LargeObjectPage] = field(default_factory=list)
    size: int = 0

    def add(self, record: LargeObjectHead | LargeObjectPage) -> None:
        if isinstance(record, LargeObjectHead):
            self.heads.append(record)
        else:
            self.pages.append(record)
            self.size += len(record.data)

    @property
    def is_full(self) -> bool:
        return self.size >= _BATCH_BYTES or len(self.heads) + len(self.pages) >= _BATCH_RECORDS


def write_large_objects(connection: psycopg.Connection, payloads: Iterable[bytes], parts: SchemaParts) -> int:
    """Create and fill them; how many there were. Owners and privileges as far as `parts` says.

    Raises CorruptData for a malformed payload, Conflict for an OID that is taken or a role that
    does not exist.
    """
    count = 0
    me = _current_user(connection)
    for batch in _batches(payloads):
        oids = [head.oid for head in batch.heads] or [page.oid for page in batch.pages]
        try:
            with connection.transaction():
                _write(connection, batch, parts, me)
        except psycopg.Error as error:
            where = f"large objects {min(oids)} to {max(oids)}"
            raise refusal(error, doing="writing large objects", where=where) from error
        count += len(batch.heads)
    return count


def _write(connection: psycopg.Connection, batch: _Batch, parts: SchemaParts, me: bytes) -> None:
    heads, pages = batch.heads, batch.pages
    if heads:
        connection.execute(_CREATE, [[head.oid for head in heads]])
        connection.execute(_RESIZE, [[head.oid for head in heads], [head.size for head in heads]])
    if pages:
        places = [page.page * PAGE_BYTES for page in pages]
        connection.execute(_PUT, [[page.oid for page in pages], places, [page.data for page in pages]])
    for head in heads:
        if head.owner == me and head.comment is None and head.privileges is None:
            continue
        for statement in _statements_about(connection, head, parts):
            connection.execute(statement.encode("utf-8", "surrogateescape"))


def _statements_about(
    connection: psycopg.Connection, head: LargeObjectHead, parts: SchemaParts
) -> Iterator[str]:
    row = connection.execute(SURROUNDINGS, [head.oid, head.comment, head.owner]).fetchone()
    comment, owner = row or (None, None)
    if comment is not None:
        yield comment
    if parts.owners and owner is not None:
        yield owner
        if parts.privileges and head.privileges is not None:
            granted = connection.execute(PRIVILEGES, [head.oid, head.owner, head.privileges])
            yield from [str(line) for (line,) in granted.fetchall()]


def _current_user(connection: psycopg.Connection) -> bytes:
    with faults_of("large objects"):
        row = connection.execute(_ME).fetchone()
    return bytes(row[0]) if row else b""


def _batches(payloads: Iterable[bytes]) -> Iterator[_Batch]:
    batch = _Batch()
    for payload in payloads:
        try:
            batch.add(decode_large_object(payload))
        except ValueError as error:
            raise CorruptData(
                "a large object's record is malformed", kind="malformed", where="large objects"
            ) from error
        if batch.is_full:
            yield batch
            batch = _Batch()
    if batch.heads or batch.pages:
        yield batch
