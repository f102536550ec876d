"""Reading large objects, in pages, by whichever of two ways the role may go.

A role that may read the catalog pg_largeobject (superusers, members of pg_read_all_data) reads from
there: only the pages that exist. Owners, and others with SELECT on the object itself, must not read
that catalog and go through lo_get. Both see the transaction's snapshot and give the same bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from cas.postgres.faults import faults_of
from cas.postgres.quoting import shown
from cas.postgres.reading.copying import BATCH_BYTES, copied
from cas.postgres.reading.shapes import Obstacle
from cas.postgres.reading.splitting import SIGN
from cas.records.large_objects import PAGE_BYTES
from cas.records.model import RecordBatch
from cas.records.payload import strip_trailing_nulls

OBJECTS_PER_STATEMENT = 1000
"""Large objects whose heads are held in memory at a time."""

SHOWN_REFUSED = 5
"""Large objects that an error or an omission names; the rest is counted."""

_READABLE = """EXISTS (
    SELECT FROM aclexplode(coalesce(m.lomacl, acldefault('L', m.lomowner))) AS a
    WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))"""

_SURVEY = f"""
SELECT count(m.oid), pg_table_size('pg_largeobject'), s.reads_catalog, s.sees_all, current_user::text,
       current_setting('block_size')::int4 / 4,
       count(m.oid) FILTER (WHERE NOT s.sees_all AND NOT {_READABLE}),
       coalesce((array_agg(m.oid::int8 ORDER BY m.oid)
                 FILTER (WHERE NOT s.sees_all AND NOT {_READABLE}))[1:{SHOWN_REFUSED}], '{{}}')
FROM (SELECT has_table_privilege('pg_largeobject', 'SELECT') AS reads_catalog,
             has_table_privilege('pg_largeobject', 'SELECT')
             OR current_setting('lo_compat_privileges')::bool AS sees_all) AS s
LEFT JOIN pg_largeobject_metadata m ON true
GROUP BY s.reads_catalog, s.sees_all
"""  # noqa: S608 - constants of this program

_HEADS = """COPY (
SELECT m.oid, -1, NULL, (%(size)s), pg_get_userbyid(m.lomowner), m.lomacl,
       obj_description(m.oid, 'pg_largeobject')
FROM pg_largeobject_metadata m
WHERE m.oid > %(after)d AND %(readable)s ORDER BY m.oid LIMIT %(limit)d) TO STDOUT"""

_CATALOG_SIZE = """coalesce((SELECT l.pageno::int8 * %(block)d + length(l.data) FROM pg_largeobject l
                          WHERE l.loid = m.oid ORDER BY l.pageno DESC LIMIT 1), 0)"""

_OPENED_SIZE = """SELECT lo_lseek64(f.fd, 0, 2) + lo_close(f.fd)
                  FROM (SELECT lo_open(m.oid, 262144) AS fd OFFSET 0) AS f"""  # 262144 is INV_READ

_CATALOG_PAGES = """COPY (
WITH o AS MATERIALIZED (SELECT * FROM unnest('{%(oids)s}'::oid[], '{%(sizes)s}'::int8[]) AS o(oid, size)),
p AS (SELECT DISTINCT o.oid, o.size, l.pageno / %(blocks)d AS page
      FROM o JOIN pg_largeobject l ON l.loid = o.oid ORDER BY 1, 3)
SELECT p.oid, p.page, d.data
FROM p CROSS JOIN LATERAL (
    SELECT substr(string_agg(coalesce(l.data || substr(z.zeros, length(l.data) + 1), z.zeros), ''
                             ORDER BY b.number),
                  1, least(p.size - p.page::int8 * %(page)d, %(page)d)::int4) AS data
    FROM (SELECT decode(repeat('00', %(block)d), 'hex') AS zeros) AS z
    CROSS JOIN generate_series(p.page * %(blocks)d, p.page * %(blocks)d + %(blocks)d - 1) AS b(number)
    LEFT JOIN pg_largeobject l ON l.loid = p.oid AND l.pageno = b.number) AS d
WHERE btrim(d.data, '\\x00') <> '') TO STDOUT"""

_OPENED_PAGES = """COPY (
WITH p AS MATERIALIZED (
    SELECT o.oid, page FROM unnest('{%(oids)s}'::oid[], '{%(sizes)s}'::int8[]) AS o(oid, size),
         generate_series(0, (o.size - 1) / %(page)d) AS page ORDER BY 1, 2)
SELECT p.oid, p.page, d.data
FROM p CROSS JOIN LATERAL (SELECT lo_get(p.oid, p.page * %(page)d, %(page)d) AS data OFFSET 0) AS d
WHERE btrim(d.data, '\\x00') <> '') TO STDOUT"""


@dataclass(frozen=True, slots=True)
class LargeObjects:
    """What there is, and how it can be read."""

    count: int
    bytes: int
    """Of the whole catalog that holds them."""
    reads_catalog: bool
    sees_all: bool
    """Whether no object's own privileges count."""
    block_bytes: int
    """Bytes of a page of pg_largeobject, 2 KiB on most servers."""
    refused_count: int
    refused: tuple[int, ...]
    """Oids of the first few that the role may not read."""
    role: str

    @property
    def obstacle(self) -> tuple[str, Obstacle] | None:
        """(label, why) where some may not be read."""
        if not self.refused_count:
            return None
        more = self.refused_count - len(self.refused)
        label = f"large objects {', '.join(map(str, self.refused))}" + (f" and {more} more" if more else "")
        grants = (f"GRANT SELECT ON LARGE OBJECT {oid} TO {shown(self.role)};" for oid in self.refused)
        return label, Obstacle(
            f"role {self.role} may not read {self.refused_count} large objects", " ".join(grants)
        )


