"""One throwaway database, and everything that may be asked of it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

import psycopg

from cas.errors import CasError, Conflict, Unsupported
from cas.postgres.connecting import ConnectionOptions, connect, server_encoding, shown_url
from cas.postgres.faults import faults_of
from cas.postgres.filling.connections import Connections
from cas.postgres.filling.faults import refusal
from cas.postgres.filling.large_objects import write_large_objects
from cas.postgres.filling.loading import load
from cas.postgres.filling.sequences import set_sequences
from cas.postgres.filling.target import PostgresTarget, TargetOptions
from cas.postgres.quoting import literal, shown
from cas.postgres.reading.identity import identity_of
from cas.postgres.reading.source import PostgresSource, SourceOptions
from cas.postgres.scratch.asking import Reading, asked, one_statement, reading, settle
from cas.postgres.scratch.building import build
from cas.postgres.scratch.extensions import make_harmless
from cas.postgres.scratch.matching import keys_at, places_of
from cas.postgres.scratch.needs import needs
from cas.postgres.scratch.refusals import Asked, refusal_of
from cas.postgres.scratch.whole import ThrowawayTarget
from cas.records.model import Entity
from cas.records.scratch import Lack, ReadLimits, Reads, Row, is_lack
from cas.records.source import SchemaItem, SourceIdentity
from cas.records.target import SchemaParts

CHECK_SECONDS = 30.0
"""Longest time that planning a statement on empty tables may take."""

SHOWN_LACKS = 5
"""What could not be built, as far as an error names it."""

MAINTENANCE_MIB = 64

_BY_DATA = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ObjectNotInPrerequisiteState,
    psycopg.errors.RaiseException,
    psycopg.errors.NoDataFound,
    psycopg.errors.QueryCanceled,
)
"""What a statement may fail with for want of records, or of time."""

_SCHEMAS = """
SELECT nspname::text FROM pg_namespace
WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public') ORDER BY nspname COLLATE "C"
"""


@dataclass(frozen=True, slots=True)
class Access:
    """The ways into one throwaway database: as the server's administrator, and as the owner."""

    admin: str
    own: str
    options: ConnectionOptions
    jobs: int


