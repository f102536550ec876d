"""kill -9 of a process that takes a version by what was noted, at every point of its way.

What is there after each, and what the next version does:

    it dies                        what is there                             the next version
    -----------------------------  ----------------------------------------  -------------------------------
    before the commit: any call    the base, its position in each log, and   builds upon the same base, by
    of store or catalog, opening   all that was noted since; perhaps orphan  what was noted since: what
    or reading the snapshot        packs, perhaps an orphan document         happened before the kill as well
    after the commit, before the   the version; the positions are those of   builds upon the version; no
    platform is told of a table    its base, so the logs keep what was       position is of it, so by the age
                                   noted since that                          of rows
    after a table's seal was       as before: the seal, where it was new,    the same
    looked at                      counts for later versions only
    in the transaction that notes  as before: it is rolled back              the same
    a position and prunes
    after it                       the position of the version in this log,  builds upon the version, by what
                                   which keeps what was noted since that     was noted since, for this table;
                                                                             by the age of rows for the others
"""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cas.catalog.model import EntitySummary, Version
from cas.catalog.postgres import PostgresCatalog
from cas.check import CheckLevel, check_repository
from cas.engine.repository import Repository, create_repository
from cas.postgres.capture.installing import install
from cas.postgres.capture.reading import captured
from cas.postgres.reading.source import PostgresSource
from cas.records.marks import Mark
from cas.records.source import Selection
from cas.snapshot import take_version
from cas.store.local import LocalStore
from tests.engine.memory_source import integer_key
from tests.engine.recording import Gate
from tests.engine.scenes import records_of
from tests.postgres.changes.story import changes
from tests.postgres.changes.victim import REQUEST, GatedSource
from tests.servers.postgres import Databases

TABLES = ("a", "b")
ROWS = 60
KILLS = 8
MOVING = 5000
"""The first of a thousand keys that are left for others, one after the other."""
READS = (
    *("get", "get_range", "get_tail", "size", "objects"),
    *("latest", "bases", "version", "versions", "known_numbers", "journal", "now"),
    *("mark", "changed"),
)
"""Calls that leave nothing behind."""

Rows = dict[int, str]
Moment = dict[str, Rows]


