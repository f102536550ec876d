"""`cas demo`: the whole story in a directory of its own, as often as one likes."""

import os
import signal
import time
from pathlib import Path

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import Place

FEW = ("--records", "400")


def test_the_story_ends_with_a_proof(bare: Place) -> None:
    ran = bare.process("demo", *FEW, "--json")
    assert ran.code == 0, ran
    report = ran.json
    assert report["products"] == 400
    proof = report["proof"]
    assert proof["checksum"] == proof["restored_checksum"]
    assert proof["rows"] == proof["restored_rows"]
    assert report["restore"]["verified"] is True
    assert [version["number"] for version in report["versions"]] == [1, 2, 3]
    first, second, third = report["versions"]
    assert first["checksum"] != second["checksum"] == third["checksum"]
    assert sum(entity["new_chunks"] for entity in third["entities"]) == 0, "nothing is stored twice"
    ours = report["costs"][-1]
    assert ours["second_bytes"] < ours["first_bytes"] / 4
    steps = [event["title"] for event in ran.events if event["event"] == "step"]
    assert len(steps) == 12


def test_the_story_is_told_in_words_and_leaves_nothing(bare: Place) -> None:
    ran = bare.process("demo", *FEW)
    assert ran.code == 0, ran
    for words in ("What it costs", "pg_dump -Fc", "JSON", "What changed", "The proof", "equal", "Next"):
        assert words in ran.out, words
    assert "✓" in ran.err
    assert not (bare.home / "demo").exists()


def test_a_demo_that_is_kept_can_be_looked_around_in(bare: Place) -> None:
    place = bare.directory / "kept"
    ran = bare.process("demo", *FEW, "--keep", "--directory", place)
    assert ran.code == 0, ran
    assert f"export CAS_HOME={place}" in ran.out
    looking = {"CAS_HOME": str(place)}
    listed = bare.process("versions", "--json", **looking).json["versions"]
    assert [one["number"] for one in listed] == [3, 2, 1]
    taken = bare.process("snapshot", "--json", **looking)
    assert taken.code == 0, taken
    assert taken.json["version"]["checksum"] == listed[0]["checksum"], "the shop is as it was"
    again = bare.process("demo", *FEW, "--directory", place)
    assert again.code == 0, again
    assert not place.exists()


def test_a_directory_of_somebody_else_is_left_alone(bare: Place) -> None:
    (bare.directory / "letters").mkdir()
    (bare.directory / "letters" / "dear.txt").write_text("Dear")
    ran = bare("demo", *FEW, "--directory", "letters")
    assert ran.code == ExitCode.CONFLICT
    assert "not empty" in ran.error
    assert (bare.directory / "letters" / "dear.txt").read_text() == "Dear"


def test_too_many_products_for_the_disk_are_refused_at_once(bare: Place) -> None:
    ran = bare("demo", "--records", "100000000", "--directory", "d")
    assert ran.code == ExitCode.NO_SPACE
    assert "--records" in ran.error
    assert bare("demo", "--records", "0").code == ExitCode.INVALID


def test_settings_of_the_user_are_not_touched(cas: Place) -> None:
    before = cas("versions", "--json").json
    ran = cas.process("demo", *FEW)
    assert ran.code == 0, ran
    assert cas("versions", "--json").json == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_demo_that_was_stopped_does_not_hinder_the_next(bare: Place, number: signal.Signals) -> None:
    place = bare.directory / "demo"
    process = bare.start("demo", "--records", "20000", "--directory", place, "--json")
    assert process.stderr is not None
    for line in process.stderr:
        if "A repository is made" in line:
            break
    process.send_signal(number)
    process.communicate(timeout=60)
    if number is signal.SIGINT:
        assert process.returncode == ExitCode.INTERRUPTED
        assert not place.exists(), "what it made is removed, and its server stopped"
    again = bare.process("demo", *FEW, "--directory", place)
    assert again.code == 0, again
    assert not _servers(place)


def test_two_demos_in_one_directory_do_not_disturb_each_other(bare: Place) -> None:
    place = bare.directory / "demo"
    process = bare.start("demo", "--records", "20000", "--directory", place)
    while not (place / "postgres").exists():
        assert process.poll() is None
        time.sleep(0.05)
    second = bare("demo", *FEW, "--directory", place)
    assert second.code == ExitCode.CONFLICT
    assert "another demo" in second.error
    process.communicate(timeout=120)
    assert process.returncode == 0


def _servers(place: Path) -> list[str]:
    """Processes of a server whose data lie below the place."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(place) in command and b"postgres" in command:
            found.append(entry.name)
    return found
