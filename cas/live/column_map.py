"""How the columns of a version's table lie in the live one: by name, whatever their order.

A record of the version becomes one of the live table by moving fields of COPY text; what only the live
table has stays as it is there, or takes its default where the record is new.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cas.errors import InvalidInput
from cas.format.malformed import malformed
from cas.records.model import Entity
from cas.records.payload import NULL, TAB, strip_trailing_nulls


@dataclass(frozen=True, slots=True)
class Retyped:
    """A column whose type differs."""

    column: str
    version: str
    live: str


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """`sources[i]`: which field of the version's record the live column i takes; None where it keeps its
    own. `dropped` are columns of the version that the live table lacks, `added` the other way round."""

    sources: tuple[int | None, ...]
    width: int
    """Columns of the version's table."""
    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    retyped: tuple[Retyped, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()

    @property
    def is_alike(self) -> bool:
        """Whether equal payloads mean equal records: every column lies where it lay."""
        return self.sources == tuple(range(self.width)) and not self.retyped

    @property
    def keeps_places(self) -> bool:
        """Whether records with equal payloads need nothing: what is taken is taken from the same place."""
        return not self.retyped and all(source in (None, at) for at, source in enumerate(self.sources))

    @property
    def drifts(self) -> bool:
        """Whether something would be lost or read anew as another type."""
        return bool(self.dropped or self.retyped)

    @property
    def taken(self) -> tuple[int, ...]:
        """The live columns that take their value from the version."""
        return tuple(at for at, source in enumerate(self.sources) if source is not None)

    def applied(self, version: bytes, live: bytes) -> bytes:
        """The live record as it becomes."""
        if self.is_alike:
            return version
        old = split_fields(version, self.width)
        now = split_fields(live, len(self.sources))
        made = [now[at] if source is None else old[source] for at, source in enumerate(self.sources)]
        return strip_trailing_nulls(TAB.join(made))

    def created(self, version: bytes) -> bytes:
        """The fields of `taken` of a record that the live table lacks: its other columns take defaults."""
        if self.is_alike:
            return version
        old = split_fields(version, self.width)
        return strip_trailing_nulls(TAB.join([old[s] for s in self.sources if s is not None]))


def split_fields(payload: bytes, columns: int) -> list[bytes]:
    """All fields as they are written, stripped NULLs too. CorruptData where there are more."""
    if not columns:
        return []
    found = payload.split(TAB)
    if len(found) > columns:
        raise malformed("a record has more fields than columns")
    return found + [NULL] * (columns - len(found))


def column_map(
    version: Entity, live: Entity, renamed: Mapping[str, str], only: tuple[str, ...] = ()
) -> ColumnMap:
    """Columns matched by name. `renamed`: old name -> new name; `only`: live columns that are brought back,
    all where it is empty. InvalidInput for a name that does not exist."""
    _require_names(version, live, renamed, only)
    places = {renamed.get(column.name, column.name): at for at, column in enumerate(version.columns)}
    there = {column.name for column in live.columns}
    sources = tuple(
        places.get(column.name) if not only or column.name in only else None for column in live.columns
    )
    retyped = tuple(
        Retyped(column.name, version.columns[source].type, column.type)
        for column, source in zip(live.columns, sources, strict=True)
        if source is not None and version.columns[source].type != column.type
    )
    return ColumnMap(
        sources,
        len(version.columns),
        dropped=() if only else tuple(name for name in places if name not in there),
        added=() if only else tuple(c.name for c in live.columns if c.name not in places),
        retyped=retyped,
        renamed=tuple((old, new) for old, new in renamed.items() if old != new),
    )


def _require_names(version: Entity, live: Entity, renamed: Mapping[str, str], only: tuple[str, ...]) -> None:
    before = {column.name for column in version.columns}
    now = {column.name for column in live.columns}
    for old, new in renamed.items():
        if old not in before or new not in now:
            side, name = ("version", old) if old not in before else ("live table", new)
            raise InvalidInput(f"the {side} has no column {name}", where=f"--map {old}={new}")
    for name in only:
        if name not in now:
            raise InvalidInput(
                f"{live.label} has no column {name}",
                where="--columns",
                hint=f"It has: {', '.join(sorted(now))}",
            )
