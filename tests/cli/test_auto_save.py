"""`cas auto-save`, `cas watch`, `cas follow` and `cas event`, as a person types them."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute

MASS = "DELETE FROM products WHERE id % 4 = 0"


@contextmanager
def running(cas: Place, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A watcher in a process of its own, which has begun."""
    process = cas.start(*words, "--poll", "1s", "--json")
    try:
        heard(process, "Watching")
        yield process
    finally:
        process.kill()
        process.communicate()


def heard(process: subprocess.Popen[str], words: str) -> str:
    """The first note with these words."""
    assert process.stderr is not None
    for line in process.stderr:
        text = str(json.loads(line).get("text", ""))
        if words in text:
            return text
    raise AssertionError(f"it ended, and never said: {words}")


def listed(cas: Place) -> list[dict[str, Any]]:
    """Oldest first."""
    found: list[dict[str, Any]] = cas("versions", "--json").json["versions"]
    return found[::-1]


def test_on_show_and_off(cas: Place) -> None:
    assert "Auto-save is off" in cas("auto-save", "show").out
    ran = cas("auto-save", "on")
    assert ran.code == ExitCode.OK, ran
    for words in ("after 1,000 rows, or 10 %, of a table", "when the last one is 6 h old", "cas watch"):
        assert words in ran.out
    ran = cas("auto-save", "on", "--mass-percent", "2.5", "--every", "90m", "--follow", "60s", "--json")
    assert ran.json["policies"] == [
        {"kind": "bulk-import", "rows": 1000, "percent": None, "seconds": None, "entities": []},
        {"kind": "mass-change", "rows": 1000, "percent": 2.5, "seconds": None, "entities": []},
        {"kind": "schema", "rows": None, "percent": None, "seconds": None, "entities": []},
        {"kind": "every", "rows": None, "percent": None, "seconds": 5400.0, "entities": []},
        {"kind": "follow", "rows": None, "percent": None, "seconds": 60.0, "entities": []},
    ]
    assert "1 h 30 min" in cas("auto-save", "off", "schema", "follow").out
    assert [one["kind"] for one in cas("auto-save", "show", "--json").json["policies"]] == [
        "bulk-import",
        "mass-change",
        "every",
    ]
    assert "Auto-save is off" in cas("auto-save", "off").out
    assert "Nothing of it was on" in cas("auto-save", "off").err


def test_leaving_out_alone_is_no_reason(cas: Place) -> None:
    cas("snapshot")
    assert cas("auto-save", "on", "--leave-out", "prodcuts").code == ExitCode.INVALID
    ran = cas("auto-save", "on", "--leave-out", "products")
    assert "not by number of changes of products" in ran.out
    kinds = [one["kind"] for one in cas("auto-save", "show", "--json").json["policies"]]
    assert kinds == ["bulk-import", "mass-change", "schema", "every", "leave-out"]
    ran = cas("auto-save", "off", *kinds[:-1])
    assert "Auto-save is off" in ran.out
    assert "auto-save is off" in cas("watch", "--once").error


def test_one_reason_alone(cas: Place) -> None:
    """Whoever has turned something on is not given the rest with it."""
    cas("auto-save", "on")
    cas("auto-save", "off")
    cas("auto-save", "on", "--every", "1d")
    cas("auto-save", "off", "bulk-import", "mass-change", "schema")
    ran = cas("auto-save", "on", "--bulk-import", "50", "--json")
    assert [(one["kind"], one["rows"], one["seconds"]) for one in ran.json["policies"]] == [
        ("bulk-import", 50, None),
        ("every", None, 86400.0),
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["auto-save", "on", "--every", "soon"], "no span of time"),
        (["auto-save", "on", "--every", "0s"], "no span of time"),
        (["auto-save", "on", "--mass-percent", "101"], "at most 100"),
        (["auto-save", "on", "--bulk-import", "0"], "at least one row"),
        (["auto-save", "on", "--mass-rows", "0"], "at least one row"),
        (["auto-save", "on", "--mass-percent", "0"], "above 0"),
        (["auto-save", "off", "everything"], "everything"),
        (["watch"], "auto-save is off"),
        (["watch", "--poll", "x"], "off"),
        (["follow", "--every", "x"], "no span of time"),
        (["follow", "--poll", "999999d"], "longer than ten years"),
        (["event", "Bulk Import"], "no kind of event"),
        (["event", "a" * 65], "no kind of event"),
    ],
)
def test_what_is_wrong_is_said(cas: Place, words: list[str], says: str) -> None:
    ran = cas(*words)
    assert ran.code == ExitCode.INVALID
    assert says in ran.error
    assert cas("auto-save", "show", "--json").json["policies"] == []


def test_a_structure_that_is_misspelt(cas: Place) -> None:
    ran = cas("auto-save", "on", "--structure", "prodcuts")
    assert "there is no version yet" in ran.err
    cas("auto-save", "off")
    cas("snapshot")
    ran = cas("auto-save", "on", "--structure", "prodcuts")
    assert ran.code == ExitCode.INVALID
    assert "holds no table 'prodcuts'" in ran.error
    assert cas("auto-save", "on", "--structure", "products", "--structure", "public.pri*").code == ExitCode.OK


