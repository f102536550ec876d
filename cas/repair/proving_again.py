"""The look after a repair: at the versions that it was about, and at all packs that these need, whole.

now      the catalog's clock
walk     which packs these versions need
read     each of these packs, and what was brought
walk     again, where something is wrong all the same
keep     catalog: packs, then versions                    (crash: what is kept of them is older than they are)
"""

from collections.abc import Collection, Iterable

from cas.catalog.checking import CheckLevel
from cas.catalog.interface import Catalog
from cas.check_keeping import Keeper
from cas.check_packs import Bodies
from cas.closure.bases import Bases, with_bases
from cas.closure.listing import list_store, listed_ground, without
from cas.closure.needs import Needs
from cas.closure.versions import Reached, VersionWalk
from cas.damage import Ledger
from cas.engine.repository import Repository
from cas.ids import PackName
from cas.progress import Progress
from cas.repair.lacking import documents


def prove_again(
    repository: Repository,
    catalog: Catalog,
    numbers: Collection[int],
    packs: Iterable[PackName],
    progress: Progress,
) -> frozenset[int]:
    """Those of these versions that are whole; what is found is kept. As the store and the catalog raise."""
    progress.phase("check")
    ledger = Ledger()
    keeper = Keeper(catalog, ledger, must=True)
    listing = without(list_store(repository), catalog.checking.written_off())
    ground = listed_ground(repository, listing, ledger)
    bases = Bases(ground, listing.packs)
    bases.examine()
    versions = list(documents(repository, numbers))
    walk = VersionWalk(ground, repository.boundary, progress, Needs(ground))
    for document in versions:
        walk.version(document)
    needed = ground.needed_packs()
    wanted = needed | with_bases(ground, needed & ground.packs.view.packs, must=False) | set(packs)
    wanted &= listing.packs.keys()
    progress.phase("bytes")
    bodies = Bodies(repository, ground, listing.packs, progress)
    bodies.examine(sorted(wanted))
    bases.follow()
    keeper.packs(sorted(wanted), CheckLevel.BYTES)
    reached: dict[int, Reached | None] = dict.fromkeys(numbers)
    walk = VersionWalk(ground, repository.boundary, progress, Needs(ground))
    for document in versions:
        reached[document.number] = walk.version(document)
    keeper.versions(reached.items(), CheckLevel.BYTES, keeper.met())
    return frozenset(number for number, one in reached.items() if one is not None and one.is_whole)
