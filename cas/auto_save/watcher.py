"""Watching one platform: what happens there becomes versions.

What is lost where it dies:

| dies | what is there | who comes next |
|---|---|---|
| after a look, before a version | a position from before all that may still count | sees it again |
| while a version is taken | the same, and a version that is listed as failed | sees it again |
| after the version, before the position is kept | the version | sees it again, and that it is held |
| after the position is kept, before the platform is told | all; the log is too long | goes on |

Two that watch the same platform: the catalog lets one of them, as long as it shows that it lives. One whose
claim ran out while its machine slept may take a version more; it can keep no position any longer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from cas.auto_save.holding import Holding
from cas.auto_save.occasions import LEAST_OF_PERCENT, Occasion, Tally, reasons
from cas.auto_save.watch import BEGINS, UNSEEN, Watch, WatchTimes, place_of
from cas.auto_save.whole_versions import COMMITTED, last_before, whole_versions
from cas.auto_save.words import Before, reason_of
from cas.catalog.auto_save_model import Claim, Policy, PolicyKind, Watched
from cas.catalog.auto_saving import AutoSaving
from cas.catalog.interface import Catalog
from cas.catalog.model import Version
from cas.catalog.rules import clean
from cas.errors import CasError, Fenced, InvalidInput, NotFound
from cas.records.changes import ChangeFeed, PlatformName

LAG = timedelta(seconds=60)
"""By how much the server's statistics may be late: sessions report at the end of a transaction, at most once
a second, when idle after 10 seconds, and where they are in each other's way after 60."""

KINDS, BEFORE = "auto-save", "before"
"""Keys of a version's metadata: why it was taken, and the last version before a mass deletion."""


