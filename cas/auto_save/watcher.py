"""Watching one platform: what happens there becomes versions.

What is lost where it dies:

| dies | what is there | who comes next |
|---|---|---|
| after a look, before a version | the position kept before it | sees the same again, and takes the version |
| while a version is taken | the same, and a version that is listed as failed | the same |
| after the version, before the position is kept | the version | sees the same again, and takes one more |
| after the position is kept, before the platform is told | all; the log is longer than it need be | goes on |

Two that watch the same platform: the catalog lets one of them. One whose claim ran out while it slept may
take a version more; it can keep no position any longer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from cas.auto_save.occasions import WINDOW_SECONDS, Noticing, Occasion
from cas.auto_save.whole_versions import last_before, whole_versions
from cas.auto_save.words import reason_of
from cas.catalog.auto_save_model import Claim, Policy, PolicyKind, Watched
from cas.catalog.auto_saving import AutoSaving
from cas.catalog.interface import Catalog
from cas.catalog.model import Version, VersionFilter, VersionKind
from cas.errors import CasError, Fenced, InvalidInput
from cas.records.changes import ChangeFeed, PlatformName, PlatformTransaction
from cas.records.marks import Mark

BEGINS = "Auto-save begins: what happened before is not known"
UNSEEN = "Not seen what happened"

LAG = timedelta(seconds=10)
"""By how much the server's statistics may be late."""


@dataclass(frozen=True, slots=True)
class WatchTimes:
    """All in seconds."""

    window: float = WINDOW_SECONDS
    quiet: float = 5.0
    """An occasion waits until nothing more happens for so long,"""
    longest: float = 60.0
    """but not longer than this."""
    schema: float = 30.0
    """How often the schema is looked at."""
    settle: float = 60.0
    """How often a position is kept where nothing is worth a version."""
    claim: float = 60.0
    first_retry: float = 5.0
    last_retry: float = 300.0


class Told(Protocol):
    """Whoever watches the watcher."""

    def began(self, platform: PlatformName, feed: ChangeFeed) -> None: ...

    def waits(self, claim: Claim) -> None:
        """Somebody else watches."""

    def noticed(self, reason: str) -> None: ...

    def covered(self, version: Version) -> None:
        """What was noticed is in a version that somebody else took."""

    def saved(self, version: Version, reason: str) -> None: ...

    def failed(self, error: CasError, retry_in: float) -> None: ...


