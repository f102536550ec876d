"""A first try from end to end, and where to look when something does not work."""

from typing import Any

from tests.cli.running import Place, Ran
from tests.servers.postgres import Databases


def found(ran: Ran) -> dict[tuple[str, str], dict[str, Any]]:
    return {(one["group"], one["name"]): one for one in ran.json["observations"]}


def test_the_doctor_looks_at_database_disk_directory_and_repository(cas: Place) -> None:
    assert cas("snapshot").code == 0
    ran = cas.process("doctor", "--json")
    assert ran.code == 0, ran
    looked = found(ran)
    for place in (
        ("machine", "CAS_HOME"),
        ("machine", "temporary files"),
        ("store", "room"),
        ("store", "reads"),
        ("store", "create-only"),
        ("store", "repository"),
        ("catalog", "reachable"),
        ("catalog", "newest version"),
        ("source", "reachable"),
        ("source", "rights"),
        ("source", "pg_dump"),
    ):
        assert looked[place]["health"] in ("ok", "warn"), looked[place]
    assert "version 1" in looked["catalog", "newest version"]["found"]
    assert any("GRANT" in statement for statement in ran.json["grants"])


def test_the_first_steps_work_in_their_order(cas: Place, database: Databases) -> None:
    """Take one, see it, check it, look at what a restore would do, and do it."""
    assert cas("snapshot", "--reason", "a first try").code == 0
    assert "a first try" in cas("versions").out
    assert "Nothing is wrong" in cas("check", "1", "--level", "bytes").out
    target = database()
    assert "would be restored" in cas("restore", "1", "--into", target, "--dry-run").out
    assert cas("restore", "1", "--into", target, "--yes").code == 0
