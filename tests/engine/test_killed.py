"""kill -9 of a real process that writes into a real directory with a real catalog, a dozen times."""

import os
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from cas.catalog.model import Version, VersionFilter, VersionState
from cas.catalog.postgres import PostgresCatalog
from cas.check import CheckLevel, check_repository
from cas.engine.repository import Repository, create_repository
from cas.limits import SESSION_LEASE_SECONDS
from cas.rebuild import rebuild_catalog
from cas.snapshot import SnapshotRequest, take_version
from cas.store.local import LocalStore
from tests.catalog.stages import LAPSE
from tests.engine import victim
from tests.engine.memory_source import MemorySource
from tests.engine.scenes import expected, records_of
from tests.servers.postgres import Databases

ROUNDS = 12
MOST_LINES = 260
"""A version says some hundred lines; two of them fit before the latest kill."""


class Killing:
    """What outlives the victims."""

    def __init__(self, directory: Path, url: str) -> None:
        self.directory = directory
        self.url = url
        self.store = LocalStore(directory / "store", create=True)
        config = create_repository(self.store)
        self.catalog = PostgresCatalog(url)
        self.catalog.attach(config.repository_id, self.store.url, create=True)
        self.acknowledged: set[int] = set()
        self.last_line = ""

    def kill_after(self, lines: int, committed: int = 1_000) -> None:
        """Start a victim, and kill it when it has said so many lines or committed so many versions."""
        commits = 0
        arguments = [str(self.directory / "store"), self.url, str(self.directory / "cache")]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.engine.victim", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        try:
            for said, line in enumerate(process.stdout, 1):
                self._hear(line)
                commits += line.startswith("committed")
                if said == lines or commits == committed:
                    os.kill(process.pid, signal.SIGKILL)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        assert process.returncode == -signal.SIGKILL, "it was not killed: it failed"

    def _hear(self, line: str) -> None:
        if line.endswith("\n"):
            self.last_line = line.strip()
        if line.startswith("committed") and line.endswith("\n"):
            self.acknowledged.add(int(line.split()[1]))

    def complete(self) -> list[Version]:
        found = self.catalog.versions(VersionFilter(states=(VersionState.COMPLETE,)))
        return sorted(found, key=lambda version: version.number)

    def lapse(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(LAPSE, {"gone": timedelta(seconds=SESSION_LEASE_SECONDS)})


@pytest.mark.timeout(300)
def test_a_process_killed_at_any_moment_loses_nothing(tmp_path: Path, database: Databases) -> None:
    rng = random.Random(20)
    killing = Killing(tmp_path, database())
    moments: list[str] = []
    try:
        for _ in range(ROUNDS):
            killing.kill_after(rng.randrange(2, MOST_LINES))
            moments.append(killing.last_line)
            look_around(killing)
        assert len({moment.split()[1] for moment in moments if " " in moment}) >= 3, moments
        go_on(killing)
        assert len(killing.catalog.known_numbers()) > len(killing.complete()), "some were killed"
    finally:
        killing.catalog.close()


@pytest.mark.timeout(300)
def test_two_processes_at_once_share_store_catalog_and_cache(tmp_path: Path, database: Databases) -> None:
    """Both take versions of the same platform as fast as they can, and are killed in the middle."""
    killing = Killing(tmp_path, database())
    try:
        with ThreadPoolExecutor(2) as threads:
            running = [
                threads.submit(killing.kill_after, MOST_LINES * 100, committed) for committed in (5, 6)
            ]
            for one in running:
                one.result()
        assert len(killing.acknowledged) >= 11
        look_around(killing)
        go_on(killing)
    finally:
        killing.catalog.close()


def look_around(killing: Killing) -> None:
    """What a new process finds after a kill."""
    repository = Repository(killing.store, killing.directory / "cache")
    try:
        report = check_repository(repository, level=CheckLevel.BYTES)
        assert report.is_clean, report.findings
        complete = killing.complete()
        assert killing.acknowledged <= {version.number for version in complete}
        assert {version.number for version in complete} <= set(report.versions)
        for version in complete[-3:]:
            edition = int(version.reason.removeprefix("edition "))
            assert records_of(repository, version.number) == expected(victim.platform_of(edition))
    finally:
        repository.close()


def go_on(killing: Killing) -> None:
    """Everything that did not end is a failure with a reason, the next version works, and the bucket alone
    gives all back."""
    killing.lapse()
    everything = killing.catalog.versions(VersionFilter())
    assert {version.state for version in everything} <= {VersionState.COMPLETE, VersionState.FAILED}
    assert all(version.error_text for version in everything if version.state is VersionState.FAILED)
    assert len(killing.complete()) > 3
    repository = Repository(killing.store, killing.directory / "cache")
    try:
        platform = victim.platform_of(99)
        version = take_version(repository, killing.catalog, MemorySource(platform), SnapshotRequest()).version
        assert records_of(repository, version.number) == expected(platform)
        complete = {one.number for one in killing.complete()}
        report = rebuild_catalog(repository, killing.catalog)
        assert report.quarantined == ()
        assert complete == set(report.known)
        assert check_repository(repository, level=CheckLevel.BYTES).is_clean
    finally:
        repository.close()
