"""A platform in memory that a watcher watches, with a clock that only the test moves; and versions of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cas.auto_save.watch import WatchTimes
from cas.auto_save.watcher import Watcher
from cas.catalog.auto_save_model import Claim, Policy, PolicyKind
from cas.catalog.memory import MemoryCatalog
from cas.catalog.model import Trigger, Version, VersionKind, VersionState
from cas.errors import CasError, ConnectionFailed, InvalidInput
from cas.records.changes import (
    ChangeFeed,
    Happened,
    MovedRows,
    PlatformName,
    PlatformTransaction,
)
from cas.records.marks import Mark
from tests.catalog.values import REPOSITORY, STORE, entity, new_version, result

SHOP = PlatformName("7001", "shop")

USUAL = (
    Policy(PolicyKind.BULK_IMPORT, rows=1000),
    Policy(PolicyKind.MASS_CHANGE, rows=1000, percent=10.0),
    Policy(PolicyKind.STRUCTURE, entities=("tree_nodes",)),
    Policy(PolicyKind.SCHEMA),
    Policy(PolicyKind.EVERY, seconds=6 * 3600.0),
)

FIRST_NUMBER = 1000
"""Of the platform's transactions."""


@dataclass
class MemoryPlatform:
    """What was committed, in this order. Positions are counts of it."""

    committed: list[PlatformTransaction] = field(default_factory=list)
    records: dict[str, int] = field(
        default_factory=lambda: {"public.products": 48_310, "public.tree_nodes": 99}
    )
    schema: int = 0
    kept_from: int = 0
    """Nobody can ask for what was before."""
    is_down: bool = False
    is_half_down: bool = False
    """It says who it is, and then no more."""
    crashed: bool = False
    """Its logs were emptied, and what is there now was written afterwards."""
    tells_apart: bool = True
    """Whether transactions have numbers, as with change capture."""

    def commit(self, *moved: MovedRows) -> None:
        number = FIRST_NUMBER + len(self.committed) if self.tells_apart else None
        self.committed.append(PlatformTransaction(moved, number))
        for one in moved:
            left = 0 if one.truncated else self.records.get(one.label, 0) - one.deleted
            self.records[one.label] = max(left, 0) + one.inserted

    def mark(self) -> Mark:
        next_number = FIRST_NUMBER + len(self.committed)
        snapshot = f"{next_number}:{next_number}:"
        return Mark(next_number, snapshot, SHOP.system_identifier, 1, 1, False, "then")


class MemoryFeed:
    """See `cas.records.changes.ChangeFeed`."""

    def __init__(self, platform: MemoryPlatform, position: str) -> None:
        if position and not position.isdigit():
            raise InvalidInput("not a position")
        self._platform = platform
        self._seen = int(position) if position else None

    @property
    def sees(self) -> str:
        return "memory"

    def name(self) -> PlatformName:
        self._demand_up()
        return SHOP

    def blind_spots(self) -> Sequence[str]:
        return ()

    def poll(self) -> Happened:
        self._demand_up()
        committed = self._platform.committed
        if self._platform.crashed:
            self._platform.crashed, self._seen = False, len(committed)
            return Happened(committed[-1:], "the log was emptied")
        seen, self._seen = self._seen, len(committed)
        if seen is None:
            return Happened()
        missed = "the log was pruned" if seen < self._platform.kept_from else ""
        return Happened(committed[max(seen, self._platform.kept_from) :], missed)

    def position(self) -> str:
        return "" if self._seen is None else str(self._seen)

    def settled(self, position: str) -> None:
        self._platform.kept_from = int(position or 0)

    def schema_state(self) -> str:
        self._demand_up()
        if self._platform.is_half_down:
            raise ConnectionFailed("the platform does not answer")
        return str(self._platform.schema)

    def close(self) -> None:
        pass

    def _demand_up(self) -> None:
        if self._platform.is_down:
            raise ConnectionFailed("the platform does not answer")


