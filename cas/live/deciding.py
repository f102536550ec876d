"""What becomes of each difference: by scope and mode, a change of the live table, a conflict, or nothing."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from cas.catalog.restore_model import RestoreMode
from cas.differences import Difference
from cas.engine.chunk_reader import ChunkReader
from cas.ids import ChunkKind
from cas.live.column_map import ColumnMap
from cas.live.comparing import grouped
from cas.live.merging import merged
from cas.live.recasting import Recasting
from cas.live.request import Prefer
from cas.record_stream import read_payload
from cas.records.live import Change
from cas.tree.nodes import Leaf


@dataclass(frozen=True, slots=True)
class Conflict:
    """A key that both sides changed, and that nobody decided."""

    key: bytes


@dataclass(frozen=True, slots=True)
class Rules:
    """How one entity is decided. `keys`: those in scope, None for all. `base`: what a merge takes for
    the common ancestor of a key; `narrow`: only some columns come back, of records that are there."""

    mode: RestoreMode
    columns: ColumnMap
    is_bag: bool
    keys: Container[bytes] | None = None
    prefer: Prefer = Prefer.NOBODY
    base: Callable[[bytes], bytes | None] | None = None
    narrow: bool = False
    recasting: Recasting | None = None
    """Where columns have other types now."""


def decide(
    differences: Iterable[Difference], reader: ChunkReader, rules: Rules
) -> Iterator[Change | Conflict]:
    """Ascending by key, as the differences are."""
    wanted = (one for one in differences if _concerns(one, rules))
    for one, version in version_payloads(wanted, reader, rules.recasting):
        found = _of_bag(one, version) if rules.is_bag else _of_keyed(one, version, rules)
        if found is not None:
            yield found


def version_payloads(
    differences: Iterable[Difference], reader: ChunkReader, recasting: Recasting | None = None
) -> Iterator[tuple[Difference, bytes | None]]:
    """Each difference with the version's record, proven; None where it has none. They are read together."""
    for some in grouped(differences):
        payloads = _payloads(some, reader)
        if recasting is not None:
            payloads = recasting.rewritten(payloads)
        yield from zip(some, payloads, strict=True)


def _concerns(one: Difference, rules: Rules) -> bool:
    """By scope and mode alone, before any record of the version is read."""
    if rules.keys is not None and one.key not in rules.keys:
        return False
    if rules.narrow and (one.version is None or one.live is None):
        return False
    before, after = _count(one.live), _count(one.version)
    match rules.mode:
        case RestoreMode.MISSING:
            return after > before
        case RestoreMode.CHANGED:
            return before > 0 and after > 0 and not rules.is_bag
        case _:
            return True


def _of_keyed(one: Difference, version: bytes | None, rules: Rules) -> Change | Conflict | None:
    if rules.mode is RestoreMode.MERGE:
        assert rules.base is not None, "a merge has a base"
        return _of_merge(one, version, rules, rules.base(one.key))
    return _change(one, version, rules.columns)


def _change(one: Difference, version: bytes | None, columns: ColumnMap) -> Change | None:
    if version is None:
        return Change(one.key, one.payload, None) if one.payload is not None else None
    if one.payload is None:
        return Change(one.key, None, columns.created(version))
    after = columns.applied(version, one.payload)
    return Change(one.key, one.payload, after) if after != one.payload else None


def _of_merge(
    one: Difference, version: bytes | None, rules: Rules, base: bytes | None
) -> Change | Conflict | None:
    """Three ways: what the live side left as the base has it becomes as the version; what it changed stays;
    what both changed is a conflict."""
    live, columns = one.payload, rules.columns
    if live is not None and version is not None and columns.applied(version, live) == live:
        return None  # of the columns that are wanted, nothing differs
    seen = None if base is None else columns.applied(base, live or b"")
    if live is None or version is None or base is None:
        if live == (None if base is None else seen):
            return _change(one, version, columns)  # the live side did nothing since
        if version == base:
            return None  # only the live side did something
        return _preferred(one, version, rules)
    assert seen is not None
    decided = merged(columns.applied(version, live), seen, live, len(columns.sources), rules.prefer)
    if decided is None:
        return Conflict(one.key)
    return Change(one.key, live, decided) if decided != live else None


def _preferred(one: Difference, version: bytes | None, rules: Rules) -> Change | Conflict | None:
    match rules.prefer:
        case Prefer.NOBODY:
            return Conflict(one.key)
        case Prefer.LIVE:
            return None
        case Prefer.VERSION:
            return _change(one, version, rules.columns)


def _of_bag(one: Difference, version: bytes | None) -> Change | None:
    before, after = _count(one.live), _count(one.version)
    if after > before:
        assert version is not None
        return Change(one.key, None, version, after - before, after)
    assert one.payload is not None
    return Change(one.key, one.payload, None, before - after, after)


def _count(leaf: Leaf | None) -> int:
    return 0 if leaf is None else leaf.count


def _payloads(some: Sequence[Difference], reader: ChunkReader) -> list[bytes | None]:
    """The version's records, proven; None where it has none."""
    small = [one.version.id for one in some if one.version is not None and not one.version.is_large]
    plains = iter(reader.read(ChunkKind.RECORD, small))
    return [
        None
        if one.version is None
        else read_payload(reader, one.version)
        if one.version.is_large
        else next(plains)
        for one in some
    ]
