"""What versions can be built upon, and readings that were found wrong, in SQL."""

from collections.abc import Sequence
from datetime import UTC

from cas.catalog import rules
from cas.catalog.connecting import Connection
from cas.catalog.model import Base, Incident, NewIncident, VersionResult
from cas.records.marks import Mark


def insert_reading(connection: Connection, number: int, result: VersionResult) -> None:
    """The mark and the incidents of a version, in the transaction of its commit."""
    mark = result.mark
    if mark is not None:
        connection.execute(
            """
            INSERT INTO cas.version_marks (version, oldest, snapshot, system_identifier, database_oid,
                                           timeline, in_recovery, started, since_scan)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                *(number, mark.xmin, mark.snapshot, mark.system_identifier, mark.database_oid),
                *(mark.timeline, mark.in_recovery, mark.started, result.since_scan),
            ],
        )
    for incident in map(rules.clean_incident, result.incidents):
        connection.execute(
            "INSERT INTO cas.incidents (version, label, what, examples) VALUES (%s, %s, %s, %s)",
            [number, incident.label, incident.what, list(incident.examples)],
        )


def bases(connection: Connection, limit: int, version: int | None = None) -> Sequence[Base]:
    """Committed versions that have a mark, newest first; with `version`, only this one."""
    rows = connection.execute(
        """
        SELECT m.version, m.since_scan, m.oldest, m.snapshot, m.system_identifier, m.database_oid,
               m.timeline, m.in_recovery, m.started
        FROM cas.version_marks m JOIN cas.versions v ON v.number = m.version
        WHERE v.state = ANY (%s) AND coalesce(m.version = %s, true) ORDER BY m.version DESC LIMIT %s
        """,
        [[state.value for state in rules.COMMITTED], version, limit],
    )
    return [Base(version, Mark(*mark), since_scan) for version, since_scan, *mark in rows]


def incidents(connection: Connection, limit: int) -> Sequence[Incident]:
    """Newest first."""
    rows = connection.execute(
        "SELECT number, version, at, label, what, examples FROM cas.incidents ORDER BY number DESC LIMIT %s",
        [limit],
    )
    return [
        Incident(number, version, at.astimezone(UTC), NewIncident(label, what, tuple(examples)))
        for number, version, at, label, what, examples in rows
    ]
