"""Several stores at once, as a person types it: mirrors, `--to`, partial versions, and only copies."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from cas.replicas import running
from cli.exit_codes import ExitCode
from cli.stopping import Stopped
from tests.cli.running import Place, Ran, execute


@pytest.fixture
def mirrored(cas: Place) -> Place:
    """A mirror, and a replica that is none; no version yet."""
    added = cas("replica", "add", "near", cas.directory / "near", "--mirror")
    assert "near is a mirror from now on" in added.out, added
    assert cas("replica", "add", "far", cas.directory / "far").code == ExitCode.OK
    return cas


def broken(cas: Place, name: str = "near") -> Path:
    """The store of a replica, in whose way something is."""
    place = cas.directory / name
    shutil.rmtree(place, ignore_errors=True)
    place.write_text("not a directory")
    return place


def shown(cas: Place, number: int = 1) -> tuple[list[str], list[str], bool]:
    found = cas("show", str(number), "--json").json
    assert found["stores"]["primary"] is True
    return found["stores"]["replicas"], found["lacks"], found["is_partial"]


def owed(cas: Place) -> dict[str, list[int]]:
    return {
        one["replica"]["name"]: one["owed"] for one in cas("replica", "status", "--json").json["replicas"]
    }


def numbers(ran: Ran) -> list[int]:
    return [one["number"] for one in ran.json["versions"]]


def test_a_mirror_has_the_version_when_the_command_is_over(mirrored: Place) -> None:
    ran = mirrored("snapshot")
    assert ran.code == ExitCode.OK, ran
    assert "near: copied, " in ran.out
    assert "far" not in ran.out
    assert shown(mirrored) == (["near"], [], False)
    assert "the primary, near" in mirrored("show", "1").out
    assert "lacks" not in mirrored("show", "1").out
    assert "½" not in mirrored("versions").out
    assert numbers(mirrored("versions", "--partial", "--json")) == []
    assert mirrored("replica", "verify", "near").code == ExitCode.OK
    (one,) = mirrored("versions", "--json").json["versions"]
    assert (one["stores"], one["lacks"]) == ({"primary": True, "replicas": ["near"]}, [])
    assert "a mirror" in mirrored("replica", "status").out
    taken = mirrored("event", "import-finished", "--json")
    assert taken.code == ExitCode.OK, taken
    (copy,) = taken.json["copies"]
    assert (copy["store"], copy["is_held"], copy["error"]) == ("near", True, None)
    assert copy["copied_bytes"] > 0
    assert taken.json["version"]["number"] == 2


def test_a_mirror_that_fails_is_told_and_fails_neither_the_version_nor_the_others(mirrored: Place) -> None:
    mirrored("replica", "set", "far", "--mirror")
    place = broken(mirrored)
    ran = mirrored("snapshot")
    assert ran.code == ExitCode.PARTIAL, ran
    assert "Version 1 is complete" in ran.out
    assert "far: copied" in ran.out
    (line,) = [line for line in ran.out.splitlines() if "near" in line]
    assert "failed" in line
    assert shown(mirrored) == (["far"], ["near"], True)
    (line,) = [line for line in mirrored("show", "1").out.splitlines() if "lacks" in line]
    assert line.split() == ["lacks", "near"]
    listed = mirrored("versions", "--partial")
    assert "complete ½" in listed.out
    assert "partial: not in near" in listed.out
    assert owed(mirrored) == {"near": [1], "far": []}
    assert "should hold 1 version, and does not: 1" in mirrored("replica", "status").out
    doctor = mirrored("doctor", "--json").json["observations"]
    (seen,) = [one for one in doctor if one["name"] == "partial versions"]
    assert (seen["health"], seen["found"]) == (
        "warn",
        "1 version partial: not in near, which should hold them",
    )
    ran = mirrored("snapshot", "--json")
    assert (ran.code, ran.json["lacks"], ran.json["is_partial"]) == (ExitCode.PARTIAL, ["near"], True)
    near = next(one for one in ran.json["copies"] if one["store"] == "near")
    assert (near["is_held"], near["error"]["code"]) == (False, "STORE_FAULT")
    assert near["why_not"].count("\n") == 0
    place.unlink()
    place.mkdir()
    assert mirrored("replicate").code == ExitCode.OK
    assert (numbers(mirrored("versions", "--partial", "--json")), owed(mirrored)["near"]) == ([], [])
    assert "partial versions" not in mirrored("doctor").out
    assert shown(mirrored) == (["far", "near"], [], False)


def test_where_it_goes_can_be_said(mirrored: Place) -> None:
    ran = mirrored("snapshot", "--to", "none")
    assert ran.code == ExitCode.OK
    assert shown(mirrored) == ([], [], False)
    mirrored("replica", "set", "far", "--disable")
    ran = mirrored("snapshot", "--to", "far", "--to", "far")
    assert (ran.code, "near" in ran.out) == (ExitCode.OK, False), ran
    assert shown(mirrored, 2) == (["far"], [], False)
    for words, code, said in (
        (("nobody",), ExitCode.NOT_FOUND, "no replica 'nobody'"),
        (("none", "--to", "far"), ExitCode.INVALID, "the primary only"),
    ):
        ran = mirrored("snapshot", "--to", *words)
        assert (ran.code, said in ran.error) == (code, True), ran
    assert numbers(mirrored("versions", "--json")) == [2, 1], "nothing was begun"
    ran = mirrored("replica", "add", "none", mirrored.directory / "x")
    assert (ran.code, "stands for no replica" in ran.error) == (ExitCode.INVALID, True)


def test_a_disabled_one_is_left_alone_by_who_does_not_name_it(mirrored: Place) -> None:
    ran = mirrored("replica", "set", "near", "--disable", "--json")
    assert (ran.json["enabled"], ran.json["mirror"]) == (False, True)
    ran = mirrored("snapshot")
    assert (ran.code, "near" in ran.out) == (ExitCode.OK, False)
    ran = mirrored("replicate", "--json")
    assert [one["name"] for one in ran.json["replicas"]] == ["far"]
    assert "disabled" in mirrored("replica", "status").out
    assert mirrored("replicate", "near").code == ExitCode.OK
    assert shown(mirrored) == (["far", "near"], [], False)
    mirrored("replica", "set", "far", "--disable")
    ran = mirrored("replicate")
    assert (ran.code, "every replica is disabled" in ran.error) == (ExitCode.NOT_FOUND, True)
    assert (
        "near is a replica, and enabled" in mirrored("replica", "set", "near", "--enable", "--no-mirror").out
    )
    assert mirrored("replica", "set", "near").code == ExitCode.INVALID
    assert mirrored("replica", "set", "nobody", "--mirror").code == ExitCode.NOT_FOUND


def test_the_store_with_the_only_copy_stays(mirrored: Place, shop: str) -> None:
    mirrored("replica", "add", "long", mirrored.directory / "long", "--retention", "last 9")
    for number in range(2):
        execute(shop, f"UPDATE products SET name = name || '{number}' WHERE id = {number + 1}")
        mirrored("snapshot", "--to", "long")
    mirrored("delete", "1", "--reason", "gone", "--yes")
    ran = mirrored("replica", "remove", "long")
    assert ran.code == ExitCode.CONFLICT, ran
    assert "has the only copy of version 1" in ran.error
    assert "--lost" in ran.error
    ran = mirrored("replica", "remove", "long", "--lost")
    assert (ran.code, "Add --yes" in ran.error) == (ExitCode.INVALID, True)
    ran = mirrored("replica", "remove", "long", "--lost", "--yes", "--json")
    assert (ran.code, ran.json["name"], ran.json["lost"]) == (ExitCode.OK, "long", [1]), ran
    assert shown(mirrored, 2) == ([], [], False)
    assert mirrored("replica", "remove", "far").code == ExitCode.OK


def test_ctrl_c_during_the_copying_leaves_it_complete_and_partial(
    mirrored: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*given: Any, **named: Any) -> None:
        raise Stopped("stopped by Ctrl-C", ExitCode.INTERRUPTED)

    with monkeypatch.context() as patch:
        patch.setattr(running, "list_replica", stopped)
        ran = mirrored("snapshot")
    assert ran.code == ExitCode.INTERRUPTED, ran
    assert "Version 1 is complete in the primary; it is partial until `cas replicate`" in ran.err
    assert mirrored("show", "1", "--json").json["state"] == "complete"
    assert shown(mirrored) == ([], ["near"], True)
    assert mirrored("replicate", "near").code == ExitCode.OK
    assert shown(mirrored) == (["near"], [], False)


def test_a_sealed_mirror_without_its_key(cas: Place) -> None:
    key = {"CAS_KEY_FILE": str(cas.directory / "shop.key")}
    added = cas("replica", "add", "sealed", cas.directory / "sealed", "--mirror", "--encrypt", **key)
    assert "sealed is a sealed mirror from now on" in added.out, added
    assert cas("snapshot", **key).code == ExitCode.OK
    ran = cas("snapshot")
    assert ran.code == ExitCode.PARTIAL, ran
    assert "sealed: failed. it is sealed, and no key was given" in ran.out
    assert shown(cas, 2) == ([], ["sealed"], True)
    assert cas("snapshot", "--verify", "--json", **key).json["read_back"]["packs"] >= 0
    assert shown(cas, 2) == (["sealed"], [], False), "the next run brings what was lacking as well"


def test_what_auto_save_takes_goes_to_mirrors_too(mirrored: Place) -> None:
    mirrored("auto-save", "on")
    ran = mirrored("watch", "--once")
    assert ran.code == ExitCode.OK, ran
    assert "Version 1 is copied to near" in ran.err
    assert shown(mirrored) == (["near"], [], False)
    broken(mirrored)
    execute(mirrored.environment["CAS_SOURCE"], "DELETE FROM products WHERE id > 1")
    ran = mirrored("watch", "--once")
    assert ran.code == ExitCode.PARTIAL, ran
    assert "Version 2 is not in near: " in ran.err
