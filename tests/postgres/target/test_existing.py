"""Records alone, into tables that are there already: nothing fires, nothing dangles, all is as it was."""

from collections.abc import Iterable

import pytest

from cas.errors import CasError, Conflict, PermissionDenied
from cas.postgres.filling.target import PostgresTarget
from cas.records.target import SchemaParts
from tests.postgres.target import crowded
from tests.postgres.target.conftest import CrowdedDatabases
from tests.postgres.target.moving import TOOLS, ask, differences, entities_of, lines_of, move
from tests.servers.postgres import Cluster, Databases

TRIGGERS = """
SELECT tgrelid::regclass::text, tgname::text, tgenabled::text FROM pg_trigger
WHERE NOT tgisinternal ORDER BY 1, 2
"""
FAMILY = """
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent, self int REFERENCES child);
CREATE TABLE log (what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
  AS $$ BEGIN INSERT INTO log VALUES (tg_table_name); RETURN NEW; END $$;
CREATE TRIGGER noted BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER ever BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER never BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER there BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION note();
ALTER TABLE child ENABLE ALWAYS TRIGGER ever;
ALTER TABLE child DISABLE TRIGGER never;
ALTER TABLE child ENABLE REPLICA TRIGGER there;
"""
FAMILY_RECORDS = """
INSERT INTO parent SELECT generate_series(1, 100);
INSERT INTO child SELECT n, n, 101 - n FROM generate_series(1, 100) n;
TRUNCATE log;
"""
OWNER = "target_owner"


def fill(source: str, target: PostgresTarget, only: Iterable[str] | None = None) -> None:
    entities = [e for e in entities_of(source) if only is None or e.name in only]
    try:
        for group in target.begin("UTF8", [], SchemaParts(), entities):
            for entity in group:
                target.copy_in(entity, lines_of(source, entity), whole=True)
        target.build_after_data()
        target.finish()
    finally:
        target.close()


@pytest.fixture
def owned(cluster: Cluster, database: Databases) -> tuple[str, str]:
    """A database with an ordinary role as its owner: its URL as that role, and as superuser."""
    url = database()
    ask(
        url,
        f"DO $$ BEGIN IF to_regrole('{OWNER}') IS NULL THEN CREATE ROLE {OWNER} LOGIN; END IF; END $$;"
        f"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO {OWNER}', current_database()); END $$",
    )
    return url.replace("postgres@", f"{OWNER}@"), url


