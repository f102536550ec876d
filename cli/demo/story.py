"""What happens in `cas demo`, step by step, and what is measured on the way. Nothing is printed here."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import monotonic

from cas.catalog.model import Version
from cas.catalog.postgres import PostgresCatalog
from cas.demo.platform import BuildProgress, StoryReceipt, build, busy_day, json_bytes, mutate
from cas.diff import ChangeKind, EntityDiff, RecordChange, VersionDiff, diff_versions
from cas.engine.repository import Repository, create_repository
from cas.errors import VerificationFailed
from cas.postgres.demo_platform import demo_database
from cas.postgres.embedded.server import EmbeddedServer
from cas.records.source import EntityEstimate
from cas.restore import RestoreReceipt, restore_into
from cas.restore_preview import preview_restore
from cas.restore_scope import RestoreRequest
from cas.snapshot import SnapshotRequest, take_version
from cli.demo.dumps import dump
from cli.session import Session
from cli.watching import Announced, Counters
from cli.words import size

PLATFORM = "shop"
RESTORED = "shop_restored"
CHANGED_SHARE = 0.002
SHOWN_CHANGES = 2
"""Changed, added and removed products that the story shows of each kind."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one way of keeping the database took: the first time, and again after the busy day."""

    name: str
    first_bytes: int
    first_seconds: float | None
    second_bytes: int
    second_seconds: float | None


