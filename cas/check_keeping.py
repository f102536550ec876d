"""Keeping what a check has found, as it goes: in the catalog, or nowhere.

    now      the catalog's clock, before a look begins      (crash: nothing was found)
    look     at some packs or versions                      (crash: it is looked at again)
    keep     one transaction for all of them                (they are kept)

So a run that is interrupted loses the batch that it was at. What went meanwhile the catalog passes over.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from cas.catalog.checking import CheckLevel, PackFound, VersionFound
from cas.catalog.interface import Catalog
from cas.closure.versions import Reached
from cas.damage import Ledger
from cas.errors import CasError, ConnectionFailed, TimedOut
from cas.format.names import pack_key, pack_of_key
from cas.ids import PackName

KEPT_AT_ONCE = 500
"""Packs or versions in one transaction, where they are kept after all was looked at."""


class Keeper:
    """One run. With `must`, a catalog that does not answer ends it; without, nothing more is kept, and
    `failure` says why."""

    def __init__(self, catalog: Catalog | None, ledger: Ledger, *, must: bool = False) -> None:
        self._catalog = catalog
        self._ledger = ledger
        self._must = must
        self._kept: set[PackName] = set()
        self._at: datetime | None = None
        self.failure: CasError | None = None
        self.look()

    def look(self) -> None:
        """A look begins now."""
        if self._catalog is not None:
            try:
                self._at = self._catalog.now()
            except (ConnectionFailed, TimedOut) as error:
                self._fail(error)

    def packs(self, names: Iterable[PackName], level: CheckLevel) -> None:
        """These were looked at; the ledger knows what is wrong with them."""
        found = {}
        for name in names:
            number = self._ledger.of_object(pack_key(name))
            if number is not None:
                found[name] = PackFound(name, level, self._ledger.finding(number).what)
            elif not self._ledger.left_off:  # else it may be among those that are not told apart
                found[name] = PackFound(name, level)
        self._kept.update(found)
        self._keep_packs(list(found.values()))

    def met(self) -> frozenset[PackName]:
        """Packs that are damaged, also those that nobody looked at as such: kept, and named."""
        damaged = {
            name: what for key, what in self._ledger.objects() if (name := pack_of_key(key)) is not None
        }
        unkept = damaged.keys() - self._kept
        self._kept |= unkept
        self._keep_packs([PackFound(name, CheckLevel.STRUCTURE, damaged[name]) for name in sorted(unkept)])
        return frozenset(damaged)

    def versions(
        self,
        reached: Iterable[tuple[int, Reached | None]],
        level: CheckLevel,
        stands: frozenset[PackName] | None,
    ) -> None:
        """These were walked; None for one whose document could not be had. stands: the damaged packs that
        were known by then, None where nothing was known of packs."""
        losses = self._ledger.losses()
        found = []
        for number, whole in reached:
            damage = losses.get(
                number, "" if whole and whole.is_whole else "it cannot be brought back in full"
            )
            packs = None if whole is None or damage else whole.packs
            found.append(VersionFound(number, level, damage, packs, stands))
        for begin in range(0, len(found), KEPT_AT_ONCE):
            self.keep_versions(found[begin : begin + KEPT_AT_ONCE])

    def _keep_packs(self, found: Sequence[PackFound]) -> None:
        for begin in range(0, len(found), KEPT_AT_ONCE):
            some = found[begin : begin + KEPT_AT_ONCE]
            if self._catalog is not None and self._at is not None and self.failure is None:
                try:
                    self._catalog.checking.keep_packs(self._at, some)
                except (ConnectionFailed, TimedOut) as error:
                    self._fail(error)

    def keep_versions(self, found: Sequence[VersionFound]) -> None:
        """What was found otherwise than by a walk."""
        if self._catalog is not None and self._at is not None and self.failure is None:
            try:
                self._catalog.checking.keep_versions(self._at, found)
            except (ConnectionFailed, TimedOut) as error:
                self._fail(error)

    def _fail(self, error: CasError) -> None:
        if self._must:
            raise error
        self.failure = error