@pytest.mark.skipif(
    not TOOLS.exists(), reason="the judge of two databases is not on this machine (../shared/tools)"
)
def test_a_crowded_schema_takes_its_records(
    cluster: Cluster, database: Databases, crowded_databases: CrowdedDatabases
) -> None:
    source, restored = crowded_databases.on(cluster), database()
    ask(restored, crowded.script())
    ask(restored, "ALTER EVENT TRIGGER refuse DISABLE")
    for entity in entities_of(restored):
        ask(restored, f'TRUNCATE ONLY "{entity.schema}".{crowded.quoted(entity.name)} CASCADE'
            if entity.kind == "table" else f"TRUNCATE {entity.name} CASCADE")  # fmt: skip
    ask(restored, "SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
    before = ask(restored, TRIGGERS)
    move(cluster, source, PostgresTarget(restored), with_schema=False)
    ask(restored, "ALTER EVENT TRIGGER refuse ENABLE")
    assert ask(restored, TRIGGERS) == before
    assert differences(cluster.bin_directory / "pg_dump", source, restored) == ""


def test_a_superuser_fills_in_any_order_and_no_trigger_fires(
    each_cluster: Cluster, database: Databases
) -> None:
    source, restored = database(each_cluster), database(each_cluster)
    ask(source, FAMILY + FAMILY_RECORDS)
    ask(restored, FAMILY)
    before = ask(restored, TRIGGERS)
    fill(source, PostgresTarget(restored))
    assert ask(restored, "SELECT count(*) FROM child") == [(100,)]
    assert ask(restored, "SELECT count(*) FROM log") == [(0,)]
    assert ask(restored, TRIGGERS) == before


def test_an_owner_fills_parents_first_and_no_trigger_fires(
    owned: tuple[str, str], database: Databases
) -> None:
    source = database()
    ask(source, FAMILY + FAMILY_RECORDS)
    ask(owned[0], FAMILY)
    before = ask(owned[0], TRIGGERS)
    target = PostgresTarget(owned[0])
    groups = target.begin("UTF8", [], SchemaParts(), entities_of(source))
    assert [[entity.name for entity in group] for group in groups] == [["log", "parent"], ["child"]]
    for group in groups:
        for entity in group:
            target.copy_in(entity, lines_of(source, entity), whole=True)
    target.finish()
    target.close()
    assert ask(owned[0], "SELECT count(*) FROM child") == [(100,)]
    assert ask(owned[0], "SELECT count(*) FROM log") == [(0,)]
    assert ask(owned[0], TRIGGERS) == before


def test_an_owner_is_told_before_the_start_that_foreign_keys_form_a_circle(owned: tuple[str, str]) -> None:
    ask(
        owned[0],
        "CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);"
        "ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b",
    )
    target = PostgresTarget(owned[0])
    with pytest.raises(Conflict, match=r"form a circle.*public\.[ab] -> public\.[ab]") as caught:
        target.begin("UTF8", [], SchemaParts(), entities_of(owned[0]))
    target.close()
    assert "GRANT SET ON PARAMETER session_replication_role" in caught.value.hint


def test_the_grant_that_is_asked_for_is_enough(owned: tuple[str, str], database: Databases) -> None:
    source = database()
    schema = (
        "CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);"
        "ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE INITIALLY DEFERRED;"
    )
    ask(source, schema + "BEGIN; INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1); COMMIT")
    ask(owned[0], schema)
    ask(owned[1], f"GRANT SET ON PARAMETER session_replication_role TO {OWNER}")
    try:
        fill(source, PostgresTarget(owned[0]))
    finally:
        ask(owned[1], f"REVOKE SET ON PARAMETER session_replication_role FROM {OWNER}")
    assert ask(owned[0], "SELECT * FROM a, b") == [(1, 1, 1, 1)]


def test_triggers_of_tables_that_belong_to_others_are_named(owned: tuple[str, str]) -> None:
    ask(owned[1], FAMILY + f"GRANT ALL ON parent, child, log TO {OWNER}")
    target = PostgresTarget(owned[0])
    with pytest.raises(PermissionDenied, match=r"child\.ever"):
        target.begin("UTF8", [], SchemaParts(), entities_of(owned[1]))
    target.close()
    assert ask(owned[1], "SELECT count(*) FROM pg_namespace WHERE nspname = 'cas_restore'") == [(0,)]


@pytest.mark.parametrize(
    ("schema", "records", "only", "broken"),
    [
        (
            "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (parent int REFERENCES parent);",
            "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1), (NULL);",
            "child",
            "child_parent_fkey",
        ),
        (
            "CREATE TABLE parent (a int, b text, PRIMARY KEY (a, b));"
            'CREATE TABLE child (x text, y int, CONSTRAINT "full;" FOREIGN KEY (y, x)'
            " REFERENCES parent (a, b) MATCH FULL);",
            "INSERT INTO parent VALUES (1, 'b'); INSERT INTO child VALUES ('b', 1);",
            "child",
            "full;",
        ),
        (
            "CREATE TABLE parent (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);"
            "CREATE TABLE parent_1 PARTITION OF parent DEFAULT;"
            "CREATE TABLE child (id int, day date, FOREIGN KEY (id, day) REFERENCES parent)"
            " PARTITION BY HASH (id);"
            "CREATE TABLE child_1 PARTITION OF child FOR VALUES WITH (MODULUS 1, REMAINDER 0);",
            "INSERT INTO parent VALUES (1, '2024-01-01'); INSERT INTO child VALUES (1, '2024-01-01');",
            "child",
            "child_id_day_fkey",
        ),
    ],
)
def test_a_row_without_its_parent_is_not_let_in(
    schema: str, records: str, only: str, broken: str, each_cluster: Cluster, database: Databases
) -> None:
    """With its parents the load is fine; without them the check at the end names the foreign key."""
    source, whole, torn = (database(each_cluster) for _ in range(3))
    ask(source, schema + records)
    ask(whole, schema)
    ask(torn, schema)
    fill(source, PostgresTarget(whole))
    with pytest.raises(Conflict, match=broken):
        fill(source, PostgresTarget(torn), only=[only])
    with pytest.raises(Conflict, match="did not end"):
        PostgresTarget(torn).require_empty()


def test_a_temporal_foreign_key_is_checked_by_its_periods(cluster: Cluster, database: Databases) -> None:
    source, whole, torn = (database() for _ in range(3))
    schema = (
        "CREATE TABLE parent (id int4range, at daterange, PRIMARY KEY (id, at WITHOUT OVERLAPS));"
        "CREATE TABLE child (id int4range, at daterange,"
        " FOREIGN KEY (id, PERIOD at) REFERENCES parent (id, PERIOD at));"
    )
    ask(source, schema)
    ask(source, "INSERT INTO parent VALUES ('[1,2)', '[2024-01-01,2024-02-01)'),"
                " ('[1,2)', '[2024-02-01,2024-03-01)');"
                "INSERT INTO child VALUES ('[1,2)', '[2024-01-10,2024-02-10)')")  # fmt: skip
    ask(whole, schema)
    fill(source, PostgresTarget(whole))
    ask(torn, schema)
    entities = {entity.name: entity for entity in entities_of(source)}
    target = PostgresTarget(torn)
    target.begin("UTF8", [], SchemaParts(), list(entities.values()))
    target.copy_in(entities["parent"], [b"[1,2)\t[2024-01-01,2024-02-01)\n"])
    target.copy_in(entities["child"], lines_of(source, entities["child"]))
    with pytest.raises(Conflict, match="child_id_at_fkey"):
        target.finish()
    target.close()


def test_duplicates_under_a_deferrable_key_are_not_let_in(cluster: Cluster, database: Databases) -> None:
    url = database()
    ask(url, "CREATE TABLE t (a int, b int, UNIQUE (a, b) DEFERRABLE)")
    (entity,) = entities_of(url)
    target = PostgresTarget(url)
    target.begin("UTF8", [], SchemaParts(), [entity])
    target.copy_in(entity, [b"1\t\\N\n1\t\\N\n1\t2\n1\t2\n"])
    # The index of a deferrable constraint may let duplicates in, or refuse them at once.
    with pytest.raises(Conflict, match="t_a_b_key"):
        target.finish()
    target.close()


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("CREATE TABLE other (a int)", "no such table"),
        ("CREATE TABLE t (a int)", "no column b"),
        ("CREATE TABLE t (a int, b text GENERATED ALWAYS AS ('x') STORED)", "no column b"),
        ("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x')", "not empty"),
        ("CREATE VIEW t AS SELECT 1 AS a, 'x' AS b", "no such table"),
    ],
)
def test_tables_that_do_not_fit_are_named_before_the_start(
    schema: str, says: str, cluster: Cluster, database: Databases
) -> None:
    source, restored = database(), database()
    ask(source, "CREATE TABLE t (a int, b text)")
    ask(restored, schema)
    target = PostgresTarget(restored)
    with pytest.raises(Conflict, match=says) as caught:
        target.begin("UTF8", [], SchemaParts(), entities_of(source))
    target.close()
    assert caught.value.where == "public.t"


def test_a_failed_load_says_how_to_switch_the_triggers_on_again(
    cluster: Cluster, database: Databases
) -> None:
    source, restored = database(), database()
    ask(source, FAMILY + FAMILY_RECORDS)
    ask(restored, FAMILY)
    before = ask(restored, TRIGGERS)
    entities = {entity.name: entity for entity in entities_of(source)}
    target = PostgresTarget(restored)
    target.begin("UTF8", [], SchemaParts(), list(entities.values()))
    with pytest.raises(CasError):
        target.copy_in(entities["child"], [b"not a number\t1\t1\n"])
    target.close()
    assert ask(restored, TRIGGERS) != before
    with pytest.raises(Conflict, match="To undo, empty the tables; ALTER TABLE") as caught:
        PostgresTarget(restored).require_empty()
    ask(restored, caught.value.what.split("empty the tables; ")[1])
    assert ask(restored, TRIGGERS) == before
