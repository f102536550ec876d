"""The roots of an entity in all versions that can be read, in one answer."""

from dataclasses import replace

from cas.catalog.model import EntityRoot, Trigger, VersionState
from cas.ids import ChunkId
from tests.catalog.stages import Stage
from tests.catalog.values import entity, new_version, result


def held(stage: Stage, name: str) -> dict[int, list[str]]:
    """Number of a version -> labels that the name may mean in it."""
    return {
        version.number: [one.label for one in version.entities]
        for version in stage.catalog.entity_roots(name)
    }


def take(stage: Stage, *labels: str, state: VersionState = VersionState.COMPLETE) -> None:
    session = stage.catalog.begin(new_version(f"number {len(labels)}", name="one", trigger=Trigger.SYSTEM))
    stage.catalog.describe_source(session.id, "shop", "18", "s1")
    entities = tuple(entity(label, seed) for seed, label in enumerate(labels, 1))
    stage.catalog.commit(session.id, replace(result(state=state), entities=entities), journal=0)


def test_every_version_that_can_be_read_is_there_oldest_first(stage: Stage) -> None:
    take(stage, "public.products")
    stage.catalog.fail(stage.catalog.begin(new_version()).id, "ERROR", "broken")
    take(stage, "public.suppliers", state=VersionState.INCOMPLETE)
    take(stage)
    stage.catalog.begin(new_version())
    assert list(held(stage, "public.products")) == [1, 3, 4]
    assert held(stage, "public.products") == {1: ["public.products"], 3: [], 4: []}


def test_a_name_means_a_label_or_what_follows_a_dot(stage: Stage) -> None:
    take(
        stage, "audit.products", "old.products", "products", "public.byproducts", "public.suppliers", "s.a_b"
    )
    assert held(stage, "products") == {1: ["audit.products", "old.products", "products"]}
    assert held(stage, "audit.products") == {1: ["audit.products"]}
    assert held(stage, "a_b") == {1: ["s.a_b"]}
    for nothing in ("roducts", "a%b", "axb", "PRODUCTS", "", "\x00", "\ud800", "' OR true --"):
        assert held(stage, nothing) == {1: []}, nothing


def test_what_is_known_of_a_version_and_its_entities(stage: Stage) -> None:
    take(stage, "public.products", "public.suppliers")
    (version,) = stage.catalog.entity_roots("suppliers")
    whole = stage.catalog.version(1)
    assert version.created_at == whole.created_at
    assert (version.trigger, version.reason, version.name) == (Trigger.SYSTEM, whole.reason, "one")
    assert (version.source_system_identifier, version.source_database) == ("s1", "shop")
    suppliers = whole.entities[1]
    assert version.entities == (
        EntityRoot(suppliers.label, suppliers.root, suppliers.records, suppliers.checksum),
    )
    assert version.entities[0].has_data
    assert not replace(version.entities[0], root=ChunkId(bytes(32))).has_data


def test_without_versions_there_is_nothing(stage: Stage) -> None:
    assert list(stage.catalog.entity_roots("products")) == []
