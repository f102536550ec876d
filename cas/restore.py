"""Bringing a whole version back into an empty database: schema, records, the rest, and the proof."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice, repeat
from time import monotonic

from cas.catalog.model import VersionState
from cas.contents import Contents, open_contents, schema_of
from cas.engine.repository import Repository
from cas.errors import Conflict, InvalidInput, VerificationFailed
from cas.format.document import VersionDocument
from cas.format.entities import EntityEntry
from cas.progress import Progress, Silent
from cas.proof import StreamDigest, is_stream, prove_as_bag, prove_root, prove_stream
from cas.read_ahead import read_ahead
from cas.record_stream import BATCH_RECORDS, read_records
from cas.records.model import Entity, EntityKind
from cas.records.payload import pad_with_nulls
from cas.records.source import Selection, Source, SourceSnapshot
from cas.records.target import Target
from cas.restore_scope import RestoredEntity, RestoreRequest, chosen_entries, schema_parts

_TABLES = (EntityKind.TABLE, EntityKind.PARTITIONED)


@dataclass(frozen=True, slots=True)
class RestoreReceipt:
    """What a restore did. `verified`: every record was read again and found equal."""

    version: int
    target: str
    entities: tuple[RestoredEntity, ...]
    records: int
    payload_bytes: int
    verified: bool
    notes: tuple[str, ...]
    seconds_by_phase: tuple[tuple[str, float], ...]


def restore_into(
    repository: Repository,
    number: int,
    target: Target,
    written: Source,
    request: RestoreRequest | None = None,
    progress: Progress | None = None,
) -> RestoreReceipt:
    """Fill the empty database behind `target`; `written` reads the same database for the proof.

    Conflict before anything is written where the target is not empty or does not fit; CorruptData
    where a chunk is missing or damaged; VerificationFailed where the proof fails.
    """
    wanted = request or RestoreRequest()
    contents = open_contents(repository, number)
    _require_restorable(contents.document, wanted)
    return _Restoring(repository, contents, target, written, wanted, progress or Silent()).run()


def _require_restorable(document: VersionDocument, request: RestoreRequest) -> None:
    if document.state != VersionState.COMPLETE and not request.allow_incomplete:
        raise Conflict(
            f"version {document.number} is {document.state}: it lacks "
            + ", ".join(name for name, _ in document.omissions[:5]),
            hint="Restore another version, or accept what is missing with --allow-incomplete",
        )
    if not (request.with_schema or request.with_data):
        raise InvalidInput("neither schema nor data were asked for", hint="Drop one of the two options")


class _Restoring:
    """The phases of one restore."""

    def __init__(
        self,
        repository: Repository,
        contents: Contents,
        target: Target,
        written: Source,
        request: RestoreRequest,
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._contents = contents
        self._target = target
        self._written = written
        self._request = request
        self._progress = progress
        self._entries = chosen_entries(contents, request)
        self._tables = [e for e in self._entries if e.entity.kind in _TABLES and e.root is not None]
        self._digests: dict[tuple[str, str, str], bytes] = {}
        self._seconds: list[tuple[str, float]] = []
        self._phase_began = monotonic()

    def _phase(self, name: str) -> None:
        now = monotonic()
        if self._seconds:
            last, _ = self._seconds[-1]
            self._seconds[-1] = (last, now - self._phase_began)
        self._phase_began = now
        self._seconds.append((name, 0.0))
        self._progress.phase(name)

    def run(self) -> RestoreReceipt:
        request = self._request
        self._phase("prepare")
        waves = self._target.begin(
            self._contents.document.source.encoding,
            schema_of(self._contents) if request.with_schema else (),
            schema_parts(request, self._entries),
            [entry.entity for entry in self._entries if request.with_data and entry.root is not None],
            what=f"a restore of version {self._contents.document.number}",
        )
        self._phase("schema")
        self._target.build_before_data()
        if request.with_data:
            self._phase("records")
            self._copy_tables(waves)
            self._copy_others()
        self._phase("indexes and constraints")
        self._target.build_after_data()
        verified = request.with_data and request.verify
        if verified:
            self._phase("verify")
            self._verify()
        self._phase("finish")
        notes = self._target.finish()
        self._phase("done")
        restored = [e for e in self._entries if e.root is not None] if request.with_data else []
        return RestoreReceipt(
            version=self._contents.document.number,
            target=self._target.url,
            entities=tuple(RestoredEntity(e.entity.label, e.records, e.payload_bytes) for e in restored),
            records=sum(entry.records for entry in restored),
            payload_bytes=sum(entry.payload_bytes for entry in restored),
            verified=verified,
            notes=tuple(notes),
            seconds_by_phase=tuple(self._seconds[:-1]),
        )

    def _copy_tables(self, waves: Sequence[Sequence[Entity]]) -> None:
        """Group after group; within a group the largest first, so that no long one is left to a single
        connection at the end. One table is one COPY, since only a whole table can be loaded frozen."""
        entries = {_identity(entry.entity): entry for entry in self._tables}
        with ThreadPoolExecutor(max(1, self._request.parallel), thread_name_prefix="cas-copy") as pool:
            for wave in waves:
                tables = sorted((entries[_identity(e)] for e in wave), key=lambda e: -e.payload_bytes)
                running = [pool.submit(self._copy, entry) for entry in tables]
                try:
                    for future in running:
                        future.result()
                except BaseException:
                    for future in running:
                        future.cancel()
                    self._target.cancel()
                    raise

    def _copy(self, entry: EntityEntry) -> None:
        """Write one table, and remember the digest of what was sent."""
        entity = entry.entity
        digest = StreamDigest()
        self._progress.entity(entity.label, entry.records, entry.payload_bytes)

        def lines() -> Iterator[bytes]:
            for batch in read_ahead(read_records(self._contents.reader, entry)):
                for payloads in _repeated(batch.payloads, batch.counts):
                    joined = digest.add(payloads)
                    yield _padded(joined, payloads, entity)
                    self._progress.advance(entity.label, len(payloads), len(joined))

        counted = self._target.copy_in(entity, lines(), whole=True)
        if counted != digest.records or counted != entry.records:
            raise VerificationFailed(
                f"{entity.label}: {digest.records} records were sent of {entry.records}, and the server"
                f" counted {counted}",
                where=self._target.url,
                hint="A rule or trigger on the table may swallow rows; restore into an empty database",
            )
        self._digests[_identity(entity)] = digest.finish()

    def _copy_others(self) -> None:
        for entry in self._entries:
            payloads = (p for batch in read_records(self._contents.reader, entry) for p in batch.payloads)
            if entry.entity.kind is EntityKind.SEQUENCES and self._sets_sequences:
                self._target.set_sequences(payloads)
            elif entry.entity.kind is EntityKind.LARGE_OBJECTS:
                self._target.write_large_objects(payloads)

    def _verify(self) -> None:
        """Read everything again in one snapshot and compare."""
        with self._written.snapshot(self._read_back) as snapshot:
            there = {_identity(entity): entity for entity in snapshot.entities}
            for entry in self._entries:
                wanted = entry.entity
                if entry.root is None or (wanted.kind is EntityKind.SEQUENCES and not self._sets_sequences):
                    continue
                found = there.get(_identity(wanted))
                if found is None or sorted(_names(found)) != sorted(_names(wanted)):
                    raise VerificationFailed(f"{wanted.label} is not there with its columns")
                self._progress.entity(wanted.label, entry.records, entry.payload_bytes)
                # In the version's order of columns: a child of inheritance may come back with another one.
                self._prove(entry, snapshot, replace(found, columns=wanted.columns))
                self._progress.advance(wanted.label, entry.records, entry.payload_bytes)

    def _prove(self, entry: EntityEntry, snapshot: SourceSnapshot, found: Entity) -> None:
        wanted = entry.entity
        if wanted.kind is EntityKind.TABLE:
            as_they_lie = read_ahead(snapshot.payloads(found))
            if is_stream(entry, self._digests[_identity(wanted)], as_they_lie):
                return
        key, boundary = self._repository.config.id_key, self._repository.boundary
        batches = read_ahead(snapshot.batches(found))
        if found.key != wanted.key:
            prove_as_bag(entry, self._contents.reader, batches, key, boundary)
        elif wanted.kind in _TABLES and not wanted.is_bag:
            prove_stream(entry, self._digests[_identity(wanted)], batches)
        else:
            prove_root(entry, batches, key, boundary)

    @property
    def _sets_sequences(self) -> bool:
        """Only a whole schema has all sequences of the version."""
        return self._request.with_schema and not self._request.is_selected

    @property
    def _read_back(self) -> Selection:
        """What to read for the proof: what was written."""
        if not self._request.is_selected:
            return Selection()
        return Selection(tables=tuple(entry.entity.label for entry in self._tables))


def _identity(entity: Entity) -> tuple[str, str, str]:
    return (entity.kind.value, entity.schema, entity.name)


def _names(entity: Entity) -> list[str]:
    return [column.name for column in entity.columns]


def _repeated(payloads: list[bytes], counts: list[int]) -> Iterator[list[bytes]]:
    """A bag's records as often as they were counted, in lists of bounded length."""
    if not counts or max(counts) == 1:
        yield payloads
        return
    every = (p for payload, count in zip(payloads, counts, strict=True) for p in repeat(payload, count))
    while run := list(islice(every, BATCH_RECORDS)):
        yield run


def _padded(joined: bytes, payloads: Sequence[bytes], entity: Entity) -> bytes:
    """Whole COPY lines. Where no NULLs were stripped, the joined payloads are the lines already."""
    columns = len(entity.columns)
    if joined.count(b"\t") == max(columns - 1, 0) * len(payloads):
        return joined
    return b"".join([pad_with_nulls(payload, columns, entity.label) + b"\n" for payload in payloads])
