"""Restores into the running platform, by the commands that a person types."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from cas.catalog.restores_postgres import PostgresRestores
from cas.demo.platform import build
from cas.errors import ConnectionFailed
from cas.postgres.live.platform import PostgresPlatform
from cli.databases import lock_patience
from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute, rows
from tests.cli.test_terminal import Screen
from tests.operations.scratching import left_behind
from tests.servers.postgres import Cluster, Databases

TABLES = ("suppliers", "tree_nodes", "products", "custom_fields", "product_custom_values", "price_history")
SEQUENCES = ("tree_nodes_id_seq", "products_id_seq", "custom_fields_id_seq")
RECORDS = 600
"""Products; with taxonomy and side tables some 2,400 records."""


@pytest.fixture
def shop(database: Databases) -> str:
    """The URL of a demo platform."""
    url = database()
    build(url, records=RECORDS)
    return url


@pytest.fixture
def taken(cas: Place, cluster: Cluster) -> Place:
    """A repository with version 1 of the demo platform."""
    cas.environment["CAS_SCRATCH"] = cluster.url()
    assert cas("snapshot").code == 0
    return cas


def everything(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows and all sequences."""
    found = {table: rows(url, f"SELECT t::text FROM {table} t ORDER BY 1") for table in TABLES}
    return found | {name: rows(url, f"SELECT last_value, is_called FROM {name}") for name in SEQUENCES}


def restores(cas: Place, *filters: str) -> list[dict[str, Any]]:
    return list(cas("restores", *filters, "--json").json["restores"])


def raise_prices(url: str) -> None:
    execute(url, "UPDATE products SET price = price * 2, name = name || '!' WHERE id % 3 = 0")


def drop_products(url: str, condition: str) -> None:
    """Custom values and old prices go with them."""
    execute(url, f"DELETE FROM products WHERE {condition}")


