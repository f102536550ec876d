"""What a correct restore does, said once more and naively: on whole tables in memory, row by row."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cas.catalog.restore_model import RestoreMode
from cas.live.request import LiveRequest, Prefer
from tests.live.looking import Moment, Row, Rows
from tests.live.shapes import Shape, Table

Tables = Mapping[str, Rows]
Keys = Mapping[str, set[Row]]
"""By label: keys, or in a table without one whole rows."""


@dataclass
class Changes:
    """What becomes of one table. `moved`: (before, after) of one row each, None where there is none."""

    moved: Counter[tuple[Row | None, Row | None]] = field(default_factory=Counter)
    conflicts: int = 0

    @property
    def counts(self) -> tuple[int, int, int]:
        """Rows inserted, updated and deleted."""
        told = [0, 0, 0]
        for (before, after), count in self.moved.items():
            told[0 if before is None else 2 if after is None else 1] += count
        return told[0], told[1], told[2]


def changes(
    shape: Shape, live: Tables, version: Tables, base: Tables | None, request: LiveRequest, keys: Keys | None
) -> dict[str, Changes]:
    """By label, of the tables in scope. `keys` narrows them."""
    return {
        label: _changes(
            shape.table(label),
            live[label],
            version[label],
            None if base is None else base[label],
            request,
            None if keys is None else keys.get(label, set()),
        )
        for label in meant(shape, request)
    }


def meant(shape: Shape, request: LiveRequest) -> list[str]:
    """Labels of the tables that a request names. `tables` are labels here and no patterns."""
    named = {label for label, _ in (*request.keys, *request.subtrees)}
    chosen = [table.label for table in shape.tables]
    if request.tables:
        chosen = [label for label in chosen if label in request.tables]
    if named:
        chosen = [label for label in chosen if label in named]
    if request.columns:
        chosen = [label for label in chosen if set(request.columns) & set(shape.table(label).names)]
    return chosen


def is_nonsense(shape: Shape, request: LiveRequest) -> bool:
    """Whether planning must refuse the request itself."""
    tables = [shape.table(label) for label in meant(shape, request)]
    for table in tables:
        if set(request.columns) & set(table.key):
            return True
        if not table.key and (request.columns or request.mode is RestoreMode.MERGE):
            return True
    return not tables


def keys_in_scope(shape: Shape, request: LiveRequest, live: Tables, version: Tables) -> Keys | None:
    """What a request narrows its tables to; None where it does not."""
    if not (request.keys or request.subtrees):
        return None
    found: dict[str, set[Row]] = {}
    for label, texts in request.keys:
        found.setdefault(label, set()).add(texts)
    for label, root in request.subtrees:
        for side in (live, version):
            found.setdefault(label, set()).update(_below(shape, label, root, side[label]))
    return found


def _below(shape: Shape, label: str, root: Row, rows: Rows) -> set[Row]:
    table = shape.table(label)
    found = {root}
    for key in shape.keys:
        if not (key.child == key.parent == label):
            continue
        reached, waiting = {root}, [root]
        while waiting:
            parents = [row for row in rows if _key(table, row) == waiting[-1]]
            waiting.pop()
            names = {tuple(row[at] for at in table.places(key.referenced)) for row in parents}
            for row in rows:
                referring = tuple(row[at] for at in table.places(key.columns))
                if None not in referring and referring in names and _key(table, row) not in reached:
                    reached.add(_key(table, row))
                    waiting.append(_key(table, row))
        found |= reached
    return found


def _key(table: Table, row: Row) -> Row:
    return tuple(row[at] for at in table.places(table.key))


def _changes(
    table: Table, live: Rows, version: Rows, base: Rows | None, request: LiveRequest, keys: set[Row] | None
) -> Changes:
    if not table.key:
        return _of_bag(live, version, request.mode, keys)
    now, then = ({_key(table, row): row for row in rows} for rows in (live, version))
    common = {} if base is None else {_key(table, row): row for row in base}
    columns = table.places([n for n in request.columns if n in table.names]) if request.columns else None
    found = Changes()
    for key in {*now, *then}:
        if keys is not None and key not in keys:
            continue
        old, row = then.get(key), now.get(key)
        if columns is not None and (old is None or row is None):
            continue
        shared = common.get(key)
        if columns is not None and old is not None and row is not None:
            old = _overlaid(row, old, columns)
            shared = None if shared is None else _overlaid(row, shared, columns)
        if old == row:
            continue
        if request.mode is RestoreMode.MISSING and row is not None:
            continue
        if request.mode is RestoreMode.CHANGED and (row is None or old is None):
            continue
        if request.mode is RestoreMode.MERGE:
            decided = _merged(old, shared, row, request.prefer)
            if decided is _CONFLICT:
                found.conflicts += 1
                continue
            assert not isinstance(decided, str)
            old = decided
        if old != row:
            found.moved[row, old] += 1
    return found


_CONFLICT = "conflict"


def _merged(version: Row | None, base: Row | None, live: Row | None, prefer: Prefer) -> Row | str | None:
    if live == base:
        return version
    if version == base:
        return live
    if version is None or base is None or live is None:
        return {Prefer.NOBODY: _CONFLICT, Prefer.LIVE: live, Prefer.VERSION: version}[prefer]
    made = []
    for old, common, now in zip(version, base, live, strict=True):
        if now == common:
            made.append(old)
        elif old in (common, now):
            made.append(now)
        elif prefer is Prefer.NOBODY:
            return _CONFLICT
        else:
            made.append(now if prefer is Prefer.LIVE else old)
    return tuple(made)


def _overlaid(row: Row, other: Row, places: Sequence[int]) -> Row:
    return tuple(other[at] if at in places else text for at, text in enumerate(row))


def _of_bag(live: Rows, version: Rows, mode: RestoreMode, rows: set[Row] | None) -> Changes:
    found = Changes()
    if mode is RestoreMode.CHANGED:
        return found
    for row in {*live, *version}:
        if rows is not None and row not in rows:
            continue
        more = version[row] - live[row]
        if more > 0:
            found.moved[None, row] = more
        elif more < 0 and mode is RestoreMode.EXACT:
            found.moved[row, None] = -more
    return found


def applied(live: Tables, found: Mapping[str, Changes]) -> dict[str, Rows]:
    """The tables with these changes made."""
    made = {label: Counter(rows) for label, rows in live.items()}
    for label, those in found.items():
        for (before, after), count in those.moved.items():
            if before is not None:
                made[label][before] -= count
            if after is not None:
                made[label][after] += count
        made[label] = +made[label]
    return made


def broken_references(shape: Shape, tables: Tables) -> list[str]:
    """Foreign keys that would not hold."""
    broken = []
    for key in shape.keys:
        child, parent = shape.table(key.child), shape.table(key.parent)
        there = {tuple(row[at] for at in parent.places(key.referenced)) for row in tables[key.parent]}
        for row in tables[key.child]:
            values = tuple(row[at] for at in child.places(key.columns))
            refers = any(v is not None for v in values) if key.full else None not in values
            if refers and values not in there:
                broken.append(key.name)
                break
    return broken


def broken_uniqueness(shape: Shape, tables: Tables) -> list[str]:
    """Tables in which two rows would have one key or one code."""
    broken = []
    for table in shape.tables:
        sets = [table.key] if table.key else []
        if table.has_code and table.kind != "parted":
            sets.append(("code",))
        for names in sets:
            seen = Counter(
                values
                for row in tables[table.label].elements()
                if None not in (values := tuple(row[at] for at in table.places(names)))
            )
            if seen and max(seen.values()) > 1:
                broken.append(table.label)
    return broken


def users(shape: Shape) -> dict[str, list[str]]:
    """By sequence: the labels of tables whose `id` draws from it."""
    found: dict[str, list[str]] = {}
    for table in shape.tables:
        if table.draws:
            name = "shared" if table.kind == "shared" else f"{table.name}_id_seq"
            found.setdefault(name, []).append(table.label)
    return found


def sequences(
    shape: Shape, now: Moment, version: Moment, request: LiveRequest, found: Mapping[str, Changes]
) -> dict[str, tuple[int, bool]]:
    """What the sequences are afterwards."""
    narrow = request.keys or request.subtrees or request.columns
    made = dict(now.sequences)
    for name, labels in users(shape).items():
        whole = request.mode is RestoreMode.EXACT and not narrow and set(labels) <= set(found)
        if whole:
            made[name] = version.sequences[name]
            continue
        highest = max(_ids(shape, labels, found), default=0)
        if (highest, True) > made[name]:
            made[name] = (highest, True)
    return made


def _ids(shape: Shape, labels: Iterable[str], found: Mapping[str, Changes]) -> Iterable[int]:
    for label in labels:
        place = shape.table(label).names.index("id")
        for _, after in found.get(label, Changes()).moved:
            if after is not None and after[place] is not None:
                yield int(after[place] or "0")
