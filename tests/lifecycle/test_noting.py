"""What people say of versions is in the store before it holds, and holds wherever the store is read."""

import copy
from collections.abc import Sequence

import pytest

from cas.catalog.memory import MemoryCatalog
from cas.check import Orphans, check_repository
from cas.errors import CasError, Conflict, CorruptData, InvalidInput, NotFound, Unsupported
from cas.format.canonical import encode_json, seal_envelope
from cas.format.names import notes_key
from cas.format.notes import Note, NoteField, Setting, parse_notes
from cas.noting import catch_up, say
from cas.rebuild import rebuild_catalog
from cas.store.interface import ObjectExists
from tests.engine.scenes import World
from tests.lifecycle.conftest import PLATFORM, grown
from tests.lifecycle.dying import Process, at_any_call

PROTECT = Note(1, NoteField.PROTECTED, value=True)
HOLD = Note(2, NoteField.HOLD, "case 4711")


def said(world: World, *notes: Note | Setting, by: str = "ada") -> int:
    return say(world.open(), world.catalog, by, notes).number


def standing(catalog: MemoryCatalog) -> Sequence[tuple[int, bool, str]]:
    numbers = sorted(catalog.known_numbers())
    return [(one.number, one.protected, one.hold) for one in map(catalog.version, numbers)]


def rebuilt(world: World) -> MemoryCatalog:
    catalog = MemoryCatalog(world.clock)
    rebuild_catalog(world.open(), catalog)
    return catalog


def test_what_is_said_is_in_the_store(world: World) -> None:
    assert said(world, PROTECT, HOLD) == 1
    assert said(world, Setting("retention.rules", ("last 5",))) == 2
    notes = parse_notes(world.store.get(notes_key(1)))
    assert (notes.by, notes.notes) == ("ada", (PROTECT, HOLD))
    assert notes.at.startswith("2026-01-01T")
    assert standing(world.catalog) == [(1, True, ""), (2, False, "case 4711"), (3, False, "")]


def test_a_lost_catalog_hears_all_of_it_again(world: World) -> None:
    said(world, PROTECT, HOLD, Setting("retention.rules", ("last 5",)))
    said(world, Note(1, NoteField.PROTECTED, value=False))
    found = rebuilt(world)
    assert standing(found) == standing(world.catalog)
    assert found.keeping.setting("retention.rules") == ("last 5",)
    assert found.keeping.heard().number == 2


def test_an_older_copy_of_the_catalog_hears_what_it_missed(world: World) -> None:
    older = copy.deepcopy(world.catalog._rows.versions)
    said(world, PROTECT)
    said(world, HOLD)
    world.catalog._rows.versions = older
    world.catalog._keeping._noted = 0
    assert catch_up(world.open(), world.catalog).number == 2
    assert standing(world.catalog) == [(1, True, ""), (2, False, "case 4711"), (3, False, "")]
    assert catch_up(world.open(), world.catalog).number == 2


def test_two_catalogs_never_use_one_number(world: World) -> None:
    """Of two that do not know each other, the second one hears the first one before it speaks."""
    other = rebuilt(world)
    say(world.open(), world.catalog, "ada", [PROTECT])
    assert say(world.open(), other, "bob", [HOLD]).number == 2
    assert standing(other) == [(1, True, ""), (2, False, "case 4711"), (3, False, "")]


def test_somebody_is_always_faster(world: World) -> None:
    """Another catalog puts notes just before each of ours: we hear them, and give up in words."""
    other = rebuilt(world)

    class Racing:
        def __getattr__(self, name: str) -> object:
            return getattr(world.store, name)

        def put(self, key: str, data: bytes, *, create_only: bool = False) -> None:
            say(world.open(), other, "bob", [HOLD])
            world.store.put(key, data, create_only=create_only)

    with pytest.raises(Conflict, match="keeps saying"):
        say(world.open(Racing()), world.catalog, "ada", [PROTECT])  # type: ignore[arg-type]
    assert standing(world.catalog)[1] == (2, False, "case 4711")
    assert said(world, PROTECT) == 6


@pytest.mark.parametrize(
    ("note", "error"),
    [
        (Note(9, NoteField.HOLD, "x"), NotFound),
        (Note(1, NoteField.HOLD, "x" * 10_001), InvalidInput),
        (Setting("s" * 401, ()), InvalidInput),
    ],
)
def test_what_cannot_hold_is_not_in_the_store(
    world: World, note: Note | Setting, error: type[CasError]
) -> None:
    with pytest.raises(error):
        said(world, note)
    assert not list(world.store.objects("notes/"))