class Watcher:
    """One platform, looked at again and again by `look`. Not for several threads."""

    def __init__(
        self,
        open_feed: Callable[[str], ChangeFeed],
        catalog: Catalog,
        saving: AutoSaving,
        policies: Callable[[], Sequence[Policy]],
        take: Callable[[str, Mapping[str, str]], Version],
        told: Told,
        *,
        holder: str,
        clock: Callable[[], float],
        times: WatchTimes | None = None,
    ) -> None:
        """`open_feed`: from a position, empty for none. `take`: a version of everything, for this reason and
        with this metadata. `holder`: who we are, unlike anybody else. `clock`: seconds, never going back."""
        self._open_feed = open_feed
        self._catalog = catalog
        self._saving = saving
        self._policies = policies
        self._take = take
        self._told = told
        self._holder = holder
        self._clock = clock
        self._times = times or WatchTimes()
        self._watch: _Watch | None = None
        self._waits_for = ""
        self._failures = 0
        self._not_before = 0.0

    def look(self, *, at_once: bool = False) -> None:
        """Look once, and take a version if it is time. `at_once`: do not wait for more to happen. What goes
        wrong is told, and tried again by a later look; `at_once` raises it."""
        if not at_once and self._clock() < self._not_before:
            return
        try:
            self._look(at_once)
            self._failures, self._not_before = 0, 0.0
        except CasError as error:
            if isinstance(error, Fenced):
                self._lose()
            if at_once:
                raise
            times, self._failures = self._times, self._failures + 1
            wait = min(times.first_retry * 2 ** (self._failures - 1), times.last_retry)
            self._not_before = self._clock() + wait
            self._told.failed(error, wait)

    def close(self) -> None:
        """Let somebody else watch at once."""
        if self._watch is not None:
            platform = self._watch.platform
            self._lose()
            self._saving.release(platform, self._holder)

    def _look(self, at_once: bool) -> None:
        watch = self._watch or self._begin()
        if watch is None or not self._claim(watch.platform):
            return
        now = self._clock()
        watch.look(now, self._times)
        occasions = self._occasions(watch, at_once)
        if not occasions:
            if not watch.waits_for_time:
                watch.noticing.forget_old(now)
                if now - watch.settled_at >= self._times.settle:
                    self._keep(watch)
            return
        self._note(watch, occasions, now)
        if at_once or watch.is_due(now, self._times):
            watch.look_at_schema(now)
            self._save(watch, self._occasions(watch, at_once))

    def _begin(self) -> "_Watch | None":
        feed = self._open_feed("")
        try:
            platform = feed.name()
            if not self._claim(platform):
                feed.close()
                return None
            kept = self._saving.watched(platform)
            missed = "" if kept else BEGINS
            if kept is not None:
                feed.close()
                try:
                    feed = self._open_feed(kept.position)
                except InvalidInput as error:
                    feed, missed = self._open_feed(""), f"{UNSEEN}: {error.what}"
            watch = _Watch(platform, feed, kept, missed, self._clock())
            watch.holds(self._catalog, next(whole_versions(self._catalog, platform), None))
        except BaseException:
            feed.close()
            raise
        self._watch = watch
        self._told.began(platform, feed)
        return watch

    def _claim(self, platform: PlatformName) -> bool:
        claim = self._saving.claim(platform, self._holder, self._times.claim)
        if claim is not None:
            self._lose()
            if claim.holder != self._waits_for:
                self._told.waits(claim)
        self._waits_for = claim.holder if claim else ""
        return claim is None

    def _lose(self) -> None:
        if self._watch is not None:
            self._watch.feed.close()
            self._watch = None

    def _occasions(self, watch: "_Watch", at_once: bool) -> list[Occasion]:
        policies = self._policies()
        found = [Occasion(None, detail=watch.missed)] if watch.missed else []
        kinds = {policy.kind: policy for policy in policies}
        age = self._age_of_last(watch.platform)
        noticed = watch.noticing.occasions(policies, watch.records)
        early = [one for one in noticed if not at_once and age is not None and age < one.seconds]
        watch.waits_for_time = bool(early)
        found += [one for one in noticed if one not in early]
        if watch.schema_changed and not kinds.keys().isdisjoint((PolicyKind.SCHEMA, PolicyKind.FOLLOW)):
            found.append(Occasion(PolicyKind.SCHEMA))
        every = kinds.get(PolicyKind.EVERY)
        if every is not None and not found and (age is None or age >= (every.seconds or 0)):
            found.append(Occasion(PolicyKind.EVERY, seconds=every.seconds or 0))
        return found

    def _age_of_last(self, platform: PlatformName) -> float | None:
        newest = next(whole_versions(self._catalog, platform), None)
        return (self._catalog.now() - newest.created_at).total_seconds() if newest else None

    def _note(self, watch: "_Watch", occasions: Sequence[Occasion], now: float) -> None:
        """What is noticed anew begins to wait; a version that begins later than this holds it."""
        said = reason_of(occasions)
        if said == watch.said:
            return
        listed = self._catalog.versions(VersionFilter(limit=1))
        watch.newest_then = listed[0].number if listed else 0
        may_grow = all(one.may_grow for one in occasions)
        if may_grow and not watch.said:
            self._told.noticed(said)
        watch.note(said, now, may_grow=may_grow)

    def _save(self, watch: "_Watch", occasions: Sequence[Occasion]) -> None:
        newest = next(whole_versions(self._catalog, watch.platform), None)
        if newest is not None and newest.number > watch.newest_then and newest.kind is VersionKind.FULL:
            self._told.covered(newest)
            version = newest
        else:
            before = self._before(watch, occasions)
            reason = reason_of(occasions, before)
            kinds = ",".join(one.kind.value for one in occasions if one.kind) or "unseen"
            metadata = {"auto-save": kinds, **({"before": str(before)} if before else {})}
            version = self._take(reason, metadata)
            self._told.saved(version, reason)
        watch.holds(self._catalog, version)
        watch.done()
        self._keep(watch)

    def _before(self, watch: "_Watch", occasions: Sequence[Occasion]) -> int | None:
        """The last version before a mass deletion."""
        gone = [tally for one in occasions if one.deletes for tally in one.tallies]
        if not gone:
            return None
        is_numbered = all(tally.numbers for tally in gone)
        numbers = set[int]().union(*(tally.numbers for tally in gone)) if is_numbered else set()
        since = [tally.since for tally in gone]
        until = None
        if None not in since:
            ago = self._clock() - min(moment for moment in since if moment is not None)
            until = self._catalog.now() - timedelta(seconds=ago) - LAG
        return last_before(self._catalog, watch.platform, numbers, until)

    def _keep(self, watch: "_Watch") -> None:
        """First in the catalog: what the platform forgets, nobody asks for any more."""
        watch.settled_at = self._clock()
        position = watch.feed.position()
        if position != watch.kept:
            self._saving.keep(watch.platform, self._holder, Watched(position, watch.schema_state))
            watch.feed.settled()
            watch.kept = position


