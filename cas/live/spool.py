"""Changes on a local disk: a plan may speak of millions of records, and memory must not.

Records of one entity, ascending by key, written once and read as often as needed.
"""

import struct
from collections.abc import Iterator

from cas.records.live import Change
from cas.spool_file import SpoolFile

_CHANGE = struct.Struct("<BIIIQQ")
_HAS_BEFORE, _HAS_AFTER = 1, 2


class ChangeSpool(SpoolFile):
    """The changes of one entity, ascending by key. May be read by several at once, as often as asked."""

    def add(self, one: Change) -> None:
        """Behind all others."""
        flags = (_HAS_BEFORE if one.before is not None else 0) | (_HAS_AFTER if one.after is not None else 0)
        before, after = one.before or b"", one.after or b""
        head = _CHANGE.pack(flags, len(one.key), len(before), len(after), one.count, one.left)
        self.append((head, one.key, before, after))

    def __iter__(self) -> Iterator[Change]:
        take = self.reading().take
        for _ in range(self.length):
            flags, key_length, before_length, after_length, *counts = _CHANGE.unpack(take(_CHANGE.size))
            body, middle = take(key_length + before_length + after_length), key_length + before_length
            yield Change(
                body[:key_length],
                body[key_length:middle] if flags & _HAS_BEFORE else None,
                body[middle:] if flags & _HAS_AFTER else None,
                *counts,
            )
