"""The commit of a version, in SQL: one transaction, or nothing."""

from collections.abc import Sequence
from uuid import UUID

from cas.catalog import rules
from cas.catalog.connecting import Connection
from cas.catalog.listing import version
from cas.catalog.model import EntitySummary, Version, VersionResult
from cas.catalog.pasts import insert_anomalies
from cas.catalog.readings import insert_reading
from cas.catalog.sessions import lock_open, share_epoch
from cas.ids import PackName


def commit(
    connection: Connection,
    repository_id: str,
    session: UUID,
    result: VersionResult,
    journal: int,
    packs: Sequence[PackName],
) -> Version:
    """Packs live, version complete, session ended. Once more for a session that committed just this
    result: the same answer, since a caller whose connection broke cannot know."""
    _, known_journal = share_epoch(connection, repository_id)
    if journal > known_journal:
        raise rules.behind(journal, known_journal)
    before = _committed_before(connection, session, result)
    if before is not None:
        return version(connection, before)
    number = lock_open(connection, session)
    live = connection.execute(
        "UPDATE cas.packs SET state = 'live' WHERE owner = %s AND state = 'uploading' RETURNING name",
        [session],
    )
    unknown = set(packs).difference(name for (name,) in live)
    if unknown:
        raise rules.pack_unknown(min(unknown))
    connection.execute(
        """
        UPDATE cas.versions
        SET state = %s, records = %s, original_bytes = %s, added_bytes = %s, stored_bytes = %s,
            objects_written = %s, checksum = %s, document_hash = %s, retries = %s,
            finished_at = clock_timestamp(),
            duration_seconds = greatest(0, extract(epoch FROM clock_timestamp() - created_at))
        WHERE number = %s
        """,
        [*outcome(result), number],
    )
    insert_parts(connection, number, result)
    insert_reading(connection, number, result)
    insert_anomalies(connection, number, result.anomalies)
    connection.execute(
        "UPDATE cas.sessions SET state = 'ended', ended_at = clock_timestamp() WHERE id = %s", [session]
    )
    return version(connection, number)


def outcome(result: VersionResult) -> list[object]:
    """The columns state to retries of a version, in the order in which update and insert name them."""
    return [
        *(result.state.value, result.records, result.original_bytes, result.added_bytes),
        *(result.stored_bytes, result.objects_written, result.checksum, result.document_hash),
        result.retries,
    ]


def insert_parts(connection: Connection, number: int, result: VersionResult) -> None:
    """Entities and omissions of a version, one statement each however many there are."""
    _insert_entities(connection, number, result.entities)
    if result.omissions:
        connection.execute(
            """
            INSERT INTO cas.version_omissions (version, ordinal, name, reason)
            SELECT %s, ordinal, name, reason
            FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS given (name, reason, ordinal)
            """,
            [
                number,
                [rules.clean(name) for name, _ in result.omissions],
                [rules.clean(reason) for _, reason in result.omissions],
            ],
        )


def _insert_entities(connection: Connection, number: int, entities: Sequence[EntitySummary]) -> None:
    if not entities:
        return
    # Arrays go in binary (%b): as text they cost three times as much, nearly all of an adoption.
    cleaned = [rules.clean_entity(entity) for entity in entities]
    connection.execute(
        """
        INSERT INTO cas.version_entities (version, ordinal, label, kind, root, records, payload_bytes,
                                          checksum, read_by, read_reason, rows_read, new_chunks,
                                          inserted, updated, deleted, compared_with)
        SELECT %s, ordinal, label, kind, root, records, payload_bytes,
               checksum, read_by, read_reason, rows_read, new_chunks,
               inserted, updated, deleted, compared_with
        FROM unnest(%b::text[], %b::text[], %b::bytea[], %b::bigint[], %b::bigint[],
                    %b::bytea[], %b::text[], %b::text[], %b::bigint[], %b::bigint[],
                    %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[]) WITH ORDINALITY
             AS given (label, kind, root, records, payload_bytes,
                       checksum, read_by, read_reason, rows_read, new_chunks,
                       inserted, updated, deleted, compared_with, ordinal)
        """,
        [
            number,
            [entity.label for entity in cleaned],
            [entity.kind for entity in cleaned],
            [bytes(entity.root) for entity in cleaned],
            [entity.records for entity in cleaned],
            [entity.payload_bytes for entity in cleaned],
            [entity.checksum for entity in cleaned],
            [entity.read_by for entity in cleaned],
            [entity.read_reason for entity in cleaned],
            [entity.rows_read for entity in cleaned],
            [entity.new_chunks for entity in cleaned],
            [entity.inserted for entity in cleaned],
            [entity.updated for entity in cleaned],
            [entity.deleted for entity in cleaned],
            [entity.compared_with for entity in cleaned],
        ],
    )


def _committed_before(connection: Connection, session: UUID, result: VersionResult) -> int | None:
    """The number of the version that this session has committed with this document already."""
    row = connection.execute(
        """
        WITH locked AS MATERIALIZED (
            SELECT number, state FROM cas.sessions WHERE id = %s FOR UPDATE)
        SELECT number FROM locked JOIN cas.versions v USING (number)
        WHERE locked.state = 'ended' AND v.state = %s AND v.document_hash = %s
        """,
        [session, result.state.value, result.document_hash],
    ).fetchone()
    return None if row is None else int(row[0])
