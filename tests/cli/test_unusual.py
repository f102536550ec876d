"""Counts of changes, and what is unusual among them, from the platform to the screen."""

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import Place, Ran, execute, rows
from tests.cli.test_terminal import Screen

DAYS = 20
FEW = 7


def day(cas: Place, url: str, number: int, *options: str) -> Ran:
    """A calm day: some prices, one product more, one less, an event."""
    execute(
        url,
        f"UPDATE products SET price = price + 1 WHERE id % 40 = {number}",
        f"INSERT INTO products (id, name) VALUES ({1000 + number}, 'new')",
        f"DELETE FROM products WHERE id = {number}",
        "INSERT INTO events VALUES ('seen')",
    )
    ran = cas("snapshot", "--reason", f"night {number}", *options)
    assert ran.code == ExitCode.OK, ran
    return ran


def live(cas: Place, url: str, days: int, *options: str) -> Place:
    """A first version, and so many of calm days."""
    assert cas("snapshot", *options).code == ExitCode.OK
    for number in range(1, days + 1):
        assert "unusual" not in day(cas, url, number, *options).out
    return cas


@pytest.fixture
def calm(cas: Place, shop: str) -> Place:
    """As few calm days as tell what is usual."""
    return live(cas, shop, FEW, "--data-only")


def test_a_mass_deletion_is_marked_and_calm_days_are_not(cas: Place, shop: str) -> None:
    calm = live(cas, shop, DAYS)
    assert calm("versions", "--unusual", "--json").json["versions"] == []
    execute(shop, "DELETE FROM products WHERE id BETWEEN 100 AND 190")
    told = calm("snapshot", "--reason", "by accident")
    assert told.code == ExitCode.OK
    why = "91 of 200 public.products deleted; usually at most 1"
    assert f"unusual: {why}" in told.out
    assert f"since version {DAYS + 1}: 0 inserted, 0 updated, 91 deleted" in told.out
    day(calm, shop, DAYS + 1)

    (marked,) = calm("versions", "--unusual", "--json").json["versions"]
    assert (marked["number"], marked["reason"]) == (DAYS + 2, "by accident")
    expected = {
        "label": "public.products",
        "kind": "deleted",
        "count": 91,
        "of": 200,
        "usual": 1,
        "why": why,
    }
    assert marked["anomalies"] == [expected]
    shown = calm("show", str(DAYS + 2), "--json").json
    assert shown["anomalies"] == [expected]
    products = next(one for one in shown["entities"] if one["label"] == "public.products")
    assert [products[name] for name in ("inserted", "updated", "deleted")] == [0, 0, 91]
    assert products["compared_with"] == DAYS + 1
    assert (products["read_by"], products["records"]) == ("xmin", 109)

    lines = calm("versions").out.splitlines()
    marks = [line for line in lines if " ! " in line]
    assert len(marks) == 1
    assert marks[0].split()[0] == str(DAYS + 2)
    assert sum("unusual:" in line for line in lines) == 1
    listed = calm("versions", "--unusual", "--limit", "1").out
    assert why in listed
    assert "night" not in listed


def test_what_changed_is_shown_per_entity(calm: Place, shop: str) -> None:
    calm_day = calm("show", "latest").out
    assert f"changed since version {FEW}" in calm_day
    (products,) = [
        line for line in calm_day.split("changed since")[1].splitlines() if "public.products" in line
    ]
    assert products.split()[1:] == ["1", "4", "1", "200"]
    assert "unchanged  3 entities" in calm_day
    assert "!" not in calm_day
    assert "first seen  all entities" in calm("show", "1").out

    execute(shop, "DELETE FROM products WHERE id > 30", "DROP TABLE prices", "CREATE TABLE more (id int)")
    assert calm("snapshot").code == ExitCode.OK
    told = calm("show", "latest").out
    assert "177 !" in told
    assert "first seen  public.more" in told
    assert "! 177 of 200 public.products deleted; usually at most 1" in told
    assert "! public.prices is gone with its 2 records; at least 7 versions had it" in told
    assert calm("snapshot").code == ExitCode.OK
    assert "unchanged  5 entities since version" in calm("show", "latest").out