@pytest.mark.parametrize("dies", [True, False])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_at_any_call_it_holds_or_can_be_said_again(after: bool, dies: bool) -> None:
    """And whoever comes later, with this catalog or none, finds what was acknowledged."""
    failed_at = set()
    for world, call in at_any_call(grown, _protect, after=after, dies=dies):
        failed_at.add(call)
        assert standing(world.catalog)[0] in ((1, False, ""), (1, True, ""))
        said(world, HOLD)
        said(world, PROTECT)
        assert standing(world.catalog)[:2] == [(1, True, ""), (2, False, "case 4711")]
        assert standing(rebuilt(world)) == standing(world.catalog)
        stored = [parse_notes(world.store.get(info.key)).number for info in world.store.objects("notes/")]
        assert stored == list(range(1, len(stored) + 1)), "without a gap"
    assert failed_at == {"put", "objects", "note", "heard", "now"}


def _protect(process: Process) -> None:
    say(process.repository, process.catalog, "ada", [PROTECT])


def _another(world: World, body: dict[str, object]) -> bytes:
    whole = {
        "at": "2026-01-01T00:00:00.000000+00:00",
        "by": "eve",
        "format": 1,
        "notes": [{"field": "hold", "value": "x", "version": 1}],
        "number": 1,
        "repository_id": world.open().id,
        "type": "notes",
        **body,
    }
    return seal_envelope(encode_json(whole))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"repository_id": "00" * 16}, Conflict),
        ({"number": 2}, CorruptData),
        ({"notes": [{"field": "colour", "value": "red", "version": 1}]}, Unsupported),
        ({"format": 2}, Unsupported),
        ({"notes": [{"field": "hold", "value": "x" * 10_001, "version": 1}]}, CorruptData),
        ({"notes": [{"field": "hold", "value": "\udc80", "version": 1}]}, InvalidInput),
    ],
)
def test_notes_that_cannot_be_understood_stop_who_would_delete(
    world: World, body: dict[str, object], error: type[CasError]
) -> None:
    world.store.put(notes_key(1), _another(world, body), create_only=True)
    with pytest.raises(error):
        said(world, PROTECT)
    assert world.take(PLATFORM).number == 4, "versions are taken all the same"


def test_damaged_notes_say_where_and_what_to_do(world: World) -> None:
    said(world, PROTECT)
    data = bytearray(world.store.get(notes_key(1)))
    data[30] ^= 1
    world.store.put(notes_key(1), bytes(data))
    with pytest.raises(CorruptData) as caught:
        rebuilt(world)
    assert caught.value.where == notes_key(1)
    assert "copy of the store" in caught.value.hint


def test_an_object_that_is_in_the_way_is_never_touched(world: World) -> None:
    with pytest.raises(ObjectExists):
        world.store.put("config", b"", create_only=True)
    world.store.put(notes_key(1), b"not ours", create_only=True)
    with pytest.raises(CorruptData):
        said(world, PROTECT)
    assert world.store.get(notes_key(1)) == b"not ours"


def found(world: World, noted: int = 0) -> list[tuple[str, str]]:
    report = check_repository(world.open(), noted=noted)
    return [(finding.object, finding.kind.value) for finding in report.findings]


def test_a_check_reads_all_of_it(world: World) -> None:
    assert found(world) == []
    for _ in range(3):
        said(world, PROTECT)
    assert found(world, noted=3) == []
    assert check_repository(world.open()).orphans == Orphans(0, 0, 0, 0), "notes are no strangers"
    assert found(world, noted=4) == [(notes_key(4), "missing")]
    data = world.store.get(notes_key(2))
    world.store.delete(notes_key(2))
    assert found(world, noted=3) == [(notes_key(2), "missing")]
    world.store.put(notes_key(2), data[:-1])
    assert found(world, noted=3) == [(notes_key(2), "truncated")]
    world.store.put(notes_key(2), _another(world, {"number": 2, "repository_id": "00" * 16}))
    assert found(world, noted=3) == [(notes_key(2), "malformed")]
    assert check_repository(world.open(), version=1).is_clean, "one version alone needs no notes"
    world.store.delete(notes_key(3))
    world.store.delete(notes_key(2))
    world.store.delete(notes_key(1))
    assert found(world, noted=3) == [(notes_key(1), "missing")]
    assert found(world) == []
    world.store.put(notes_key(9_999_999_999), b"far away")
    assert found(world) == [(notes_key(1), "missing")]
