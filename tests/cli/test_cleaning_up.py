"""`cas gc`, `cas cleanup` and `cas retention on | off`, as a person or a scheduler types them."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from cas.format.names import pack_key
from cas.ids import PackName
from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute, rows
from tests.servers.postgres import Databases


@pytest.fixture
def many(cas: Place, shop: str) -> Place:
    """Four versions without a common product: each of the first three is garbage once it is forgotten."""
    for number in range(4):
        execute(shop, f"UPDATE products SET name = md5(name || '{number}') || md5(id || '{number}')")
        assert cas("snapshot", "--scan").code == ExitCode.OK
    return cas


def packs(cas: Place) -> dict[str, int]:
    files = [path for path in (cas.store / "packs").rglob("*") if path.is_file()]
    return {path.name: path.stat().st_size for path in files}


def foreign(cas: Place) -> Path:
    """A pack that nobody knows, as a session that was killed leaves it."""
    made = cas.store / pack_key(PackName("ab" * 32))
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_bytes(b"half a pack")
    return made


def test_where_all_is_needed_nothing_would_go_and_nothing_does(many: Place) -> None:
    before = packs(many)
    told = f"all {len(before)} packs"
    assert f"Nothing would go: {told}" in many("gc", "--dry-run").out
    ran = many("gc")
    assert (ran.code, ran.err) == (ExitCode.OK, "")
    assert f"Nothing to collect: {told}" in ran.out
    assert packs(many) == before


def test_the_plan_is_what_is_done(many: Place) -> None:
    many("forget", "--keep", "last 1", "--yes")
    stranger = foreign(many)
    before = packs(many)
    plan = many("gc", "--dry-run", "--json").json
    assert plan["done"] is None
    assert plan["plan"]["dead"]["packs"] >= 1
    assert plan["plan"]["strangers"] == {"packs": 1, "bytes": stranger.stat().st_size}
    assert plan["plan"]["all"] == {"packs": len(before), "bytes": sum(before.values())}
    assert plan["plan"]["share"] == plan["plan"]["bytes"] / sum(before.values())
    shown = many("gc", "--dry-run").out
    assert "no version needs them" in shown
    assert "left by sessions that ended, or known to nobody" in shown
    assert packs(many) == before, "a preview does nothing"

    done = many("gc", "--json", "--max-share", "0.95").json
    assert done["plan"] == plan["plan"]
    report = done["done"]["report"]
    after = packs(many)
    gone = before.keys() - after.keys()
    assert stranger.name in gone
    assert report["deleted"] == len(gone)
    assert report["deleted_bytes"] == sum(before[name] for name in gone)
    assert report["fresh_bytes"] == sum(after[name] for name in after.keys() - before.keys())
    assert many("check", "--level", "bytes").code == ExitCode.OK
    assert "Nothing to collect" in many("gc").out


def test_progress_has_real_counters_of_the_packs(many: Place) -> None:
    many("forget", "--keep", "last 1", "--yes")
    ran = many("gc", "--json", "--max-share", "0.95")
    last = [event["progress"] for event in ran.events if event["event"] == "progress"][-1]
    report = ran.json["done"]["report"]
    assert (last["phase"], last["entity"]) == ("delete", "packs")
    assert (last["records"], last["payload_bytes"]) == (report["deleted"], report["deleted_bytes"])


def test_more_than_the_share_is_refused_and_remembered(many: Place) -> None:
    many("forget", "--keep", "last 1", "--yes")
    before = packs(many)
    ran = many("gc", "--max-share", "0.001")
    assert ran.code == ExitCode.CONFLICT
    assert ran.out == ""
    assert "of all bytes would go" in ran.err
    assert "allow it with --max-share" in ran.err
    assert "no version needs them" in ran.err, "the plan is shown before it is refused"
    assert packs(many) == before
    assert (
        "it is refused, unless --max-share allows it" in many("gc", "--dry-run", "--max-share", "0.001").out
    )
    assert "failed: " in many("retention", "show").out
    last = many("retention", "show", "--json").json["last_gc"]
    assert last["result"]["outcome"] == "failed"
    assert "of all bytes would go" in last["result"]["text"]
    assert last["succeeded_at"] is None


def test_who_is_at_work_is_waited_for_and_named(many: Place) -> None:
    many("forget", "--keep", "last 1", "--yes")
    catalog = many.environment["CAS_CATALOG"]
    pin = (
        "INSERT INTO cas.pins (version, purpose, host, pid, lease_until, epoch)"
        " SELECT 4, 'a reader', 'somewhere', 1, now() + interval '1 hour', number FROM cas.epoch"
    )
    execute(catalog, pin)
    before = packs(many)
    ran = many("gc", "--max-share", "0.95")
    assert ran.code == ExitCode.OK
    assert "Nothing could go yet" in ran.out
    assert "1 reader began before that, and may know them; they go in a later run" in ran.out
    assert before.keys() <= packs(many).keys()
    assert "condemned by an earlier run, and waiting" in many("gc", "--dry-run").out
    assert "waiting" in many("retention", "show").out
    told = many("gc", "--json", "--max-share", "0.95").json["done"]
    assert told["awaited"] == {"writers": 0, "readers": 1}
    assert told["report"]["waiting"] > 0
    execute(catalog, "DELETE FROM cas.pins")
    done = many("gc", "--json", "--max-share", "0.95").json["done"]
    assert done["report"]["waiting"] == 0
    assert done["report"]["deleted"] == told["report"]["waiting"]
    assert many("check", "--level", "bytes").code == ExitCode.OK


def test_who_comes_second_is_refused_and_leaves_no_trace(many: Place) -> None:
    assert many("gc").code == ExitCode.OK
    first = many("retention", "show", "--json").json["last_gc"]
    execute(
        many.environment["CAS_CATALOG"],
        "UPDATE cas.collector SET id = gen_random_uuid(), host = 'there', pid = 7,"
        " lease_until = now() + interval '1 hour'",
    )
    ran = many("gc")
    assert ran.code == ExitCode.CONFLICT
    assert "somebody else collects garbage just now (process 7 on there)" in ran.error
    assert many("retention", "show", "--json").json["last_gc"] == first


@pytest.mark.parametrize("words", [("gc", "--max-share", "0"), ("cleanup", "--max-share", "1.5")])
def test_what_is_no_share_changes_nothing(many: Place, words: tuple[str, ...]) -> None:
    ran = many(*words)
    assert ran.code == ExitCode.INVALID
    assert "(--max-share)" in ran.error
    assert rows(many.environment["CAS_CATALOG"], "SELECT kind FROM cas.cleanups") == []


def test_damage_stops_it(many: Place) -> None:
    many("forget", "--keep", "last 1", "--yes")
    pack = max((many.store / "packs").rglob("*"), key=lambda path: path.stat().st_mtime * path.is_file())
    pack.unlink()
    ran = many("gc")
    assert ran.code == ExitCode.CORRUPT
    assert "Nothing was deleted. `cas check` tells what is wrong" in ran.error


def test_cleanup_removes_by_the_rules_and_gives_back_the_room(many: Place) -> None:
    many("retention", "set", "last 1")
    many("protect", "2")
    before = packs(many)
    done = many("cleanup", "--json", "--max-share", "0.95").json
    assert done["automatic"] is True
    assert done["forgotten"]["report"]["gone"] == [1, 3]
    assert done["collected"]["done"]["report"]["deleted"] > 0
    assert sum(packs(many).values()) < sum(before.values())
    listed = [one["number"] for one in many("versions", "--json").json["versions"]]
    assert listed == [4, 2], "what is protected stays, and the last good one"
    shown = many("retention", "show", "--json").json
    for last, removed in (("last_forget", 2), ("last_gc", done["collected"]["done"]["report"]["deleted"])):
        assert shown[last]["result"]["removed"] == removed
        assert shown[last]["succeeded_at"] == shown[last]["ended_at"] >= shown[last]["started_at"]
    ran = many("cleanup")
    assert "Nothing goes: all 2 versions stay" in ran.out
    assert "Nothing to collect" in ran.out
    assert "2 versions removed" not in ran.out
    assert "`cas gc`" not in ran.out, "that was done, too"


def test_cleanup_does_nothing_where_it_is_turned_off(many: Place) -> None:
    many("retention", "set", "last 1")
    before = packs(many)
    assert "Automatic cleanup is off" in many("retention", "off").out
    ran = many("cleanup")
    assert ran.code == ExitCode.OK
    assert "Automatic cleanup is off, so nothing was done" in ran.out
    assert many("cleanup", "--json").json == {"automatic": False, "forgotten": None, "collected": None}
    assert packs(many) == before
    assert many("retention", "show", "--json").json["last_forget"] is None
    assert "Automatic cleanup is on" in many("retention", "on").out
    assert many("cleanup", "--json", "--max-share", "0.95").json["automatic"] is True


def test_that_it_is_off_is_in_the_store_too(many: Place, database: Databases) -> None:
    many("retention", "off")
    alone = {"CAS_CATALOG": database(), "CAS_HOME": str(many.directory / "other")}
    assert many("catalog", "rebuild", **alone).code == ExitCode.OK
    assert many("retention", "show", "--json", **alone).json["automatic"] is False


def test_after_a_rebuild_nothing_goes_until_somebody_confirms(many: Place, database: Databases) -> None:
    many("retention", "set", "last 1")
    before = packs(many)
    alone = {"CAS_CATALOG": database(), "CAS_HOME": str(many.directory / "other")}
    assert "nothing is let go until `cas catalog confirm`" in many("catalog", "rebuild", **alone).out
    for words in (("cleanup",), ("gc",), ("forget", "--yes"), ("delete", "1", "--yes")):
        refused = many(*words, **alone)
        assert refused.code == ExitCode.CONFLICT, words
        assert "cas catalog confirm" in refused.error
        if words[0] in ("gc", "forget"):
            looked = many(words[0], "--dry-run", **alone)
            assert looked.code == ExitCode.OK
            assert "wants `cas catalog confirm` first" in looked.out
    last = many("retention", "show", "--json", **alone).json["last_forget"]
    assert (last["succeeded_at"], last["result"]["outcome"]) == (None, "failed")
    assert "nobody has confirmed" in last["result"]["text"]
    assert packs(many) == before
    assert many("catalog", "confirm", "--json", **alone).json["rebuilt_at"]
    cleaned = many("cleanup", "--json", "--max-share", "1", **alone)
    assert cleaned.json["forgotten"]["report"]["gone"]
    assert "nothing to confirm" in many("catalog", "confirm", **alone).out
    assert "until `cas catalog confirm`" not in many("catalog", "rebuild", **alone).out


def test_what_a_later_release_has_set_is_not_guessed(many: Place) -> None:
    execute(
        many.environment["CAS_CATALOG"],
        "INSERT INTO cas.settings (name, given) VALUES ('retention.automatic', '{weekends}')",
    )
    ran = many("cleanup")
    assert ran.code == ExitCode.INVALID
    assert "cleaning up is set to 'weekends' (retention.automatic)" in ran.error


def test_retention_show_tells_when_it_was_cleaned_up(many: Place) -> None:
    shown = many("retention", "show").out
    assert "Automatic cleanup is on" in shown
    assert shown.count("never") == 2
    many("forget", "--keep", "last 1", "--yes")
    many("gc", "--max-share", "0.95")
    shown = many("retention", "show").out
    assert "3 versions removed" in shown
    assert " freed" in shown
    told = json.loads(many("retention", "show", "--json").out)
    assert datetime.fromisoformat(told["last_gc"]["ended_at"]).tzinfo is not None
