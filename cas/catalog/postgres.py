"""The catalog in PostgreSQL 14 or newer. Guarantees: cas/catalog/interface.py.

A lapsed lease means: the version is listed as failed from that moment on, its session may write
nothing, and the pin of its parent still holds, because the row alone decides: the writer may come
back with `renew` until somebody ends its session. `begin` of others neither waits for it nor ends
it; the collector and `adopt` do.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from cas.catalog import adopting, committing, listing, pasts, readings, roots, rules, sessions
from cas.catalog.auto_saving import AutoSaving
from cas.catalog.auto_saving_postgres import PostgresAutoSaving
from cas.catalog.checking import Checking
from cas.catalog.checking_postgres import PostgresChecking
from cas.catalog.cleaning import Cleaning
from cas.catalog.cleaning_postgres import PostgresCleaning
from cas.catalog.collecting import Collecting
from cas.catalog.collecting_postgres import PostgresCollecting
from cas.catalog.connecting import Connection, Connections
from cas.catalog.entrusting import Entrusting
from cas.catalog.entrusting_postgres import PostgresEntrusting
from cas.catalog.keeping import Keeping
from cas.catalog.keeping_postgres import PostgresKeeping
from cas.catalog.migrating import migrate, shipped_migrations
from cas.catalog.model import (
    AdoptedVersion,
    Base,
    EntityPast,
    Incident,
    NewPack,
    NewVersion,
    QuarantinedVersion,
    SessionHandle,
    Version,
    VersionFilter,
    VersionKind,
    VersionResult,
    VersionRoots,
)
from cas.catalog.replicating import Replicating
from cas.catalog.replicating_postgres import PostgresReplicating, name_at
from cas.catalog.replicating_rules import is_a_replica
from cas.catalog.restores import Restores
from cas.catalog.restores_postgres import PostgresRestores
from cas.catalog.sealing import Sealing
from cas.catalog.sealing_postgres import PostgresSealing
from cas.contacting import ContactPatience
from cas.errors import Conflict, ConnectionFailed, NotFound, Unsupported
from cas.ids import PackName

FORMAT = 1
"""The newest repository format whose catalog this program understands."""


class PostgresCatalog:
    """The catalog at a libpq URL or connection string; see `Connections` for what may be raised."""

    def __init__(
        self, url: str, *, wait_seconds: float = 20, patience: ContactPatience | None = None
    ) -> None:
        self._connections = Connections(url, wait_seconds=wait_seconds, patience=patience)
        self._repository_id: str | None = None
        self._restores = PostgresRestores(self._connections, self._share_epoch)
        self._auto_saving = PostgresAutoSaving(self._connections)
        self._replicating = PostgresReplicating(self._connections, self._share_epoch, self._take_epoch)
        self._keeping = PostgresKeeping(self._connections, self._share_epoch)
        self._collecting = PostgresCollecting(self._connections, self._share_epoch, self._take_epoch)
        self._cleaning = PostgresCleaning(self._connections, self._share_epoch)
        self._sealing = PostgresSealing(self._connections, self._share_epoch)
        self._entrusting = PostgresEntrusting(self._connections, self._share_epoch)
        self._checking = PostgresChecking(self._connections, self._share_epoch)

    @property
    def url(self) -> str:
        return self._connections.url

    @property
    def restores(self) -> Restores:
        """Restores into the running platform."""
        return self._restores

    @property
    def auto_saving(self) -> AutoSaving:
        """Policies, and who watches."""
        return self._auto_saving

    @property
    def collecting(self) -> Collecting:
        """Garbage collection."""
        return self._collecting

    @property
    def checking(self) -> Checking:
        """What checks have found."""
        return self._checking

    @property
    def replicating(self) -> Replicating:
        """Copies in other stores."""
        return self._replicating

    @property
    def cleaning(self) -> Cleaning:
        """When it was cleaned up last."""
        return self._cleaning

    @property
    def sealing(self) -> Sealing:
        """What is remembered of the keys of sealed stores."""
        return self._sealing

    @property
    def entrusting(self) -> Entrusting:
        """Credentials of stores, sealed."""
        return self._entrusting

    @property
    def keeping(self) -> Keeping:
        """What stays, and what goes."""
        return self._keeping

    def attach(self, repository_id: str, store_url: str, *, create: bool = False) -> None:
        """Also brings the tables up to date; `create` makes them in an empty database."""
        migrate(self._connections, shipped_migrations(), create=create)
        with self._connections.transaction() as connection:
            if create:
                connection.execute(
                    """
                    INSERT INTO cas.repository (id, store_url, format) VALUES (%s, %s, %s)
                    ON CONFLICT DO NOTHING
                    """,
                    [repository_id, store_url, FORMAT],
                )
            self._demand_owner(connection, repository_id)
            replica = name_at(connection, store_url)
            if replica is not None:
                raise is_a_replica(replica, store_url)
            connection.execute(
                "UPDATE cas.repository SET store_url = %s WHERE store_url <> %s", [store_url, store_url]
            )
        self._repository_id = repository_id

    def _demand_owner(self, connection: Connection, repository_id: str) -> None:
        row = connection.execute("SELECT id, format, store_url FROM cas.repository").fetchone()
        if row is None:
            raise NotFound(
                "the catalog belongs to no repository yet",
                where=self.url,
                hint="`cas init` claims it; after losing a catalog, `cas catalog rebuild` fills it",
            )
        owner, repository_format, store_url = row
        if owner != repository_id:
            raise Conflict(
                f"the catalog belongs to another repository ({owner}, at {store_url})",
                where=self.url,
                hint="Each repository needs a catalog database of its own: see CAS_CATALOG and CAS_STORE",
            )
        if repository_format > FORMAT:
            raise Unsupported(
                f"the catalog is that of a repository of format {repository_format}",
                where=self.url,
                hint="Upgrade this program",
            )

    def begin(self, new: NewVersion) -> SessionHandle:
        rules.check_new(new)
        with self._connections.transaction() as connection:
            return sessions.begin(connection, self._attached(), new)

    def describe_source(
        self, session: UUID, database: str, server_version: str, system_identifier: str
    ) -> None:
        rules.check_source(database, server_version, system_identifier)
        with self._connections.transaction() as connection:
            sessions.describe_source(connection, session, database, server_version, system_identifier)

    def renew(self, session: UUID) -> None:
        with self._connections.transaction() as connection:
            sessions.renew(connection, session)

    def register_pack(self, session: UUID, pack: NewPack) -> None:
        rules.check_pack(pack)
        with self._connections.transaction() as connection:
            sessions.register_pack(connection, session, pack)

    def prepare(self, session: UUID) -> None:
        with self._connections.transaction() as connection:
            sessions.prepare(connection, self._attached(), session)

    def commit(
        self, session: UUID, result: VersionResult, *, journal: int, packs: Sequence[PackName] = ()
    ) -> Version:
        rules.check_result(result)
        try:
            return self._commit(session, result, journal, packs)
        except ConnectionFailed:
            # It may have been committed all the same; a second commit finds out, or does it.
            return self._commit(session, result, journal, packs)

    def _commit(
        self, session: UUID, result: VersionResult, journal: int, packs: Sequence[PackName]
    ) -> Version:
        with self._connections.transaction() as connection:
            return committing.commit(connection, self._attached(), session, result, journal, packs)

    def fail(self, session: UUID, code: str, text: str) -> None:
        with self._connections.transaction() as connection:
            sessions.fail(connection, session, code, text)

    def journal(self) -> int:
        with self._connections.transaction() as connection:
            row = connection.execute("SELECT coalesce(announced, journal) FROM cas.epoch").fetchone()
        assert row is not None
        return int(row[0])

    def live_packs(self) -> frozenset[PackName]:
        with self._connections.transaction() as connection:
            return sessions.live_packs(connection)

    def versions(self, where: VersionFilter) -> Sequence[Version]:
        rules.check_filter(where)
        with self._connections.transaction() as connection:
            return listing.versions(connection, where)

    def version(self, number: int) -> Version:
        with self._connections.transaction() as connection:
            return listing.version(connection, number)

    def latest(
        self,
        source_system_identifier: str = "",
        source_database: str = "",
        kinds: Sequence[VersionKind] = (),
    ) -> Version | None:
        with self._connections.transaction() as connection:
            return listing.latest(connection, source_system_identifier, source_database, kinds)

    def entity_roots(self, name: str) -> Sequence[VersionRoots]:
        with self._connections.transaction() as connection:
            return roots.entity_roots(connection, name)

    def entity_pasts(
        self, version: int, entities: Sequence[tuple[str, str]], limit: int
    ) -> Sequence[Sequence[EntityPast]]:
        with self._connections.transaction() as connection:
            return pasts.entity_pasts(connection, version, entities, limit)

    def bases(self, limit: int = 20) -> Sequence[Base]:
        with self._connections.transaction() as connection:
            return readings.bases(connection, limit)

    def base(self, version: int) -> Base | None:
        with self._connections.transaction() as connection:
            return next(iter(readings.bases(connection, 1, version)), None)

    def incidents(self, limit: int = 100) -> Sequence[Incident]:
        with self._connections.transaction() as connection:
            return readings.incidents(connection, limit)

    def known_numbers(self) -> frozenset[int]:
        with self._connections.transaction() as connection:
            return listing.known_numbers(connection)

    def adopt(
        self,
        versions: Sequence[AdoptedVersion],
        *,
        journal: int,
        quarantined: Sequence[QuarantinedVersion] = (),
        journaled: Sequence[PackName] = (),
    ) -> int:
        for version in versions:
            rules.check_adopted(version)
        for doubtful in quarantined:
            rules.check_quarantined(doubtful)
        with self._connections.transaction() as connection:
            return adopting.adopt(connection, self._attached(), versions, journal, quarantined, journaled)

    def now(self) -> datetime:
        with self._connections.transaction() as connection:
            row = connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        moment: datetime = row[0]
        return moment.astimezone(UTC)

    def close(self) -> None:
        self._connections.close()

    def _share_epoch(self, connection: Connection) -> tuple[int, int]:
        return sessions.share_epoch(connection, self._attached())

    def _take_epoch(self, connection: Connection) -> tuple[int, int]:
        return sessions.take_epoch(connection, self._attached())

    def _attached(self) -> str:
        if self._repository_id is None:
            raise Conflict("the catalog was not attached to a repository", where=self.url)
        return self._repository_id
