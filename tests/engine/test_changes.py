"""Versions that build upon an earlier one, in memory: what becomes of a base that cannot be read."""

from collections import Counter

import pytest

from cas.catalog.model import Version
from cas.errors import CorruptData
from cas.format.names import pack_key, pack_of_key
from cas.format.pack import parse_end
from cas.ids import ChunkKind
from cas.snapshot import SnapshotRequest
from tests.engine.scenes import World, changed, expected, shop


def read_by(version: Version) -> dict[str, str]:
    return {entity.label: entity.read_by for entity in version.entities}


def test_a_version_of_changes_holds_what_one_of_every_row_holds() -> None:
    world, platform = World(), shop()
    world.take(platform)
    for edition in range(1, 6):
        platform = changed(platform, edition)
        version = world.take(platform)
        assert read_by(version)["public.products"] == "xmin"
        assert world.records(version.number) == expected(platform)
        assert version.checksum == world.take(platform, request=SnapshotRequest(scan=True)).checksum
    assert not world.catalog.incidents()


def test_a_damaged_base_costs_a_scan_and_not_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    world, first = World(), shop()
    world.take(first)
    second = changed(first, 1)

    def damaged(*_: object) -> None:
        raise CorruptData("node chunk is damaged", kind="hash-mismatch")

    with monkeypatch.context() as patch:
        patch.setattr("cas.entity_changes.lookup_ascending", damaged)
        version = world.take(second)
    (products,) = [one for one in version.entities if one.label == "public.products"]
    assert (products.read_by, products.rows_read) == ("scan", products.records)
    assert "version 1 is damaged" in products.read_reason
    assert world.records(version.number) == expected(second)


def test_where_packs_are_lost_every_row_is_read() -> None:
    """What only they held is stored anew: nothing of them is inherited."""
    world, platform = World(), shop()
    world.take(platform)
    for name in sorted(world.packs()):
        world.store.delete(pack_key(name))
    version = world.take(platform)
    assert set(read_by(version).values()) == {"scan"}
    assert all("packs are missing" in entity.read_reason for entity in version.entities)
    assert world.records(version.number) == expected(platform)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_chains_of_changes_are_no_longer_than_is_asked_for(depth: int) -> None:
    """The full versus delta ratio: after so many changes a node is stored whole again."""
    world, platform = World(), shop()
    for edition in range(8):
        platform = changed(platform, edition)
        world.take(platform, request=SnapshotRequest(delta_depth=depth))
    depths = Counter(
        frame.depth
        for info in world.store.objects()
        if pack_of_key(info.key) is not None
        for frame in parse_end(world.store.get(info.key)).frames
        if frame.kind is ChunkKind.NODE
    )
    assert max(depths) == depth
    assert world.records(8) == expected(platform)
