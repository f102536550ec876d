"""What happened on a platform: by change capture where a table has it, else by the server's statistics."""

import json
import time
from collections.abc import Collection, Sequence

from cas.errors import InvalidInput
from cas.postgres.capture.feed import CANNOT_HOLD, CaptureFeed
from cas.postgres.capture.statistics_feed import StatisticsFeed
from cas.postgres.connecting import ConnectionOptions
from cas.records.changes import Happened, PlatformName

LOOK_SECONDS = 60.0
"""How often it is asked which tables are captured."""


class PlatformFeed:
    """See `cas.records.changes.ChangeFeed`."""

    def __init__(
        self, url: str, reader: str, options: ConnectionOptions | None = None, *, position: str = ""
    ) -> None:
        """`reader`: a repository's id. InvalidInput for a malformed URL, and for what is no position."""
        captured, counted = _parts_of(position) if position else ("", "")
        self._captured = CaptureFeed(url, reader, options, position=captured)
        self._counted = StatisticsFeed(url, options, position=counted, leaving_out=self._labels_captured)
        self._labels: Collection[str] = ()
        self._unseen: Sequence[tuple[str, str]] = ()
        self._looked: float | None = None
        self._captured_only: list[Happened] = []  # polled before the platform stopped answering

    @property
    def sees(self) -> str:
        """As of the last look; 'change capture' alone only where all tables have it."""
        if not self._labels:
            return self._counted.sees
        return f"{self._captured.sees} and {self._counted.sees}" if self._unseen else self._captured.sees

    def name(self) -> PlatformName:
        return self._captured.name()

    def blind_spots(self) -> Sequence[str]:
        self._look()
        spots = [] if self._labels and not self._unseen else list(self._counted.blind_spots())
        if self._labels and self._unseen:
            tables = ", ".join(f"{label} ({reason})" for label, reason in self._unseen)
            spots = [f"Known by statistics alone: {tables}", *spots]
        return spots if self._captured.may_hold else [*spots, CANNOT_HOLD]

    def poll(self) -> Happened:
        self._labels_captured()
        self._captured_only.append(self._captured.poll())
        happened = [*self._captured_only, self._counted.poll()]
        self._captured_only.clear()
        transactions = [one for each in happened for one in each.transactions]
        return Happened(transactions, "; ".join(dict.fromkeys(one.missed for one in happened if one.missed)))

    def position(self) -> str:
        return json.dumps([self._captured.position(), self._counted.position()])

    def settled(self, position: str) -> None:
        self._captured.settled(_parts_of(position)[0])

    def schema_state(self) -> str:
        return self._captured.schema_state()

    def close(self) -> None:
        self._captured.close()
        self._counted.close()

    def _labels_captured(self) -> Collection[str]:
        if self._looked is None or time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
        return self._labels

    def _look(self) -> None:
        states = self._captured.states()
        self._labels = frozenset(label for label, reason in states if not reason)
        self._unseen = [(label, reason) for label, reason in states if reason]
        self._looked = time.monotonic()


def _parts_of(position: str) -> tuple[str, str]:
    try:
        captured, counted = json.loads(position)
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"not a position of a watcher: {position[:40]!r}") from error
    return str(captured), str(counted)
