"""Bytes of a small repository are changed, one after another: every seventh, and by `make thorough` each.

No region is left out: config, documents, notes, journals of gc, headers, frames of every encoding, trailers,
footers and the second copy of a dictionary. The deepest check finds each one, and names the object; reading
never gives anything but the right records or a refusal.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from cas.check import CheckLevel, CheckReport, check_repository
from cas.engine.repository import Repository
from cas.errors import CasError, CorruptData
from cas.format.frame import Encoding
from cas.format.names import CONFIG, JOURNALS, NOTES, VERSIONS, pack_key, pack_of_key
from cas.format.notes import Note, NoteField
from cas.format.pack import FOOTER_BYTES, HEADER_BYTES, parse_end
from cas.garbage.collecting import collect_garbage
from cas.ids import PackName
from cas.noting import say
from tests.engine.scenes import PRODUCTS, Platform, Records, World, expected, records_of

ROWS = {number: b"%d\tproduct number %d" % (number, number * number) for number in range(6)}
FIRST: Platform = {PRODUCTS: ROWS}
SECOND: Platform = {PRODUCTS: {**ROWS, 4: b"4\tanother product number 16"}}
RIGHT = {1: expected(FIRST), 2: expected(SECOND)}
DICTIONARY = zstandard.train_dictionary(
    256, [b"%d\tproduct number %d" % (number, number * number) for number in range(3000)]
).as_bytes()


@pytest.fixture
def small(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two versions with a dictionary, a delta, and every other encoding, something that was said of one, and
    something that was collected; as small as they can be."""
    monkeypatch.setattr("cas.engine.write_session.train_dictionary", lambda samples, expected: DICTIONARY)
    world.take(FIRST)
    world.take(SECOND)
    say(world.open(), world.catalog, "ada", [Note(1, NoteField.PROTECTED, value=True)])
    world.store.put(pack_key(PackName("ab" * 32)), b"a stranger", create_only=True)
    assert collect_garbage(world.open(), world.catalog).deleted == 1
    return world


def objects(world: World) -> dict[str, bytes]:
    return {info.key: world.store.get(info.key) for info in world.store.objects()}


def flips(world: World, key: str, step: int) -> Iterator[int]:
    """Put the object with one bit changed, at every so many positions; whole again afterwards."""
    whole = world.store.get(key)
    for position in range(0, len(whole), step):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        world.store.put(key, bytes(damaged))
        yield position
    world.store.put(key, whole)


def read(
    world: World, cache: Path | None = None, versions: tuple[int, ...] = (1, 2)
) -> dict[int, Records | None]:
    """What a new process reads of these versions; None where it is refused."""
    found: dict[int, Records | None] = dict.fromkeys(versions)
    try:
        repository = world.open(cache=cache)
    except CasError:
        return found
    for number in found:
        try:
            found[number] = records_of(repository, number)
        except CasError:
            continue
    repository.close()
    return found


def check(world: World, opened: Repository, level: CheckLevel = CheckLevel.BYTES) -> CheckReport:
    """By a new process; `opened` stands in for one whose config cannot be read."""
    try:
        repository = world.open()
    except CorruptData:
        return check_repository(opened, level=level)
    report = check_repository(repository, level=level)
    repository.close()
    return report


def level_for(key: str, position: int) -> CheckLevel:
    """What is no pack and no dictionary is looked at alike on all levels; only some of its bytes take the
    deepest, which costs twice the time."""
    is_alike = key == CONFIG or key.startswith((VERSIONS, NOTES, JOURNALS))
    return CheckLevel.STRUCTURE if is_alike and position % 8 else CheckLevel.BYTES


def region(stored: bytes, position: int) -> str:
    """Which part of a pack this is."""
    trailer = parse_end(stored)
    if position < HEADER_BYTES:
        return "header"
    offset = HEADER_BYTES
    for frame in trailer.frames:
        offset += frame.stored_length
        if position < offset:
            return frame.encoding.name
    return "trailer" if position < len(stored) - FOOTER_BYTES else "footer"


@pytest.mark.parametrize(
    "step", [7, pytest.param(1, marks=[pytest.mark.thorough, pytest.mark.timeout(1200)])]
)
def test_every_flipped_byte_is_found_and_none_is_read(small: World, step: int) -> None:
    whole = objects(small)
    assert read(small) == RIGHT
    opened = small.open()
    regions: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for key, stored in whole.items():
        is_pack = pack_of_key(key) is not None
        for position in flips(small, key, step):
            where = region(stored, position) if is_pack else key.partition("/")[0]
            regions[where] += 1
            report = check(small, opened, level_for(key, position))
            assert key in {finding.object for finding in report.findings}, (key, position)
            found = read(small, versions=(1, 2) if position % 8 == 0 else (2,))
            for number, records in found.items():
                assert records in (None, RIGHT[number]), (key, position)
                if records is None:
                    refused[where] += 1
                if key != CONFIG:
                    assert (records is None) <= (number in report.lost_versions), (key, position)
    assert set(regions) == {
        "config",
        "dictionaries",
        "versions",
        "notes",
        "gc",
        "header",
        "trailer",
        "footer",
        *(encoding.name for encoding in Encoding),
    }, "no region was left out"
    assert objects(small) == whole
    assert not refused.keys() & {"header", "dictionaries", "notes", "gc"}, "these are not needed to read"
    assert {"config", "versions", "trailer", "ZSTD_DELTA", "ZSTD_DICTIONARY"} <= refused.keys()
    assert check(small, opened).is_clean


def test_flipped_bytes_of_the_local_cache_cost_a_request_and_nothing_else(
    small: World, tmp_path: Path
) -> None:
    assert read(small, tmp_path) == RIGHT
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert {path.parent.name for path in files} == {"index", "trailers"}
    for path in files:
        whole = path.read_bytes()
        for position in range(0, len(whole), 13):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << position % 8
            path.write_bytes(damaged)
            assert read(small, tmp_path) == RIGHT, (path, position)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(whole)
