"""Which materialized views are filled is kept as REFRESH items."""

from cas.postgres.connecting import ConnectionOptions, connect
from cas.postgres.filling.filled_views import REFRESH, refresh_items
from cas.postgres.filling.target import PostgresTarget
from cas.records.target import SchemaParts
from tests.postgres.target.conftest import CrowdedDatabases
from tests.postgres.target.moving import ask, dumped_items
from tests.servers.postgres import Cluster, Databases


def test_the_items_are_those_of_a_full_dump(
    each_cluster: Cluster, crowded_databases: CrowdedDatabases
) -> None:
    url = crowded_databases.on(each_cluster)
    with connect(url, ConnectionOptions()) as connection:
        ours = refresh_items(connection)
    dumped = [item for item in dumped_items(each_cluster, url) if item.type == REFRESH]
    assert {(item.schema, item.name) for item in ours} == {(item.schema, item.name) for item in dumped}


def test_views_come_after_those_that_they_read(cluster: Cluster, database: Databases) -> None:
    url = database()
    ask(
        url,
        'CREATE SCHEMA "S"; CREATE MATERIALIZED VIEW "S".z AS SELECT 1 AS a;'
        ' CREATE VIEW "S".y AS SELECT a FROM "S".z;'
        ' CREATE MATERIALIZED VIEW "S"."a ""1""" AS SELECT a FROM "S".y',
    )
    with connect(url, ConnectionOptions()) as connection:
        assert [item.sql for item in refresh_items(connection)] == [
            'REFRESH MATERIALIZED VIEW "S"."z";\n',
            'REFRESH MATERIALIZED VIEW "S"."a ""1""";\n',
        ]


def test_views_in_a_circle_do_not_end_a_version(cluster: Cluster, database: Databases) -> None:
    url = database()
    ask(
        url,
        "CREATE VIEW a AS SELECT 1 AS x; CREATE VIEW b AS SELECT x FROM a;"
        " CREATE OR REPLACE VIEW a AS SELECT x FROM b; CREATE MATERIALIZED VIEW m AS SELECT 1",
    )
    with connect(url, ConnectionOptions()) as connection:
        assert [item.name for item in refresh_items(connection)] == ["m"]


def test_a_view_that_the_schema_left_out_is_not_refreshed(cluster: Cluster, database: Databases) -> None:
    source, restored = database(), database()
    ask(source, "CREATE MATERIALIZED VIEW kept AS SELECT 1; CREATE MATERIALIZED VIEW lost AS SELECT 2")
    items = [item for item in dumped_items(cluster, source) if item.name != "lost" or item.type == REFRESH]
    target = PostgresTarget(restored)
    target.begin("UTF8", items, SchemaParts())
    target.build_before_data()
    target.build_after_data()
    assert target.finish() == []
    target.close()
    assert ask(restored, "SELECT relname::text, relispopulated FROM pg_class WHERE relkind = 'm'") == [
        ("kept", True)
    ]
