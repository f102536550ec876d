"""`cas retention`, `forget`, `delete`, `protect`, `hold` and `expire`, as a person types them."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute


@pytest.fixture
def three(cas: Place, shop: str) -> Place:
    """Three versions, which differ."""
    for number in range(3):
        execute(shop, f"UPDATE products SET name = name || '{number}' WHERE id = {number + 1}")
        assert cas("snapshot").code == ExitCode.OK
    return cas


def numbers(cas: Place) -> list[int]:
    return [one["number"] for one in cas("versions", "--json").json["versions"]]


def test_the_rules_as_usual_keep_everything_for_now(three: Place) -> None:
    ran = three("retention", "show")
    assert "Kept as usual: last 50, daily 30, weekly 12, monthly 12" in ran.out
    assert "one of the last 50 versions made by hand (2 newer)" in ran.out
    assert "Nothing goes: all 3 versions stay" in three("forget", "--dry-run").out
    assert "Nothing goes" in three("forget", "--yes").out
    assert numbers(three) == [3, 2, 1]


def test_rules_are_set_shown_and_followed(three: Place) -> None:
    ran = three("retention", "set", "last 1", "within 1m of scheduled")
    assert ran.code == ExitCode.OK, ran
    assert "Kept by these rules: last 1, within 1m of scheduled" in ran.out
    assert "goes: no rule wants it" in ran.out
    assert "`cas forget` removes 2 versions" in ran.out
    told = three("retention", "show", "--json").json
    assert told["rules"] == ["last 1", "within 1m of scheduled"]
    assert [one["version"] for one in told["versions"] if not one["reasons"]] == [2, 1]
    preview = three("forget", "--dry-run")
    assert "2 versions would go, 1 stay" in preview.out
    assert numbers(three) == [3, 2, 1], "a preview does nothing"
    ran = three("forget", "--yes", "--json")
    assert ran.json["report"] == {"marked": [1, 2], "kept": {}, "gone": [1, 2], "waiting": [], "strange": []}
    assert numbers(three) == [3]
    assert "last 50" in three("retention", "default").out


def test_what_is_gone_says_so(three: Place) -> None:
    removed = three("delete", "1", "--reason", "wrong tags", "--yes").out.splitlines()
    assert removed == ["1 version removed", "  `cas gc` gives back the room that nothing else needs"]
    ran = three("get", "1", "products", "1")
    assert ran.code == ExitCode.CONFLICT
    assert "version 1 is gone: deleted by" in ran.error
    assert "wrong tags" in ran.error
    assert "wrong tags" in three("show", "1").out
    assert numbers(three) == [3, 2]
    gone = three("versions", "--state", "gone", "--json").json["versions"]
    assert [one["number"] for one in gone] == [1]
    assert "wrong tags" in three("versions", "--state", "gone").out
    assert three("check", "--level", "bytes").code == ExitCode.OK


def test_what_is_protected_or_held_stays(three: Place) -> None:
    assert three("protect", "1").out.strip() == "Version 1 is protected: no rule removes it"
    assert three("hold", "2", "--reason", "case 4711").out.strip() == "Version 2 is held: case 4711"
    listed = three("versions").out
    assert "protected" in listed
    assert "held: case 4711" in listed
    assert "Nothing goes" in three("forget", "--keep", "last 1", "--yes").out
    for number, words in (("1", "it is protected"), ("2", "it is held: case 4711")):
        ran = three("delete", number, "--yes")
        assert ran.code == ExitCode.CONFLICT
        assert words in ran.error
        assert f"{number}` lifts that" in ran.error
    assert "no longer held" in three("release", "2").out
    assert "no longer protected" in three("unprotect", "1").out
    assert three("delete", "1", "2", "--yes").code == ExitCode.OK
    assert numbers(three) == [3]


def test_the_last_good_version_stays(three: Place) -> None:
    ran = three("delete", "latest", "--yes", "--json")
    assert ran.json["report"]["kept"] == {"3": "it is the last good version of its platform"}
    assert numbers(three) == [3, 2, 1]


def test_a_date_that_is_set(three: Place) -> None:
    later = datetime.now(UTC) + timedelta(days=400)
    ran = three("expire", "1", "--at", f"{later:%Y-%m-%dT%H:%M}+00:00")
    assert ran.code == ExitCode.OK
    assert f"kept until {later.astimezone():%Y-%m-%d}" in ran.out
    assert "until a date that was set" in three("retention", "show").out
    assert f"until {later.astimezone():%Y-%m-%d %H:%M}" in three("versions").out
    assert three("forget", "--keep", "last 1", "--yes", "--json").json["report"]["gone"] == [2]
    assert "without a date" in three("expire", "1", "--never").out
    assert three("forget", "--keep", "last 1", "--yes", "--json").json["report"]["gone"] == [1]


@pytest.mark.parametrize(
    "words",
    [
        ("expire", "1"),
        ("expire", "1", "--at", "2001-01-01"),
        ("expire", "1", "--at", "soon"),
        ("expire", "1", "--at", "2099-01-01", "--never"),
        ("hold", "1", "--reason", " "),
        ("retention", "set", "last 0"),
        ("retention", "set", "last 5", "last 5"),
        ("retention", "set", "for ever"),
        ("retention", "simulate", "--weeks", "0"),
        ("forget", "--keep", "nothing", "--yes"),
        ("forget",),
        ("delete", "1"),
    ],
)
def test_what_cannot_be_meant_changes_nothing(three: Place, words: tuple[str, ...]) -> None:
    ran = three(*words)
    assert ran.code == ExitCode.INVALID, ran
    assert numbers(three) == [3, 2, 1]


def test_what_the_rules_will_do(three: Place) -> None:
    ran = three("retention", "simulate", "--weeks", "2", "--keep", "last 2")
    assert ran.out.splitlines()[0] == "With last 2"
    weeks = three("retention", "simulate", "--weeks", "3", "--keep", "last 2", "--json").json["weeks"]
    assert [week["going"] for week in weeks] == [[1, 2, 3], [], []], "three new ones in the first week"
    assert [(week["staying"], week["assumed"]) for week in weeks] == [(0, 2), (0, 2), (0, 2)]
    quiet = three("retention", "simulate", "--weeks", "1", "--keep", "last 2", "--nothing-new", "--json")
    assert quiet.json["weeks"][0]["staying"] == 2


def test_a_lost_catalog_still_knows_what_must_stay(three: Place) -> None:
    three("hold", "1", "--reason", "case 4711")
    three("retention", "set", "last 1")
    alone = {"CAS_CATALOG": "", "CAS_HOME": str(three.home.parent / "another")}
    for words in (("catalog", "rebuild"), ("catalog", "confirm")):
        assert three(*words, **alone).code == ExitCode.OK
    ran = three("forget", "--yes", "--json", **alone)
    assert ran.json["report"]["gone"] == [2], ran
    assert json.loads(three("show", "1", "--json", **alone).out)["hold"] == "case 4711"
