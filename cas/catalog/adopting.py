"""Taking in what the bucket holds: the end of a rebuild or of a reconciliation, in SQL."""

from collections.abc import Sequence
from datetime import timedelta

from cas.catalog.committing import insert_parts, outcome
from cas.catalog.connecting import Connection
from cas.catalog.model import AdoptedVersion, NewPack, QuarantinedVersion
from cas.catalog.rules import ADOPTED_OVER, SETTLED, clean
from cas.catalog.sessions import described, take_epoch
from cas.errors import CasError, Conflict, Fenced
from cas.ids import PackName

_TELL_OF_NEWS = """
UPDATE cas.repository SET rebuilt_at = clock_timestamp()
WHERE %(journal)s > (SELECT coalesce(announced, journal) FROM cas.epoch)
   OR EXISTS (SELECT FROM unnest(%(numbers)s::bigint[]) AS given (number)
              WHERE NOT EXISTS (SELECT FROM cas.versions AS v WHERE v.number = given.number))
"""


def adopt(
    connection: Connection,
    repository_id: str,
    adopted: Sequence[AdoptedVersion],
    journal: int,
    quarantined: Sequence[QuarantinedVersion],
    journaled: Sequence[PackName],
) -> int:
    """One transaction; see the port. Whoever writes meanwhile waits for the epoch, then is fenced."""
    epoch, _ = take_epoch(connection, repository_id)
    connection.execute("SET LOCAL statement_timeout = 0")
    _end_sessions(connection)
    connection.execute("UPDATE cas.collector SET id = NULL, lease_until = NULL WHERE id IS NOT NULL")
    connection.execute("UPDATE cas.packs SET announced = false WHERE announced")
    rows = connection.execute(
        "SELECT number FROM cas.versions WHERE state = ANY (%s)", [[state.value for state in SETTLED]]
    )
    committed = {number for (number,) in rows}
    taken = {version.number: version for version in adopted if version.number not in committed}
    numbers = [version.number for version in adopted] + [doubtful.number for doubtful in quarantined]
    connection.execute(_TELL_OF_NEWS, {"journal": journal, "numbers": numbers})
    with connection.pipeline():  # or each version would wait for two or three answers
        for version in taken.values():
            _insert(connection, version)
        for doubtful in quarantined:
            _insert_quarantined(connection, doubtful)
    _condemn_journaled(connection, epoch + 1, journaled)
    _revive(connection, [pack for version in taken.values() for pack in version.packs])
    connection.execute(
        "UPDATE cas.next_version SET number = greatest(number, %s)", [max(numbers, default=0) + 1]
    )
    # The number of a journal that was announced is spent: its collector may put it still.
    connection.execute(
        "UPDATE cas.epoch"
        " SET journal = greatest(coalesce(announced, journal), %s), announced = NULL, token = ''",
        [journal],
    )
    connection.execute("UPDATE cas.noted SET number = 0, generation = generation + 1")
    return len(taken)


def _end_sessions(connection: Connection) -> None:
    connection.execute(
        """
        WITH fenced AS (
            UPDATE cas.sessions SET state = 'fenced', ended_at = clock_timestamp()
            WHERE state = 'open' RETURNING number)
        UPDATE cas.versions v
        SET state = 'failed', error_code = %s, error_text = %s, finished_at = clock_timestamp(),
            duration_seconds = greatest(0, extract(epoch FROM clock_timestamp() - created_at))
        FROM fenced WHERE v.number = fenced.number
        """,
        [Fenced.code, ADOPTED_OVER],
    )


