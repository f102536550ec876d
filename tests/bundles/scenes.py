"""Bundles for tests: made in memory, kept in files, and what repositories look like before and after."""

import io
from collections.abc import Sequence
from pathlib import Path

from cas.bundles.exporting import ExportRequest, export_version
from cas.bundles.importing import Imported, ImportRequest, import_bundle
from cas.bundles.opening import opened_bundle
from cas.catalog.interface import Catalog
from cas.catalog.model import VersionFilter
from cas.format.bundle import END_BYTES, Member, encode_header
from cas.store.interface import Store
from cas.store.memory import MemoryStore
from tests.engine.scenes import Platform, World, changed, shop
from tests.sealing.scenes import Given

FIRST = shop()
SECOND = changed(FIRST, 1)
THIRD = changed(SECOND, 2)


def three(seed: int = 7) -> World:
    """Three versions; of one seed all have one id key."""
    return world_of(FIRST, SECOND, THIRD, seed=seed)


def world_of(*platforms: Platform, seed: int = 7) -> World:
    world = World(seed=seed)
    for platform in platforms:
        world.take(platform)
    return world


def exported(world: World, number: int, request: ExportRequest | None = None) -> bytes:
    out = io.BytesIO()
    repository = world.open()
    try:
        export_version(repository, world.catalog, number, out, request)
    finally:
        repository.close()
    return out.getvalue()


def kept(directory: Path, data: bytes, name: str = "shop.casb") -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


def taken_in(
    world: World,
    path: Path,
    given: Given | None = None,
    *,
    again: bool = False,
    store: Store | None = None,
    catalog: Catalog | None = None,
) -> Imported:
    """Imported by a new process."""
    repository = world.open(store)
    try:
        with opened_bundle(path, given or Given()) as bundle:
            return import_bundle(
                repository, catalog or world.catalog, bundle, ImportRequest("somebody", again)
            )
    finally:
        repository.close()


def archive(members: Sequence[tuple[str, bytes]]) -> bytes:
    """A bundle of these, right or not, as long as each has a header."""
    parts: list[bytes] = []
    for name, data in members:
        parts += (encode_header(Member(name, len(data))), data, bytes(-len(data) % 512))
    return b"".join((*parts, bytes(END_BYTES)))


def members(data: bytes) -> list[tuple[str, bytes]]:
    """Of a good bundle."""
    found = []
    at = 0
    while data[at]:
        name = data[at : at + 100].rstrip(b"\0").decode()
        size = int(data[at + 124 : at + 135], 8)
        found.append((name, data[at + 512 : at + 512 + size]))
        at += 512 + -(-size // 512) * 512
    return found


def everything(world: World) -> tuple[dict[str, bytes], list[object]]:
    """All bytes of the store, and all rows of versions in the catalog."""
    store = world.store
    assert isinstance(store, MemoryStore)
    objects = {info.key: store.get(info.key) for info in store.objects()}
    return objects, list(world.catalog.versions(VersionFilter()))
