"""`cas store test`: what a person and a program are told of a store, and that nothing stays behind."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cas.probing.running import PROMISES
from cas.store.memory import MemoryStore
from cas.store.retrying import RetryingStore
from cli.exit_codes import ExitCode
from tests.cli.running import Place
from tests.servers.s3 import S3Server
from tests.store.lying import CreateOnlyIgnored, Forgetful, LargeLooksThenWrites


def test_a_good_directory_is_told_to_be_one(bare: Place, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    ran = bare("store", "test", tmp_path)
    assert ran.code == ExitCode.OK, ran
    assert "This store keeps its promises" in ran.out
    for promise in PROMISES:
        assert promise.name in ran.out
    assert "MiB/s" in ran.out or "GiB/s" in ran.out
    assert "95 % within" in ran.out
    assert not list(tmp_path.glob(".cas-test-*"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (tmp_path / "there").is_dir()


def test_without_a_url_the_repository_is_tried_and_stays_as_it_was(standing: Place) -> None:
    before = {path for path in standing.store.rglob("*") if path.is_file()}
    ran = standing("store", "test", "--json")
    assert ran.code == ExitCode.OK, ran
    assert ran.json["passed"] is True
    assert [one["promise"] for one in ran.json["findings"]] == [promise.name for promise in PROMISES]
    assert ran.json["left_behind"] == []
    assert ran.json["throughput"]["upload_bytes_per_second"] > 0
    assert {path for path in standing.store.rglob("*") if path.is_file()} == before
    assert standing("check").code == ExitCode.OK


@pytest.mark.parametrize("server_of", ["gcs_server", "azurite_server"])
def test_a_place_in_a_cloud_is_tried(bare: Place, request: pytest.FixtureRequest, server_of: str) -> None:
    server: S3Server = request.getfixturevalue(server_of)
    bare.environment |= server.environment
    ran = bare("store", "test", server.url("trial"), "--json")
    assert ran.code == ExitCode.OK, ran
    assert ran.json["passed"] is True
    missing = bare("store", "test", server.url("trial").replace(server.bucket, "cas-no-such-place"))
    assert missing.code == ExitCode.UNREACHABLE
    assert "Create the" in missing.err


Lie = Callable[[Callable[[], MemoryStore]], MemoryStore]


@pytest.fixture
def lie(monkeypatch: pytest.MonkeyPatch) -> Lie:
    """Make all stores that the command opens this one."""

    def use(make: Callable[[], MemoryStore]) -> MemoryStore:
        store = make()
        monkeypatch.setattr("cli.session.open_store", lambda *_given, **_named: RetryingStore(store))
        return store

    return use


def test_a_store_that_lies_fails_and_is_told_what_that_means(bare: Place, lie: Lie) -> None:
    store = lie(CreateOnlyIgnored)
    ran = bare("store", "test", "s3://bucket/shop")
    assert ran.code == ExitCode.NOT_HEALTHY
    assert "3 promises broken" in ran.out
    assert "two writers can both win" in ran.out
    assert "must not hold a repository" in ran.out
    assert store._objects == {}


def test_a_weakness_that_harms_nothing_is_told_and_is_no_failure(bare: Place, lie: Lie) -> None:
    lie(LargeLooksThenWrites)
    ran = bare("store", "test", "s3://bucket/shop")
    assert ran.code == ExitCode.OK
    assert "named by the hash of its bytes" in " ".join(ran.out.split())


def test_what_could_not_be_removed_is_told(bare: Place, lie: Lie) -> None:
    lie(Forgetful)
    ran = bare("store", "test", "s3://bucket/shop", "--json")
    assert ran.code == ExitCode.NOT_HEALTHY
    assert ran.json["left_behind"]
    warnings = [event["text"] for event in ran.events if event["event"] == "warning"]
    assert any("could not be removed; they are below .cas-test-" in text for text in warnings)


def test_a_directory_that_is_not_there_is_not_made(bare: Place, tmp_path: Path) -> None:
    ran = bare("store", "test", tmp_path / "absent")
    assert ran.code == ExitCode.UNREACHABLE
    assert not (tmp_path / "absent").exists()


def test_a_store_in_memory_cannot_be_tried(bare: Place) -> None:
    assert bare("store", "test", "memory://x").code == ExitCode.INVALID


@pytest.mark.parametrize("step", ["race", "torn"])
def test_ctrl_c_removes_what_was_written(bare: Place, tmp_path: Path, step: str) -> None:
    """In the midst of many threads; every step by itself is interrupted in tests/store/test_probing.py."""
    process = bare.start("store", "test", tmp_path, "--json")
    while not list(tmp_path.glob(f".cas-test-*/{step}/*")):
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED, out
    assert json.loads(out)["error"]["what"] == "stopped by Ctrl-C"
    assert not list(tmp_path.glob(".cas-test-*"))
