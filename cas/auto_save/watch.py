"""What is known of one platform while it is watched."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cas.auto_save.occasions import WINDOW_SECONDS, Noticing
from cas.catalog.auto_save_model import Watched
from cas.catalog.interface import Catalog
from cas.catalog.model import Version, VersionFilter, VersionKind
from cas.catalog.rules import clean
from cas.errors import InvalidInput
from cas.records.changes import ChangeFeed, PlatformName, PlatformTransaction
from cas.records.marks import Mark

BEGINS = "Auto-save begins: what happened before is not known"
UNSEEN = "Not seen what happened"


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
    claim: float = 60.0
    first_retry: float = 5.0
    last_retry: float = 300.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a watcher was. `position`: of the feed, after everything that had happened at `moment`, by the
    catalog's clock."""

    position: str
    moment: datetime

    def text(self) -> str:
        return json.dumps({"at": self.moment.isoformat(), "feed": self.position})


def place_of(text: str) -> Place:
    """InvalidInput for what is none."""
    try:
        found = json.loads(text)
        return Place(str(found["feed"]), datetime.fromisoformat(found["at"]).astimezone(UTC))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"not a position of auto-save: {text[:40]!r}") from error


class Watch:
    """One platform, its feed, what was noticed, and what the last version holds of it."""

    def __init__(
        self,
        platform: PlatformName,
        feed: ChangeFeed,
        times: WatchTimes,
        kept: Watched | None,
        begins: datetime | None,
        missed: str,
    ) -> None:
        """`begins`: the moment from which the feed tells; None where that is not known. `missed`: why it is
        not known what happened since the position that was kept."""
        self.platform = platform
        self.feed = feed
        self.noticing = Noticing(times.window)
        self.noticing.begins(begins)
        self.missed = missed
        self.schema_state = kept.schema_state if kept else feed.schema_state()
        """As the last version knows it."""
        self.newest = 0
        """The newest version that holds everything, or 0."""
        self.said = ""
        self._times = times
        self._said_at = self._first_at = 0.0
        self._may_grow = False
        self._schema_now = self.schema_state
        self._schema_at = float("-inf")
        self._missed_then = self._schema_then = 0
        self._mark: Mark | None = None
        self._records: Mapping[str, int] = {}
        self._place: Place | None = None
        self._ripening: tuple[float, Place] | None = None

    def look(self, now: float, catalog: Catalog) -> None:
        """`now`: seconds of a clock that never goes back."""
        moment = catalog.now()
        happened = self.feed.poll()
        self._place = Place(self.feed.position(), moment)
        told: Sequence[PlatformTransaction] = happened.transactions
        if not happened.missed:  # else the numbers may be those of another history
            told = [one for one in told if not self._is_held(one)]
        begun = _newest_begun(catalog) if told or happened.missed else 0
        self.noticing.add(now, moment, begun, told)
        if happened.missed:
            self.missed = self.missed or f"{UNSEEN}: {happened.missed}"
            self._missed_then = begun
        if now - self._schema_at >= self._times.schema:
            self.look_at_schema(now, catalog)

    def look_at_schema(self, now: float, catalog: Catalog) -> None:
        """Dearer than the rest."""
        state = self.feed.schema_state()
        if state != self._schema_now:
            self._schema_then = _newest_begun(catalog)
        self._schema_at, self._schema_now = now, state

    @property
    def schema_changed(self) -> bool:
        return self._schema_now != self.schema_state

    def note(self, said: str, now: float, *, may_grow: bool) -> None:
        """What there is to say of what was noticed, and that it is something else than before."""
        if not self.said:
            self._first_at = now
        self.said, self._said_at, self._may_grow = said, now, may_grow

    def is_due(self, now: float) -> bool:
        times = self._times
        is_over = now - self._said_at >= times.quiet or now - self._first_at >= times.longest
        return is_over or not self._may_grow

    def records(self, label: str) -> int | None:
        """How many a table had in the last version."""
        return self._records.get(clean(label))

    def knows(self, catalog: Catalog, version: Version) -> None:
        """What is told from now on is held against this version, which holds everything."""
        base = catalog.base(version.number)
        self.newest = version.number
        self._mark = base.mark if base else None
        entities = catalog.version(version.number).entities
        self._records = {entity.label: entity.records for entity in entities}

    def is_held_by(self, catalog: Catalog, version: Version) -> bool:
        """Whether a version that somebody else took holds all that was noticed. Where it holds a part, the
        whole is told of in another one."""
        if self.missed and self._missed_then >= version.number:
            return False
        if self.schema_changed and (
            self._schema_then >= version.number or version.kind is not VersionKind.FULL
        ):
            return False
        base = catalog.base(version.number)
        return self.noticing.is_in(version.number, base.mark if base else None)

    def saved_in(self, catalog: Catalog, version: Version) -> None:
        """All that was noticed is in this version."""
        self.knows(catalog, version)
        self.noticing.clear()
        self.missed = self.said = ""
        self.schema_state = self._schema_now
        self._ripening = None

    def here(self) -> Watched:
        """Where we are, for whoever comes next: after all that was looked at."""
        assert self._place is not None, "it was looked"
        return Watched(self._place.text(), self.schema_state)

    def ripe(self, now: float) -> Watched | None:
        """Where we were a while ago: what was looked at since may still become an occasion together with
        what comes, and has to be seen again by whoever comes next. None: it is too early to say."""
        assert self._place is not None, "it was looked"
        if self._ripening is None:
            self._ripening = now, self._place
            return None
        then, place = self._ripening
        if now - then < self._times.window:
            return None
        self._ripening = now, self._place
        return Watched(place.text(), self.schema_state)

    def _is_held(self, transaction: PlatformTransaction) -> bool:
        """Whether the last version was read when it had been committed."""
        number = transaction.number
        return number is not None and self._mark is not None and self._mark.sees(number)


def _newest_begun(catalog: Catalog) -> int:
    """Of whatever state, and of whichever platform."""
    listed = catalog.versions(VersionFilter(limit=1))
    return listed[0].number if listed else 0