@pytest.mark.parametrize("capture", [True, False])
def test_a_mass_deletion_is_saved_with_its_reason(cas: Place, shop: str, capture: bool) -> None:
    if capture:
        assert cas("capture", "install", "--yes").code == ExitCode.OK
    cas("auto-save", "on")
    with running(cas, "watch") as process:
        heard(process, "Version 1 is complete: Auto-save begins")
        execute(shop, MASS)
        heard(process, "Mass delete: 50 of 200 products")
        said = heard(process, "Version 2 is complete")
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == ExitCode.OK
    assert [one["number"] for one in json.loads(out)["versions"]] == [1, 2]
    first, second = listed(cas)
    assert (first["trigger"], second["trigger"]) == ("AUTO", "AUTO")
    assert second["reason"] in said
    if capture:
        assert second["reason"] == "Mass delete: 50 of 200 products; version 1 is the last one before"
        assert second["metadata"] == {"auto-save": "mass-change", "before": "1"}
    else:
        assert second["reason"].startswith("Mass delete: 50 of 200 products")


def test_killed_and_started_again_it_goes_on(cas: Place, shop: str) -> None:
    cas("capture", "install", "--yes")
    cas("auto-save", "on", "--structure", "suppliers")
    assert cas("watch", "--once").code == ExitCode.OK
    with running(cas, "watch") as process:
        execute(shop, "UPDATE suppliers SET name = 'new' WHERE id = 1")
        heard(process, "Structural change")
        process.kill()
        process.communicate()
    ran = cas("watch", "--once")
    assert "Waiting" in ran.err, "its claim stands for a minute"
    execute(cas.environment["CAS_CATALOG"], "UPDATE cas.watches SET held_until = now()")
    assert cas("watch", "--once").code == ExitCode.OK
    assert [one["reason"] for one in listed(cas)] == [
        "Auto-save begins: what happened before is not known",
        "Structural change: suppliers (1 changed)",
    ]


def test_follow(cas: Place, shop: str) -> None:
    cas("capture", "install", "--yes")
    assert cas("follow", "--once").code == ExitCode.OK
    assert len(cas("follow", "--once", "--json").json["versions"]) == 0
    execute(shop, "UPDATE products SET price = 1 WHERE id IN (1, 2)")
    assert len(cas("follow", "--once", "--json").json["versions"]) == 1
    assert listed(cas)[-1]["reason"] == "Every 60 s while something changes: products (2 changed)"


def test_once_ends_as_a_snapshot_ends(cas: Place, shop: str, cluster_role: str) -> None:
    """A scheduler must see that something is left out."""
    execute(shop, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {cluster_role}")
    execute(shop, f"REVOKE ALL ON suppliers FROM {cluster_role}")
    cas("auto-save", "on")
    source = shop.replace("postgres@", f"{cluster_role}@")
    ran = cas("watch", "--once", "--allow-incomplete", "--json", "--source", source)
    assert ran.code == ExitCode.INCOMPLETE, ran
    assert (ran.json["taken"], [one["state"] for one in ran.json["versions"]]) == (1, ["incomplete"])


def test_whoever_waits_is_told_what_to_do(cas: Place) -> None:
    cas("auto-save", "on")
    with running(cas, "watch") as process:
        heard(process, "Version 1 is complete")
        ran = cas("follow", "--once", "--every", "15m")
        assert "Waiting" in ran.err
        assert "cas auto-save on --follow 15m" in ran.err
        cas("auto-save", "off")
        heard(process, "Auto-save was turned off")


def test_an_event_of_the_application(cas: Place, shop: str) -> None:
    cas("capture", "install", "--yes")
    cas("auto-save", "on")
    cas("watch", "--once")
    execute(shop, "INSERT INTO products (name) SELECT 'n' FROM generate_series(1, 2000)")
    ran = cas("event", "bulk-import-finished", "--note", "spring\ncatalogue", "--json")
    assert ran.code == ExitCode.OK, ran
    version = listed(cas)[-1]
    assert (version["trigger"], version["reason"]) == ("AUTO", "Bulk import finished: spring catalogue")
    assert version["metadata"] == {"auto-save": "event", "event": "bulk-import-finished"}
    assert len(cas("watch", "--once", "--json").json["versions"]) == 0, "the event's version holds it"


def test_a_platform_that_does_not_answer(cas: Place) -> None:
    cas("auto-save", "on")
    nowhere = "postgresql://nobody@/nothing?host=%2Fnowhere"
    ran = cas("watch", "--once", "--source", nowhere, CAS_CONNECT_ATTEMPTS="1")
    assert ran.code == ExitCode.UNREACHABLE
    assert "cas: " in ran.error


def test_what_statistics_do_not_see_is_said(cas: Place) -> None:
    cas("auto-save", "on")
    ran = cas("watch", "--once")
    assert "by the server's statistics" in ran.err
    assert "TRUNCATE" in ran.err


def test_help_has_examples(bare: Place) -> None:
    for words in (["auto-save", "on"], ["auto-save", "off"], ["watch"], ["follow"], ["event"]):
        ran = bare(*words, "--help")
        assert ran.code == 0
        assert f"cas {' '.join(words)}" in ran.out.split("Examples")[1]
