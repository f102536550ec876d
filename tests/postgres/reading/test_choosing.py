"""What belongs to a version: which tables are entities, which are left out and why, which are selected."""

import psycopg
import pytest

from cas.errors import InvalidInput
from cas.records.model import EntityKind
from cas.records.source import Selection
from tests.postgres.reading.platform import entity_of, read, run, source
from tests.servers.postgres import Cluster, Databases

SCHEMA = (
    "CREATE SCHEMA shop",
    "CREATE SCHEMA log",
    "CREATE TABLE shop.products (id serial PRIMARY KEY, v text)",
    "CREATE TABLE shop.prices (id int PRIMARY KEY)",
    'CREATE TABLE shop."price.list" (id int PRIMARY KEY)',
    "CREATE TABLE log.events (id int DEFAULT nextval('shop.products_id_seq'), v text)",
    "CREATE TABLE log.products (id int PRIMARY KEY)",
    "CREATE SEQUENCE log.free",
    "CREATE SEQUENCE log.owned OWNED BY log.events.v",
    "SELECT lo_create(1)",
)


@pytest.fixture(scope="module")
def shop(_torture_databases: Databases) -> str:
    url = _torture_databases()
    run(url, *SCHEMA)
    return url


@pytest.mark.parametrize(
    ("selection", "tables", "sequences", "large_objects"),
    [
        (Selection(), "log.events log.products shop.price.list shop.prices shop.products", 3, True),
        (Selection(schemas=("log",)), "log.events log.products", 3, False),
        (Selection(tables=("products",)), "log.products shop.products", 1, False),
        (Selection(tables=("shop.products",)), "shop.products", 1, False),
        (Selection(tables=("log.products", "shop.prices")), "log.products shop.prices", 0, False),
        (Selection(tables=("price.list",)), "shop.price.list", 0, False),
        (Selection(tables=("price*",)), "shop.price.list shop.prices", 0, False),
        (Selection(schemas=("shop",), tables=("*product*",)), "shop.products", 1, False),
        (Selection(tables=("shop.*",), exclude=("prices",)), "shop.price.list shop.products", 1, False),
        (Selection(exclude=("log.*",)), "shop.price.list shop.prices shop.products", 2, True),
        (
            Selection(exclude=("shop.products",)),
            "log.events log.products shop.price.list shop.prices",
            3,
            True,
        ),
    ],
)
def test_a_selection_means_these_tables_sequences_and_large_objects(
    shop: str, selection: Selection, tables: str, sequences: int, large_objects: bool
) -> None:
    with source(shop).snapshot(selection) as snapshot:
        labels = [e.label for e in snapshot.entities if e.kind is EntityKind.TABLE]
        assert labels == tables.split()
        others = {e.kind: e for e in snapshot.entities if e.kind is not EntityKind.TABLE}
        found = (
            read(snapshot, others[EntityKind.SEQUENCES]).payloads if EntityKind.SEQUENCES in others else []
        )
        assert len(found) == sequences
        assert (EntityKind.LARGE_OBJECTS in others) == large_objects
        snapshot.finish()


@pytest.mark.parametrize(
    "selection",
    [
        Selection(tables=("shop.nothing",)),
        Selection(tables=("products", "typo*")),
        Selection(exclude=("nope",)),
        Selection(schemas=("nowhere",)),
        Selection(tables=("PRODUCTS",)),
        Selection(tables=("produc?s",)),
        Selection(tables=("",)),
    ],
)
def test_a_pattern_that_matches_nothing_is_an_error(shop: str, selection: Selection) -> None:
    with pytest.raises(InvalidInput), source(shop).snapshot(selection):
        pass


def test_inheritance_children_are_read_by_themselves(torture: str) -> None:
    with source(torture).snapshot(Selection(tables=("torture.parent", "*child"))) as snapshot:
        payloads = {e.name: read(snapshot, e).payloads for e in snapshot.entities}
    assert payloads == {
        "parent": [b"1\tparent", b"2\tparent"],
        "child": [b"2\tparent\t1", b"2\tparent\t1"],
        "grandchild": [b"1\tgrandchild\t3\t4"],
    }


def test_partitions_are_read_through_their_root_only(torture: str) -> None:
    with source(torture).snapshot(Selection(schemas=("torture", "schéma ☃"))) as snapshot:
        by_range = entity_of(snapshot, "torture.by_range")
        assert by_range.kind is EntityKind.PARTITIONED
        assert [c.name for c in by_range.columns] == ["day", "id", "v"]
        assert len(read(snapshot, by_range).payloads) == 153
        assert not any(e.name.startswith("by_range_") for e in snapshot.entities)
        empty = entity_of(snapshot, "torture.without_partitions")
        assert read(snapshot, empty).payloads == []
        assert snapshot.estimate(empty).records == 0
        assert snapshot.estimate(by_range).bytes > 0
        assert snapshot.estimate(entity_of(snapshot, "torture.many_rows")).records == 5000


def test_a_table_without_a_primary_key_is_a_bag(torture: str) -> None:
    with source(torture).snapshot(Selection(tables=("torture.no_key",))) as snapshot:
        entity = entity_of(snapshot, "torture.no_key")
        assert entity.is_bag
        assert read(snapshot, entity).keys == []


