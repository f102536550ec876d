"""A process that takes version after version until somebody kills it.

    python -m tests.engine.victim STORE CATALOG CACHE

It says each call of store and catalog on a line before it is made and after, so that whoever kills it
can choose the moment, and "committed NUMBER EDITION" for each version that was acknowledged.
"""

import sys
from pathlib import Path

from cas.catalog.postgres import PostgresCatalog
from cas.engine import packer
from cas.engine.repository import Repository
from cas.snapshot import SnapshotRequest, take_version
from cas.store.local import LocalStore
from tests.engine.memory_source import MemorySource
from tests.engine.recording import Gate, GatedCatalog, GatedStore
from tests.engine.scenes import Platform, changed, shop


class Telling(Gate):
    def before(self, call: str, what: str = "") -> None:
        print("before", call, what, flush=True)

    def after(self, call: str, what: str = "") -> None:
        print("after", call, what, flush=True)


def platform_of(edition: int) -> Platform:
    """The platform after so many rounds of changes."""
    platform = shop(products=300, suppliers=20, notes=30)
    for number in range(1, edition + 1):
        platform = changed(platform, number, numbers=[(number * 37 + at * 11) % 300 for at in range(12)])
    return platform


def small_packs() -> None:
    """Several packs a version, also of this little platform."""
    vars(packer).update(PACK_TARGET_BYTES=2500, FRAME_TARGET_BYTES=800, JOB_BYTES=2000)


def main(store_path: str, catalog_url: str, cache: str) -> None:
    small_packs()
    gate = Telling()
    bare = LocalStore(Path(store_path))
    repository = Repository(GatedStore(bare, gate), Path(cache))
    postgres = PostgresCatalog(catalog_url)
    postgres.attach(repository.id, bare.url)
    catalog = GatedCatalog(postgres, gate)
    print("ready", flush=True)
    while True:
        edition = max(postgres.known_numbers(), default=0) + 1
        request = SnapshotRequest(reason=f"edition {edition}")
        version = take_version(repository, catalog, MemorySource(platform_of(edition)), request).version
        print("committed", version.number, edition, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
