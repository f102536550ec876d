"""What checks have found is shown of every version; checks within a budget; reading back after a commit."""

from pathlib import Path

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute, packs


@pytest.fixture
def twice(cas: Place, shop: str) -> Place:
    """Two versions, with a difference in one table."""
    assert cas("snapshot").code == 0
    execute(shop, "UPDATE products SET price = 1 WHERE id < 20")
    assert cas("snapshot").code == 0
    return cas


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def states(place: Place) -> list[str]:
    return [one["check"]["state"] for one in place("versions", "--json").json["versions"]]


def test_every_version_says_what_is_known_of_it(twice: Place) -> None:
    assert states(twice) == ["not checked", "not checked"]
    assert "not checked" in twice("versions").out
    assert twice("check").code == 0
    shown = twice("show", "1")
    assert "walked 20" in shown.out
    assert "0 of " in shown.out
    assert states(twice) == ["not checked", "not checked"]
    assert twice("check", "1", "--level", "bytes").code == 0
    assert states(twice) == ["not checked", "valid"]
    assert twice("check", "--level", "bytes").code == 0
    listed = twice("versions")
    assert listed.out.count("valid 20") == 2
    check = twice("show", "2", "--json").json["check"]
    assert check["state"] == "valid"
    assert check["packs"] == check["packs_read"]
    assert check["structure_at"] == check["bytes_at"]
    assert "none longer ago than" in twice("show", "2").out
    assert twice("show", "2", "--json").json["number"] == 2


def test_a_narrow_terminal_shows_it_too(twice: Place) -> None:
    assert twice("check", "--level", "bytes").code == 0
    assert twice.process("versions", COLUMNS="80").out.count("valid 20") == 2


def test_damage_is_shown_on_every_version_that_needs_it(twice: Place) -> None:
    assert twice("check").code == 0
    victim = packs(twice)[0]
    flip(victim)
    ran = twice("check", "--budget", "1h", "--json")
    assert ran.code == ExitCode.CORRUPT
    assert [one["object"].rpartition("/")[2] for one in ran.json["findings"]] == [victim.name]
    lost = sorted({number for one in ran.json["findings"] for number in one["lost_versions"]})
    listed = twice("versions", "--json").json["versions"]
    assert [one["number"] for one in listed if one["check"]["state"] == "damaged"] == lost[::-1]
    told = twice("show", str(lost[0])).out
    assert "damaged" in told
    assert victim.name in told.replace("\n", "").replace(" ", "")
    assert "damaged" in twice("versions").out
    flip(victim)
    assert twice("check", "--budget", "1h").code == 0
    assert states(twice) == ["valid", "valid"]


def test_a_budget_says_what_is_done_and_how_long_a_round_takes(twice: Place) -> None:
    ran = twice("check", "--budget", "30s")
    assert ran.code == 0
    for words in ("in turn: trees of 2 versions", "read whole so far", "none longer ago than", "1 run like"):
        assert words in ran.out, words
    turn = twice("check", "--budget", "1s", "--json").json["turn"]
    assert turn["coverage"]["read"] == turn["coverage"]["packs"] == len(packs(twice))
    assert turn["budget_seconds"] == 1
    assert twice("check", "--budget", "30s", "--level", "structure", "--json").json["turn"]["packs"] == 0
    assert twice("check", "--json").json["turn"] is None
    for wrong in (("--budget", "soon"), ("--budget", "0s"), ("1", "--budget", "10m")):
        assert twice("check", *wrong).code == ExitCode.INVALID


def test_reading_back_is_asked_for_or_set(cas: Place) -> None:
    ran = cas("snapshot", "--verify", "--json")
    assert ran.code == 0
    assert ran.json["version"]["number"] == 1
    assert ran.json["read_back"]["packs"] == len(packs(cas))
    assert ran.json["read_back"]["findings"] == []
    assert cas("show", "1", "--json").json["check"]["read_back_at"]
    assert "read back" in cas("show", "1").out
    assert "Read back and proven" in cas("snapshot", CAS_VERIFY="true").out
    assert "Read back" not in cas("snapshot").out
    assert "Read back" not in cas("snapshot", "--no-verify", CAS_VERIFY="1").out
    assert "Read back and proven" in cas("event", "import-finished", CAS_VERIFY="1").out


def test_what_is_not_what_was_stored_is_said_and_the_version_stays(
    cas: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store says that it has the pack, and has something else."""
    from cas.store.local import LocalStore

    put = LocalStore.put

    def lying(store: LocalStore, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        whole = bytearray(data)
        if key.startswith("packs/"):
            whole[len(whole) // 3] ^= 1
        put(store, key, bytes(whole), create_only=create_only)

    monkeypatch.setattr(LocalStore, "put", lying)
    ran = cas("snapshot", "--verify")
    assert ran.code == ExitCode.CORRUPT
    assert "Version 1 is complete" in ran.out
    assert "not what was stored" in ran.out
    assert packs(cas)[0].name in ran.out
    shown = cas("show", "1", "--json").json
    assert (shown["state"], shown["check"]["state"]) == ("complete", "damaged")
    assert shown["check"]["damage"]


def test_a_version_that_cannot_be_read_back_is_there_all_the_same(
    cas: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cas.store.interface import FaultKind, StoreFault
    from cas.store.local import LocalStore

    get = LocalStore.get

    def refusing(store: LocalStore, key: str) -> bytes:
        if key.startswith("packs/"):
            raise StoreFault("no", fault=FaultKind.DENIED)
        return get(store, key)

    monkeypatch.setattr(LocalStore, "get", refusing)
    ran = cas("snapshot", "--verify", "--json")
    assert ran.code == ExitCode.DENIED
    assert (ran.json["version"]["state"], ran.json["read_back"]) == ("complete", None)
    assert "was not read back" in ran.err
