"""A writer that is killed: nobody cleans up, and everything goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from cas.catalog.model import VersionState
from tests.catalog.stages import PostgresStage
from tests.catalog.values import new_version, pack, result

WRITER = """
import sys, time
from cas.catalog.postgres import PostgresCatalog
from tests.catalog.values import REPOSITORY, STORE, new_version, pack
catalog = PostgresCatalog(sys.argv[1])
catalog.attach(REPOSITORY, STORE)
print("attached", flush=True)
session = catalog.begin(new_version("killed"))
catalog.register_pack(session.id, pack(1))
print(session.number, flush=True)
time.sleep(60)
"""


def start_writer(url: str) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    return subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True, cwd=root)


def read_line(writer: subprocess.Popen[str]) -> str:
    assert writer.stdout is not None
    return writer.stdout.readline().strip()


def kill(writer: subprocess.Popen[str]) -> None:
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()


def test_a_version_whose_process_was_killed_fails_by_itself(postgres_stage: PostgresStage) -> None:
    writer = start_writer(postgres_stage.url)
    try:
        assert [read_line(writer), read_line(writer)] == ["attached", "1"]
    finally:
        kill(writer)
    catalog = postgres_stage.catalog
    assert catalog.version(1).state is VersionState.RUNNING
    session = catalog.begin(new_version())
    catalog.register_pack(session.id, pack(2))
    assert catalog.commit(session.id, result(), journal=0).number == 2
    postgres_stage.lapse()
    killed = catalog.version(1)
    assert killed.state is VersionState.FAILED
    assert killed.error_text.startswith("its writer stopped renewing its lease at ")
    assert catalog.live_packs() == {pack(2).name}
    row = postgres_stage.other.execute("SELECT pid, host <> '' FROM cas.sessions WHERE number = 1").fetchone()
    assert row == (writer.pid, True)


def test_a_process_killed_in_the_middle_of_begin_leaves_nothing(postgres_stage: PostgresStage) -> None:
    with psycopg.connect(postgres_stage.url) as holder:
        holder.execute("SELECT FROM cas.next_version FOR UPDATE")
        writer = start_writer(postgres_stage.url)
        try:
            assert read_line(writer) == "attached"
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            deadline = time.monotonic() + 10
            while postgres_stage.other.execute(waiting).fetchone() != (1,):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            kill(writer)
        holder.rollback()
    session = postgres_stage.catalog.begin(new_version())
    assert session.number == 1
    assert postgres_stage.catalog.known_numbers() == {1}