class Told(Protocol):
    """Whoever watches the watcher."""

    def began(self, platform: PlatformName, feed: ChangeFeed) -> None: ...

    def waits(self, claim: Claim) -> None:
        """Somebody else watches."""

    def turned(self, *, on: bool) -> None:
        """There are no policies any more; or there are some again."""

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
        allow_incomplete: bool = False,
        beats: bool = True,
    ) -> None:
        """`open_feed`: from a position, empty for none. `take`: a version of everything, for this reason and
        with this metadata. `holder`: who we are, unlike anybody else. `clock`: seconds, never going back.
        `allow_incomplete`: a version that lacks what may not be read is as good as any. `beats`: the claim is
        renewed by a thread (a simulation has no time for that)."""
        self._open_feed = open_feed
        self._catalog = catalog
        self._saving = saving
        self._policies = policies
        self._take = take
        self._told = told
        self._holder = holder
        self._clock = clock
        self._times = times or WatchTimes()
        self._with_incomplete = allow_incomplete
        self._holding = Holding(saving, holder, self._times.claim, beats=beats)
        self._watch: Watch | None = None
        self._waits_for = ""
        self._is_on = True
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
            self._holding.pause()  # somebody else may have more luck
            if isinstance(error, Fenced):
                self._lose()
            if at_once:
                raise
            times, self._failures = self._times, self._failures + 1
            wait = min(times.first_retry * 2 ** min(self._failures - 1, 30), times.last_retry)
            self._not_before = self._clock() + wait
            self._told.failed(error, wait)

    def close(self) -> None:
        """Let somebody else watch at once."""
        self._lose()
        self._holding.release()

    def _look(self, at_once: bool) -> None:
        watch = self._watch or self._begin()
        if watch is None or not self._claim(watch.platform):
            return
        now, policies = self._clock(), self._policies()
        if bool(reasons(policies)) is not self._is_on:
            self._is_on = not self._is_on
            self._told.turned(on=self._is_on)
        newest = self._newest(watch.platform)
        watch.look(now, self._catalog)
        occasions, early = self._occasions(watch, policies, newest, at_once)
        if newest is not None and newest.number > watch.newest:
            if not (occasions or early):
                watch.knows(self._catalog, newest)
            elif watch.is_held_by(self._catalog, newest):
                if watch.said:
                    self._told.covered(newest)
                watch.saved_in(self._catalog, newest)
                occasions, early = [], []
        watch.noticing.forget_old(now, keep=bool(occasions), follow=bool(early))
        if not occasions:
            watch.said = ""
            if not early and (ripe := watch.ripe(now)) is not None:
                self._keep(watch, ripe)
            return
        self._note(watch, occasions, now)
        if at_once or watch.is_due(now):
            watch.look_at_schema(now, self._catalog)
            occasions, _ = self._occasions(watch, policies, newest, at_once)
            self._save(watch, occasions)

    def _begin(self) -> Watch | None:
        feed = self._open_feed("")
        try:
            platform = feed.name()
            if not self._claim(platform):
                feed.close()
                return None
            kept = self._saving.watched(platform)
            missed, begins = "" if kept else BEGINS, None
            if kept is not None:
                feed.close()
                try:
                    place = place_of(kept.position)
                    feed, begins = self._open_feed(place.position), place.moment
                except InvalidInput as error:
                    feed, missed = self._open_feed(""), f"{UNSEEN}: {error.what}"
            watch = Watch(platform, feed, self._times, kept, begins, missed)
            newest = self._newest(platform)
            if newest is not None:
                watch.knows(self._catalog, newest)
        except BaseException:
            feed.close()
            raise
        self._watch = watch
        self._told.began(platform, feed)
        return watch

    def _claim(self, platform: PlatformName) -> bool:
        claim = self._holding.take(platform)
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

    def _newest(self, platform: PlatformName) -> Version | None:
        """The newest version that counts."""
        some = whole_versions(self._catalog, platform, with_incomplete=self._with_incomplete)
        return next(some, None)

    def _occasions(
        self, watch: Watch, policies: Sequence[Policy], newest: Version | None, at_once: bool
    ) -> tuple[list[Occasion], list[Occasion]]:
        """Those it is time for, and those for which it is too early."""
        if not reasons(policies):
            return [], []
        kinds = {policy.kind: policy for policy in policies}
        age = None
        if newest is not None:
            # Of a version that seems to be of the future, nobody knows how old it is: a clock was wrong.
            age = abs((self._catalog.now() - newest.created_at).total_seconds())
        noticed = watch.noticing.occasions(policies, watch.records)
        follow = kinds.get(PolicyKind.FOLLOW)
        if watch.schema_changed and (PolicyKind.SCHEMA in kinds or follow is not None):
            seconds = 0.0 if PolicyKind.SCHEMA in kinds or follow is None else follow.seconds or 0
            noticed.append(Occasion(PolicyKind.SCHEMA, seconds=seconds))
        early = [one for one in noticed if not at_once and age is not None and age < one.seconds]
        found = [Occasion(None, detail=watch.missed)] if watch.missed else []
        found += [one for one in noticed if one not in early]
        every = kinds.get(PolicyKind.EVERY)
        if every is not None and not found and (age is None or age >= (every.seconds or 0)):
            found.append(Occasion(PolicyKind.EVERY, seconds=every.seconds or 0))
        return found, early

    def _note(self, watch: Watch, occasions: Sequence[Occasion], now: float) -> None:
        """What is noticed anew begins to wait."""
        said = reason_of(occasions)
        if said == watch.said:
            return
        may_grow = all(one.may_grow for one in occasions)
        if may_grow and not watch.said:
            self._told.noticed(said)
        watch.note(said, now, may_grow=may_grow)

    def _save(self, watch: Watch, occasions: Sequence[Occasion]) -> None:
        before = self._before(watch, occasions)
        reason = reason_of(occasions, before)
        metadata = {KINDS: ",".join(one.kind.value for one in occasions if one.kind) or "unseen"}
        if before is not None:
            metadata[BEFORE] = str(before.version)
        version = self._take(reason, metadata)
        self._told.saved(version, reason)
        watch.saved_in(self._catalog, version)
        self._keep(watch, watch.here())

    def _before(self, watch: Watch, occasions: Sequence[Occasion]) -> Before | None:
        """The last version before a mass deletion, if anybody can say which."""
        gone = [tally for one in occasions if one.deletes for tally in one.tallies]
        if not gone:
            return None
        is_numbered = all(tally.is_numbered for tally in gone)
        numbers = set[int]().union(*(tally.numbers for tally in gone)) if is_numbered else set()
        moments = [tally.since for tally in gone if tally.since is not None]
        since = min(moments) if len(moments) == len(gone) else None
        tables = {clean(tally.label) for tally in gone if watch.records(tally.label) is not None}
        if not tables:
            return None
        until = since - LAG if since is not None else None
        number = last_before(self._catalog, watch.platform, tables, numbers, until)
        if number is None:
            return None
        # Sessions report late, and one that begins a long transaction at once may do so hours later.
        is_sure = bool(numbers) and self._catalog.base(number) is not None
        return replace(self._before_all(number, gone, since), is_sure=is_sure)

    def _before_all(self, number: int, gone: Sequence[Tally], since: datetime | None) -> Before:
        """A deletion that takes long has versions of ours in its middle. Each holds a part of it, and says
        which one holds none."""
        version = self._catalog.version(number)
        first = version.metadata.get(BEFORE, "")
        is_ours = PolicyKind.MASS_CHANGE.value in version.metadata.get(KINDS, "").split(",")
        if not is_ours or not first.isdecimal() or not self._goes_on(version, gone, since):
            return Before(number)
        try:
            is_there = self._catalog.version(int(first)).state in COMMITTED
        except NotFound:
            is_there = False
        return Before(int(first), number) if is_there else Before(number)

    def _goes_on(self, version: Version, gone: Sequence[Tally], since: datetime | None) -> bool:
        """Whether the version lost records of the same tables, and at once it went on."""
        ended = version.finished_at
        if since is not None and ended is not None and since > ended + timedelta(seconds=self._times.window):
            return False
        lost = {entity.label: entity.deleted for entity in version.entities}
        counts = [lost.get(clean(tally.label), 0) for tally in gone]
        return any(count is None or count >= LEAST_OF_PERCENT for count in counts)

    def _keep(self, watch: Watch, kept: Watched) -> None:
        """First in the catalog: what the platform forgets, nobody asks for any more."""
        self._saving.keep(watch.platform, self._holder, kept)
        watch.feed.settled(place_of(kept.position).position)
