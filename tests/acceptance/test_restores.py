"""What comes back into the running platform: seen beforehand, saved, proven, kept, and undone."""

import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cas.catalog.rules import LEASE
from cas.demo.platform import build
from cas.postgres.live.transaction import PostgresTransaction
from cli.exit_codes import ExitCode
from tests.acceptance.conftest import Dump, dump, new_place
from tests.acceptance.test_faults import flip
from tests.cli.running import Place, execute, rows
from tests.cli.test_live_restores import held_up
from tests.servers.postgres import Cluster, Databases

RECORDS = 300


@pytest.fixture
def shop(database: Databases) -> str:
    """The URL of a product platform."""
    url = database()
    build(url, records=RECORDS)
    return url


@pytest.fixture
def taken(tmp_path: Path, database: Databases, shop: str) -> Place:
    """A repository with version 1 of it."""
    place = new_place(tmp_path, database, shop)
    assert place("snapshot", "--reason", "before the accident").code == 0
    return place


def accident(url: str) -> None:
    """Suppliers are more, products are fewer, and a third of these have other prices."""
    execute(
        url,
        "DELETE FROM products WHERE id <= 7",
        "UPDATE products SET price = price + 1 WHERE id % 3 = 0",
        "INSERT INTO suppliers SELECT gen_random_uuid(), 'NEW', 'New', 'a@b.c', 'DE', 4, 3",
    )


def count(url: str, table: str) -> int:
    return int(rows(url, f"SELECT count(*) FROM {table}")[0][0])


def restored(place: Place, *arguments: str) -> dict[str, Any]:
    """The record of a restore that is complete."""
    ran = place("restore", *arguments, "--yes", "--json")
    assert ran.code == 0, ran
    number = str(ran.json["receipt"]["restore"]["number"])
    return dict(place("restores", number, "--json").json)


def test_a_plan_counts_records_in_the_version_live_and_after(taken: Place, shop: str) -> None:
    tables = ("products", "tree_nodes", "suppliers")
    then = {table: count(shop, table) for table in tables}
    accident(shop)
    now = {table: count(shop, table) for table in tables}
    spoiled = rows(shop, "SELECT p::text FROM products p ORDER BY id")
    plan = taken("plan", "1", "--mode", "missing", "--json").json
    by_table = {one["label"].removeprefix("public."): one for one in plan["entities"]}
    assert rows(shop, "SELECT p::text FROM products p ORDER BY id") == spoiled, "nothing was done"
    restored(taken, "1", "--mode", "missing")
    for table in tables:
        one = by_table[table]
        seen = (one["version_records"], one["live_records"], one["after_records"])
        assert seen == (then[table], now[table], count(shop, table)), table
    assert now != then
    assert (by_table["products"]["inserts"], by_table["suppliers"]["deletes"]) == (7, 0)


def test_a_plan_says_how_dangerous_it_is_and_what_people_notice(taken: Place, shop: str) -> None:
    execute(shop, "DELETE FROM products WHERE id <= 7")
    low = taken("plan", "1", "--json").json
    assert low["risk"] == {"level": "low", "reasons": ["nothing that is live now is lost"]}
    assert "Whoever writes to" in low["impact"]
    assert "public.products" in low["impact"]
    execute(shop, "UPDATE products SET price = price + 1")
    medium = taken("plan", "1", "--json").json
    assert medium["risk"]["level"] == "medium"
    assert "public.products are overwritten" in medium["risk"]["reasons"][0]
    many = "SELECT gen_random_uuid(), 'N' || n, 'New', 'a@b.c', 'DE', 4, 3 FROM generate_series(1, 50) n"
    execute(shop, f"INSERT INTO suppliers {many}")
    high = taken("plan", "1", "--json").json
    assert high["risk"]["level"] == "high"
    assert "public.suppliers loses" in high["risk"]["reasons"][0]


def test_times_are_foretold_from_restores_that_were_measured(taken: Place, shop: str) -> None:
    accident(shop)
    first = taken("plan", "1", "--json").json["estimate"]
    assert (first["seconds"], first["lock_seconds"]) == (None, None)
    restored(taken, "1")
    accident(shop)
    second = taken("plan", "1", "--json").json["estimate"]
    assert second["basis"] == "from 1 measured restore"
    assert min(second["seconds"], second["lock_seconds"], second["undo_seconds"]) > 0


def test_the_version_that_is_taken_first_brings_back_what_there_was(
    taken: Place, shop: str, cluster: Cluster
) -> None:
    accident(shop)
    spoiled = dump(cluster, shop)
    restore = restored(taken, "1")
    assert datetime.fromisoformat(restore["safety_at"]) <= datetime.fromisoformat(restore["restoring_at"])
    safety = str(restore["safety_version"])
    shown = taken("show", safety, "--json").json
    assert (shown["trigger"], shown["state"], shown["kind"]) == ("SYSTEM", "complete", "selected")
    touched = {one["label"] for one in restore["entities"] if one["done"]}
    assert touched == {one["label"] for one in shown["entities"] if one["kind"] == "table"}
    restored(taken, safety)
    assert dump(cluster, shop) == spoiled


