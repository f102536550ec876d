"""What each version shows of one record: the leaf of the entity's tree that its key leads to.

Roots come from the catalog, so no version is opened for being looked at. Equal roots hold the same
record, and of the others only the nodes on the way to the key are read, each once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cas.catalog.model import EntityRoot, VersionRoots
from cas.errors import CasError, Conflict, CorruptData, InvalidInput, NotFound, Unsupported
from cas.ids import ChunkId
from cas.records.encodings import encode_text
from cas.records.keys import encode_key
from cas.shapes import Shape, Shapes
from cas.tree.lookups import ReadNodes, lookup_in_many
from cas.tree.nodes import Leaf

_LOST = (CorruptData, Unsupported, NotFound, Conflict)
"""What reading a version raises that is damaged or gone. A store that does not answer is another matter."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A version that holds the entity. `leaf` is None where the record is not in it."""

    version: VersionRoots
    shape: Shape
    leaf: Leaf | None


@dataclass(frozen=True, slots=True)
class Sightings:
    """What versions show of one record, oldest first. Nothing but `shown` says anything of it."""

    shown: tuple[Sighting, ...]
    not_held: tuple[VersionRoots, ...]
    """Without the entity, or without its records."""
    other_key: tuple[VersionRoots, ...]
    """In which the entity's key has another number of columns, or none."""
    unreadable: tuple[tuple[VersionRoots, CasError], ...]


def meant(versions: Sequence[VersionRoots], name: str) -> str:
    """The label of the entity that a person means by this name, in any of the versions. NotFound."""
    labels = {entity.label for version in versions for entity in version.entities}
    if name in labels:
        return name
    if not labels:
        raise NotFound(f"no version holds an entity {name}", hint="`cas show latest` lists what there is")
    if len(labels) > 1:
        among = ", ".join(sorted(labels)[:8])
        raise NotFound(f"more than one entity is called {name}", hint=f"Name one of: {among}")
    return labels.pop()


@dataclass(frozen=True, slots=True)
class _Held:
    """A version that holds the entity in a shape of which records with such a key may be."""

    version: VersionRoots
    shape: Shape
    root: ChunkId


def sightings(
    shapes: Shapes,
    read_nodes: ReadNodes,
    versions: Iterable[VersionRoots],
    label: str,
    key: Sequence[str],
) -> Sightings:
    """Look for the record with this key of the entity with this label. `versions`: oldest first.

    InvalidInput where none of the versions can have such a key. Where only some cannot, because the type of
    a column changed, they do not have the record.
    """
    held: list[_Held] = []
    not_held: list[VersionRoots] = []
    other_key: list[VersionRoots] = []
    unreadable: list[tuple[VersionRoots, CasError]] = []
    stranger: Shape | None = None
    for version in versions:
        entity = _entity(version, label)
        if entity is None:
            not_held.append(version)
            continue
        try:
            shape = shapes.shape(version, entity)
        except _LOST as error:
            unreadable.append((version, error))
            continue
        if len(shape.entity.key) == len(key):
            held.append(_Held(version, shape, entity.root))
        else:
            other_key.append(version)
            stranger = shape
    if stranger is not None and not held:
        _encoded(stranger, key)
    keys = _keys(held, key)
    found = lookup_in_many(
        read_nodes,
        [(one.root, known) for one in held if (known := keys[one.shape]) is not None],
    )
    shown: list[Sighting] = []
    for one in held:
        known = keys[one.shape]
        leaf = None if known is None else found[one.root, known]
        if isinstance(leaf, CasError):
            unreadable.append((one.version, leaf))
        else:
            shown.append(Sighting(one.version, one.shape, leaf))
    unreadable.sort(key=lambda pair: pair[0].number)
    return Sightings(tuple(shown), tuple(not_held), tuple(other_key), tuple(unreadable))


def _entity(version: VersionRoots, label: str) -> EntityRoot | None:
    """The entity of a version, where that holds data of it."""
    found = [entity for entity in version.entities if entity.label == label]
    if len(found) > 1:
        raise NotFound(f"more than one entity is called {label}", where=f"version {version.number}")
    return found[0] if found and found[0].has_data else None


def _keys(held: Iterable[_Held], key: Sequence[str]) -> dict[Shape, bytes | None]:
    """The key as bytes in each shape, None where it can be none of it; InvalidInput where so in all."""
    keys: dict[Shape, bytes | None] = {}
    refused: InvalidInput | None = None
    for shape in dict.fromkeys(one.shape for one in held):
        try:
            keys[shape] = _encoded(shape, key)
        except InvalidInput as error:
            keys[shape] = None
            refused = error
    if refused is not None and not any(keys.values()):
        raise refused
    return keys


def _encoded(shape: Shape, key: Sequence[str]) -> bytes:
    if shape.entity.is_bag:
        raise InvalidInput(
            f"{shape.entity.label} has no primary key, so its records have no keys to look up",
            hint="Compare versions with `cas diff` to see its records",
        )
    return encode_key(shape.entity, [encode_text(text, shape.encoding) for text in key])