class _Watch:
    """What is known of a platform while it is watched."""

    def __init__(
        self, platform: PlatformName, feed: ChangeFeed, kept: Watched | None, missed: str, now: float
    ) -> None:
        """`missed`: why it is not known what happened since the position that was kept."""
        self.platform = platform
        self.feed = feed
        self.noticing = Noticing()
        self.missed = missed
        self.schema_state = kept.schema_state if kept else feed.schema_state()
        """As the last version knows it."""
        self.kept = kept.position if kept else ""
        self.settled_at = now
        self.waits_for_time = False
        """Whether something was noticed that a version will be taken for when it is time."""
        self.newest_then = 0
        """The newest version, of whatever state, when the last of it was noticed."""
        self.said = ""
        self._said_at = self._first_at = now
        self._may_grow = False
        self._schema_now = self.schema_state
        self._schema_at = float("-inf")
        self._mark: Mark | None = None
        self._records: Mapping[str, int] = {}

    def look(self, now: float, times: WatchTimes) -> None:
        happened = self.feed.poll()
        self.noticing.add(now, [one for one in happened.transactions if not self._is_held(one)])
        if happened.missed and not self.missed:
            self.missed = f"{UNSEEN}: {happened.missed}"
        if now - self._schema_at >= times.schema:
            self.look_at_schema(now)

    def look_at_schema(self, now: float) -> None:
        """Dearer than the rest."""
        self._schema_at, self._schema_now = now, self.feed.schema_state()

    @property
    def schema_changed(self) -> bool:
        return self._schema_now != self.schema_state

    def note(self, said: str, now: float, *, may_grow: bool) -> None:
        """What there is to say of what was noticed, and that it is something else than before."""
        if not self.said:
            self._first_at = now
        self.said, self._said_at, self._may_grow = said, now, may_grow

    def is_due(self, now: float, times: WatchTimes) -> bool:
        is_over = now - self._said_at >= times.quiet or now - self._first_at >= times.longest
        return is_over or not self._may_grow

    def records(self, label: str) -> int | None:
        """How many a table had in the last version."""
        return self._records.get(label)

    def holds(self, catalog: Catalog, version: Version | None) -> None:
        """What is noticed from now on is held against the newest whole version, if there is one."""
        base = catalog.base(version.number) if version else None
        self._mark = base.mark if base else None
        entities = catalog.version(version.number).entities if version else ()
        self._records = {entity.label: entity.records for entity in entities}

    def done(self) -> None:
        self.noticing.clear()
        self.missed = self.said = ""
        self.schema_state = self._schema_now

    def _is_held(self, transaction: PlatformTransaction) -> bool:
        """Whether the last version was read when it had been committed."""
        number = transaction.number
        return number is not None and self._mark is not None and self._mark.sees(number)
