"""The six words for what can go wrong, and that nothing goes wrong in silence."""

from pathlib import Path

import psycopg
import pytest

from cas.store.local import LocalStore
from tests.cli.running import Place, Ran, execute, rows
from tests.servers.postgres import Databases


def code(ran: Ran) -> str:
    assert ran.code != 0
    error = ran.json["error"]
    assert error["what"], error
    assert error["hint"] or error["where"], error
    return str(error["code"])


def test_each_fault_has_its_word(
    cas: Place, small: str, role: str, database: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code(cas("snapshot", "--source", "postgresql://127.0.0.1:1/x", "--json")) == "CONNECTION_FAILED"
    reader = small.replace("postgres@", f"{role}@")
    assert code(cas("snapshot", "--source", reader, "--json")) == "PERMISSION_DENIED"
    with psycopg.connect(small) as holder:
        holder.execute("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
        assert code(cas("snapshot", "--json", CAS_LOCK_TIMEOUT="0.1")) == "TIMEOUT"
    assert code(cas("snapshot", "--compression", "99", "--json")) == "INVALID_CONFIG"
    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "free_bytes", lambda _: 1024)
        assert code(cas("snapshot", "--json")) == "INSUFFICIENT_SPACE"
    failed = cas("versions", "--state", "failed", "--json").json["versions"]
    assert {one["error_code"] for one in failed} >= {
        "CONNECTION_FAILED",
        "PERMISSION_DENIED",
        "TIMEOUT",
        "INSUFFICIENT_SPACE",
    }
    assert not any(path.is_file() for path in (cas.store / "packs").rglob("*")), "nothing was left behind"

    assert cas("snapshot").code == 0
    pack = max((p for p in (cas.store / "packs").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    flip(pack)
    elsewhere = str(cas.directory / "another-home")
    ran = cas("restore", "latest", "--into", database(), "--yes", "--json", CAS_HOME=elsewhere)
    assert code(ran) == "FILE_CORRUPTION"


def test_a_silent_server_is_given_up_after_the_time_that_was_set(cas: Place) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x"
        ran = cas("snapshot", "--source", url, "--json", CAS_CONNECT_TIMEOUT="2")
    assert code(ran) in ("TIMEOUT", "CONNECTION_FAILED")


def test_a_statement_may_take_as_long_as_was_set(cas: Place, small: str) -> None:
    with psycopg.connect(small) as holder:
        holder.execute("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
        ran = cas("snapshot", "--json", CAS_COMMAND_TIMEOUT="1", CAS_LOCK_TIMEOUT="60")
    assert code(ran) == "TIMEOUT"


def test_what_a_version_lacks_is_named_and_is_no_success(cas: Place, small: str, role: str) -> None:
    """A table that may not be read is an error, or, where that was allowed, an incomplete version; a
    policy never hides records; a foreign table is left out by name."""
    execute(
        small,
        f"GRANT USAGE ON SCHEMA public, stock TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        "ALTER TABLE products ENABLE ROW LEVEL SECURITY",
        f"GRANT SELECT ON stock.places TO {role}",
    )
    reader = small.replace("postgres@", f"{role}@")
    assert code(cas("snapshot", "--source", reader, "--json")) == "PERMISSION_DENIED"
    partly = cas("snapshot", "--source", reader, "--allow-incomplete", "--json")
    assert partly.code == 20
    assert partly.json["version"]["state"] == "incomplete"
    assert [name for name, _ in partly.json["version"]["omissions"]] == ["public.products"]


def test_higher_compression_is_smaller_and_comes_back_equal(
    tmp_path: Path, cas: Place, small: str, database: Databases
) -> None:
    execute(small, "INSERT INTO stock.places SELECT n, md5(n::text) || repeat(' shelf', 20) FROM"
            " generate_series(100, 4000) n")  # fmt: skip
    assert cas("snapshot", "--compression", "1").code == 0
    other = Place(
        tmp_path, {**cas.environment, "CAS_STORE": str(tmp_path / "small"), "CAS_CATALOG": database()}
    )
    assert other("init").code == 0
    assert other("snapshot", CAS_COMPRESSION="19").code == 0
    fast, tight = (place("show", "1", "--json").json["added_bytes"] for place in (cas, other))
    assert tight < fast
    target = database()
    assert other("restore", "1", "--into", target, "--yes").code == 0
    query = "SELECT * FROM stock.places ORDER BY id"
    assert rows(target, query) == rows(small, query)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)
