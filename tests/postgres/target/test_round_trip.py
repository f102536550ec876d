"""A database moved by pg_dump's statements and COPY lines, judged by an independent comparison."""

import subprocess

import pytest

from cas.postgres.filling.target import PostgresTarget
from cas.records.target import SchemaParts
from tests.postgres.target.conftest import CrowdedDatabases
from tests.postgres.target.moving import DATA, TOOLS, ask, differences, move
from tests.servers.postgres import Cluster, Databases

needs_data = pytest.mark.skipif(
    not DATA.exists(), reason="the real databases are not on this machine (../shared/data)"
)
needs_judge = pytest.mark.skipif(
    not TOOLS.exists(), reason="the judge of two databases is not on this machine (../shared/tools)"
)

THOROUGH = pytest.mark.thorough  # tests/roundtrip moves these, too

Pair = tuple[Cluster, Cluster]

LARGE_OBJECTS = """
SELECT oid, md5(lo_get(oid)), pg_get_userbyid(lomowner), lomacl::text, obj_description(oid, 'pg_largeobject')
FROM pg_largeobject_metadata ORDER BY oid
"""


@needs_data
@needs_judge
@pytest.mark.parametrize(
    "name",
    ["northwind", "pagila", *(pytest.param(n, marks=THOROUGH) for n in ("bestbuy", "shopify-taxonomy"))],
)
def test_a_real_database_arrives_unchanged(name: str, pair: Pair, database: Databases) -> None:
    source, restored = database(pair[0]), database(pair[1])
    subprocess.run([DATA / name / "load.sh", source], check=True, capture_output=True)
    moved = move(pair[0], source, PostgresTarget(restored))
    assert sum(moved.rows.values()) > 3000
    assert moved.notes == []
    assert differences(pair[1].bin_directory / "pg_dump", source, restored) == ""


@needs_judge
def test_a_crowded_schema_arrives_unchanged(
    pair: Pair, database: Databases, crowded_databases: CrowdedDatabases
) -> None:
    source, restored = crowded_databases.on(pair[0]), database(pair[1])
    moved = move(pair[0], source, PostgresTarget(restored))
    # Servers of two versions write the same view in two ways.
    flags = [] if pair[0].major == pair[1].major else ["ignore-schema"]
    assert differences(pair[1].bin_directory / "pg_dump", source, restored, *flags) == ""
    assert moved.notes == []
    assert ask(restored, LARGE_OBJECTS) == ask(source, LARGE_OBJECTS)


def test_what_the_records_set_off_in_the_source_does_not_happen_again(
    cluster: Cluster, database: Databases, crowded_databases: CrowdedDatabases
) -> None:
    """Triggers, also those that fire ALWAYS, would fill the log; an event trigger would refuse it all."""
    source, restored = crowded_databases.on(cluster), database()
    move(cluster, source, PostgresTarget(restored))
    count = "SELECT count(*) FROM public.log"
    assert ask(restored, count) == ask(source, count)
    with pytest.raises(Exception, match="no changes here"):
        ask(restored, "CREATE TABLE refused ()")


def test_materialized_views_are_filled_exactly_where_they_were(
    cluster: Cluster, database: Databases, crowded_databases: CrowdedDatabases
) -> None:
    source, restored = crowded_databases.on(cluster), database()
    move(cluster, source, PostgresTarget(restored))
    filled = "SELECT relname::text, relispopulated FROM pg_class WHERE relkind = 'm' ORDER BY 1"
    assert ask(restored, filled) == [
        ("empty", False),
        ("filled", True),
        ("filled_from_filled", True),
        ("late", True),
        ("latest", True),
    ]


def test_a_schema_alone_leaves_materialized_views_empty(
    cluster: Cluster, database: Databases, crowded_databases: CrowdedDatabases
) -> None:
    restored = database()
    move(
        cluster,
        crowded_databases.on(cluster),
        PostgresTarget(restored),
        parts=SchemaParts(data=False),
        only=[],
    )
    assert ask(restored, "SELECT DISTINCT relispopulated FROM pg_class WHERE relkind = 'm'") == [(False,)]


def test_sequences_continue_exactly_where_they_were(
    cluster: Cluster, database: Databases, crowded_databases: CrowdedDatabases
) -> None:
    """A value that was set and not yet drawn is drawn next, and one that was drawn is not drawn again."""
    source, restored = crowded_databases.on(cluster), database()
    move(cluster, source, PostgresTarget(restored))
    for name in ("public.plain", '"Odd; name"."S; ""q"""', "public.supplier_id_seq"):
        state = f"SELECT last_value, is_called FROM {name}"
        assert ask(restored, state) == ask(source, state)
    assert ask(restored, "SELECT nextval('public.plain')") == [(-7,)]


def test_an_ordinary_role_restores_what_it_owns(cluster: Cluster, database: Databases) -> None:
    """It has taken its own right to read and write a table away, and a view of the table is filled."""
    role = "target_plain_owner"
    source, restored = database(), database()
    ask(source, f"DO $$ BEGIN IF to_regrole('{role}') IS NULL THEN CREATE ROLE {role} LOGIN; END IF; END $$")
    for url in (source, restored):
        ask(
            url,
            f"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO {role}', current_database()); END $$",
        )
    theirs = [url.replace("postgres@", f"{role}@") for url in (source, restored)]
    ask(
        theirs[0],
        "CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE u (a int REFERENCES t);"
        "INSERT INTO u VALUES (1); CREATE MATERIALIZED VIEW m AS SELECT a FROM u;"
        f"REVOKE INSERT, TRUNCATE ON t FROM {role}",
    )
    assert move(cluster, theirs[0], PostgresTarget(theirs[1])).notes == []
    assert ask(restored, "SELECT t.a, u.a, m.a FROM t, u, m") == [(1, 1, 1)]
    acl = "SELECT relacl::text FROM pg_class WHERE relname = 't'"
    assert ask(restored, acl) == ask(source, acl)