def test_without_a_safety_version_it_is_said_and_nothing_undoes_it(taken: Place, shop: str) -> None:
    accident(shop)
    plan = taken("plan", "1", "--no-safety", "--json").json
    assert plan["risk"]["level"] == "high"
    assert "no safety version is taken, so it cannot be undone" in plan["risk"]["reasons"]
    restore = restored(taken, "1", "--no-safety")
    assert restore["safety_version"] is None
    assert "cannot be undone" in restore["undo_note"]
    refused = taken("undo", str(restore["number"]), "--yes")
    assert refused.code == ExitCode.CONFLICT
    assert "no safety version" in refused.err


def test_a_restore_is_kept_with_all_that_it_was(taken: Place, shop: str) -> None:
    accident(shop)
    words = ["--name", "prices", "--description", "Anna's file was wrong"]
    restore = restored(taken, "1", "--table", "pro*", "--exclude", "product_custom_values", *words)
    assert (restore["name"], restore["description"]) == ("prices", "Anna's file was wrong")
    assert (restore["state"], restore["kind"], restore["mode"]) == ("completed", "selected", "exact")
    assert (restore["version"], restore["created_by"] != "") == (1, True)
    assert restore["request"]["tables"] == ["pro*"]
    assert restore["request"]["exclude"] == ["product_custom_values"]
    names = (
        "created_at",
        "planned_at",
        "started_at",
        "safety_at",
        "restoring_at",
        "verifying_at",
        "finished_at",
    )
    moments = [datetime.fromisoformat(restore[name]) for name in names]
    assert moments == sorted(moments)
    assert restore["duration_seconds"] > 0
    assert restore["lock_seconds"] > 0
    done = {one["label"]: one["done"] for one in restore["entities"]}
    updated = RECORDS // 3 - 2
    assert done == {"public.products": 7 + updated}
    assert (restore["records_inserted"], restore["records_updated"], restore["records_deleted"]) == (
        7,
        updated,
        0,
    )
    assert restore["data_bytes"] > 1000
    steps = [one["name"] for one in restore["steps"]]
    assert steps[-4:] == ["write", "check constraints", "verify", "commit"]
    assert restore["plan"]["impact"].startswith("Whoever writes")
    assert restore["warnings"] == []
    assert f"cas undo {restore['number']}" in restore["undo_note"]