def _insert(connection: Connection, version: AdoptedVersion) -> None:
    """Also over a failed row: its writer died between the document and the commit."""
    duration = timedelta(seconds=version.duration_seconds)
    connection.execute(
        """
        INSERT INTO cas.versions (
            number, trigger_type, kind, reason, name, description, search, tags, metadata,
            created_by, protected, source_url, source_database, source_server_version,
            source_system_identifier, included, excluded, included_schemas, parent,
            created_at, finished_at, duration_seconds,
            state, records, original_bytes, added_bytes, stored_bytes,
            objects_written, checksum, document_hash, retries)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
                %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (number) DO UPDATE SET (
            trigger_type, kind, reason, name, description, search, tags, metadata,
            created_by, protected, source_url, source_database, source_server_version,
            source_system_identifier, included, excluded, included_schemas, parent,
            created_at, finished_at, duration_seconds,
            state, records, original_bytes, added_bytes, stored_bytes,
            objects_written, checksum, document_hash, retries, error_code, error_text) = (
            excluded.trigger_type, excluded.kind, excluded.reason, excluded.name, excluded.description,
            excluded.search, excluded.tags, excluded.metadata, excluded.created_by, excluded.protected,
            excluded.source_url, excluded.source_database, excluded.source_server_version,
            excluded.source_system_identifier, excluded.included, excluded.excluded,
            excluded.included_schemas, excluded.parent,
            excluded.created_at, excluded.finished_at, excluded.duration_seconds,
            excluded.state, excluded.records, excluded.original_bytes, excluded.added_bytes,
            excluded.stored_bytes, excluded.objects_written, excluded.checksum,
            excluded.document_hash, excluded.retries, '', '')
        """,
        [
            *(version.number, *described(version.number, version.begin)),
            *(version.created_at, version.created_at + duration, version.duration_seconds),
            *outcome(version.result),
        ],
    )
    insert_parts(connection, version.number, version.result)


def _insert_quarantined(connection: Connection, version: QuarantinedVersion) -> None:
    """As a failed version, unless the number is known already."""
    connection.execute(
        """
        INSERT INTO cas.versions (
            number, trigger_type, kind, reason, name, description, search, tags, metadata,
            created_by, protected, source_url, source_database, source_server_version,
            source_system_identifier, included, excluded, included_schemas, parent,
            state, created_at, finished_at, duration_seconds, error_code, error_text)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
                'failed', %s, %s, 0, %s, %s)
        ON CONFLICT (number) DO NOTHING
        """,
        [
            *(version.number, *described(version.number, version.begin)),
            *(version.created_at, version.created_at),
            *(clean(version.code) or CasError.code, clean(version.text)),
        ],
    )


def _condemn_journaled(connection: Connection, epoch: int, names: Sequence[PackName]) -> None:
    condemned = connection.execute(
        "UPDATE cas.packs SET state = 'condemned', condemned_epoch = %s"
        " WHERE state = 'live' AND name = ANY (%s)",
        [epoch, list(names)],
    )
    if condemned.rowcount:
        connection.execute("UPDATE cas.epoch SET number = %s", [epoch])


def _revive(connection: Connection, packs: Sequence[NewPack]) -> None:
    """The packs live, new or known; one that is being deleted may be gone any moment."""
    connection.execute(
        """
        INSERT INTO cas.packs (name, state, stored_bytes, chunks, holds_nodes)
        SELECT DISTINCT ON (name) name, 'live', stored_bytes, chunks, holds_nodes
        FROM unnest(%b::text[], %b::bigint[], %b::integer[], %b::boolean[])
             AS given (name, stored_bytes, chunks, holds_nodes)
        ON CONFLICT (name) DO UPDATE
        SET state = 'live', condemned_epoch = NULL, stored_bytes = excluded.stored_bytes,
            chunks = excluded.chunks, holds_nodes = excluded.holds_nodes
        WHERE cas.packs.state <> 'deleting'
        """,
        [
            [pack.name for pack in packs],
            [pack.stored_bytes for pack in packs],
            [pack.chunks for pack in packs],
            [pack.holds_nodes for pack in packs],
        ],
    )
    doomed = connection.execute(
        "SELECT name FROM cas.packs WHERE state = 'deleting' AND name = ANY (%s) LIMIT 1",
        [[pack.name for pack in packs]],
    ).fetchone()
    if doomed is not None:
        raise Conflict("a pack that a version needs is being deleted", where=doomed[0])
