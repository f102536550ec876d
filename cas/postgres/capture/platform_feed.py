"""What happened on a platform: by change capture where a table has it, else by the server's statistics."""

import json
from collections.abc import Collection, Sequence

from cas.errors import InvalidInput
from cas.postgres.capture.feed import CaptureFeed
from cas.postgres.capture.statistics_feed import StatisticsFeed
from cas.postgres.connecting import ConnectionOptions
from cas.records.changes import Happened, PlatformName

MOST_NAMED = 3
"""Tables that are named; `cas capture status` lists them all."""


class PlatformFeed:
    """See `cas.records.changes.ChangeFeed`."""

    def __init__(
        self, url: str, reader: str, options: ConnectionOptions | None = None, *, position: str = ""
    ) -> None:
        """`reader`: a repository's id. InvalidInput for a malformed URL, and for what is no position."""
        captured, counted = _parts_of(position) if position else ("", "")
        self._captured = CaptureFeed(url, reader, options, position=captured)
        self._counted = StatisticsFeed(
            url, options, position=counted, beside=self._captured, leaving_out=self._told
        )
        self._captured_only: list[Happened] = []  # polled before the platform stopped answering

    @property
    def sees(self) -> str:
        """As of now; 'change capture' alone only where all tables have it."""
        logs = self._captured.logs()
        if logs.is_standby:
            return "its schema and the time alone"
        if not logs.believed:
            return self._counted.sees
        return f"{self._captured.sees} and {self._counted.sees}" if self._unseen() else self._captured.sees

    def name(self) -> PlatformName:
        return self._captured.name()

    def blind_spots(self) -> Sequence[str]:
        logs, others = self._captured.logs(), self._unseen()
        if logs.is_standby:
            return self._counted.blind_spots()
        if logs.believed and not others:
            return []
        spots = []
        if logs.why_not:
            spots.append(f"Change capture is not used: {logs.why_not}")
        elif logs.believed:
            spots.append(f"Known by statistics alone: {_listed(others)}")
        return [*spots, *self._counted.blind_spots()]

    def poll(self) -> Happened:
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

    def _told(self) -> Collection[int]:
        return self._captured.throughout

    def _unseen(self) -> Sequence[tuple[str, str]]:
        return self._captured.unseen()


def _listed(tables: Sequence[tuple[str, str]]) -> str:
    named = [f"{label} ({reason})" for label, reason in tables[:MOST_NAMED]]
    more = len(tables) - len(named)
    return ", ".join([*named, *([f"and {more:,} more (cas capture status)"] if more else [])])


def _parts_of(position: str) -> tuple[str, str]:
    try:
        captured, counted = json.loads(position)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(f"not a position of a watcher: {position[:40]!r}") from error
    return str(captured), str(counted)
