"""Which records of an entity a request means: by key, by predicate, by their place in a tree."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from cas.contents import Contents
from cas.differences import Difference
from cas.errors import InvalidInput
from cas.format.entities import EntityEntry
from cas.live.column_map import split_fields
from cas.live.planned_table import Values
from cas.live.tables import Name, Pair
from cas.record_stream import read_records
from cas.records.encodings import encode_text
from cas.records.keys import encode_key
from cas.records.live import ForeignKey
from cas.records.payload import unescape

Predicate = Callable[[Contents, str, str], Iterable[bytes]]
"""Keys of the entity's records for which PostgreSQL says that the predicate is true."""


def named_keys(contents: Contents, keys: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, set[bytes]]:
    """Key bytes by the version's label. InvalidInput for a key that cannot be one."""
    found: defaultdict[str, set[bytes]] = defaultdict(set)
    encoding = contents.document.source.encoding
    for name, texts in keys:
        entity = contents.entry(name).entity
        if entity.is_bag:
            raise InvalidInput(f"{entity.label} has no primary key", where="--key")
        found[entity.label].add(encode_key(entity, [encode_text(text, encoding) for text in texts]))
    return dict(found)


def subtree_keys(
    contents: Contents,
    pair: Pair,
    roots: Iterable[bytes],
    foreign_keys: Sequence[ForeignKey],
    differences: Iterable[Difference],
) -> set[bytes]:
    """The keys of a self-referencing table that are under one of these, in the version or live, and the
    roots themselves. InvalidInput where the table does not refer to itself."""
    own = [key for key in foreign_keys if key.child == key.parent == pair.name]
    if not own:
        raise InvalidInput(f"{pair.live.label} does not refer to itself by a foreign key", where="--subtree")
    version = list(_version_records(contents, pair.entry))
    live = dict(version)
    for one in differences:
        if one.payload is None:
            live.pop(one.key, None)
        else:
            live[one.key] = one.payload
    names = [column.name for column in pair.live.columns]
    wanted = set(roots)
    for key in own:
        wanted |= _below(roots, dict(version), _places(key, _renamed(pair)))
        wanted |= _below(roots, live, _places(key, names))
    return wanted


def _version_records(contents: Contents, entry: EntityEntry) -> Iterator[tuple[bytes, bytes]]:
    for batch in read_records(contents.reader, entry):
        yield from zip(batch.keys, batch.payloads, strict=True)


def _renamed(pair: Pair) -> list[str]:
    """The version's columns by their live names."""
    renamed = dict(pair.columns.renamed)
    return [renamed.get(column.name, column.name) for column in pair.entry.entity.columns]


def _places(key: ForeignKey, names: Sequence[str]) -> tuple[list[int], list[int], int]:
    """Where the referring and the referenced columns stand, and how many there are."""
    try:
        return (
            [names.index(name) for name in key.columns],
            [names.index(name) for name in key.referenced],
            len(names),
        )
    except ValueError:
        raise InvalidInput(
            f"the version lacks a column of foreign key {key.label}", where="--subtree"
        ) from None


def _below(
    roots: Iterable[bytes], records: Mapping[bytes, bytes], places: tuple[list[int], list[int], int]
) -> set[bytes]:
    referring, referenced, width = places
    children: defaultdict[Values, list[bytes]] = defaultdict(list)
    names: dict[bytes, Values | None] = {}
    for record_key, payload in records.items():
        texts = list(map(unescape, split_fields(payload, width)))
        is_named = all(texts[at] is not None for at in referenced)
        names[record_key] = tuple(texts[at] or b"" for at in referenced) if is_named else None
        if all(texts[at] is not None for at in referring):
            children[tuple(texts[at] or b"" for at in referring)].append(record_key)
    found: set[bytes] = set()
    waiting = deque(root for root in roots if root in names)
    while waiting:
        record_key = waiting.popleft()
        if record_key not in found:
            found.add(record_key)
            name = names[record_key]
            waiting.extend(children.get(name, ()) if name is not None else ())
    return found


def tables_reached(
    start: Iterable[Name], keys: Sequence[ForeignKey], *, parents: bool, children: bool
) -> set[Name]:
    """The tables that can be reached from these along foreign keys, and these."""
    found: set[Name] = set()
    waiting = deque(start)
    while waiting:
        name = waiting.popleft()
        if name in found:
            continue
        found.add(name)
        if parents:
            waiting.extend(key.parent for key in keys if key.child == name)
        if children:
            waiting.extend(key.child for key in keys if key.parent == name)
    return found