class ScratchDatabase:
    """See `cas.records.scratch`. Made by PostgresScratchServer, which drops it."""

    def __init__(self, access: Access, owner: str, notes: Sequence[str], hint: str) -> None:
        """Connects as the owner, and stays connected. PermissionDenied where that is refused."""
        self._access = access
        self._owner = owner
        self._lacks: tuple[Lack, ...] = ()
        self._entities: frozenset[tuple[str, str]] = frozenset()
        self._search_path: list[str] = ["public"]
        self.notes = tuple(notes)
        self.hint = hint
        self._connections = Connections(access.own, access.options, MAINTENANCE_MIB)
        try:
            self._keeper = self._connections.open()
        except CasError as error:
            error.hint = "A new role must be able to log in there with a password: see pg_hba.conf"
            raise

    @property
    def url(self) -> str:
        return shown_url(self._access.own)

    @property
    def server(self) -> SourceIdentity:
        return identity_of(self._keeper)

    def close(self) -> None:
        """All connections of this object's own."""
        self._keeper.close()
        self._connections.close()

    def target(self, *, full_rights: bool = False) -> PostgresTarget:
        """See `cas.records.scratch`."""
        url = self._access.admin if full_rights else self._access.own
        options = TargetOptions(self._access.options, jobs=self._access.jobs)
        return ThrowawayTarget(url, options, self._administrator, self._owner, full_rights=full_rights)

    def source(self, *, full_rights: bool = False) -> PostgresSource:
        """See `cas.records.scratch`."""
        url = self._access.admin if full_rights else self._access.own
        return PostgresSource(url, SourceOptions(self._access.options))

    def build(self, items: Sequence[SchemaItem], entities: Sequence[Entity]) -> Sequence[Lack]:
        """See `cas.records.scratch`."""
        with closing(self._administrator()) as admin:
            make_harmless(admin, items, self._owner)
        self._lacks = build(self._keeper, items, entities)
        self._entities = frozenset((entity.schema, entity.name) for entity in entities)
        with faults_of("asking for schemas"):
            rows = self._keeper.execute(_SCHEMAS).fetchall()
        self._search_path = ["public", *(str(schema) for (schema,) in rows)]
        return self._lacks

    def check(self, sql: str) -> None:
        """See `cas.records.scratch`."""
        statement = one_statement(sql)
        self._check(statement, asked(statement))

    def reads(self, sql: str) -> Reads:
        """See `cas.records.scratch`."""
        statement = one_statement(sql)
        return self._needs(statement, asked(statement))

    def check_predicate(self, entity: Entity, predicate: str) -> Reads:
        """See `cas.records.scratch`."""
        statement, what = places_of(entity, predicate)
        self._check(statement, what)
        return self._needs(statement, what)

    def fill(self, entity: Entity, lines: Iterable[bytes]) -> int:
        """See `cas.records.scratch`. Conflict or Unsupported where a record does not fit this server."""
        try:
            with self._connections.borrowed() as connection:
                return load(
                    connection,
                    entity,
                    lines,
                    server_encoding(connection),
                    is_new=True,
                    is_at_work=self._connections.is_at_work,
                )
        except (Conflict, Unsupported) as error:
            if is_lack(error) or not self._is_built(entity):
                error.hint = self.hint
            raise

    def fill_sequences(self, payloads: Iterable[bytes]) -> None:
        """See `cas.records.scratch`. Those that could not be built are in nobody's statement."""
        set_sequences(self._keeper, payloads)

    def fill_large_objects(self, payloads: Iterable[bytes]) -> None:
        """See `cas.records.scratch`."""
        write_large_objects(self._keeper, payloads, SchemaParts(owners=False, privileges=False))

    def fill_views(self, views: Sequence[tuple[str, str]]) -> None:
        """See `cas.records.scratch`."""
        for schema, name in views:
            self._run(f"REFRESH MATERIALIZED VIEW {shown(schema, name)}", f"filling {schema}.{name}")

    def analyze(self) -> None:
        """See `cas.records.scratch`."""
        self._run("ANALYZE", "gathering statistics")

    @contextmanager
    def rows(self, sql: str, limits: ReadLimits) -> Iterator[Reading]:
        """See `cas.records.scratch`."""
        statement = one_statement(sql)
        with self._read(statement, asked(statement), limits) as found:
            yield found

    def matches(self, entity: Entity, predicate: str, limits: ReadLimits) -> Iterator[bytes]:
        """See `cas.records.scratch`."""
        statement, what = places_of(entity, predicate)

        def places() -> Iterator[list[Row]]:
            with self._read(statement, what, limits) as found:
                yield from found.batches()

        yield from keys_at(self._access.own, self._access.options, entity, places())

    def _check(self, statement: str, what: Asked) -> None:
        """The server plans the statement, on tables that are empty still. What only that may have made
        fail (an empty table, a materialized view without rows) is passed over: it is run again."""
        access = self._access
        with (
            self._refusals(what),
            suppress(*_BY_DATA),
            reading(
                access.own,
                access.admin,
                access.options,
                self._search_path,
                statement,
                ReadLimits(seconds=CHECK_SECONDS),
            ),
        ):
            pass

    @contextmanager
    def _read(self, statement: str, what: Asked, limits: ReadLimits) -> Iterator[Reading]:
        access = self._access
        with (
            self._refusals(what),
            reading(access.own, access.admin, access.options, self._search_path, statement, limits) as found,
        ):
            yield found

    def _needs(self, statement: str, what: Asked) -> Reads:
        with self._refusals(what), closing(connect(self._access.own, self._access.options)) as connection:
            connection.prepare_threshold = 5
            settle(connection, self._search_path, CHECK_SECONDS)
            return needs(connection, statement.encode("utf-8", "surrogateescape"), self._entities)

    @contextmanager
    def _refusals(self, what: Asked) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            lacks = ", ".join(f"{lack.name} ({lack.reason})" for lack in self._lacks[:SHOWN_LACKS])
            raise refusal_of(error, what, lacks=lacks, hint=self.hint) from error

    def _run(self, statement: str, doing: str) -> None:
        try:
            self._keeper.execute(statement.encode("utf-8", "surrogateescape"))
        except psycopg.Error as error:
            raise refusal(error, doing=doing, where="") from error

    def _is_built(self, entity: Entity) -> bool:
        name = literal(shown(entity.schema, entity.name))
        with faults_of(entity.label):
            row = self._keeper.execute(b"SELECT to_regclass(%b) IS NOT NULL" % name).fetchone()
        return row is not None and bool(row[0])

    def _administrator(self) -> psycopg.Connection:
        return connect(self._access.admin, self._access.options)
