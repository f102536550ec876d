"""The schema of one opened snapshot: pg_dump under it, and of that what the version holds."""

from collections.abc import Sequence
from pathlib import Path

import psycopg

from cas.postgres.connecting import ConnectionOptions, connection_parameters
from cas.postgres.dumping.choice import EntryFilter, SchemaChoice, describe
from cas.postgres.dumping.dependencies import NAMESPACES, RELATIONS, dependencies_of
from cas.postgres.dumping.programs import find_pg_dump
from cas.postgres.dumping.schema import DumpRequest, dump_entries, schema_items
from cas.postgres.faults import faults_of
from cas.postgres.filling.filled_views import refresh_items
from cas.postgres.reading.introspection_sequences import sequences_of
from cas.postgres.reading.opening import Opened, Patience
from cas.postgres.reading.readers import Readers
from cas.postgres.reading.roles import roles_in_use
from cas.postgres.reading.selecting import choose_sequences
from cas.postgres.reading.shapes import CAPTURE_SCHEMA, Table
from cas.records.source import Omission, SchemaItem, Selection

_UNDUMPED = "the schema does without it: it needs a table that the version does not hold"

_NAMES = """
SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY (%s::oid[]) ORDER BY 1, 2
"""


class SnapshotSchema:
    """Dumps at the first call and keeps the result."""

    def __init__(
        self,
        url: str,
        options: ConnectionOptions,
        patience: Patience,
        program: Path | None,
        opened: Opened,
        selection: Selection,
        readers: Readers,
    ) -> None:
        self._url = url
        self._options = options
        self._patience = patience
        self._program = program
        self._opened = opened
        self._selection = selection
        self._readers = readers
        self._items: tuple[SchemaItem, ...] | None = None
        self.omissions: tuple[Omission, ...] = ()
        """What had to be left out of the schema; known after `items`."""

    def items(self) -> Sequence[SchemaItem]:
        """See PostgresSnapshot.schema_items."""
        if self._items is None:
            with self._readers.asking("schema") as connection:
                self._items = self._dumped(connection)
        return self._items

    def _dumped(self, connection: psycopg.Connection) -> tuple[SchemaItem, ...]:
        entries = dump_entries(self._request(connection))
        choice = self._choice(connection)
        dependencies = dependencies_of(connection)
        decide = EntryFilter(dependencies, choice)
        kept = decide.kept(entries)
        stays = {entry.dump_id for entry in kept}
        by_name = {(RELATIONS, oid) for oid in choice.left_out}
        by_name |= dependencies.parts_of(by_name) | decide.hidden
        gone = [
            entry
            for entry in entries
            if entry.dump_id not in stays
            and entry.class_oid not in (0, NAMESPACES)
            and (entry.class_oid, entry.oid) not in by_name
            and (entry.type == "FK CONSTRAINT" or not choice.only_needed)
        ]  # neither left out by name nor simply not asked for
        self.omissions = tuple(Omission(name, _UNDUMPED, is_failure=False) for name in describe(gone))
        roles = {role for thing, role in roles_in_use(connection) if decide.is_alive(thing)}
        roles |= {entry.owner for entry in kept if entry.owner not in ("", "-")}
        filled = refresh_items(connection, lambda oid: decide.is_alive((RELATIONS, oid)))
        return (*schema_items(kept, sorted(roles)), *filled)

    def _request(self, connection: psycopg.Connection) -> DumpRequest:
        opened, info = self._opened, self._opened.connection.info
        identity = opened.identity
        parameters = connection_parameters(self._url, self._options)
        if "," in str(parameters.get("host", "")):  # of several hosts the one that has the snapshot
            parameters |= {"host": info.host, "port": info.port}
            parameters.pop("hostaddr", None)
        unreadable = [t for t in (*opened.chosen.refused, *opened.chosen.unwanted) if t.obstacle is not None]
        with faults_of("settings"):
            excluded = connection.execute(_NAMES, [_relations(unreadable)]).fetchall()
            default = connection.execute(
                "SELECT reset_val FROM pg_settings WHERE name = 'standard_conforming_strings'"
            ).fetchone()
        return DumpRequest(
            program=find_pg_dump(identity.server_version_num // 10000, self._program).path,
            parameters=parameters,
            snapshot_id=opened.snapshot_id,
            lock_timeout=self._patience.joining.lock_timeout,
            encoding=identity.encoding,
            excluded=[(schema, name) for schema, name in excluded],
            backslashes_escape=default == ("off",),
        )

    def _choice(self, connection: psycopg.Connection) -> SchemaChoice:
        chosen, selection = self._opened.chosen, self._selection
        sequences = choose_sequences(sequences_of(connection), selection, chosen)
        only_needed = bool(selection.tables or selection.schemas)
        left_out = [
            *chosen.refused,
            *(t for t in chosen.unwanted if not only_needed or t.obstacle is not None),
        ]
        return SchemaChoice(
            tables=chosen.oids,
            sequences=frozenset(sequence.oid for sequence in sequences),
            left_out=frozenset(_relations(left_out)),
            hidden_schemas=frozenset({CAPTURE_SCHEMA}),
            only_needed=only_needed,
            schemas=frozenset(selection.schemas if not selection.tables else ()),
        )


def _relations(tables: Sequence[Table]) -> list[int]:
    return sorted(oid for table in tables for oid in table.relations)