@dataclass
class Heard:
    """All that a watcher told, as words."""

    lines: list[str] = field(default_factory=list)

    def began(self, platform: PlatformName, feed: ChangeFeed) -> None:
        self.lines.append(f"began {platform.database} by {feed.sees}")

    def waits(self, claim: Claim) -> None:
        self.lines.append(f"waits for {claim.holder}")

    def turned(self, *, on: bool) -> None:
        self.lines.append(f"turned {'on' if on else 'off'}")

    def noticed(self, reason: str) -> None:
        self.lines.append(f"noticed {reason}")

    def covered(self, version: Version) -> None:
        self.lines.append(f"covered by {version.number}")

    def saved(self, version: Version, reason: str) -> None:
        self.lines.append(f"saved {version.number}: {reason}")

    def failed(self, error: CasError, retry_in: float) -> None:
        self.lines.append(f"failed: {error.what}; again in {retry_in:g} s")


class Scene:
    """One repository's catalog and one platform. Time stands still between calls of `passes`."""

    def __init__(self, policies: Sequence[Policy] = USUAL) -> None:
        self.platform = MemoryPlatform()
        self.policies = list(policies)
        self.heard = Heard()
        self.seconds = 0.0
        self.asleep = 0.0
        """Seconds for which the watchers' machine slept: its clock stood still, and the catalog's went on."""
        self.catalog = MemoryCatalog(
            lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds + self.asleep)
        )
        self.catalog.attach(REPOSITORY, STORE, create=True)
        self.broken: list[CasError] = []
        """What goes wrong at the next versions."""
        self.dies_after_commit = False
        self._holders = 0
        self._told = 0
        self.watcher = self.another()

    def another(self) -> Watcher:
        """A watcher in another process."""
        self._holders += 1
        return Watcher(
            lambda position: MemoryFeed(self.platform, position),
            self.catalog,
            self.catalog.auto_saving,
            lambda: self.policies,
            self._take,
            self.heard,
            holder=f"watcher {self._holders}",
            clock=lambda: self.seconds,
            times=WatchTimes(),
            beats=False,
        )

    def killed(self) -> None:
        """The watcher is gone without a word, and another one comes when its claim has run out."""
        self.seconds += 61
        self.watcher = self.another()

    def passes(self, seconds: float, step: float = 1.0) -> None:
        """Time, with a look every `step` seconds."""
        end = self.seconds + seconds
        while self.seconds < end:
            self.seconds += step
            self.watcher.look()

    def take(
        self,
        reason: str = "by hand",
        trigger: Trigger = Trigger.MANUAL,
        platform: PlatformName = SHOP,
        metadata: Mapping[str, str] | None = None,
        without: str = "",
    ) -> Version:
        """`without`: the label of a table that may not be read, which makes it incomplete."""
        new = replace(new_version(reason, trigger=trigger), kind=VersionKind.FULL, metadata=metadata or {})
        session = self.catalog.begin(new)
        if self.broken:
            error = self.broken.pop()
            self.catalog.fail(session.id, error.code, error.what)
            raise error
        self.catalog.describe_source(session.id, platform.database, "18", platform.system_identifier)
        entities = tuple(
            replace(entity(label), records=count, inserted=0, updated=0, deleted=self._gone(label))
            for label, count in sorted(self.platform.records.items())
            if label != without
        )
        state = VersionState.INCOMPLETE if without else VersionState.COMPLETE
        self._told = len(self.platform.committed)
        made = replace(result(state=state), entities=entities, mark=self.platform.mark())
        return self.catalog.commit(session.id, made, journal=0)

    def _gone(self, label: str) -> int:
        """Records of a table that went since the version before."""
        since = self.platform.committed[self._told :]
        return sum(one.deleted for done in since for one in done.moved if one.label == label)

    def _take(self, reason: str, metadata: Mapping[str, str]) -> Version:
        version = self.take(reason, Trigger.AUTO, metadata=metadata)
        if self.dies_after_commit:
            self.dies_after_commit = False
            raise Died
        return version

    @property
    def said(self) -> list[str]:
        """And forget it."""
        lines, self.heard.lines = self.heard.lines, []
        return lines


class Died(BaseException):
    """The watcher's process ends here."""
