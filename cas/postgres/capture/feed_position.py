"""Where a feed of change capture was, as text that outlives it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from cas.errors import InvalidInput
from cas.postgres.capture.snapshots import checked


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """`seen`: the snapshot of which all was told; empty where no log could be read. `unwritten`: how often a
    log could not be written until then. `stands`: `Log.stands` of the tables that logs told of, by oid."""

    seen: str
    unwritten: str
    stands: Mapping[int, str] = field(default_factory=dict)

    def text(self) -> str:
        return json.dumps([self.seen, self.unwritten, self.stands])


def feed_position(text: str) -> FeedPosition:
    """InvalidInput for what is none."""
    try:
        seen, unwritten, stands = json.loads(text)
        by_table = {int(table): str(one) for table, one in stands.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInput(f"not a position in change logs: {text[:40]!r}") from error
    return FeedPosition(checked(str(seen)) if seen else "", str(unwritten), by_table)