def test_progress_is_told_while_it_works(taken: Place, shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.watching_faces.JSON_SECONDS", 0.0)
    accident(shop)
    ran = taken("restore", "1", "--yes", "--json")
    told = [event["progress"] for event in ran.events if event["event"] == "progress"]
    phases = list(dict.fromkeys(one["phase"] for one in told))
    for phase in ("compare", "decide", "check", "safety version", "lock", "write", "verify", "commit"):
        assert phase in phases, phase
    for phase in ("compare", "write"):
        shares = [one["share"] for one in told if one["phase"] == phase and one["share"] is not None]
        assert shares == sorted(shares)
        assert all(0 <= share <= 1 for share in shares)
        assert shares, phase
    assert told[-1].keys() >= {"records_per_second", "remaining_seconds", "entity"}


def test_what_was_edited_after_a_restore_is_said_before_the_undo(taken: Place, shop: str) -> None:
    accident(shop)
    number = str(restored(taken, "1")["number"])
    execute(
        shop,
        "UPDATE products SET price = 77 WHERE id IN (3, 9)",
        "UPDATE products SET stock = 0 WHERE id = 100",
    )
    plan = taken("undo", number, "--dry-run", "--json").json
    what = [finding["what"] for finding in plan["findings"]]
    assert what == ["2 records of public.products were edited after the restore"]
    assert taken("undo", number, "--yes").code == 0
    assert rows(shop, "SELECT stock FROM products WHERE id = 100") == [(0,)], "it wrote nothing there"


def test_an_undo_that_would_leave_records_without_their_parent_is_refused(
    taken: Place, shop: str, cluster: Cluster
) -> None:
    accident(shop)
    restore = restored(taken, "1")
    execute(shop, "INSERT INTO product_custom_values SELECT 1, id, '1' FROM custom_fields LIMIT 1")
    now = dump(cluster, shop)
    refused = taken("undo", str(restore["number"]), "--yes")
    assert refused.code == ExitCode.CONFLICT, refused
    assert "refer to a record that would go" in refused.err
    assert "Bring the safety version back with `cas restore` instead" in " ".join(refused.err.split())
    assert dump(cluster, shop) == now


def test_a_damaged_version_is_found_before_anything_is_written(
    taken: Place, shop: str, cluster: Cluster
) -> None:
    accident(shop)
    spoiled = dump(cluster, shop)
    packs = [path for path in (taken.store / "packs").rglob("*") if path.is_file()]
    flip(max(packs, key=lambda path: path.stat().st_size))
    elsewhere = str(taken.directory / "another-home")
    ran = taken("restore", "1", "--yes", CAS_HOME=elsewhere)
    assert ran.code == ExitCode.CORRUPT, ran
    assert dump(cluster, shop) == spoiled
    [failed] = taken("restores", "--json").json["restores"]
    assert (failed["state"], failed["error_code"], failed["error_step"]) == (
        "failed",
        "FILE_CORRUPTION",
        "plan",
    )
    assert len(taken("versions", "--json").json["versions"]) == 1, "no safety version was needed"


def test_a_restore_that_the_platform_refuses_changes_nothing_and_says_why(taken: Place, shop: str) -> None:
    accident(shop)
    execute(shop, "ALTER TABLE products ADD CONSTRAINT dear CHECK (price > 0 AND id > 7) NOT VALID")
    spoiled = rows(shop, "SELECT p::text FROM products p ORDER BY id")
    ran = taken("restore", "1", "--yes", "--json")
    assert ran.code != 0, ran
    assert rows(shop, "SELECT p::text FROM products p ORDER BY id") == spoiled
    [failed] = taken("restores", "--state", "failed", "--json").json["restores"]
    assert failed["error_code"] == ran.json["error"]["code"]
    assert failed["error_step"] == "write"
    assert "dear" in failed["error_text"]
    assert failed["safety_version"] is not None
    execute(shop, "ALTER TABLE products DROP CONSTRAINT dear")
    restored(taken, "1")


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE public.products SET name = 'x' WHERE id = 3",
        "UPDATE public.products SET price = 1 WHERE id = 9",
        "DELETE FROM public.products WHERE id = 1",
        "INSERT INTO public.suppliers SELECT gen_random_uuid(), 'TWO', 'Two', 'a@b.c', 'DE', 4, 3",
    ],
)
def test_what_was_written_must_be_as_planned_or_nothing_is_committed(
    taken: Place, shop: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tampering: str
) -> None:
    """As if the platform itself had altered it, between the write and the proof."""
    accident(shop)
    spoiled = dump(cluster, shop)
    check = PostgresTransaction.check

    def tampered(transaction: PostgresTransaction) -> None:
        check(transaction)
        transaction._connection.execute(tampering.encode())

    monkeypatch.setattr(PostgresTransaction, "check", tampered)
    ran = taken("restore", "1", "--yes")
    assert ran.code == ExitCode.VERIFICATION_FAILED, ran
    assert dump(cluster, shop) == spoiled
    [failed] = taken("restores", "--json").json["restores"]
    assert (failed["error_code"], failed["error_step"]) == ("VERIFICATION_FAILED", "verify")


def test_a_killed_restore_changes_nothing_and_the_next_one_works(
    taken: Place, shop: str, cluster: Cluster
) -> None:
    whole = dump(cluster, shop)
    execute(shop, "DELETE FROM products WHERE id <= 7")
    spoiled = dump(cluster, shop)
    with held_up(shop, taken, "restore", "1", "--yes", "--json") as process:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    assert dump(cluster, shop) == spoiled
    ago = f"interval '{LEASE.total_seconds() + 1} s'"
    silent = f"UPDATE cas.restores SET renewed_at = renewed_at - {ago}, lease_until = lease_until - {ago}"
    execute(taken.environment["CAS_CATALOG"], silent)
    [failed] = taken("restores", "--json").json["restores"]
    assert failed["state"] == "failed", failed
    assert restored(taken, "1")["state"] == "completed"
    assert dump(cluster, shop) == whole


def test_a_reader_sees_all_of_a_restore_or_nothing(taken: Place, shop: str) -> None:
    accident(shop)
    before = rows(shop, "SELECT count(*), sum(price) FROM products")[0]
    with psycopg.connect(shop) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1 FROM suppliers LIMIT 1")
        restored(taken, "1")
        assert reader.execute("SELECT count(*), sum(price) FROM products").fetchall()[0] == before
    assert count(shop, "products") == RECORDS


def test_the_state_of_a_moment_comes_back(taken: Place, shop: str, cluster: Cluster) -> None:
    """Of the last version at or before it."""
    moments: list[tuple[str, Dump]] = []
    for change in (
        "UPDATE products SET price = 1",
        "DELETE FROM products WHERE id > 100",
        "UPDATE suppliers SET name = 'x'",
    ):
        moments.append((rows(shop, "SELECT now()::text")[0][0], dump(cluster, shop)))
        execute(shop, change)
        assert taken("snapshot").code == 0
    for moment, expected in reversed(moments):
        restored(taken, "--at", moment)
        assert dump(cluster, shop) == expected
