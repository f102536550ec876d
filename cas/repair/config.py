"""A repository that has lost its config, without which nothing in it can be read.

ask     the holders for theirs; they must agree               (crash: nothing)
prove   its key makes the ids of what is stored here          (crash: nothing)
put     create-only where there is none, else over it         (crash: it is there, or not)
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import cast

from cas.check_packs import Bodies
from cas.closure.ground import Ground, Packs
from cas.damage import Ledger
from cas.engine.environment import Environment
from cas.engine.places import View
from cas.engine.repository import Repository
from cas.errors import Conflict, CorruptData, NotFound, Unsupported
from cas.format.config import parse_config
from cas.format.names import CONFIG
from cas.ids import PackName
from cas.progress import Silent
from cas.repair.model import Brought, Holder
from cas.store.interface import ObjectMissing, Store, StoreFault

MOST_PACKS = 20
"""That are read in search of one that is whole."""


def needs_config(store: Store) -> bool:
    """Whether the store has no config that can be read. Unsupported for one of a newer release."""
    try:
        parse_config(store.get(CONFIG))
    except (ObjectMissing, CorruptData):
        return True
    return False


def bring_config(store: Store, holders: Sequence[Holder], environment: Environment | None = None) -> Brought:
    """NotFound where no holder has one that is proven here; Conflict where they hold different ones."""
    found: dict[bytes, str] = {}
    for holder in holders:
        try:
            data = holder.store.get(CONFIG)
            parse_config(data)
        except (ObjectMissing, CorruptData, Unsupported, StoreFault):
            continue
        if _makes_ids_of(store, data, environment):
            found.setdefault(data, holder.name)
    if len(found) > 1:
        names = " and ".join(found.values())
        hint = "Name the one that you trust with --from"
        raise Conflict(f"{names} hold different configs", where=store.url, hint=hint)
    if not found:
        raise NotFound(
            "the config is lost, and nobody who was asked has one whose key made what is stored here",
            where=store.url,
            hint="Name a copy of this repository: --from URL",
        )
    (data, name) = next(iter(found.items()))
    store.put(CONFIG, data, create_only=False)
    if store.get(CONFIG) != data:
        raise Conflict("what was put does not lie there", where=f"{store.url}/{CONFIG}", hint="Look there")
    return Brought(CONFIG, name, len(data))


def _makes_ids_of(store: Store, config: bytes, environment: Environment | None) -> bool:
    """Whether its key makes the ids of a pack that lies there, and no document is another repository's."""
    repository = Repository(cast(Store, _WithConfig(store, config)), None, environment)
    try:
        for number in repository.numbers():
            with suppress(NotFound, CorruptData, Unsupported):
                repository.document(number)
        sizes = repository.packs()
        return any(_is_sound(repository, sizes, name) for name in sorted(sizes)[:MOST_PACKS])
    except Conflict:
        return False
    finally:
        repository.close()


def _is_sound(repository: Repository, sizes: Mapping[PackName, int], name: PackName) -> bool:
    ledger = Ledger()
    view = View(sizes.keys() - repository.learn(set(sizes)))
    packs = Packs.over(repository, repository.index, repository.trailers, view)
    Bodies(repository, Ground(packs, ledger, repository.index), sizes, Silent()).examine([name])
    return not ledger.findings()


class _WithConfig:
    """A store, as if a config lay there."""

    def __init__(self, store: Store, config: bytes) -> None:
        self._store = store
        self._config = config

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def get(self, key: str) -> bytes:
        return self._config if key == CONFIG else self._store.get(key)