class Killing:
    """What outlives the victims: a platform, a repository, a catalog."""

    def __init__(self, directory: Path, catalog_url: str, platform: str) -> None:
        self.platform = platform
        self.directory = directory
        self.store = LocalStore(directory / "store", create=True)
        config = create_repository(self.store)
        self.catalog = PostgresCatalog(catalog_url)
        self.catalog.attach(config.repository_id, self.store.url, create=True)
        self.reader = config.repository_id
        self.moments: dict[int, Moment] = {}
        """What the tables held when a version was taken."""
        self.edition = 0
        with closing(psycopg.connect(platform, autocommit=True)) as connection:
            for table in TABLES:
                connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, v text NOT NULL)".encode())
                connection.execute(
                    f"INSERT INTO {table} SELECT n, 'row ' || n FROM generate_series(1, {ROWS}) n".encode()
                )
            connection.execute(
                f"INSERT INTO a SELECT n, 'moves' FROM generate_series({MOVING}, {MOVING + 999}) n".encode()
            )
        arguments = [str(directory / "store"), catalog_url, str(directory / "cache"), platform]
        self._victim = subprocess.Popen(
            [sys.executable, "-m", "tests.postgres.changes.victim", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert self._hear() == "ready"

    def close(self) -> None:
        self._victim.communicate()
        self.catalog.close()

    def edit(self) -> None:
        """In each table a record comes, one goes, some change: some of them each time. In the first, one
        leaves its key for another: then all keys are read."""
        self.edition += 1
        edition = self.edition
        with closing(psycopg.connect(self.platform, autocommit=True)) as connection:
            for table in TABLES:
                for statement in (
                    f"INSERT INTO {table} VALUES ({1000 + edition}, 'new')",
                    f"DELETE FROM {table} WHERE id = {edition % ROWS} OR id = {999 + edition}",
                    f"UPDATE {table} SET v = 'edition {edition}' WHERE id IN (7, {edition % 5 + 20})",
                ):
                    connection.execute(statement.encode())
            move = f"UPDATE a SET id = id + 100000 WHERE id = {MOVING + edition}"
            assert connection.execute(move.encode()).rowcount == 1

    def now(self) -> Moment:
        with closing(psycopg.connect(self.platform)) as connection:
            return {
                table: dict(connection.execute(f"SELECT id, v FROM {table}".encode()).fetchall())
                for table in TABLES
            }

    def die(self, name: str, occurrence: int) -> list[str]:
        """A version that is killed at this point, or comes to its end; the points that it came to."""
        assert self._victim.stdin is not None
        self._victim.stdin.write(f"{occurrence} {name}\n")
        self._victim.stdin.flush()
        points = []
        while not (line := self._hear()).startswith("gone"):
            points.append(line)
        status = int(line.split()[1])
        if occurrence:
            assert os.WIFSIGNALED(status), (points, status)
            assert os.WTERMSIG(status) == signal.SIGKILL
        else:
            assert points.pop() == "end"
        for number in set(self.complete()) - set(self.moments):
            self.moments[number] = self.now()
        return points

    def _hear(self) -> str:
        assert self._victim.stdout is not None
        line = self._victim.stdout.readline()
        assert line, "the victim's parent is gone"
        return line.strip()

    def complete(self) -> list[int]:
        """Numbers of committed versions, ascending."""
        return sorted(base.version for base in self.catalog.bases(10_000))

    def take(self) -> Version:
        repository = Repository(self.store, self.directory / "cache")
        source: Any = GatedSource(self.platform, Gate())
        try:
            version = take_version(repository, self.catalog, source, REQUEST).version
            now = self.moments[version.number] = self.now()
            held = records_of(repository, version.number)
        finally:
            repository.close()
        assert held == {
            f"public.{table}": {integer_key(number): f"{number}\t{v}".encode() for number, v in rows.items()}
            for table, rows in now.items()
        }
        assert not self.catalog.incidents()
        return version

    def check(self) -> None:
        repository = Repository(self.store, self.directory / "cache")
        try:
            report = check_repository(repository, level=CheckLevel.BYTES)
            assert report.is_clean, report.findings
        finally:
            repository.close()

    def noted_since(self, mark: Mark) -> dict[str, set[bytes] | str]:
        """What the logs say of each table since a moment: keys, or why nothing."""
        found: dict[str, set[bytes] | str] = {}
        with PostgresSource(self.platform).snapshot(Selection()) as snapshot:
            for entity in snapshot.entities:
                table = snapshot._table(entity)
                with snapshot._readers.asking(entity.label) as connection:
                    noted = captured(connection, table, mark.snapshot, self.reader)
                    found[entity.name] = (
                        noted if isinstance(noted, str) else set(chain.from_iterable(noted.keys()))
                    )
        return found


@pytest.fixture
def killing(tmp_path: Path, database: Databases) -> Iterator[Killing]:
    """With capture, and a version that was told."""
    made = Killing(tmp_path, database(), database())
    try:
        install(made.platform)
        made.take()
        yield made
    finally:
        made.close()


@pytest.mark.timeout(600)
def test_killed_at_every_point(killing: Killing) -> None:
    """Before the commit, a version is taken after several kills only: what they left must be right
    together."""
    killing.edit()
    died: list[str] = []
    for name, occurrence in chosen(killing.die("", 0)):
        killing.edit()
        base = killing.complete()[-1]
        passed = killing.die(name, occurrence)
        died.append(f"{occurrence} {name}")
        is_committed = "after commit" in passed
        newest = killing.complete()[-1]
        assert (newest > base) == is_committed, died
        if not is_committed and name != "before commit" and len(died) < KILLS:
            continue
        where, died = str(died), []
        killing.edit()
        require_all_noted(killing)
        version = killing.take()
        for table in TABLES:
            is_told = f"after run of {table}" in passed
            found = entity(version, table)
            expected = "capture" if not is_committed or is_told else "xmin"
            assert (found.read_by, found.read_reason.split(";")[0]) == (
                expected,
                f"written since version {newest}",
            ), where
            then, now = (killing.moments[number][table] for number in (newest, version.number))
            assert changes(found) == difference(then, now), where
    killing.check()


@pytest.mark.timeout(300)
def test_killed_again_and_again(killing: Killing) -> None:
    """Several die one after the other, while the platform goes on."""
    rng = random.Random(11)
    killing.edit()
    points = chosen(killing.die("", 0))
    late = [point for point in points if is_late(point[0])]
    for _ in range(6):
        for _ in range(3):
            killing.edit()
            name, occurrence = rng.choice(rng.choice((points, late)))
            killing.die(name, occurrence)
            require_all_noted(killing)
        newest = killing.complete()[-1]
        version = killing.take()
        for table in TABLES:
            found = entity(version, table)
            assert found.read_by in ("capture", "xmin")
            assert found.read_reason.split(";")[0] == f"written since version {newest}"
            then, now = (killing.moments[number][table] for number in (newest, version.number))
            assert changes(found) == difference(then, now)
    killing.check()


def chosen(points: Sequence[str]) -> list[tuple[str, int]]:
    """Each point for the first time that it is come to, and those about packs for the last as well, in order;
    before what only reads, all is as after the call before it."""
    often = Counter(points)
    assert {"before begin", "after put packs", "before commit", "after commit"} <= often.keys(), points
    assert {"after kept", "before deleting b", "after run of b"} <= often.keys(), points
    seen: Counter[str] = Counter()
    found = []
    for name in points:
        seen[name] += 1
        is_read = name.startswith("before ") and name.split()[1] in READS
        is_last = seen[name] == often[name] and name.endswith(("packs", "pack")) and "put" in name
        if (seen[name] == 1 and not is_read) or is_last:
            found.append((name, seen[name]))
    return found


def is_late(name: str) -> bool:
    return any(word in name for word in ("commit", "kept", " of ", "ing "))


def require_all_noted(killing: Killing) -> None:
    """Of whatever version a log says anything, it says all: it was not pruned further."""
    now = killing.now()
    told = 0
    for base in killing.catalog.bases(3):
        for table, noted in killing.noted_since(base.mark).items():
            if not isinstance(noted, str):
                told += 1
                then = killing.moments[base.version][table]
                differ = {
                    number
                    for number in then.keys() | now[table].keys()
                    if then.get(number) != now[table].get(number)
                }
                left = range(MOVING, MOVING + 1000) if table == "a" else ()
                assert {integer_key(number) for number in differ if number not in left} <= noted
    assert told, "no log says anything of the newest versions"


def difference(then: Rows, now: Rows) -> tuple[int, int, int]:
    """Inserted, updated, deleted."""
    updated = sum(then[number] != now[number] for number in then.keys() & now.keys())
    return len(now.keys() - then.keys()), updated, len(then.keys() - now.keys())


def entity(version: Version, table: str) -> EntitySummary:
    return next(one for one in version.entities if one.label == f"public.{table}")
