"""Values of a column whose type is another one now, as that type writes them.

The text 5 of an integer is 5.00 in numeric(10,2). Only the server knows, so it is asked; without it, what is
read back before COMMIT would not be what was planned.
"""

from collections.abc import Callable, Sequence

from cas.live.column_map import ColumnMap, split_fields
from cas.records.model import Entity
from cas.records.payload import NULL, TAB, escape, strip_trailing_nulls, unescape

Cast = Callable[[str, Sequence[bytes]], Sequence[bytes]]
"""A type, and texts; gives the texts that values of this type have. Conflict where one is no such value."""

KEPT_TEXTS = 10_000
"""Texts of a column that need not be asked for again."""


class Recasting:
    """Records of the version with the retyped columns rewritten. `cast` may be exchanged."""

    def __init__(self, columns: ColumnMap, live: Entity, cast: Cast) -> None:
        self.cast = cast
        self._width = columns.width
        types = {column.name: column.type for column in live.columns}
        sources = {c.name: source for c, source in zip(live.columns, columns.sources, strict=True)}
        self._retyped = [
            (place, types[one.column])
            for one in columns.retyped
            if (place := sources[one.column]) is not None
        ]
        self._known: dict[tuple[int, bytes], bytes] = {}

    def rewritten(self, payloads: Sequence[bytes | None]) -> list[bytes | None]:
        """In their order."""
        if not self._retyped:
            return list(payloads)
        rows = [None if payload is None else split_fields(payload, self._width) for payload in payloads]
        for place, type_name in self._retyped:
            self._learn(place, type_name, {row[place] for row in rows if row is not None} - {NULL})
            for row in rows:
                if row is not None and row[place] != NULL:
                    row[place] = self._known[place, row[place]]
        return [None if row is None else strip_trailing_nulls(TAB.join(row)) for row in rows]

    def _learn(self, place: int, type_name: str, fields: set[bytes]) -> None:
        if len(self._known) > KEPT_TEXTS:
            self._known.clear()
        unknown = sorted(field for field in fields if (place, field) not in self._known)
        if unknown:
            texts = self.cast(type_name, [unescape(field) or b"" for field in unknown])
            for field, text in zip(unknown, texts, strict=True):
                self._known[place, field] = escape(text)