def test_from_a_mass_update_back_and_forth(taken: Place, shop: str) -> None:
    before = everything(shop)
    raise_prices(shop)
    drop_products(shop, "id <= 5")
    execute(shop, "INSERT INTO suppliers SELECT gen_random_uuid(), 'NEW', 'New', 'a@b.c', 'DE', 4, 3")
    spoiled = everything(shop)

    planned = taken("plan", "1", "--json")
    assert planned.code == 0, planned
    plan = planned.json
    by_label = {one["label"]: one for one in plan["entities"]}
    products = by_label["public.products"]
    counts = (products["inserts"], products["updates"], products["deletes"])
    assert counts == (5, RECORDS // 3 - 1, 0)
    assert (products["version_records"], products["live_records"]) == (RECORDS, RECORDS - 5)
    assert products["after_records"] == RECORDS
    assert by_label["public.suppliers"]["deletes"] == 1
    assert (products["read_by"], products["rows_read"]) == ("xmin", RECORDS // 3 - 1)
    assert products["read_reason"].startswith("written since version 1")
    assert plan["estimate"]["basis"] == "no restore was measured yet"
    assert everything(shop) == spoiled, "a plan only looks"
    assert {event["event"] for event in planned.events} == {"progress"}
    assert any(event["progress"]["phase"] == "check" for event in planned.events)

    dry = taken("restore", "1", "--dry-run")
    assert dry.code == 0, dry
    for words in ("public.products", "insert", "price", "→", "compared", "by xmin", "risk", "hash"):
        assert words in dry.out, words
    assert everything(shop) == spoiled

    done = taken("restore", "1", "--yes", "--name", "prices", "--json")
    assert done.code == 0, done
    receipt = done.json["receipt"]
    assert everything(shop) == before
    assert (receipt["inserted"], receipt["updated"], receipt["deleted"]) >= (5, RECORDS // 3 - 1, 1)
    number, safety = receipt["restore"]["number"], receipt["safety"]
    assert taken("show", str(safety), "--json").json["trigger"] == "SYSTEM"

    newest, *_ = restores(taken)
    assert (newest["number"], newest["state"], newest["name"]) == (number, "completed", "prices")
    assert newest["safety_version"] == safety
    shown = taken("restores", str(number))
    for words in (
        "completed",
        "prices",
        "write",
        "verify",
        "commit",
        f"cas undo {number}",
        "public.products",
    ):
        assert words in shown.out, words
    assert taken("restores", "show", str(number), "--json").json["steps"][-1]["name"] == "commit"

    undone = taken("undo", str(number), "--yes")
    assert undone.code == 0, undone
    assert f"cas undo {number + 1}" in undone.out
    assert everything(shop) == spoiled
    states = {one["number"]: one["state"] for one in restores(taken)}
    assert (states[number], states[number + 1]) == ("undone", "completed")
    again = taken("undo", str(number), "--yes")
    assert again.code == ExitCode.CONFLICT
    assert f"undone by restore {number + 1}" in again.err
    assert taken("undo", str(number + 1), "--yes").code == 0, "an undo can be undone"
    assert everything(shop) == before


def test_a_category_comes_back_with_all_that_was_in_it(taken: Place, shop: str) -> None:
    before = everything(shop)
    path, root = rows(
        shop,
        "SELECT path, id FROM tree_nodes n WHERE depth = 2 AND EXISTS (SELECT FROM products p"
        " JOIN tree_nodes c ON c.id = p.category_id AND c.path LIKE n.path || '/%') ORDER BY id LIMIT 1",
    )[0]
    below = f"SELECT id FROM tree_nodes WHERE path = '{path}' OR path LIKE '{path}/%'"
    drop_products(shop, f"category_id IN ({below})")
    execute(shop, "ALTER TABLE tree_nodes DISABLE TRIGGER ALL")
    execute(
        shop, f"DELETE FROM tree_nodes WHERE id IN ({below})", "ALTER TABLE tree_nodes ENABLE TRIGGER ALL"
    )
    execute(shop, "UPDATE suppliers SET name = 'Renamed'")
    now = rows(shop, "SELECT t::text FROM suppliers t ORDER BY 1")

    done = taken("restore", "1", "--subtree", f"tree_nodes:{root}", "--with-children", "--yes")
    assert done.code == 0, done
    assert everything(shop) | {"suppliers": before["suppliers"]} == before
    assert rows(shop, "SELECT t::text FROM suppliers t ORDER BY 1") == now, "outside of what was asked"


def test_records_by_key_and_what_refers_to_them(taken: Place, shop: str) -> None:
    value = rows(shop, "SELECT product_id, field_id FROM product_custom_values ORDER BY 1, 2 LIMIT 1")[0]
    before = everything(shop)
    drop_products(shop, f"id IN ({value[0]}, 42, 43)")
    key = f"product_custom_values:{value[0]}/{value[1]}"
    blocked = taken("restore", "1", "--key", key, "--yes")
    assert blocked.code == ExitCode.CONFLICT
    assert "--with-parents" in blocked.err
    keys = f"products:{value[0]},42,43"
    done = taken("restore", "1", "--key", keys, "--with-children", "--yes")
    assert done.code == 0, done
    assert everything(shop) == before
    drop_products(shop, f"id IN ({value[0]}, 42, 43)")
    assert taken("restore", "1", "--key", key, "--with-parents", "--yes").code == 0
    assert rows(shop, f"SELECT count(*) FROM products WHERE id IN ({value[0]}, 42, 43)") == [(1,)]
    assert rows(shop, f"SELECT count(*) FROM product_custom_values WHERE product_id = {value[0]}") == [(1,)]


def test_records_by_a_condition_and_only_some_columns(taken: Place, shop: str, cluster: Cluster) -> None:
    wanted = rows(shop, "SELECT id FROM products WHERE price > 100 AND name ILIKE '%a%' ORDER BY id")
    before = dict(rows(shop, "SELECT id, price FROM products"))
    assert 0 < len(wanted) < RECORDS
    raise_prices(shop)
    condition = "products: price > 100 and name ilike '%a%'"
    done = taken("restore", "1", "--where", condition, "--columns", "price", "--yes", "--json")
    assert done.code == 0, done
    expected = [number for (number,) in wanted if number % 3 == 0]
    assert done.json["receipt"]["updated"] == len(expected)
    now = dict(rows(shop, "SELECT id, price FROM products"))
    assert {n for n, price in now.items() if n % 3 == 0 and price == before[n]} == set(expected)
    assert rows(shop, "SELECT count(*) FROM products WHERE name LIKE '%!'") == [(RECORDS // 3,)]
    assert left_behind(cluster) == []
    refused = taken("plan", "1", "--where", "products: nonsense = 1")
    assert refused.code == ExitCode.INVALID
    assert "nonsense" in refused.error


def test_only_what_is_gone(taken: Place, shop: str) -> None:
    raise_prices(shop)
    drop_products(shop, "id <= 5")
    done = taken("restore", "1", "--table", "products", "--mode", "missing", "--yes", "--json").json
    receipt = done["receipt"]
    assert (receipt["inserted"], receipt["updated"], receipt["deleted"]) == (5, 0, 0)


def test_a_stored_plan_is_executed_once_and_only_while_it_holds(taken: Place, shop: str) -> None:
    raise_prices(shop)
    number = str(taken("plan", "1", "--table", "products", "--json").json["number"])
    execute(shop, "UPDATE products SET stock = stock + 1 WHERE id = 3")
    moved = everything(shop)
    refused = taken("restore", "--plan", number, "--yes")
    assert refused.code == ExitCode.CONFLICT
    assert "were changed since" in refused.error
    assert everything(shop) == moved
    assert taken("restore", "--plan", number, "--dry-run").code == ExitCode.CONFLICT
    execute(shop, "UPDATE products SET stock = stock - 1 WHERE id = 3")
    done = taken("restore", "--plan", number, "--yes", "--json")
    assert done.code == 0, done
    assert done.json["receipt"]["restore"]["number"] == int(number)
    again = taken("restore", "--plan", number, "--yes")
    assert again.code == ExitCode.CONFLICT
    assert "is completed" in again.error
    assert taken("restore", "--plan", "99", "--yes").code == ExitCode.NOT_FOUND


def test_an_undo_can_be_planned_first(taken: Place, shop: str) -> None:
    raise_prices(shop)
    spoiled = everything(shop)
    assert taken("restore", "1", "--yes").code == 0
    planned = taken("undo", "1", "--dry-run", "--json").json
    assert planned["request"]["undoes"] == 1
    assert "restore 1 is taken back" in taken("undo", "1", "--dry-run").out
    done = taken("restore", "--plan", str(planned["number"]), "--yes")
    assert done.code == 0, done
    assert everything(shop) == spoiled
    assert {one["number"]: one["state"] for one in restores(taken)}[1] == "undone"


def test_a_record_that_is_nowhere_is_told(taken: Place, shop: str) -> None:
    drop_products(shop, "id = 42")
    execute(shop, "INSERT INTO suppliers SELECT gen_random_uuid(), 'NEW', 'New', 'a@b.c', 'DE', 4, 3")
    (new,) = rows(shop, "SELECT id::text FROM suppliers WHERE code = 'NEW'")[0]
    ran = taken("plan", "1", "--key", "products:42,4242", "--key", f"suppliers:{new}")
    assert ran.code == 0, ran
    assert ran.err.count("warning") == 1
    assert "neither version 1 nor the platform has a record 4242 in public.products" in ran.err


def test_a_plan_of_a_newer_program_is_left_alone(taken: Place, shop: str) -> None:
    number = taken("plan", "1", "--json").json["number"]
    execute(
        taken.environment["CAS_CATALOG"],
        """UPDATE cas.restores SET request = request || '{"by_magic": true}'""",
    )
    ran = taken("restore", "--plan", str(number), "--yes")
    assert ran.code == ExitCode.UNSUPPORTED
    assert "by_magic" in ran.error


def test_a_stored_plan_is_for_its_platform(taken: Place, database: Databases) -> None:
    number = str(taken("plan", "1", "--json").json["number"])
    ran = taken("restore", "--plan", number, "--yes", "--source", database())
    assert ran.code == ExitCode.CONFLICT
    assert "the plan was made for" in ran.error


def test_a_blocked_plan_says_what_to_do_and_is_never_executed(taken: Place, shop: str) -> None:
    execute(shop, "ALTER TABLE products DROP COLUMN description CASCADE")
    before = rows(shop, "SELECT count(*) FROM products")
    for arguments in (["plan", "1"], ["restore", "1", "--dry-run"]):
        ran = taken(*arguments, "--table", "products")
        assert ran.code == ExitCode.CONFLICT, ran
        assert "blocks" in ran.out
        assert "--accept-drift" in ran.out
        assert "cas restore --plan" not in ran.out
    ran = taken("restore", "1", "--table", "products", "--yes", "--json")
    assert ran.code == ExitCode.CONFLICT
    assert "description" in ran.json["error"]["what"]
    assert restores(taken)[0]["state"] == "cancelled"
    assert rows(shop, "SELECT count(*) FROM products") == before
    assert taken("restore", "1", "--table", "products", "--accept-drift", "--yes").code == 0


def test_nothing_to_do_is_said_and_not_done(taken: Place, shop: str) -> None:
    before = everything(shop)
    ran = taken("restore", "1", "--yes")
    assert ran.code == 0, ran
    assert "Nothing differs" in ran.out
    assert taken("restore", "1", "--yes", "--json").json["receipt"] is None
    assert everything(shop) == before
    assert {one["state"] for one in restores(taken)} == {"cancelled"}
    assert [one["number"] for one in taken("versions", "--json").json["versions"]] == [1], "no safety version"


def test_somebody_is_asked_by_the_number_of_records(taken: Place, shop: str) -> None:
    raise_prices(shop)
    spoiled = everything(shop)
    declined = Screen(taken, "restore", "1", "--table", "products")
    declined.read_until("Type 200, the number of records")
    declined.type("1\n")
    assert declined.end() == ExitCode.DECLINED
    assert "Nothing was done" in declined.text
    stopped = Screen(taken, "restore", "1", "--table", "products")
    stopped.read_until("Type 200")
    stopped.type("\x03")
    assert stopped.end() == ExitCode.INTERRUPTED
    assert "Nothing was changed" in stopped.text
    assert everything(shop) == spoiled
    assert [one["state"] for one in restores(taken)] == ["cancelled", "cancelled"]

    agreed = Screen(taken, "restore", "1", "--table", "products")
    agreed.read_until("Type 200")
    agreed.type("200\n")
    assert agreed.end() == 0, agreed.text
    assert "is complete" in agreed.text
    undo = Screen(taken, "undo", "3")
    undo.read_until("Type 200")
    undo.type("200\n")
    assert undo.end() == 0, undo.text
    assert everything(shop) == spoiled


def test_nobody_to_ask_is_said_before_any_work(taken: Place) -> None:
    for arguments in (
        ["restore", "1"],
        ["restore", "1", "--json"],
        ["restore", "--plan", "1"],
        ["undo", "1"],
    ):
        ran = taken(*arguments)
        assert ran.code == ExitCode.INVALID, ran
        assert "--yes" in ran.err
    assert restores(taken) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["one version comes back", "--at"]),
        (["1", "--at", "2h"], ["one version comes back"]),
        (["1", "--at", "soon"], ["--at"]),
        (["--at", "soon"], ["soon", "--at", "2026-03-01"]),
        (["1", "--plan", "1"], ["V is in the plan already"]),
        (["--plan", "1", "--table", "x", "--name", "y"], ["--table, --name are in the plan already"]),
        (["--plan", "one"], ["one is no restore"]),
        (["1", "--no-indexes"], ["--no-indexes", "--into"]),
        (["1", "--into", "postgresql:///x", "--key", "a:1"], ["--key", "running platform"]),
        (["1", "--into", "postgresql:///x", "--plan", "1"], ["--plan", "running platform"]),
        (["1", "--into", "postgresql:///x", "--mode", "exact"], ["--mode"]),
        (["1", "--into", "postgresql:///x", "--name", "n"], ["--name"]),
        (["1", "--prefer", "live"], ["--mode merge"]),
        (["1", "--mode", "merge", "--base", "zero"], ["zero is no version"]),
        (["1", "--key", "products"], ["--key", "TABLE:KEY"]),
        (["1", "--key", "products:x"], ["not a key", "x"]),
        (["1", "--key", "products:1/2"], ["1 columns", "id"]),
        (["1", "--columns", "id"], ["id", "primary key"]),
        (["1", "--columns", "nothing"], ["nothing", "--columns"]),
        (["1", "--table", "nothing"], ["nothing", "cas show"]),
        (["1", "--map", "a"], ["--map", "old_table=new_table"]),
        (["1", "--map", "nothing=x"], ["nothing"]),
        (["1", "--subtree", "products:1"], ["does not refer to itself"]),
        (["1", "--source", "nonsense=1"], ["CAS_SOURCE"]),
    ],
)
def test_an_impossible_wish_is_one_line(standing: Place, arguments: list[str], words: list[str]) -> None:
    ran = standing("restore", *arguments, "--yes")
    assert ran.code == ExitCode.INVALID, ran
    for word in words:
        assert word in ran.error, ran


def test_what_is_not_there_is_said(standing: Place) -> None:
    for arguments in (
        ["restore", "7", "--yes"],
        ["plan", "1", "--key", "nothing:1"],
        ["plan", "--at", "2020-01-01"],
        ["undo", "77", "--yes"],
        ["restores", "77"],
        ["restores", "cancel", "77"],
    ):
        ran = standing(*arguments)
        assert ran.code == ExitCode.NOT_FOUND, ran
    for arguments in (
        ["restores", "one"],
        ["restores", "show"],
        ["restores", "1", "2"],
        ["undo", "x", "--yes"],
    ):
        assert standing(*arguments).code == ExitCode.INVALID, arguments
    ran = standing("restores", "1", "--limit", "3")
    assert "filters are for the list" in ran.error


def test_a_moment_is_as_good_as_a_number(taken: Place, shop: str) -> None:
    raise_prices(shop)
    assert taken("snapshot", "--table", "suppliers").code == 0
    ran = taken("restore", "--at", "2999-01-01T12:00", "--dry-run")
    assert ran.code == 0, ran
    said = " ".join(ran.err.split())
    assert "Version 1 is the last complete one at 2999-01-01 12:00:00" in said
    assert "no zone was given" in said
    assert "days before" in said
    ran = taken("plan", "--at", "2999-01-01T12:00:00.5+02:00", "--json")
    assert ran.json["version"] == 1
    assert not any("no zone was given" in event.get("text", "") for event in ran.events)


def test_latest_is_no_safety_version(taken: Place, shop: str) -> None:
    raise_prices(shop)
    assert taken("restore", "1", "--yes").code == 0
    assert taken("show", "latest", "--json").json["number"] == 1
    assert "Nothing differs" in taken("restore", "latest", "--yes").out


@contextmanager
def held_up(shop: str, cas: Place, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A restore of products that waits for a row of their suppliers, within its transaction."""
    with psycopg.connect(shop) as holder:
        holder.execute("SELECT FROM suppliers FOR UPDATE")
        process = cas.start(*arguments)
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        waiting += " AND datname = current_database()"
        deadline = time.monotonic() + 60
        while rows(shop, waiting) == [(0,)]:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process
        assert process.poll() is not None


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)],
)
def test_a_restore_that_is_stopped_changes_nothing(
    taken: Place, shop: str, number: signal.Signals, code: ExitCode
) -> None:
    drop_products(shop, "id <= 50")
    spoiled = everything(shop)
    with held_up(shop, taken, "restore", "1", "--yes", "--json") as process:
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == code, out
    error = json.loads(out)["error"]
    assert "Nothing was changed" in error["hint"]
    assert everything(shop) == spoiled
    newest = restores(taken)[0]
    assert (newest["state"], newest["error_text"]) == ("cancelled", error["what"])
    assert taken("restore", "1", "--yes").code == 0, "and the next one works"


def test_a_plan_that_is_stopped_is_listed_as_cancelled(taken: Place, shop: str) -> None:
    with psycopg.connect(shop) as holder:
        holder.execute("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
        process = taken.start("plan", "1")
        while rows(shop, "SELECT count(*) FROM pg_locks WHERE NOT granted") == [(0,)]:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (ExitCode.INTERRUPTED, "")
    assert "Nothing was changed; the plan is listed as cancelled" in err
    assert [(one["state"], one["error_text"]) for one in restores(taken)] == [
        ("cancelled", "stopped by Ctrl-C")
    ]


def test_somebody_else_cancels_a_restore(taken: Place, shop: str) -> None:
    drop_products(shop, "id <= 50")
    spoiled = everything(shop)
    with held_up(shop, taken, "restore", "1", "--yes") as process:
        asked = taken("restores", "cancel", "1")
        assert asked.code == 0, asked
        assert "asked to stop" in asked.out
        _, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.CANCELLED, err
    assert everything(shop) == spoiled
    assert restores(taken)[0]["state"] == "cancelled"
    assert taken("restores", "cancel", "1").code == ExitCode.CONFLICT


def test_a_plan_is_put_aside(taken: Place, shop: str) -> None:
    raise_prices(shop)
    number = str(taken("plan", "1", "--json").json["number"])
    assert "cancelled" in taken("restores", "cancel", number).out
    assert taken("restore", "--plan", number, "--yes").code == ExitCode.CONFLICT


def test_writers_that_do_not_go_away_are_waited_for_a_while(taken: Place, shop: str) -> None:
    raise_prices(shop)
    with psycopg.connect(shop) as holder:
        holder.execute("UPDATE products SET stock = stock WHERE id = 1")
        ran = taken("restore", "1", "--yes", CAS_LOCK_TIMEOUT="0.2")
    assert ran.code == ExitCode.TIMED_OUT, ran
    failed = restores(taken, "--state", "failed")[0]
    assert (failed["error_code"], failed["error_step"]) == ("TIMEOUT", "lock")
    told = taken("restores", str(failed["number"])).out
    assert "TIMEOUT" in told
    assert "in step" in told
    assert "TIMEOUT" in taken("restores").out


@pytest.mark.parametrize(
    ("seconds", "timeout", "attempts"),
    [(30, 2.0, 12), (2.5, 2.0, 1), (1, 1.0, 1), (0.00001, 0.001, 1), (0, 2.0, sys.maxsize)],
)
def test_locks_are_waited_for_in_short_attempts(seconds: float, timeout: float, attempts: int) -> None:
    patience = lock_patience(seconds)
    assert (patience.timeout, patience.attempts) == (timeout, attempts)


def test_restores_are_filtered_and_paged(taken: Place, shop: str) -> None:
    for name in ("alpha", "beta", "gamma"):
        raise_prices(shop)
        assert taken("restore", "1", "--yes", "--name", name, "--mode", "changed").code == 0
    assert taken("undo", "3", "--yes").code == 0
    assert taken("plan", "2").code == ExitCode.OK

    def numbers(*filters: str) -> list[int]:
        return [one["number"] for one in restores(taken, *filters)]

    assert numbers() == [5, 4, 3, 2, 1]
    assert numbers("--state", "completed") == [4, 2, 1]
    assert numbers("--state", "undone", "--state", "planned") == [5, 3]
    assert numbers("--mode", "changed") == [3, 2, 1]
    assert numbers("--version", "1") == [3, 2, 1]
    assert numbers("--text", "GAM") == [3]
    assert numbers("--since", "1h") == [5, 4, 3, 2, 1]
    assert numbers("--until", "2020-01-01") == []
    assert numbers("--limit", "2") == [5, 4]
    assert numbers("--limit", "2", "--before", "4") == [3, 2]
    assert "--before 4" in taken("restores", "--limit", "2").err
    listed = taken("restores").out
    for words in ("undoes 3", "undone by 4", "beta", "changed", "yes", "no"):
        assert words in listed, words
    assert "No restore" in taken("restores", "--until", "2020-01-01").out


@contextmanager
def lost(monkeypatch: pytest.MonkeyPatch, *methods: str) -> Iterator[None]:
    """The catalog cannot be told this."""
    with monkeypatch.context() as patch:
        for method in methods:
            patch.setattr(PostgresRestores, method, refuse)
        yield


def refuse(*_: object) -> None:
    raise ConnectionFailed("it does not answer")


def test_a_catalog_that_goes_after_the_commit_does_not_make_it_undone(
    taken: Place, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(shop)
    raise_prices(shop)
    with lost(monkeypatch, "complete"):
        ran = taken("restore", "1", "--yes")
    assert ran.code == ExitCode.UNREACHABLE
    assert "It was committed already" in ran.err
    assert everything(shop) == before
    assert restores(taken)[0]["state"] == "completed"
    assert taken("undo", "1", "--yes").code == 0


def test_an_outcome_that_nobody_knows_is_asked_from_the_platform(
    taken: Place, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_prices(shop)

    with lost(monkeypatch, "complete", "resolve"):
        ran = taken("restore", "1", "--yes")
    assert ran.code == ExitCode.UNREACHABLE
    assert "`cas restores 1` asks the platform" in ran.err
    assert restores(taken)[0]["state"] == "verifying"
    execute(
        taken.environment["CAS_CATALOG"],
        "UPDATE cas.restores SET renewed_at = started_at, lease_until = started_at + interval '1 ms'",
    )
    unknown = taken("restores", "--json", CAS_SOURCE="").json["restores"][0]
    assert unknown["state"] == "verifying", "without a platform nobody can be asked"
    other = taken("restores", "--json", CAS_SOURCE=taken.environment["CAS_CATALOG"]).json["restores"][0]
    assert other["state"] == "verifying", "another platform knows nothing of it"
    with monkeypatch.context() as patch:
        patch.setattr(PostgresPlatform, "outcome", refuse)
        gone = taken("restores")
        assert gone.code == 0
        assert "could not be asked" in gone.err
    assert restores(taken)[0]["state"] == "completed"
    assert "the platform was asked" in taken("restores", "1").out


def test_the_running_platform_is_compared_on_either_side(taken: Place, shop: str) -> None:
    assert "They hold the same records" in taken("diff", "1", "live").out
    execute(
        shop, "UPDATE products SET price = 9.99 WHERE id = 7", "CREATE TABLE later (id integer PRIMARY KEY)"
    )
    drop_products(shop, "id = 8")
    found = taken("diff", "1", "live", "--json").json
    assert (found["old"], found["new"]) == (1, "live")
    by_label = {one["counts"]["entity"]: one for one in found["entities"]}
    products = by_label["public.products"]["counts"]
    assert (products["added"], products["removed"], products["changed"]) == (0, 1, 1)
    assert by_label["public.later"]["counts"]["only_in"] == "new"
    told = taken("diff", "live", "1", "--entity", "products").out
    for words in ("From the running platform to version 1", "9.99 →", "+ 8", "~ 7"):
        assert words in told, words
    assert "only in the running platform" in taken("diff", "1", "live").out
    assert taken("diff", "live", "live").code == ExitCode.INVALID
    assert taken("diff", "1", "1", "--source", shop).code == ExitCode.INVALID
    assert taken("diff", "1", "live", "--entity", "nothing").code == ExitCode.NOT_FOUND


WIDER = [pytest.param(width, marks=pytest.mark.thorough) for width in (80, 120)]


@pytest.mark.parametrize("width", [60, *WIDER])
def test_no_line_is_wider_than_the_terminal(taken: Place, shop: str, width: int) -> None:
    raise_prices(shop)
    drop_products(shop, "id <= 5")
    shown: list[list[str]] = []
    for arguments in (
        ["plan", "1"], ["restore", "1", "--yes"], ["undo", "2", "--dry-run"], ["restores"], ["restores", "2"],
        ["diff", "1", "live"],
    ):  # fmt: skip
        screen = Screen(taken, *arguments, width=width)
        assert screen.end() == 0, screen.text
        shown.append(screen.lines)
    assert max(len(line) for lines in shown for line in lines) <= width, shown


def test_hostile_values_cannot_recolour_the_terminal(taken: Place, shop: str) -> None:
    execute(shop, "UPDATE suppliers SET name = E'\\x1b[31mred'")
    for arguments in (["plan", "1"], ["restore", "1", "--yes", "--name", "\x1b[2Jname"], ["restores"]):
        ran = taken(*arguments)
        assert ran.code == 0, ran
        assert not re.search("\x1b", ran.out + ran.err)
