"""Restoring a part of a schema: what is left out, what goes with it, and what must stay."""

import pytest

from cas.postgres.filling.schema_filter import wanted
from cas.postgres.filling.schema_restore import label
from cas.postgres.filling.schema_steps import steps
from cas.postgres.filling.target import PostgresTarget
from cas.records.source import SchemaItem
from cas.records.target import SchemaParts
from tests.postgres.target.conftest import CrowdedDatabases
from tests.postgres.target.moving import Moved, ask, move
from tests.servers.postgres import Cluster, Databases

INDEXES = """
SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('i', 'I') AND n.nspname NOT IN ('pg_catalog', 'pg_toast') ORDER BY 1
"""
CONSTRAINTS = "SELECT conname::text FROM pg_constraint WHERE oid >= 16384 AND contype IN ('p', 'u', 'f', 'x')"
TRIGGERS = (
    "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal UNION SELECT evtname FROM pg_event_trigger"
)
TABLES = """
SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.oid >= 16384 ORDER BY 1
"""


class Part:
    """A part of the crowded database on 18, restored into a new one."""

    def __init__(self, cluster: Cluster, source: str, restored: str) -> None:
        self._cluster, self.source, self.restored = cluster, source, restored
        self.moved = Moved({}, [])

    def move(self, parts: SchemaParts, only: list[str] | None = None) -> None:
        target = PostgresTarget(self.restored)
        self.moved = move(self._cluster, self.source, target, parts=parts, only=only)

    def ask(self, query: str) -> set[object]:
        return {row[0] for row in ask(self.restored, query)}


@pytest.fixture
def part(cluster: Cluster, database: Databases, crowded_databases: CrowdedDatabases) -> Part:
    return Part(cluster, crowded_databases.on(cluster), database())


def test_without_indexes_only_those_of_constraints_are_built(part: Part) -> None:
    part.move(SchemaParts(indexes=False))
    found = part.ask(INDEXES)
    assert {"product_pkey", "product_sku", "sale_2024_pkey"} <= found
    assert not found & {"product_doubled", 'by "name"', "filled_id", "sale_product", "late_id"}
    assert part.moved.rows["public.product"] == 3000
    assert part.moved.notes == []


def test_without_constraints_indexes_and_records_are_there(part: Part) -> None:
    part.move(SchemaParts(constraints=False))
    assert part.ask(CONSTRAINTS) == set()
    assert {"product_supplier_sku", "filled_id", "sale_product"} <= part.ask(INDEXES)
    # A view that groups by a primary key cannot be without it, nor what reads it.
    assert [note.split(":")[0] for note in part.moved.notes] == [
        "MATERIALIZED VIEW public.latest",
        "RULE public.grouped _RETURN",
        "MATERIALIZED VIEW DATA public.late",
    ]
    assert part.ask("SELECT to_regclass('grouped')") == {None}
    assert part.moved.rows["public.product"] == 3000


def test_without_triggers_nothing_fires_later(part: Part) -> None:
    part.move(SchemaParts(triggers=False))
    assert part.ask(TRIGGERS) == set()
    assert "circle" in part.ask(CONSTRAINTS)
    ask(part.restored, "CREATE TABLE allowed ()")


def test_without_owners_and_privileges_everything_is_the_restorers(part: Part) -> None:
    part.move(SchemaParts(owners=False, privileges=False))
    assert part.ask("SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE oid >= 16384") == {
        "postgres"
    }
    assert part.ask("SELECT relacl::text FROM pg_class WHERE oid >= 16384") == {None}
    assert part.ask("SELECT DISTINCT lomowner::regrole::text FROM pg_largeobject_metadata") == {"postgres"}


def test_one_table_brings_its_indexes_and_no_foreign_key_to_what_is_not_there(part: Part) -> None:
    part.move(SchemaParts(tables=frozenset({("public", "supplier")})), only=["public.supplier"])
    assert part.ask(TABLES) == {"supplier"}
    assert {"supplier_pkey", 'by "name"'} <= part.ask(INDEXES)
    assert part.ask(CONSTRAINTS) == {"supplier_pkey"}
    assert part.ask("SELECT count(*) FROM supplier") == {50}
    assert part.ask("SELECT last_value FROM supplier_id_seq") == {255}
    assert any("cheap" in note for note in part.moved.notes)


def test_a_partitioned_table_brings_its_partitions_at_every_depth(part: Part) -> None:
    part.move(SchemaParts(tables=frozenset({("public", "sale")})), only=["public.sale"])
    assert part.ask(TABLES) == {"sale", "sale_2024", "sale_2025", "sale_2025_rest"}
    assert part.ask("SELECT count(*) FROM sale") == {2000}
    assert part.ask("SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = 'sale'::regclass") == {True}


def test_a_child_brings_the_definition_of_its_parent(part: Part) -> None:
    part.move(SchemaParts(tables=frozenset({("public", "child")})), only=["public.child"])
    assert part.ask(TABLES) == {"parent", "child"}
    assert part.ask("SELECT count(*) FROM parent") == {2}


def test_a_sequence_of_another_table_stays_where_a_default_draws_from_it(
    cluster: Cluster, database: Databases
) -> None:
    source, restored = database(), database()
    ask(
        source,
        "CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE b (id int DEFAULT nextval('a_id_seq'));"
        " INSERT INTO b DEFAULT VALUES",
    )
    parts = SchemaParts(tables=frozenset({("public", "b")}))
    move(cluster, source, PostgresTarget(restored), parts=parts, only=["public.b"])
    assert ask(restored, "INSERT INTO b DEFAULT VALUES RETURNING id") == [(2,)]


def test_a_constraint_with_the_name_of_a_table_does_not_take_the_table_with_it() -> None:
    items = [
        SchemaItem("pre-data", "TABLE", "public", "a", "CREATE TABLE public.a (id int);"),
        SchemaItem("pre-data", "TABLE", "public", "b", "CREATE TABLE public.b (id int);"),
        SchemaItem(
            "post-data", "FK CONSTRAINT", "public", "b a",
            "ALTER TABLE ONLY public.b ADD CONSTRAINT a FOREIGN KEY (id) REFERENCES public.a(id);",
        ),
    ]  # fmt: skip
    kept = wanted(steps(items), SchemaParts(constraints=False))
    assert [label(step) for step in kept] == ["TABLE public.a", "TABLE public.b"]


def test_comments_go_with_what_they_are_about() -> None:
    table = 'public."trigger"'
    texts = [
        ("TABLE", "trigger", f"CREATE TABLE {table} (id int);"),
        ("COMMENT", "of the table", f"COMMENT ON TABLE {table} IS 'x';"),
        ("INDEX", "i", f"CREATE INDEX i ON {table} USING btree (id);"),
        ("COMMENT", "of the index", "COMMENT ON INDEX public.i IS 'x';"),
        ("COMMENT", "of the trigger", f"COMMENT ON TRIGGER t ON {table} IS 'x';"),
    ]
    items = [SchemaItem("pre-data", kind, "public", name, sql) for kind, name, sql in texts]
    kept = wanted(steps(items), SchemaParts(indexes=False, triggers=False))
    assert [step.item.name for step in kept] == ["trigger", "of the table"]
