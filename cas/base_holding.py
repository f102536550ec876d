"""What a version may be built upon: bases that stay while it is taken, and of which nothing is lost."""

from collections.abc import Sequence
from contextlib import ExitStack

from cas.catalog.checking import CheckState
from cas.catalog.interface import Catalog
from cas.catalog.model import Base
from cas.engine.repository import Repository
from cas.errors import Conflict, NotFound
from cas.pinning import pinned

HELD_BASES = 3
"""Of the versions that a new one may be built upon, the newest are held: older ones are hardly ever asked."""


def held_bases(
    repository: Repository, catalog: Catalog, known: Sequence[Base], parent: int | None, held: ExitStack
) -> list[Base]:
    """Those that stay until the version is taken: its parent, which its session holds, and the newest of the
    others, as long as they are held here. What these need may lie in packs that were condemned before, and
    are not spared before somebody looks at the versions that need them."""
    staying: list[Base] = []
    for base in known[:HELD_BASES]:
        if base.version != parent:
            try:
                held.enter_context(pinned(repository.environment, catalog, base.version, "a version upon it"))
            except (NotFound, Conflict):  # it was forgotten meanwhile
                continue
        staying.append(base)
    return staying


def undamaged(catalog: Catalog, bases: Sequence[Base]) -> list[Base]:
    """Those of which nothing is known to be lost: what a version inherits it does not look at."""
    checks = catalog.checking.versions([base.version for base in bases])
    damaged = {number for number, check in checks.items() if check.state is CheckState.DAMAGED}
    return [base for base in bases if base.version not in damaged]
