"""`cas repair`, as a person types it: from a replica, from the platform, and where nobody has it."""

import shutil

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute, packs, rows
from tests.servers.postgres import Databases


@pytest.fixture
def twice(cas: Place, shop: str) -> Place:
    """Two versions; the second one has other prices."""
    assert cas("snapshot").code == 0
    execute(shop, "UPDATE products SET price = price + 1 WHERE id < 150")
    assert cas("snapshot").code == 0
    return cas


def with_replica(place: Place) -> Place:
    assert place("replica", "add", "offsite", place.directory / "offsite").code == 0
    assert place("replicate").code == 0
    return place


def test_nothing_to_do_is_said(twice: Place) -> None:
    ran = twice("repair")
    assert ran.code == ExitCode.OK, ran
    assert "Nothing is missing or damaged" in ran.out
    assert twice("repair", "--json").json["plan"] == {"wanted": [], "versions": []}


def test_a_replica_gives_back_all_that_it_has(twice: Place, database: Databases) -> None:
    with_replica(twice)
    one, other, *_ = packs(twice)
    whole = one.read_bytes(), other.read_bytes()
    bad = bytearray(whole[0])
    bad[len(bad) // 3] ^= 1
    one.write_bytes(bad)
    other.unlink()
    (twice.store / "versions" / "0000000001").unlink()
    assert twice("check", "--level", "bytes").code == ExitCode.CORRUPT
    planned = twice("repair", "--dry-run")
    assert planned.code == ExitCode.CORRUPT
    assert "3 objects are missing or damaged" in planned.out
    assert "offsite" in planned.out
    assert one.read_bytes() == bytes(bad)
    ran = twice("repair", "--json")
    assert ran.code == ExitCode.OK, ran
    assert {brought["holder"] for brought in ran.json["brought"]} == {"offsite"}
    assert (one.read_bytes(), other.read_bytes()) == whole
    assert ran.json["whole"] == [1, 2]
    listed = twice("versions", "--json").json["versions"]
    assert [version["check"]["state"] for version in listed] == ["valid", "valid"]
    assert twice("check", "--level", "bytes").code == ExitCode.OK
    assert twice("restore", "1", "--into", database(), "--yes").code == ExitCode.OK


def test_a_place_is_named_by_its_url_and_a_lost_config_comes_from_there(twice: Place) -> None:
    copy = twice.directory / "copy"
    shutil.copytree(twice.store, copy)
    (twice.store / "config").unlink()
    packs(twice)[0].unlink()
    assert twice("repair").code == ExitCode.NOT_FOUND
    ran = twice("repair", "--from", copy)
    assert ran.code == ExitCode.OK, ran
    assert "The config is back" in ran.err
    assert twice("check", "--level", "bytes").code == ExitCode.OK
    assert twice("repair", "--from", "nowhere").code == ExitCode.NOT_FOUND


def test_the_platform_gives_back_what_it_still_has(twice: Place, shop: str) -> None:
    for pack in packs(twice):
        whole = pack.read_bytes()
        pack.unlink()
        ran = twice("repair", "--from-live", "--json")
        if "live" in ran.json["chunks"]:
            break
        pack.write_bytes(whole)
        twice("check", "--level", "bytes")
    else:
        pytest.fail("a pack holds what the platform has")
    lost = {one["version"] for one in ran.json["lost"]}
    assert 2 not in lost or ran.json["lost"][0]["what"]


def test_where_nobody_has_it_the_records_are_named_and_all_else_is_kept(
    twice: Place, shop: str, database: Databases
) -> None:
    """From the loss to a clean check, by the commands that the report names."""
    names = {path: path.read_bytes() for path in packs(twice)}
    for pack, whole in names.items():
        pack.unlink()
        ran = twice("repair", "--json")
        assert ran.code in (ExitCode.OK, ExitCode.CORRUPT)
        entities = [one for loss in ran.json["lost"] if not loss["what"] for one in loss["entities"]]
        if any(one["label"] == "public.products" and one["keys"] for one in entities):
            break
        pack.write_bytes(whole)
        twice("repair", "--from", twice.directory)  # nothing there: what was put back is looked at
    else:
        pytest.fail("a pack holds records of products")
    number = max(loss["version"] for loss in ran.json["lost"])
    told = twice("repair")
    assert told.code == ExitCode.CORRUPT
    assert "public.products" in told.out
    assert f"cas repair --rest-of {number}" in told.out
    rest = twice("repair", "--rest-of", str(number), "--json")
    assert rest.code == ExitCode.INCOMPLETE, rest
    taken = rest.json["version"]["number"]
    where = database()
    refused = twice("restore", str(taken), "--into", where, "--yes")
    assert refused.code == ExitCode.CONFLICT
    done = twice("restore", str(taken), "--into", where, "--yes", "--allow-incomplete", "--no-constraints")
    assert done.code == ExitCode.OK, done
    (count,) = rows(where, "SELECT count(*) FROM products")[0]
    losses = sum(one["records"] for one in rest.json["loss"]["entities"] if one["label"] == "public.products")
    assert count == 200 - losses
    assert twice("snapshot").code == ExitCode.OK
    for loss in ran.json["lost"]:
        assert twice("delete", str(loss["version"]), "--yes").code == ExitCode.OK
    assert twice("check", "--level", "bytes").code == ExitCode.OK
