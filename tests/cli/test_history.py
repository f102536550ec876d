"""The history of a record, for people and for programs."""

import pytest

from cas.format.names import pack_key
from cas.store.local import LocalStore
from cli.exit_codes import ExitCode
from tests.cli.running import Place, Ran, execute, rows


@pytest.fixture
def lived(cas: Place, shop: str) -> Place:
    """Seven versions: product 7 is there, dearer twice, untouched, gone, back, and has a column more."""
    taken = [
        ("first", ""),
        ("spring prices", "UPDATE products SET price = 8 WHERE id = 7"),
        ("summer prices", "UPDATE products SET price = price + 1 WHERE id < 9"),
        ("nothing", "UPDATE suppliers SET name = 'other' WHERE id = 1"),
        ("cleaned up", "DELETE FROM products WHERE id = 7"),
        (
            "brought back",
            'INSERT INTO products VALUES (7, \'product 7\', 9.00, \'{"size": 7, "colour": "blue"}\', 3)',
        ),
        ("a new column", "ALTER TABLE products ADD note text"),
    ]
    for reason, statement in taken:
        if statement:
            execute(shop, statement)
        assert cas("snapshot", "--reason", reason).code == 0
    return cas


def test_each_state_of_a_record_is_told_newest_first(lived: Place) -> None:
    found = lived("history", "products", "7", "--json").json
    assert (found["entity"], found["key"], found["versions"]) == ("public.products", ["7"], 7)
    states = found["states"]
    assert [(one["version"], one["last_version"], one["kind"], one["versions"]) for one in states] == [
        (7, 7, "changed", 1),
        (6, 6, "came-back", 1),
        (5, 5, "deleted", 1),
        (3, 4, "changed", 2),
        (2, 2, "changed", 1),
        (1, 1, "created", 1),
    ]
    assert [one["reason"] for one in states][2:4] == ["cleaned up", "summer prices"]
    assert {one["trigger"] for one in states} == {"MANUAL"}
    assert states[0]["columns_changed"] == ["note"]
    assert states[1]["same_as"] == 3
    assert states[3]["fields"] == [{"column": "price", "old": "8.00", "new": "9.00"}]
    assert {field["column"]: field["new"] for field in states[5]["fields"]}["name"] == "product 7"
    assert states[5]["is_oldest"] is True
    assert (found["not_held"], found["other_key"], found["unreadable"]) == ([], [], [])


def test_a_person_reads_it_in_words(lived: Place) -> None:
    told = lived("history", "products", "7").out
    for words in (
        "public.products 7  6 states in 7 versions",
        "~ changed    7 ",
        "the entity's columns changed: note",
        "+ came back  6 ",
        "as it was in version 3",
        "- deleted    5 ",
        "~ changed    3-4 ",
        "8.00 → 9.00",
        "+ created    1 ",
        "or earlier",
        "spring prices",
        "product 7",
    ):
        assert words in told, words
    assert "nothing" not in told


def test_values_are_shortened_unless_all_is_wanted(cas: Place, shop: str) -> None:
    execute(shop, "UPDATE products SET name = repeat('x', 500) WHERE id = 7")
    assert cas("snapshot").code == 0
    execute(shop, "UPDATE products SET name = repeat('x', 499) || 'y' WHERE id = 7")
    assert cas("snapshot").code == 0
    short = cas("history", "products", "7").out
    assert "…" in short
    assert "y" in short.split("→")[1], "the difference is shown"
    assert "x" * 200 not in short
    whole = "".join(cas("history", "products", "7", "--full").out.split())
    assert "x" * 499 + "y" in whole


def test_the_newest_states_or_those_of_a_time(lived: Place) -> None:
    limited = lived("history", "products", "7", "--limit", "2")
    assert limited.code == 0
    assert "and 4 older states" in limited.out
    assert "summer prices" not in limited.out

    def versions(*options: str) -> list[int]:
        found = lived("history", "products", "7", *options, "--json").json
        return [one["version"] for one in found["states"]]

    assert versions("--limit", "1") == [7]
    assert versions("--since", "1h") == [7, 6, 5, 3, 2, 1]
    third = lived("show", "3", "--json").json["created_at"]
    assert versions("--since", third) == [7, 6, 5, 3]
    assert versions("--until", third) == [2, 1]
    fourth, fifth = (lived("show", number, "--json").json["created_at"] for number in ("4", "5"))
    nothing = lived("history", "products", "7", "--since", fourth, "--until", fifth)
    assert nothing.code == 0
    assert "No state of the record began" in nothing.out


def test_versions_that_say_nothing_are_named(cas: Place) -> None:
    for flags in ([], ["--schema-only"], ["--table", "suppliers"], ["--table", "events"], []):
        assert cas("snapshot", *flags).code == 0
    ran = cas("history", "products", "7")
    assert ran.code == 0
    assert "3 versions without the records of this entity: 2-4" in ran.out
    assert cas("history", "products", "7", "--json").json["not_held"] == [2, 3, 4]


def test_keys_of_several_columns_and_keys_with_a_minus(cas: Place, shop: str) -> None:
    execute(shop, "INSERT INTO suppliers VALUES (-5, 'before the first')")
    assert cas("snapshot").code == 0
    assert "1.5" in cas("history", "public.prices", "EUR", "2026-03-01").out
    assert "before the first" in cas("history", "suppliers", "--", "-5").out


def test_what_is_not_there_is_one_line(lived: Place) -> None:
    def refused(*arguments: str) -> Ran:
        ran = lived("history", *arguments)
        assert ran.code == ExitCode.NOT_FOUND, ran
        return ran

    assert "no record 4711 in public.products" in refused("products", "4711").error
    assert "no version holds an entity productz" in refused("productz", "7").error


def test_damage_is_said_and_is_no_success(lived: Place) -> None:
    store = LocalStore(lived.store)
    (pack,) = rows(
        lived.environment["CAS_CATALOG"],
        "SELECT p.name FROM cas.packs p JOIN cas.sessions s ON s.id = p.owner"
        " WHERE s.number = 2 AND NOT p.holds_nodes",
    )
    store.delete(pack_key(pack[0]))
    ran = lived("history", "products", "7")
    assert ran.code == ExitCode.CORRUPT
    assert "spring prices" in ran.out
    assert "chunk" in ran.out
    found = lived("history", "products", "7", "--json")
    assert found.code == ExitCode.CORRUPT
    assert [one["version"] for one in found.json["states"] if one["damage"]] == [3, 2]
