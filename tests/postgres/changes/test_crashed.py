"""A server that recovers from the crash of one of its processes: its starting time stays, what it forgot is
forgotten, and the same transaction numbers are given again."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import psycopg
import pytest

from tests.postgres.changes.conftest import SCHEMA
from tests.postgres.changes.story import Story
from tests.servers.postgres import DEBIAN_15, TEST_SETTINGS, Cluster, debian_cluster, embedded_cluster

FORGETFUL = {**TEST_SETTINGS, "wal_writer_delay": "10s", "autovacuum": "off"}
"""Commits reach the log's file when somebody waits for it, or after ten seconds."""


@pytest.fixture(params=[18, 15])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    if request.param == 18:
        with embedded_cluster(FORGETFUL) as embedded:
            yield embedded
        return
    if not DEBIAN_15.is_dir():
        pytest.skip("PostgreSQL 15 is not installed here")
    with debian_cluster(DEBIAN_15, FORGETFUL) as debian:
        yield debian


CHECKPOINTER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"


def crash(url: str) -> None:
    """Kill one process of the server, and wait until it has recovered: all of its others are new ones."""
    with closing(psycopg.connect(url)) as connection:
        before = connection.execute(CHECKPOINTER).fetchall()
        os.kill(connection.info.backend_pid, signal.SIGKILL)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with suppress(psycopg.OperationalError), closing(psycopg.connect(url)) as connection:
            now = connection.execute(CHECKPOINTER).fetchall()
            if now and now != before:
                return
        time.sleep(0.05)
    pytest.fail("the server did not come back")


def test_numbers_that_are_given_again_hide_no_change(cluster: Cluster) -> None:
    story = Story(cluster.url())
    try:
        story.run(*SCHEMA, "CHECKPOINT")
        story.run(*[f"UPDATE t SET v = 'forgotten' WHERE id = {n}" for n in range(20)])
        base = story.take()
        with story.session() as session:
            (started,) = session.execute("SELECT pg_postmaster_start_time()").fetchall()
        crash(story.url)
        story.run("UPDATE t SET v = 'written after it' WHERE id = 1000")
        story.run(*["UPDATE t SET v = 'until the numbers are new' WHERE id = 1001"] * 40)
        with story.session() as session:
            forgotten = session.execute("SELECT count(*) FROM t WHERE v = 'forgotten'").fetchall()[0][0]
            written = session.execute("SELECT xmin::text::int8 FROM t WHERE id = 1000").fetchall()[0][0]
            assert session.execute("SELECT pg_postmaster_start_time()").fetchall() == [started]
        mark = story.world.catalog.bases()[0].mark
        assert forgotten == 0, "the server forgot nothing, so this test shows nothing"
        assert written < mark.xmin % (1 << 32), "no number was given again, so this test shows nothing"
        found = story.entity(story.checked())
        assert found.read_by == "scan"
        assert "recovered from a crash" in found.read_reason
        assert found.records == story.entity(base).records
    finally:
        story.close()
