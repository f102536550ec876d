"""Stopped by a person, terminated by a supervisor, killed by the kernel, or two at the same time."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator

import psycopg
import pytest

from cli import stopping
from cli.exit_codes import ExitCode
from tests.cli.running import SHOP, Place, execute, rows
from tests.servers.postgres import Cluster, Databases

MANY = "INSERT INTO events SELECT repeat('x', 200) || n FROM generate_series(1, 400000) n"
"""Enough that a read of it takes a second or two."""


@pytest.fixture(scope="module")
def large(cluster: Cluster) -> Iterator[str]:
    """A platform with many events, for tests that only read it."""
    databases = Databases(cluster)
    try:
        url = databases()
        execute(url, *SHOP, MANY)
        yield url
    finally:
        databases.drop_all()


@pytest.fixture
def busy(cas: Place, large: str) -> Place:
    """A repository without versions, whose platform is the large one."""
    cas.environment["CAS_SOURCE"] = large
    return cas


def _wait_for(process: subprocess.Popen[str], phase: str) -> None:
    """Until its progress says that it is in this phase, and moving."""
    assert process.stderr is not None
    for line in process.stderr:
        progress = json.loads(line).get("progress", {"phase": ""})
        if progress["phase"] == phase and progress["records"] > 0:
            return
    raise AssertionError(f"it never came to {phase}")


def _end(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, _ = process.communicate(timeout=60)
    return process.returncode, out


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGINT, ExitCode.INTERRUPTED, "stopped by Ctrl-C"),
        (signal.SIGTERM, ExitCode.TERMINATED, "stopped by SIGTERM"),
    ],
)
def test_a_snapshot_that_is_stopped_is_listed_as_failed(
    busy: Place, number: signal.Signals, code: ExitCode, words: str
) -> None:
    process = busy.start("snapshot", "--json")
    _wait_for(process, "read")
    process.send_signal(number)
    ended, out = _end(process)
    assert ended == code
    assert json.loads(out)["error"]["what"] == words
    listed = busy("versions", "--json").json["versions"]
    assert [(one["state"], one["error_code"]) for one in listed] == [("failed", "INTERRUPTED")]
    assert words in listed[0]["error_text"]
    assert busy("snapshot").code == 0, "and the next one works"


def test_ctrl_c_while_waiting_for_a_lock_ends_at_once(cas: Place, shop: str) -> None:
    with psycopg.connect(shop) as holder:
        holder.execute("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
        process = cas.start("snapshot")
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while rows(shop, waiting) == [(0,)]:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, err = process.communicate(timeout=60)
        assert time.monotonic() - began < 10
    assert process.returncode == ExitCode.INTERRUPTED
    assert out == ""
    assert err.splitlines()[-1].startswith("cas: stopped by Ctrl-C")
    assert "listed as failed" in err


def test_a_killed_snapshot_leaves_nothing_that_hinders_the_next(cas: Place, large: str) -> None:
    assert cas("snapshot").code == 0
    cas.environment["CAS_SOURCE"] = large
    process = cas.start("snapshot", "--json")
    _wait_for(process, "read")
    process.kill()
    process.communicate()
    assert cas("show", "2", "--json").json["state"] in ("running", "failed")
    assert cas("snapshot").code == 0
    counts = cas("diff", "1", "3", "--json", "--limit", "1").json["entities"]
    assert [one["counts"]["entity"] for one in counts] == ["public.events"]


def test_a_killed_restore_is_refused_as_a_target_until_it_is_dropped(
    busy: Place, database: Databases
) -> None:
    assert busy("snapshot").code == 0
    target, fresh = database(), database()
    process = busy.start("restore", "1", "--into", target, "--yes", "--json")
    _wait_for(process, "records")
    process.kill()
    process.communicate()
    again = busy("restore", "1", "--into", target, "--yes")
    assert again.code == ExitCode.CONFLICT
    assert "cas: " in again.error
    assert busy("restore", "1", "--into", fresh, "--yes").code == 0
    assert rows(fresh, "SELECT count(*) FROM events") == [(400003,)]


def test_a_stopped_restore_says_what_to_do_with_the_target(busy: Place, database: Databases) -> None:
    assert busy("snapshot").code == 0
    process = busy.start("restore", "1", "--into", database(), "--yes", "--json")
    _wait_for(process, "records")
    process.send_signal(signal.SIGINT)
    code, out = _end(process)
    assert code == ExitCode.INTERRUPTED
    assert "drop it" in json.loads(out)["error"]["hint"]


def test_two_snapshots_at_the_same_time_both_succeed(busy: Place) -> None:
    processes = [busy.start("snapshot", "--json") for _ in range(2)]
    results = [_end(process) for process in processes]
    assert [code for code, _ in results] == [0, 0]
    versions = [json.loads(out)["version"] for _, out in results]
    assert sorted(version["number"] for version in versions) == [1, 2]
    assert versions[0]["checksum"] == versions[1]["checksum"]


def test_two_processes_share_the_embedded_catalog(bare: Place, shop: str) -> None:
    bare.environment |= {"CAS_STORE": str(bare.store), "CAS_SOURCE": shop}
    assert bare.process("init").code == 0
    processes = [bare.start("snapshot", "--json") for _ in range(3)]
    assert [_end(process)[0] for process in processes] == [0, 0, 0]
    assert not (bare.home / "postgres" / "data" / "postmaster.pid").exists()


def test_a_reader_that_goes_away_is_no_error(cas: Place) -> None:
    assert cas("snapshot").code == 0
    process = cas.start("show", "1", "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    assert process.wait(60) in (ExitCode.OK, ExitCode.BROKEN_PIPE)
    process.stderr.close()
    assert "Traceback" not in err


def test_a_second_signal_does_not_disturb_the_tidying_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(stopping, "monotonic", lambda: now[0])
    handler = stopping.Stopping()
    with pytest.raises(stopping.Stopped, match="Ctrl-C"):
        handler.heard(signal.SIGINT, None)
    now[0] += 0.5
    handler.heard(signal.SIGINT, None)


def test_a_signal_that_nobody_heard_is_repeated_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(stopping, "monotonic", lambda: now[0])
    handler = stopping.Stopping()
    for _ in range(2):
        with pytest.raises(stopping.Stopped, match="SIGTERM"):
            handler.heard(signal.SIGTERM, None)
        now[0] += 3
