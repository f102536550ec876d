"""Which versions are whole although packs are missing: found by walking them, over the packs of the replica.

Only packs that live in the primary, or may yet, are looked into: of others a run that lost its lease may have
chosen some to be deleted.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress

from cas.closure.ground import Ground, Packs
from cas.closure.versions import VersionWalk
from cas.damage import Ledger
from cas.engine.places import View
from cas.engine.repository import Repository
from cas.errors import Conflict, CorruptData, NotFound, Unsupported
from cas.ids import PackName
from cas.progress import Progress


def whole_versions(
    primary: Repository,
    replica: Repository,
    numbers: Iterable[int],
    packs: Collection[PackName],
    progress: Progress,
) -> set[int]:
    """Those of these versions, with documents in the primary, that lack nothing in these packs of the
    replica."""
    progress.phase("trees")
    view = View(set(packs) - replica.learn(set(packs)))
    ground = Ground(Packs.over(replica, replica.index, replica.trailers, view), Ledger(), replica.index)
    walk = VersionWalk(ground, replica.boundary, progress)
    found: set[int] = set()
    for number in numbers:
        with suppress(NotFound, CorruptData, Unsupported, Conflict):
            if walk.version(primary.document(number)).is_whole:
                found.add(number)
    return found