@dataclass(frozen=True, slots=True)
class Proof:
    """Two databases side by side."""

    checksum: bytes
    restored_checksum: bytes
    rows: dict[str, int]
    restored_rows: dict[str, int]

    @property
    def is_equal(self) -> bool:
        return self.checksum == self.restored_checksum and self.rows == self.restored_rows


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Everything that the demo found out."""

    products: int
    records: int
    tables: int
    json_bytes: int
    level: int
    """Of zstd, for the versions."""
    costs: tuple[Cost, ...]
    updated: int
    day: StoryReceipt
    versions: tuple[Version, ...]
    differences: tuple[EntityDiff, ...]
    examples: tuple[RecordChange, ...]
    restore: RestoreReceipt
    proof: Proof
    seconds: float


Step = Callable[[str], AbstractContextManager["Telling"]]


@dataclass(slots=True)
class Telling:
    """A step that is under way: what it counts, and what may be said of it at its end."""

    counters: Counters
    result: str = ""


class Demo:
    """The steps, in order, on one embedded server. `step` shows each."""

    def __init__(self, session: Session, place: Path, records: int, level: int, step: Step) -> None:
        self._session = session
        self._place = place
        self._records = records
        self._level = level
        self._step = step
        self._began = monotonic()

    def run(self) -> DemoReport:
        with self._step("PostgreSQL 18 starts, in a directory of its own"):
            server: EmbeddedServer = self._session.embedded
            shop = server.ensure_database(PLATFORM)
        with self._step(f"A product platform is built: {self._records:,} products") as telling:
            counts = build(shop, records=self._records, progress=_counted(telling.counters)).counts
            records = sum(counts.values())
            telling.result = f"{records:,} records in {len(counts)} tables"
        repository, catalog = self._repository()
        first, first_seconds = self._version(repository, catalog, shop, "The first version is taken")
        dumped = self._dump(server, shop, "pg_dump -Fc, for comparison")
        with self._step("A busy day in the shop") as telling:
            as_json = json_bytes(shop)
            updated, day = mutate(shop, fraction=CHANGED_SHARE, seed=1), busy_day(shop, seed=1)
            telling.result = (
                f"{updated:,} products repriced, {day.products_deleted} deleted by accident, "
                f"{day.products_added} added, a category renamed"
            )
        second, second_seconds = self._version(repository, catalog, shop, "Another version is taken")
        dumped_again = self._dump(server, shop, "pg_dump -Fc again")
        differences, examples = self._differences(repository, first.number, second.number)
        restored = server.ensure_database(RESTORED)
        receipt = self._restore(repository, second.number, restored)
        third, _ = self._version(repository, catalog, restored, "The second database is read")
        proof = self._proof(shop, restored, second, third)
        return DemoReport(
            products=counts["products"],
            records=records,
            tables=len(counts),
            json_bytes=as_json,
            level=self._level,
            costs=(
                Cost("the records as JSON", as_json, None, json_bytes(shop), None),
                Cost("pg_dump -Fc", *dumped, *dumped_again),
                Cost("cas", first.added_bytes or 0, first_seconds, second.added_bytes or 0, second_seconds),
            ),
            updated=updated,
            day=day,
            versions=(first, second, third),
            differences=differences,
            examples=examples,
            restore=receipt,
            proof=proof,
            seconds=monotonic() - self._began,
        )

    def _repository(self) -> tuple[Repository, PostgresCatalog]:
        with self._step("A repository is made"):
            store = self._session.store(create=True)
            create_repository(store)
            repository = self._session.repository_in(store)
            return repository, self._session.attached(repository, create=True)

    def _version(
        self, repository: Repository, catalog: PostgresCatalog, url: str, title: str
    ) -> tuple[Version, float]:
        with self._step(title) as telling:
            began = monotonic()
            threads = self._session.settings.threads
            request = SnapshotRequest(reason="cas demo", level=self._level, threads=threads)
            source = Announced(self._session.source(url), telling.counters)
            version = take_version(repository, catalog, source, request, telling.counters).version
            new = sum(entity.new_chunks for entity in version.entities)
            telling.result = f"version {version.number}: {new:,} new records, {size(version.added_bytes)}"
            return version, monotonic() - began

    def _dump(self, server: EmbeddedServer, url: str, what: str) -> tuple[int, float]:
        with self._step(what):
            return dump(server.bin_directory / "pg_dump", url, self._place / "comparison.dump")

    def _differences(
        self, repository: Repository, old: int, new: int
    ) -> tuple[tuple[EntityDiff, ...], tuple[RecordChange, ...]]:
        with self._step(f"What changed from version {old} to version {new}") as telling:
            compared = diff_versions(repository, old, new)
            found = tuple(one for one in compared.entities() if not one.is_equal)
            total = sum(one.added + one.removed + one.changed for one in found)
            telling.result = f"{total:,} records differ in {len(found)} entities"
            return found, tuple(_examples(compared))

    def _restore(self, repository: Repository, number: int, url: str) -> RestoreReceipt:
        with self._step(f"Version {number} comes back, in a second database") as telling:
            request = RestoreRequest(parallel=self._session.settings.threads)
            target = self._session.target(url)
            preview = preview_restore(repository, number, target, request)
            expected = {e.label: EntityEstimate(e.records, e.payload_bytes) for e in preview.entities}
            telling.counters.expect(expected, is_exact=True)
            written = self._session.source(url)
            receipt = restore_into(repository, number, target, written, request, telling.counters)
            telling.result = f"{receipt.records:,} records, read again and found equal"
            return receipt

    def _proof(self, shop: str, restored: str, second: Version, third: Version) -> Proof:
        with self._step("Both databases are compared") as telling:
            assert second.checksum is not None
            assert third.checksum is not None
            proof = Proof(second.checksum, third.checksum, _rows(shop), _rows(restored))
            if not proof.is_equal:
                raise VerificationFailed(
                    "the restored database differs from the original", where=f"{PLATFORM}, {RESTORED}"
                )
            telling.result = "equal checksums, equal counts"
            return proof


def _rows(url: str) -> dict[str, int]:
    with demo_database(url) as database:
        return database.counts()


def _counted(counters: Counters) -> Callable[[BuildProgress], None]:
    """The generator's progress, as the counters want it."""
    done = {"": 0}

    def tell(progress: BuildProgress) -> None:
        if progress.step not in done:
            done[progress.step] = 0
            counters.phase(progress.step)
            counters.entity(progress.step, progress.total or 0, 0)
        counters.advance(progress.step, progress.done - done[progress.step], 0)
        done[progress.step] = progress.done

    return tell


def _examples(compared: VersionDiff) -> Iterator[RecordChange]:
    """A few products of each kind of change."""
    for kind in ChangeKind:
        of_kind = (change for change in compared.records("public.products") if change.kind is kind)
        yield from islice(of_kind, SHOWN_CHANGES)
