"""The reference reader restores what the engine wrote, by FORMAT.md alone."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from blake3 import blake3

from cas.catalog.memory import MemoryCatalog
from cas.engine.repository import Repository as Engine
from cas.engine.repository import create_repository
from cas.limits import LARGE_VALUE_BYTES, MAX_DELTA_DEPTH
from cas.records.model import Entity
from cas.records.payload import pad_with_nulls
from cas.snapshot import SnapshotRequest, take_version
from cas.store.local import LocalStore
from tests.engine.memory_source import MemorySource, integer_key, table
from tests.reference_reader import DELTA, NODE, WITH_DICTIONARY, Repository, restore

PRODUCTS = table("products")
LOG = table("log", ("line",), is_bag=True)
EMPTY = table("empty")
WORDS = [f"word{number}" for number in range(500)]

Platform = dict[Entity, Mapping[int, bytes] | Sequence[bytes]]


def _changed(draw: random.Random, rows: Mapping[int, bytes]) -> dict[int, bytes]:
    """Some records updated, some gone, some new; one of them large."""
    changed = dict(rows)
    for number in draw.sample(sorted(rows), 20):
        changed[number] = b"%d\t%s" % (number, " ".join(draw.choices(WORDS, k=60)).encode())
    for number in draw.sample(sorted(rows), 5):
        del changed[number]
    changed[draw.randrange(10**6)] = b"9\t" + bytes([draw.choice(b"abc")]) * (
        LARGE_VALUE_BYTES + draw.randrange(9)
    )
    return changed


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Platform]]:
    """A repository directory with more versions than a chain of deltas may be long, and what they hold."""
    root = tmp_path_factory.mktemp("store")
    draw = random.Random(11)
    moment = datetime(2026, 1, 31, tzinfo=UTC)

    def clock() -> datetime:
        nonlocal moment
        moment += timedelta(seconds=1)
        return moment

    store = LocalStore(root)
    config = create_repository(store)
    catalog = MemoryCatalog(clock)
    catalog.attach(config.repository_id, store.url, create=True)
    rows = {n: b"%d\t%s" % (n, " ".join(draw.choices(WORDS, k=60)).encode()) for n in range(6000)}
    states: list[Platform] = []
    for number in range(MAX_DELTA_DEPTH + 4):
        lines = [b"", rb"\N", *[b"tick"] * number, b"line %d" % number]
        states.append({PRODUCTS: rows, LOG: lines, EMPTY: {}})
        engine = Engine(store, None)
        take_version(engine, catalog, MemorySource(states[-1], batch=700), SnapshotRequest())
        engine.close()
        rows = _changed(draw, rows)
    return root, states


def _lines(entity: Entity, rows: Mapping[int, bytes] | Sequence[bytes]) -> list[bytes]:
    ordered = [rows[n] for n in sorted(rows, key=integer_key)] if isinstance(rows, Mapping) else sorted(rows)
    return [pad_with_nulls(row, len(entity.columns)) + b"\n" for row in ordered]


@pytest.mark.parametrize("number", [1, 2, MAX_DELTA_DEPTH + 4])
def test_versions_of_the_engine_are_restored_to_the_byte(
    number: int, written: tuple[Path, list[Platform]], tmp_path: Path
) -> None:
    root, states = written
    list(restore(Repository(root), number, tmp_path))
    for entity, rows in states[number - 1].items():
        found = (tmp_path / f"{entity.label}.copy").read_bytes()
        lines = found.splitlines(keepends=True)
        assert (lines if isinstance(rows, Mapping) else sorted(lines)) == _lines(entity, rows)


def test_the_engine_uses_dictionaries_and_deltas_within_the_limits(
    written: tuple[Path, list[Platform]],
) -> None:
    repository = Repository(written[0])
    assert repository.damage == []
    frames = [frame for _, frames in repository.packs for frame, _ in frames]
    assert any(frame["encoding"] == WITH_DICTIONARY for frame in frames)
    depths = [frame["depth"] for frame in frames if frame["encoding"] == DELTA and frame["kind"] == NODE]
    assert 1 < max(depths) <= MAX_DELTA_DEPTH


def test_every_parent_is_named_by_the_hash_of_its_document(written: tuple[Path, list[Platform]]) -> None:
    root, states = written
    repository = Repository(root)
    for number in range(2, len(states) + 1):
        document = repository.document(number)
        assert document["parent"] == number - 1
        assert document["previous"] == _hash_of(root / "versions" / f"{number - 1:010d}")


def _hash_of(path: Path) -> str:
    return blake3(path.read_bytes()).hexdigest()
