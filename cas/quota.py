"""A quota: how many bytes the packs of the store may take. Nothing is ever deleted for it.

    ask       before a version begins, and when its size is known      (refused: nothing was begun)
    count     after each pack that a version has put                   (stopped: the version failed, its packs
                                                                        are garbage like those of any other)

It counts what the catalog knows of packs, condemned ones among them, since they lie there until they are
collected. Safety versions are not refused: a restore must not fail for want of order. Two versions at a time
each count their own bytes, so the quota may be passed by what one of them adds.
"""

import re
from dataclasses import dataclass, field
from threading import Lock

from cas.catalog.interface import Catalog
from cas.errors import InsufficientSpace, InvalidInput
from cas.format.notes import Setting

QUOTA = "quota.bytes"
"""Name of the setting; its one value is a number of bytes."""

WARNED_SHARE = 0.8

MOST = 1 << 60

_SIZE = re.compile(r"([0-9]{1,19})\s*([a-z]*)", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40} | {
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
}

HINT = (
    "Raise it with `cas quota set`, or let versions go (`cas retention`, `cas forget`); what they took counts"
    " until garbage was collected"
)


def parse_size(text: str, where: str = "") -> int:
    """Bytes, from texts like 100GB or 512MiB. InvalidInput for anything else."""
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(found[2].lower()) if found else None
    size = int(found[1]) * unit if found and unit else 0
    if not 0 < size <= MOST:
        raise InvalidInput(f"{text[:40]!r} is no size", where=where, hint="Write for example 100GB or 512MiB")
    return size


def quota_setting(size: int | None) -> Setting:
    """What to say so that this quota holds; None: there is none."""
    return Setting(QUOTA, None if size is None else (str(size),))


def quota_of(catalog: Catalog) -> int | None:
    """In bytes. InvalidInput where a later release has set what this one does not know."""
    given = catalog.keeping.setting(QUOTA)
    if given is None:
        return None
    if len(given) != 1:
        raise InvalidInput(
            "the quota is none that this release knows", where=QUOTA, hint="Use a newer release"
        )
    return parse_size(given[0], QUOTA)


def stored_in_packs(catalog: Catalog) -> int:
    """Bytes of all packs that lie in the store, as far as the catalog knows them."""
    return sum(catalog.replicating.packs().values())


@dataclass(slots=True)
class QuotaGuard:
    """Of one version. `used`: before it began."""

    quota: int | None
    used: int
    where: str
    _added: int = 0
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, catalog: Catalog, where: str) -> "QuotaGuard":
        quota = quota_of(catalog)
        return cls(quota, 0 if quota is None else stored_in_packs(catalog), where)

    def require(self, expected: int = 0) -> None:
        """InsufficientSpace where that much more would pass it, or where nothing more fits."""
        if self.quota is not None and (self.used >= self.quota or self.used + expected > self.quota):
            more = f", and about {expected:,} more are needed" if expected else ""
            raise InsufficientSpace(
                f"{self.used:,} of the {self.quota:,} bytes of the quota are taken{more}",
                where=self.where,
                hint=HINT,
            )

    def stored(self, stored_bytes: int) -> None:
        """So many more were put. InsufficientSpace where that passes the quota."""
        with self._lock:
            self._added += stored_bytes
            total = self.used + self._added
        if self.quota is not None and total > self.quota:
            raise InsufficientSpace(
                f"the version was stopped at {total:,} bytes, beyond the quota of {self.quota:,}",
                where=self.where,
                hint=HINT,
            )

    @property
    def warning(self) -> str:
        """What a person should know now; empty where there is room."""
        total = self.used + self._added
        if self.quota is None or total < WARNED_SHARE * self.quota:
            return ""
        return f"{total / self.quota:.0%} of the quota of {self.quota:,} bytes are taken. {HINT}"
