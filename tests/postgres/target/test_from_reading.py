"""What the reading side gives goes into a target as it is: schema, records, and what surrounds them."""

from collections.abc import Iterator

import pytest

from cas.postgres.filling.target import PostgresTarget
from cas.postgres.reading.source import PostgresSnapshot, PostgresSource
from cas.records.model import Entity, EntityKind
from cas.records.payload import pad_with_nulls
from cas.records.source import Selection
from cas.records.target import SchemaParts
from tests.postgres.target.conftest import CrowdedDatabases
from tests.postgres.target.moving import TOOLS, ask, differences
from tests.servers.postgres import Cluster, Databases


def fill(snapshot: PostgresSnapshot, target: PostgresTarget) -> list[str]:
    """Everything that the snapshot holds; what was passed over."""

    def payloads(entity: Entity) -> Iterator[bytes]:
        return (payload for batch in snapshot.batches(entity) for payload in batch.payloads)

    items, entities = snapshot.schema_items(), snapshot.entities
    assert list(target.findings(snapshot.identity, items, SchemaParts(), entities, snapshot.roles())) == []
    target.begin(snapshot.identity.encoding, items, SchemaParts(), entities)
    target.build_before_data()
    for entity in entities:
        if entity.kind is EntityKind.SEQUENCES:
            target.set_sequences(payloads(entity))
        elif entity.kind is EntityKind.LARGE_OBJECTS:
            target.write_large_objects(payloads(entity))
        else:
            width = len(entity.columns)
            lines = (pad_with_nulls(payload, width) + b"\n" for payload in payloads(entity))
            target.copy_in(entity, lines, whole=True)
    target.build_after_data()
    notes = target.finish()
    target.close()
    return list(notes)


@pytest.mark.skipif(
    not TOOLS.exists(), reason="the judge of two databases is not on this machine (../shared/tools)"
)
def test_a_crowded_schema_goes_from_snapshot_to_target(
    each_cluster: Cluster, database: Databases, crowded_databases: CrowdedDatabases
) -> None:
    source, restored = crowded_databases.on(each_cluster), database(each_cluster)
    with PostgresSource(source).snapshot(Selection()) as snapshot:
        assert fill(snapshot, PostgresTarget(restored)) == []
    assert differences(each_cluster.bin_directory / "pg_dump", source, restored) == ""


def test_a_version_of_one_schema_fills_its_own_views_only(cluster: Cluster, database: Databases) -> None:
    source, restored = database(), database()
    ask(
        source,
        "CREATE SCHEMA a; CREATE TABLE a.t AS SELECT 1 AS x;"
        "CREATE MATERIALIZED VIEW a.m AS SELECT x FROM a.t;"
        "CREATE SCHEMA b; CREATE TABLE b.t AS SELECT 2 AS x;"
        "CREATE MATERIALIZED VIEW b.m AS SELECT x FROM b.t",
    )
    with PostgresSource(source).snapshot(Selection(schemas=("a",))) as snapshot:
        assert fill(snapshot, PostgresTarget(restored)) == []
    assert ask(restored, "SELECT x FROM a.m") == [(1,)]
    assert ask(restored, "SELECT to_regnamespace('b')") == [(None,)]
