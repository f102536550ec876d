"""Catalogs on which the contract is tested, with what others may do to them.

A stage plays the collector and the passing of time, by the means that these have in each
implementation: SQL on the rows, or methods and the clock of the catalog in memory.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import psycopg

from cas.catalog.auto_saving import AutoSaving
from cas.catalog.checking import Checking
from cas.catalog.cleaning import Cleaning
from cas.catalog.collecting import Collecting
from cas.catalog.interface import Catalog
from cas.catalog.keeping import Keeping
from cas.catalog.memory import MemoryCatalog
from cas.catalog.postgres import PostgresCatalog
from cas.catalog.replicating import Replicating
from cas.catalog.restores import Restores
from cas.errors import Fenced
from cas.format.notes import Notes
from cas.ids import PackName
from cas.limits import SESSION_LEASE_SECONDS
from tests.catalog.values import REPOSITORY, STORE

FENCE = """
    WITH fenced AS (
        UPDATE cas.sessions SET state = 'fenced', ended_at = clock_timestamp()
        WHERE id = %s AND state = 'open' RETURNING number)
    UPDATE cas.versions v SET state = 'failed', error_code = %s, error_text = %s,
           finished_at = clock_timestamp(), duration_seconds = 1
    FROM fenced WHERE v.number = fenced.number
"""
CONDEMN = """
    WITH raised AS (UPDATE cas.epoch SET number = number + 1 RETURNING number)
    UPDATE cas.packs SET state = 'condemned', condemned_epoch = raised.number
    FROM raised WHERE name = ANY (%s)
"""
LAPSE = """
    UPDATE cas.sessions
    SET renewed_at = renewed_at - %(gone)s, lease_until = lease_until - %(gone)s WHERE state = 'open'
"""
LAPSE_RESTORES = """
    UPDATE cas.restores
    SET renewed_at = renewed_at - %(gone)s, lease_until = lease_until - %(gone)s
    WHERE lease_until IS NOT NULL
"""
LAPSE_PINS = "UPDATE cas.pins SET lease_until = lease_until - %(gone)s"
LAPSE_COLLECTOR = "UPDATE cas.collector SET lease_until = lease_until - %(gone)s"
LAPSE_REPLICATIONS = "UPDATE cas.replicas SET lease_until = lease_until - %(gone)s"
LAPSE_WATCHES = "UPDATE cas.watches SET held_until = held_until - %(gone)s"


class Stage(Protocol):
    """One catalog, attached, and others who act on it."""

    @property
    def catalog(self) -> Catalog: ...

    @property
    def restores(self) -> Restores: ...

    @property
    def auto_saving(self) -> AutoSaving: ...

    @property
    def keeping(self) -> Keeping: ...

    @property
    def collecting(self) -> Collecting: ...

    @property
    def checking(self) -> Checking: ...

    @property
    def replicating(self) -> Replicating: ...

    @property
    def cleaning(self) -> Cleaning: ...

    def lapse(self) -> None:
        """Time passes until the leases of all open sessions, restores, readers, watchers, collectors
        and replications have lapsed."""

    def fence(self, session: UUID) -> None:
        """Somebody ends the session by its row."""

    def condemn(self, names: Iterable[PackName]) -> None:
        """The collector condemns packs, in a new epoch."""

    def delete(self, names: Iterable[PackName]) -> None:
        """The collector is deleting packs that it condemned."""

    def close(self) -> None: ...


def let_go(keeping: Keeping, *versions: int) -> list[int]:
    """As somebody does whose store takes everything."""
    at = "2026-01-01T00:00:00.000000+00:00"
    return list(
        keeping.let_go(versions, lambda number, said: Notes(REPOSITORY, number, at, "ada", tuple(said)))
    )


class TickingClock:
    """Advances by a millisecond whenever it is read, and by jumps."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment


class MemoryStage:
    def __init__(self) -> None:
        self.clock = TickingClock()
        self.catalog = MemoryCatalog(self.clock)
        self.catalog.attach(REPOSITORY, STORE, create=True)
        self.restores = self.catalog.restores
        self.auto_saving = self.catalog.auto_saving
        self.keeping = self.catalog.keeping
        self.collecting = self.catalog.collecting
        self.checking = self.catalog.checking
        self.replicating = self.catalog.replicating
        self.cleaning = self.catalog.cleaning

    def lapse(self) -> None:
        self.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)

    def fence(self, session: UUID) -> None:
        self.catalog.fence(session)

    def condemn(self, names: Iterable[PackName]) -> None:
        self.catalog.condemn(names)

    def delete(self, names: Iterable[PackName]) -> None:
        self.catalog.begin_deleting(names)

    def close(self) -> None:
        self.catalog.close()


class PostgresStage:
    def __init__(self, url: str) -> None:
        self.url = url
        self.catalog = PostgresCatalog(url, wait_seconds=5)
        self.catalog.attach(REPOSITORY, STORE, create=True)
        self.restores = self.catalog.restores
        self.auto_saving = self.catalog.auto_saving
        self.keeping = self.catalog.keeping
        self.collecting = self.catalog.collecting
        self.checking = self.catalog.checking
        self.replicating = self.catalog.replicating
        self.cleaning = self.catalog.cleaning
        self.other = psycopg.connect(url, autocommit=True)
        """Somebody else's connection."""

    def lapse(self) -> None:
        for lapse in (LAPSE, LAPSE_RESTORES, LAPSE_WATCHES, LAPSE_PINS, LAPSE_COLLECTOR, LAPSE_REPLICATIONS):
            self.other.execute(lapse, {"gone": timedelta(seconds=SESSION_LEASE_SECONDS)})

    def fence(self, session: UUID) -> None:
        self.other.execute(FENCE, [session, Fenced.code, "somebody else ended its session"])

    def condemn(self, names: Iterable[PackName]) -> None:
        self.other.execute(CONDEMN, [list(names)])

    def delete(self, names: Iterable[PackName]) -> None:
        self.other.execute("UPDATE cas.packs SET state = 'deleting' WHERE name = ANY (%s)", [list(names)])

    def empty(self) -> None:
        """As it was after attaching. Deleting few rows is ten times faster than TRUNCATE."""
        self.other.execute(
            """
            DELETE FROM cas.sealing; DELETE FROM cas.entrusted; DELETE FROM cas.replicas;
            DELETE FROM cas.restore_keys; DELETE FROM cas.restore_steps;
            DELETE FROM cas.restore_entities; DELETE FROM cas.restores;
            SELECT setval('cas.restores_number_seq', 1, false);
            DELETE FROM cas.policies; DELETE FROM cas.watches; DELETE FROM cas.cleanups;
            DELETE FROM cas.version_checks; DELETE FROM cas.version_marks;
            DELETE FROM cas.incidents; DELETE FROM cas.anomalies;
            SELECT setval('cas.incidents_number_seq', 1, false);
            DELETE FROM cas.version_omissions; DELETE FROM cas.version_entities;
            DELETE FROM cas.pins; DELETE FROM cas.packs;
            DELETE FROM cas.sessions; DELETE FROM cas.versions;
            UPDATE cas.repository SET rebuilt_at = NULL WHERE rebuilt_at IS NOT NULL;
            DELETE FROM cas.settings; UPDATE cas.noted SET number = 0, generation = 0;
            UPDATE cas.epoch SET number = 0, journal = 0, announced = NULL, token = '';
            UPDATE cas.collector SET id = NULL, lease_until = NULL;
            UPDATE cas.next_version SET number = 1
            """
        )

    def close(self) -> None:
        self.other.close()
        self.catalog.close()
