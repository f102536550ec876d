"""`cas capture`, as a person types it."""

from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute, rows


def test_install_status_and_remove(cas: Place, shop: str) -> None:
    ran = cas("capture", "install", "--yes")
    assert ran.code == ExitCode.OK, ran
    assert "Capture is installed for 3 tables" in ran.out
    assert "it has no primary key" in ran.out
    states = {one["name"]: one for one in cas("capture", "status", "--json").json["tables"]}
    assert {name: one["state"] for name, one in states.items()} == {
        "events": "absent",
        "prices": "captured",
        "products": "captured",
        "suppliers": "captured",
    }
    execute(shop, "UPDATE products SET price = 1 WHERE id < 4")
    assert "3 of 4 tables captured" in cas("capture", "status").out
    assert rows(shop, "SELECT count(*)::int FROM pg_trigger WHERE tgname LIKE 'cas_capture%'") == [(12,)]
    ran = cas("capture", "remove", "--yes", "--json")
    assert ran.code == ExitCode.OK, ran
    assert {one["outcome"] for one in ran.json["tables"]} == {"removed"}
    assert rows(
        shop, "SELECT to_regnamespace('cas_capture'), count(*)::int FROM pg_trigger WHERE tgname ~ 'cas'"
    ) == [(None, 0)]


def test_one_entity(cas: Place) -> None:
    ran = cas("capture", "install", "--entity", "products", "--yes", "--json")
    assert [one["name"] for one in ran.json["tables"]] == ["products"]
    assert cas("capture", "remove", "--entity", "prices", "--yes").code == ExitCode.NOT_FOUND
    assert cas("capture", "remove", "--entity", "products", "--yes").code == ExitCode.OK


def test_a_role_that_only_reads_the_platform_uses_the_logs(cas: Place, shop: str, cluster_role: str) -> None:
    """It reads what was noted, and tells up to where; also of tables that are captured later."""
    execute(shop, f"GRANT pg_read_all_data TO {cluster_role}")
    assert cas("capture", "install", "--yes").code == ExitCode.OK
    reader = shop.replace("postgres@", f"{cluster_role}@")

    def taken(warned: str = "") -> dict[str, str]:
        execute(shop, "UPDATE products SET price = price + 1 WHERE id = 3")
        ran = cas("snapshot", "--source", reader, "--json")
        assert ran.code == ExitCode.OK, ran
        assert warned in str(ran.json["warnings"])
        assert bool(ran.json["warnings"]) == bool(warned)
        return {one["label"]: one["read_by"] for one in ran.json["version"]["entities"]}

    taken(warned="cas capture install --reader")
    assert taken(warned="cas capture install --reader")["public.products"] == "xmin"
    ran = cas("capture", "install", "--reader", cluster_role, "--yes")
    assert ran.code == ExitCode.OK, ran
    execute(shop, "CREATE TABLE late (id int PRIMARY KEY)")
    assert cas("capture", "install", "--yes").code == ExitCode.OK
    taken()  # what is granted alters the log, which is believed again after a version
    taken()
    found = taken()
    assert (found["public.products"], found["public.late"]) == ("capture", "capture")
    before = rows(shop, "SELECT count(*)::int FROM cas_capture.positions")
    assert before[0][0] >= 4, "it tells the platform where it is"
    ran = cas("capture", "install", "--reader", "nobody at all", "--yes")
    assert ran.code == ExitCode.NOT_FOUND
    assert "there is no role 'nobody at all'" in ran.err
    assert any("cas_capture" in line for line in cas("doctor", "--json").json["grants"]), (
        "the doctor knows of the logs"
    )


def test_what_is_broken_is_an_exit_code(cas: Place, shop: str) -> None:
    assert cas("capture", "status").code == ExitCode.OK
    cas("capture", "install", "--yes")
    execute(shop, "ALTER TABLE products DISABLE TRIGGER USER")
    ran = cas("capture", "status")
    assert ran.code == ExitCode.NOT_HEALTHY
    assert "a trigger is disabled" in ran.out
    ran = cas("capture", "install", "--yes", "--json")
    assert {one["name"]: one["outcome"] for one in ran.json["tables"]}["products"] == "renewed"
    assert cas("capture", "status").code == ExitCode.OK


def test_the_statements_can_be_seen_first(cas: Place, shop: str) -> None:
    ran = cas("capture", "install", "--print-sql")
    assert ran.code == ExitCode.OK
    assert "CREATE UNLOGGED TABLE" in ran.out
    assert "ENABLE ALWAYS TRIGGER" in ran.out
    assert rows(shop, "SELECT to_regnamespace('cas_capture')") == [(None,)]


def test_nobody_can_be_asked(cas: Place) -> None:
    for words in (["install"], ["remove"]):
        ran = cas("capture", *words)
        assert ran.code == ExitCode.INVALID
        assert "Add --yes" in ran.error


def test_the_platform_is_named(bare: Place) -> None:
    ran = bare("capture", "status")
    assert ran.code == ExitCode.INVALID
    assert "CAS_SOURCE" in ran.error


def test_help_has_examples(bare: Place) -> None:
    for word in ("install", "status", "remove"):
        ran = bare("capture", word, "--help")
        assert ran.code == 0
        assert f"cas capture {word}" in ran.out.split("Examples")[1]