def test_an_unlogged_table_is_read(torture: str) -> None:
    with source(torture).snapshot(Selection(tables=("torture.unlogged",))) as snapshot:
        assert read(snapshot, snapshot.entities[0]).payloads == [b"1\tnot in the WAL"]


def test_foreign_and_temporary_tables_are_left_out_by_name(torture: str) -> None:
    with psycopg.connect(torture) as other:
        other.execute("CREATE TEMPORARY TABLE of_a_session (id int)")
        other.commit()
        with source(torture).snapshot(Selection()) as snapshot:
            reasons = {omission.name.split(".")[-1]: omission for omission in snapshot.omissions}
    assert "foreign table" in reasons["elsewhere"].reason
    assert "temporary table" in reasons["of_a_session"].reason
    assert not any(omission.is_failure for omission in reasons.values())


def test_a_foreign_partition_is_left_out_and_its_siblings_are_read_as_tables(
    each_cluster: Cluster, database: Databases
) -> None:
    """Rule 10: reading the root would also ask the other server, outside of our snapshot."""
    url = database(each_cluster)
    run(
        url,
        "CREATE FOREIGN DATA WRAPPER w",
        "CREATE SERVER s FOREIGN DATA WRAPPER w",
        "CREATE TABLE root (id int, v int) PARTITION BY LIST (v)",
        "CREATE TABLE near PARTITION OF root FOR VALUES IN (1)",
        "CREATE TABLE middle PARTITION OF root FOR VALUES IN (3, 4) PARTITION BY LIST (v)",
        "CREATE TABLE deep PARTITION OF middle FOR VALUES IN (3)",
        "CREATE FOREIGN TABLE far PARTITION OF root FOR VALUES IN (2) SERVER s",
        "INSERT INTO root VALUES (10, 1), (11, 3)",
        "CREATE TABLE whole (id int, v int) PARTITION BY LIST (v)",
        "CREATE TABLE part PARTITION OF whole FOR VALUES IN (1)",
    )
    with source(url).snapshot(Selection()) as snapshot:
        payloads = {e.name: read(snapshot, e).payloads for e in snapshot.entities}
        assert payloads == {"near": [b"10\t1"], "deep": [b"11\t3"], "whole": []}
        (omission,) = snapshot.omissions
        assert omission.name == "public.far"
        tables = {item.name for item in snapshot.schema_items() if item.type.endswith("TABLE")}
        assert {"root", "near", "middle", "deep", "far"} <= tables
        snapshot.finish()


def test_configuration_tables_of_extensions_are_read_as_far_as_they_are_the_users(
    each_cluster: Cluster, database: Databases
) -> None:
    """Rule 37. No extension at hand has such a table, so plpgsql is told that it has two."""
    url = database(each_cluster)
    run(
        url,
        "CREATE TABLE config (id int PRIMARY KEY, builtin bool)",
        "CREATE TABLE config_all (id int)",
        "CREATE TABLE internals (id int)",
        "CREATE SEQUENCE config_seq",
        "CREATE SEQUENCE internal_seq",
        "INSERT INTO config VALUES (1, true), (2, false), (3, true), (4, NULL)",
        "INSERT INTO config_all VALUES (7)",
        "INSERT INTO internals VALUES (8)",
        *(f"ALTER EXTENSION plpgsql ADD TABLE {name}" for name in ("config", "config_all", "internals")),
        *(f"ALTER EXTENSION plpgsql ADD SEQUENCE {name}" for name in ("config_seq", "internal_seq")),
        """UPDATE pg_extension SET extconfig = ARRAY['config'::regclass, 'config_all'::regclass,
           'config_seq'::regclass]::oid[], extcondition = ARRAY['WHERE NOT builtin', '', '']
           WHERE extname = 'plpgsql'""",
    )
    with source(url).snapshot(Selection()) as snapshot:
        payloads = {e.name: read(snapshot, e).payloads for e in snapshot.entities}
        assert payloads == {
            "config": [b"2\tf"],
            "config_all": [b"7"],
            "sequences": [b'"public"."config_seq"\t1\tf'],
        }
        (omission,) = snapshot.omissions
        assert (omission.name, "extension plpgsql" in omission.reason) == ("public.internals", True)
        snapshot.finish()


def test_our_own_capture_schema_is_no_part_of_a_version(each_cluster: Cluster, database: Databases) -> None:
    """Rule 36: neither its log nor its triggers on the platform's tables, nor their comments."""
    url = database(each_cluster)
    run(
        url,
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE SCHEMA cas_capture",
        "CREATE UNLOGGED TABLE cas_capture.log (id bigserial, keys int[])",
        "CREATE FUNCTION cas_capture.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER cas_insert AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION cas_capture.note()",
        "COMMENT ON TRIGGER cas_insert ON t IS 'ours'",
        "CREATE TRIGGER theirs AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION mine()",
    )
    with source(url).snapshot(Selection()) as snapshot:
        assert [e.label for e in snapshot.entities] == ["public.t"]
        assert [o.name for o in snapshot.omissions] == ["cas_capture.log"]
        items = snapshot.schema_items()
        assert [item.name for item in items if item.type == "TRIGGER"] == ["t theirs"]
        assert not any("cas_" in item.sql for item in items)
        assert [o.name for o in snapshot.omissions] == ["cas_capture.log"]