def survey(connection: psycopg.Connection) -> LargeObjects:
    """How many large objects the transaction sees, and which of them the role may not read."""
    with faults_of("large objects"):
        row = connection.execute(_SURVEY).fetchall()[0]
    count, size, reads_catalog, sees_all, role, block, refused_count, refused = row
    return LargeObjects(count, size, reads_catalog, sees_all, block, refused_count, tuple(refused), role)


def large_object_batches(connection: psycopg.Connection, objects: LargeObjects) -> Iterator[RecordBatch]:
    """All that may be read, as cas.records.large_objects defines it, ascending by oid and page.

    The connection is in a transaction, its client_encoding the server's. A batch holds at most about
    BATCH_BYTES.
    """
    after = 0
    while True:
        heads = dict(_heads(connection, objects, after))
        if not heads:
            return
        after = max(heads)
        keys: list[bytes] = []
        payloads: list[bytes] = []
        total = 0
        for oid, page, payload in _merged(heads, _pages(connection, objects, heads)):
            keys.append((oid + SIGN).to_bytes(8, "big") + (page + SIGN).to_bytes(8, "big"))
            payloads.append(payload)
            total += len(payload)
            if total >= BATCH_BYTES:
                yield RecordBatch(keys, payloads)
                keys, payloads, total = [], [], 0
        if keys:
            yield RecordBatch(keys, payloads)


def _merged(
    heads: dict[int, tuple[int, bytes]], pages: Iterator[tuple[int, int, bytes]]
) -> Iterator[tuple[int, int, bytes]]:
    """Each head, and behind it the pages of its object."""
    page = next(pages, None)
    for oid, (_, payload) in heads.items():
        yield oid, -1, payload
        while page is not None and page[0] == oid:
            yield page
            page = next(pages, None)
    assert page is None, "pages come in the order of their heads"


def _heads(
    connection: psycopg.Connection, objects: LargeObjects, after: int
) -> Iterator[tuple[int, tuple[int, bytes]]]:
    size = _CATALOG_SIZE % {"block": objects.block_bytes} if objects.reads_catalog else _OPENED_SIZE
    readable = "true" if objects.sees_all else _READABLE
    statement = _HEADS % {"size": size, "after": after, "readable": readable, "limit": OBJECTS_PER_STATEMENT}
    for rows in copied(connection.pgconn, statement.encode(), where="large objects"):
        for row in rows:
            payload = bytes(row[:-1])
            fields = payload.split(b"\t", 4)
            yield int(fields[0]), (int(fields[3]), strip_trailing_nulls(payload))


def _pages(
    connection: psycopg.Connection, objects: LargeObjects, heads: dict[int, tuple[int, bytes]]
) -> Iterator[tuple[int, int, bytes]]:
    filled = {oid: size for oid, (size, _) in heads.items() if size}
    if not filled:
        return
    statement = (_CATALOG_PAGES if objects.reads_catalog else _OPENED_PAGES) % {
        "oids": ",".join(map(str, filled)),
        "sizes": ",".join(map(str, filled.values())),
        "page": PAGE_BYTES,
        "block": objects.block_bytes,
        "blocks": PAGE_BYTES // objects.block_bytes,
    }
    for rows in copied(connection.pgconn, statement.encode(), where="large objects"):
        for row in rows:
            payload = bytes(row[:-1])
            oid, page, _ = payload.split(b"\t", 2)
            yield int(oid), int(page), payload