def test_limits_are_set_and_all_is_switched_off(cas: Place, shop: str) -> None:
    for _ in range(2):
        assert cas("snapshot").code == ExitCode.OK
    execute(shop, "UPDATE products SET price = 0 WHERE id <= 30")
    settings = cas.directory / "cas.toml"
    settings.write_text("unusual_records = 29\nunusual_percent = 10\n")
    told = cas("snapshot").out
    assert "unusual: 30 of 200 public.products updated; the limit is 29; the limit is 10 %" in told
    execute(shop, "UPDATE products SET price = 1 WHERE id <= 30")
    assert "unusual:" not in cas("snapshot", CAS_UNUSUAL="false").out
    execute(shop, "UPDATE products SET price = 2 WHERE id <= 30")
    assert "the limit is 10 %" in cas("snapshot", CAS_UNUSUAL_RECORDS="0").out
    numbers = [one["number"] for one in cas("versions", "--unusual", "--json").json["versions"]]
    assert numbers == [5, 3]
    for name, wrong in (("UNUSUAL_RECORDS", "-1"), ("UNUSUAL_PERCENT", "x"), ("UNUSUAL_WINDOW", "1001")):
        refused = cas("snapshot", **{f"CAS_{name}": wrong})
        assert refused.code == ExitCode.INVALID
        assert f"CAS_{name}" in refused.error


def test_without_a_window_only_limits_count(calm: Place, shop: str) -> None:
    execute(shop, "DELETE FROM products WHERE id BETWEEN 100 AND 190")
    assert "unusual:" not in calm("snapshot", CAS_UNUSUAL_WINDOW="0").out


def test_a_watcher_says_what_is_unusual(calm: Place, shop: str) -> None:
    assert calm("auto-save", "on").code == ExitCode.OK
    execute(shop, "DELETE FROM products WHERE id BETWEEN 100 AND 190")
    ran = calm("watch", "--once")
    assert ran.code == ExitCode.OK, ran
    assert "unusual: 91 of 200 public.products deleted; usually at most 1" in ran.err
    (version,) = calm("versions", "--unusual", "--json").json["versions"]
    assert version["trigger"] == "AUTO"


def test_a_safety_version_counts_what_happened_since_the_version_that_comes_back(
    calm: Place, shop: str
) -> None:
    execute(
        shop,
        "DELETE FROM products WHERE id BETWEEN 100 AND 104",
        "UPDATE products SET name = 'x' WHERE id IN (110, 111)",
        "DELETE FROM events WHERE what = 'bought'",
        "INSERT INTO events VALUES ('new'), ('new')",
    )
    restored = calm("restore", "latest", "--table", "products", "--table", "events", "--yes", "--json")
    assert restored.code == ExitCode.OK, restored
    shown = calm("show", str(FEW + 2), "--json").json
    assert shown["trigger"] == "SYSTEM"
    counts = {
        one["label"]: (one["inserted"], one["updated"], one["deleted"], one["compared_with"])
        for one in shown["entities"]
        if one["label"].startswith("public.")
    }
    assert counts == {
        "public.products": (0, 2, 5, FEW + 1),
        "public.events": (2, 0, 1, FEW + 1),
    }
    assert shown["anomalies"] == []
    assert rows(shop, "SELECT count(*)::int FROM products") == [(200,)]


WIDER = [pytest.param(width, marks=pytest.mark.thorough) for width in (120,)]


@pytest.mark.parametrize("width", [80, *WIDER])
def test_no_line_is_wider_than_the_terminal(calm: Place, shop: str, width: int) -> None:
    execute(
        shop,
        "DELETE FROM products WHERE id BETWEEN 100 AND 190",
        f"CREATE TABLE {'a_long_name_' * 5} (id int)",
        f"ALTER TABLE prices RENAME TO {'quite_another_name_' * 3}",
    )
    told = Screen(calm, "snapshot", width=width)
    assert told.end() == ExitCode.OK
    for arguments in (["versions"], ["versions", "--unusual"], ["show", "latest"], ["show", "1"]):
        screen = Screen(calm, *arguments, width=width)
        assert screen.end() == ExitCode.OK, screen.text
        assert max(map(len, screen.lines)) <= width, screen.text
        assert arguments[0] != "versions" or "complete !" in "\n".join(screen.lines)
