"""What a version may hold and what a restore may bring back: all, definitions, records, some tables."""

from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import SMALL, new_place
from tests.cli.running import Place, execute, rows
from tests.servers.postgres import Cluster, Databases

ALL = {"public.log", "public.products", "public.suppliers", "stock.places"}
RECORDS = 40 + 40 + 5 + 7

TABLES = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('public', 'stock')"
INDEXES = "SELECT indexname::text FROM pg_indexes WHERE schemaname IN ('public', 'stock')"
CONSTRAINTS = (
    "SELECT conname::text FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'"
)
TRIGGERS = "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal"

KEYS = {"products_pkey", "suppliers_pkey"}
MADE_WITH_ITS_TABLE = "products_id_check"
"""A check that CREATE TABLE itself names; no restore can be without it."""


@pytest.fixture(scope="module")
def standing(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A repository with one version of the small platform, for tests that take no further one."""
    databases = Databases(cluster)
    try:
        source = databases()
        execute(source, *SMALL)
        place = new_place(tmp_path_factory.mktemp("parts"), databases, source)
        assert place("snapshot").code == 0
        yield place
    finally:
        databases.drop_all()


def names(url: str, query: str) -> set[str]:
    return {str(row[0]) for row in rows(url, query)}


def test_versions_of_every_kind_say_what_they_hold(cas: Place) -> None:
    wanted: list[tuple[list[str], str, set[str], int]] = [
        ([], "full", ALL, RECORDS),
        (["--schema-only"], "schema-only", ALL, 0),
        (["--data-only"], "data-only", ALL, RECORDS),
        (
            ["--table", "products", "--table", "supp*"],
            "selected",
            {"public.products", "public.suppliers"},
            45,
        ),
        (["--exclude", "log"], "selected", ALL - {"public.log"}, RECORDS - 40),
        (["--schema", "stock"], "selected", {"stock.places"}, 7),
        (["--schema", "public", "--exclude", "log"], "selected", ALL - {"public.log", "stock.places"}, 45),
    ]
    for number, (flags, kind, tables, records) in enumerate(wanted, 1):
        assert cas("snapshot", *flags).code == 0
        version = cas("show", str(number), "--json").json
        assert version["kind"] == kind, flags
        assert {entity["label"] for entity in version["entities"]} == tables, flags
        assert version["records"] == records, flags
        asked = [version["included"], version["included_schemas"], version["excluded"]]
        given = [
            [flags[at + 1] for at, flag in enumerate(flags) if flag == name]
            for name in ("--table", "--schema", "--exclude")
        ]
        assert asked == given, "the selection is kept with the version"
    kinds = [version["kind"] for version in cas("versions", "--json").json["versions"]]
    assert kinds == [kind for _, kind, _, _ in reversed(wanted)]


def test_a_version_of_definitions_alone_makes_an_empty_platform(cas: Place, database: Databases) -> None:
    assert cas("snapshot", "--schema-only").code == 0
    target = database()
    assert cas("restore", "1", "--into", target, "--yes").code == 0
    assert names(target, TABLES) == ALL
    assert rows(target, "SELECT count(*) FROM products") == [(0,)]
    execute(target, "INSERT INTO suppliers VALUES (1, 'a')", "INSERT INTO products VALUES (1, 'b', 1)")
    assert rows(target, "SELECT what FROM log") == [("b",)], "the trigger came with the definitions"


def test_a_version_of_records_alone_fills_a_platform_that_is_there(cas: Place, database: Databases) -> None:
    assert cas("snapshot", "--schema-only").code == 0
    assert cas("snapshot", "--data-only").code == 0
    target = database()
    assert cas("restore", "1", "--into", target, "--yes").code == 0
    filled = cas("restore", "2", "--into", target, "--yes", "--data-only", "--json")
    assert filled.code == 0, filled
    assert filled.json["verified"] is True
    assert rows(target, "SELECT count(*) FROM log") == [(40,)], "the trigger did not fire again"


@pytest.mark.parametrize(
    ("flags", "tables", "indexes", "constraints", "triggers"),
    [
        ([], ALL, {"products_by_name"} | KEYS, KEYS | {"products_supplier_fkey"}, {"noted"}),
        (["--no-indexes"], ALL, KEYS, KEYS | {"products_supplier_fkey"}, {"noted"}),
        (["--no-constraints"], ALL, {"products_by_name"}, set(), {"noted"}),
        (["--no-triggers"], ALL, {"products_by_name"} | KEYS, KEYS | {"products_supplier_fkey"}, set()),
        (["--table", "products"], {"public.products"}, {"products_by_name", "products_pkey"},
         {"products_pkey"}, {"noted"}),
        (["--exclude", "products", "--exclude", "log"], {"public.suppliers", "stock.places"},
         {"suppliers_pkey"}, {"suppliers_pkey"}, set()),
        (["--schema-only"], ALL, {"products_by_name"} | KEYS, KEYS | {"products_supplier_fkey"}, {"noted"}),
    ],
    ids=lambda value: " ".join(value) or "everything" if isinstance(value, list) else "",
)  # fmt: skip
def test_a_restore_brings_back_the_parts_that_are_wanted(
    standing: Place,
    database: Databases,
    flags: list[str],
    tables: set[str],
    indexes: set[str],
    constraints: set[str],
    triggers: set[str],
) -> None:
    target = database()
    done = standing("restore", "1", "--into", target, "--yes", *flags, "--json")
    assert done.code == 0, done
    assert names(target, TABLES) == tables
    assert names(target, INDEXES) - {"places_pkey"} == indexes
    assert names(target, CONSTRAINTS) - {MADE_WITH_ITS_TABLE} == constraints
    assert names(target, TRIGGERS) == triggers
    counts = [rows(target, f"SELECT count(*) FROM {table}")[0][0] for table in tables]
    assert sum(counts) == done.json["records"] == (0 if "--schema-only" in flags else sum(counts))
    assert done.json["verified"] is ("--schema-only" not in flags)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(standing: Place, database: Databases) -> None:
    target = database()
    preview = standing.process("restore", "1", "--into", target, "--dry-run", "--json")
    assert preview.code == 0
    assert preview.json["records"] == RECORDS
    assert names(target, TABLES) == set()


def test_the_source_is_not_touched_by_a_restore_beside_it(standing: Place, database: Databases) -> None:
    """Into another database, named by its URL; and never into one that holds something."""
    source = standing.environment["CAS_SOURCE"]
    before = rows(source, "SELECT * FROM products ORDER BY id")
    assert standing("restore", "1", "--into", database(), "--yes").code == 0
    refused = standing("restore", "1", "--into", source, "--yes", "--json")
    assert refused.json["error"]["code"] == "CONFLICT"
    assert rows(source, "SELECT * FROM products ORDER BY id") == before
