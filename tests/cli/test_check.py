"""`cas check` finds each flipped byte and says whom it touches; a catalog is rebuilt from the store."""

import json
from pathlib import Path

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute
from tests.servers.postgres import Databases


@pytest.fixture
def twice(cas: Place, shop: str) -> Place:
    """Two versions, with a difference in one table."""
    assert cas("snapshot", "--name", "first", "--tag", "a", "--protect").code == 0
    execute(shop, "UPDATE products SET price = 1 WHERE id < 20")
    assert cas("snapshot", "--reason", "second").code == 0
    return cas


def _packs(place: Place) -> list[Path]:
    return sorted(path for path in (place.store / "packs").rglob("*") if path.is_file())


@pytest.mark.parametrize("level", ["structure", "packs", "bytes"])
def test_a_sound_repository_has_nothing_wrong(twice: Place, level: str) -> None:
    ran = twice("check", "--level", level, "--json")
    assert ran.code == 0
    assert ran.json["versions"] == [1, 2]
    assert ran.json["findings"] == []
    assert ran.json["level"] == level
    assert "Nothing is wrong" in twice("check", "--level", level).out


def test_one_version_is_checked_by_itself(twice: Place) -> None:
    assert twice("check", "latest", "--json").json["versions"] == [2]
    assert twice("check", "7").code == ExitCode.NOT_FOUND


def test_a_flipped_byte_is_told_with_chunk_entity_and_versions(twice: Place) -> None:
    named: set[str] = set()
    for pack in _packs(twice):
        good = pack.read_bytes()
        bad = bytearray(good)
        bad[len(bad) // 3] ^= 1
        pack.write_bytes(bad)
        ran = twice("check", "--level", "bytes", "--json")
        assert ran.code == ExitCode.CORRUPT
        found = ran.json["findings"]
        assert [one["object"] for one in found if pack.name in one["object"]], "the object is named"
        for one in found:
            named.update(one["entities"])
            assert one["versions"], "and the versions that it touches"
        told = twice("check", "--level", "bytes")
        assert told.code == ExitCode.CORRUPT
        assert "wrong" in told.out
        assert pack.name in told.out
        pack.write_bytes(good)
    assert "public.products" in named
    assert twice("check", "--level", "bytes").code == 0


def test_a_missing_pack_is_told_with_what_is_lost(twice: Place, database: Databases) -> None:
    for pack in _packs(twice):
        pack.unlink()
    ran = twice("check")
    assert ran.code == ExitCode.CORRUPT
    for words in ("missing", "versions", "1, 2", "cannot be brought back in full"):
        assert words in ran.out
    refused = twice("restore", "1", "--into", database(), "--yes", CAS_HOME=str(twice.directory / "cold"))
    assert refused.code == ExitCode.CORRUPT


def test_a_lost_document_is_noticed_because_the_catalog_lists_it(twice: Place) -> None:
    (twice.store / "versions" / "0000000001").unlink()
    ran = twice("check")
    assert ran.code == ExitCode.CORRUPT
    assert "versions/0000000001" in ran.out


def test_a_store_is_checked_without_its_catalog_too(twice: Place, database: Databases) -> None:
    ran = twice("check", CAS_CATALOG=database())
    assert ran.code == 0
    assert "Nothing is wrong" in ran.out
    assert "warning" in ran.err


def test_a_lost_catalog_is_rebuilt_from_the_store_alone(twice: Place, database: Databases) -> None:
    before = twice("versions", "--json").json["versions"]
    other = {"CAS_CATALOG": database(), "CAS_HOME": str(twice.directory / "another-machine")}
    assert twice("versions", **other).code == ExitCode.NOT_FOUND
    rebuilt = twice("catalog", "rebuild", "--json", **other)
    assert rebuilt.code == 0
    assert rebuilt.json["adopted"] == [1, 2]
    after = twice("versions", "--json", **other).json["versions"]
    facts = (
        "number",
        "name",
        "reason",
        "tags",
        "protected",
        "checksum",
        "records",
        "added_bytes",
        "created_at",
    )
    assert [[one[fact] for fact in facts] for one in after] == [
        [one[fact] for fact in facts] for one in before
    ]
    assert twice("snapshot", **other).code == 0, "and versions can be taken again"
    assert "0 versions taken in" in twice("catalog", "rebuild", **other).out


def test_a_damaged_version_is_not_taken_in_and_said_so(twice: Place, database: Databases) -> None:
    document = twice.store / "versions" / "0000000002"
    content = bytearray(document.read_bytes())
    content[50] ^= 1
    document.write_bytes(content)
    ran = twice("catalog", "rebuild", CAS_CATALOG=(catalog := database()))
    assert ran.code == ExitCode.CORRUPT
    assert "version 2 was not taken in" in ran.out
    listed = twice("versions", "--json", CAS_CATALOG=catalog).json["versions"]
    assert [(one["number"], one["state"]) for one in listed] == [(2, "failed"), (1, "complete")]


def test_progress_of_a_check_is_told(twice: Place) -> None:
    ran = twice("check", "--level", "bytes", "--json")
    phases = [json.loads(line)["progress"]["phase"] for line in ran.err.splitlines()]
    assert phases
