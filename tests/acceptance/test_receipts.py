"""What stands in the list about each version: while it runs, when it is done, and when it failed."""

import getpass
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import psycopg
import pytest

from cas.postgres.reading.source import PostgresSnapshot
from cas.records.model import Entity, RecordBatch
from cli.exit_codes import ExitCode
from tests.acceptance.conftest import History
from tests.cli.running import Place, execute, rows
from tests.servers.postgres import Databases


def test_a_version_says_what_it_is_why_it_was_taken_and_by_whom(history: History) -> None:
    version = history.versions[1]
    assert (version["number"], version["state"], version["trigger"]) == (1, "complete", "MANUAL")
    assert (version["name"], version["reason"]) == ("spring 1", "before the import")
    assert version["description"] == "All of it, before Anna's file"
    assert (version["tags"], version["metadata"]) == (["spring", "import"], {"ticket": "17"})
    assert (version["protected"], version["kind"]) == (True, "full")
    assert version["created_by"].startswith(f"{getpass.getuser()}@")
    assert len(version["checksum"]) == 64
    shown = history.place.process("show", "1").out
    for words in ("spring 1", "before the import", "Anna's file", "spring, import", "ticket=17", "protected"):
        assert words in shown


def test_a_version_says_when_it_was_taken_and_how_long_it_took(history: History) -> None:
    for version in history.versions.values():
        began, ended = (datetime.fromisoformat(version[name]) for name in ("created_at", "finished_at"))
        assert began.tzinfo is not None
        took = (ended - began).total_seconds()
        assert 0 < took < 60
        assert version["duration_seconds"] == pytest.approx(took, abs=0.001)
    times = [history.versions[number]["created_at"] for number in (1, 2, 3)]
    assert times == sorted(times)


def test_a_version_says_which_database_it_is_of(history: History) -> None:
    name, server = rows(history.source, "SELECT current_database(), current_setting('server_version')")[0]
    version = history.versions[1]
    assert (version["source_database"], version["source_server_version"]) == (name, server)
    assert name in version["source_url"]
    assert version["source_system_identifier"]


def test_a_version_says_what_it_cost(history: History) -> None:
    first, second = history.versions[1], history.versions[2]
    assert first["original_bytes"] > first["added_bytes"] > second["added_bytes"] > 0
    assert second["stored_bytes"] > second["added_bytes"]
    told = history.place("show", "2").out
    assert "added" in told
    assert "whole version" in told
    assert "less" in told


def test_a_version_is_in_the_list_with_its_number_while_it_is_taken(cas: Place, small: str) -> None:
    def running() -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = cas("versions", "--state", "running", "--json").json["versions"]
        return listed

    with psycopg.connect(small) as holder:
        holder.execute("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
        process = cas.start("snapshot", "--reason", "a slow one")
        deadline = time.monotonic() + 60
        while not (seen := running()):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        holder.rollback()
    assert (seen[0]["number"], seen[0]["reason"], seen[0]["finished_at"]) == (1, "a slow one", None)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert running() == []
    assert cas("show", "1", "--json").json["state"] == "complete"


def test_a_failed_run_stays_in_the_list_with_its_reason(cas: Place, small: str, role: str) -> None:
    reader = small.replace("postgres@", f"{role}@")
    ran = cas("snapshot", "--source", reader, "--reason", "nightly")
    assert ran.code == ExitCode.DENIED
    failed = cas("versions", "--state", "failed", "--json").json["versions"][0]
    assert (failed["number"], failed["reason"], failed["error_code"]) == (1, "nightly", "PERMISSION_DENIED")
    assert "GRANT" in failed["error_text"]
    assert failed["finished_at"]
    assert failed["checksum"] is None
    assert "PERMISSION_DENIED" in cas("versions").out
    assert cas("snapshot").code == 0, "and the next one gets the next number"
    assert cas("show", "latest", "--json").json["number"] == 2


def test_a_version_that_had_to_begin_again_says_how_often(
    cas: Place, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody renames a value of an enum while its table is read: half of it would be old, half new."""
    execute(
        small,
        "CREATE TYPE mood AS ENUM ('good', 'bad')",
        "CREATE TABLE moods (id integer PRIMARY KEY, mood mood)",
        "INSERT INTO moods SELECT n, 'good' FROM generate_series(1, 5) n",
    )
    as_it_is = PostgresSnapshot.batches
    renamed: list[bool] = []

    def disturbed(self: PostgresSnapshot, entity: Entity) -> Iterator[RecordBatch]:
        yield from as_it_is(self, entity)
        if entity.name == "moods" and not renamed:
            renamed.append(True)
            execute(small, "ALTER TYPE mood RENAME VALUE 'good' TO 'fine'")

    monkeypatch.setattr(PostgresSnapshot, "batches", disturbed)
    assert cas("snapshot").code == 0
    version = cas("show", "1", "--json").json
    assert (version["state"], version["retries"]) == ("complete", 1)
    assert "begun again" in cas("show", "1").out
    fields = {
        field["column"]: field["text"] for field in cas("get", "1", "moods", "5", "--json").json["fields"]
    }
    assert fields["mood"] == "fine"


def test_progress_is_told_while_versions_are_taken_and_brought_back(
    history: History, database: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.watching_faces.JSON_SECONDS", 0.002)
    for phase, arguments in (
        ("read", ["snapshot", "--reason", "watched"]),
        ("records", ["restore", "1", "--into", database(), "--yes"]),
    ):
        ran = history.place(*arguments, "--json")
        assert ran.code == 0
        every = [event["progress"] for event in ran.events if event["event"] == "progress"]
        told = [one for one in every if one["phase"] == phase and one["records"] > 0]
        counts = [one["records"] for one in told]
        assert counts == sorted(counts)
        assert counts, "there was something to see"
        assert all(0 < one["share"] <= 1 and one["entities_begun"] <= one["entities"] for one in told)
        assert told[-1].keys() >= {"records_per_second", "bytes_per_second", "remaining_seconds", "entity"}
