"""Trying a restore before it is needed: a version into a throwaway database, compared, and told in a report.

The restore is the one that everybody uses. It leaves its own proof to this drill, which proves more and
goes on where that one would end: every entity is read again and its tree computed anew, so that root,
count and checksum can be laid beside the version's. When all are equal, so is the version's checksum.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic

import cas
from cas.contents import Contents, open_contents
from cas.drill_report import DrilledEntity, DrillReport, DrillStep, laid_beside
from cas.engine.repository import Repository
from cas.errors import CasError, Conflict, PermissionDenied, Unsupported, VerificationFailed
from cas.format.document import VersionDocument
from cas.format.entities import EntityEntry, version_checksum
from cas.progress import Progress, Silent
from cas.proof import StreamDigest, root_of
from cas.read_ahead import read_ahead
from cas.record_stream import read_records
from cas.records.large_objects import (
    LARGE_OBJECTS,
    LargeObjectHead,
    decode_large_object,
    encode_large_object,
)
from cas.records.model import OF_THE_DATABASE, Entity, EntityKind, RecordBatch
from cas.records.scratch import Scratch, ScratchServer, is_lack
from cas.records.source import Selection, SourceSnapshot
from cas.records.values import requiring_types
from cas.restore import restore_into
from cas.restore_preview import preview_restore
from cas.restore_scope import RestoreRequest
from cas.scratch_filling import platform_of

PRODUCT = "cas"

_OWNERS = "compared without owners and privileges, which only the platform's server has"


@dataclass(frozen=True, slots=True)
class DrillRequest:
    """`who` is kept in the report. `full_rights`: work as the throwaway server's administrator, who can
    make everything that a schema may hold; the schema's own code then runs with his rights."""

    who: str = ""
    full_rights: bool = False
    parallel: int = 2


@dataclass(frozen=True, slots=True)
class Drill:
    """The report, and the error that ended or decided the drill; None where it passed."""

    report: DrillReport
    fault: CasError | None


def run_drill(
    repository: Repository,
    number: int,
    server: ScratchServer,
    request: DrillRequest | None = None,
    progress: Progress | None = None,
) -> Drill:
    """Restore a version into a throwaway database, compare, drop it. Whatever fails on the way is in the
    report; raised is only what leaves nothing to report: NotFound, or a document that cannot be read."""
    document = repository.document(number)
    return _Drilling(repository, document, server, request or DrillRequest(), progress or Silent()).run()


class _Steps:
    """A Progress that keeps the time of each phase, and hands everything on."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._began = monotonic()
        self._name = ""
        self.entity = progress.entity
        self.advance = progress.advance
        self.stored = progress.stored
        self.done: list[DrillStep] = []

    def phase(self, name: str) -> None:
        now = monotonic()
        if self._name:
            self.done.append(DrillStep(self._name, now - self._began))
        # The restore ends with a phase that is no step.
        self._name, self._began = ("" if name == "done" else name), now
        self._progress.phase(name)


class _Drilling:
    """One drill."""

    def __init__(
        self,
        repository: Repository,
        document: VersionDocument,
        server: ScratchServer,
        request: DrillRequest,
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._document = document
        self._server = server
        self._request = request
        self._progress = progress
        self._steps = _Steps(progress)
        self._now: Callable[[], datetime] = repository.environment.now
        self._entries: tuple[EntityEntry, ...] = ()
        self._found: dict[tuple[str, str, str], DrilledEntity] = {}
        self._found_checksum: bytes | None = None
        self._server_version = ""
        self._notes = [f"not in the version: {name}: {reason}" for name, reason in document.omissions]

    def run(self) -> Drill:
        began, began_at = monotonic(), self._now()
        fault: CasError | None = None
        try:
            self._drill()
        except CasError as error:
            fault = error
        self._steps.phase("done")
        return Drill(self._report(fault, began_at, monotonic() - began), fault)

    def _drill(self) -> None:
        number = self._document.number
        if self._document.schema is None:
            raise Conflict(
                "the version holds no schema, so nothing can be made of it alone",
                hint="Drill a version that was taken without --data-only",
            )
        self._steps.phase("make the database")
        contents = open_contents(self._repository, number)
        self._entries = tuple(
            entry
            for entry in contents.entries
            if entry.root is not None and entry.entity.kind in OF_THE_DATABASE
        )
        with self._server.database(platform_of(contents), f"a drill of version {number}") as scratch:
            self._server_version = scratch.server.server_version
            try:
                self._restore(scratch)
                self._compare(scratch, contents)
            except Unsupported as error:
                error.hint = scratch.hint if is_lack(error) else error.hint
                raise
            finally:
                self._steps.phase("drop the database")
        different = [one.label for one in self._found.values() if not one.is_equal]
        if different or self._found_checksum != self._document.checksum:
            raise VerificationFailed(
                f"what came back is not the version: {', '.join(different[:5]) or 'its checksum differs'}",
                hint="Check the repository with `cas check --level bytes`, and drill another version",
            )

    def _restore(self, scratch: Scratch) -> None:
        wanted = RestoreRequest(
            with_data=bool(self._entries),
            with_owners=False,
            with_privileges=False,
            parallel=self._request.parallel,
            verify=False,
            allow_incomplete=True,
        )
        full = self._request.full_rights
        with closing(scratch.target(full_rights=full)) as target:
            preview = preview_restore(self._repository, self._document.number, target, wanted)
            for finding in preview.findings:
                if finding.blocks:
                    says = f"the throwaway server does not fit: {finding.what}"
                    raise Unsupported(says, hint=scratch.hint)
                self._notes.append(finding.what)
            try:
                receipt = restore_into(
                    self._repository,
                    self._document.number,
                    target,
                    scratch.source(full_rights=full),
                    wanted,
                    self._steps,
                )
            except PermissionDenied as error:
                error.hint = error.hint or "The schema needs an administrator's rights: --full-rights"
                raise
        self._notes += [f"left out: {note}" for note in receipt.notes]

    def _compare(self, scratch: Scratch, contents: Contents) -> None:
        self._steps.phase("compare")
        checked = {}
        with scratch.source(full_rights=self._request.full_rights).snapshot(Selection()) as snapshot:
            there = {_identity(entity): entity for entity in snapshot.entities}
            for entry in self._entries:
                self._progress.entity(entry.entity.label, entry.records, entry.payload_bytes)
                began = monotonic()
                found, note = self._found_entry(contents, entry, there.get(_identity(entry.entity)), snapshot)
                drilled = laid_beside(entry, found, note, monotonic() - began)
                self._found[_identity(entry.entity)] = drilled
                checked[_identity(entry.entity)] = found or replace(entry, records=-1)
        self._found_checksum = version_checksum(
            [checked.get(_identity(entry.entity), entry) for entry in contents.entries]
        )

    def _found_entry(
        self, contents: Contents, entry: EntityEntry, found: Entity | None, snapshot: SourceSnapshot
    ) -> tuple[EntityEntry | None, str]:
        """The entity as it was found, with its root and count, and a remark; None where it cannot be
        compared."""
        wanted = entry.entity
        if found is None:
            return None, "it is not there"
        columns = {column.name: column for column in found.columns}
        if columns.keys() != {column.name for column in wanted.columns} or found.key != wanted.key:
            return None, "its columns or its key are others"
        # In the version's order of columns: a child of inheritance may come back with another one.
        found = replace(found, columns=tuple(columns[column.name] for column in wanted.columns))
        counter = _Counter(self._progress, wanted.label)
        batches = counter.counted(read_ahead(snapshot.batches(found)))
        if wanted.kind is EntityKind.LARGE_OBJECTS:
            is_same = _digest(_payloads(batches)) == _digest(_stored(contents, entry))
            root = entry.root if is_same else None
            return replace(entry, root=root, records=counter.records), _OWNERS
        root = root_of(found, batches, self._repository.config.id_key, self._repository.boundary)
        return replace(entry, entity=found, root=root, records=counter.records), ""

    def _report(self, fault: CasError | None, began_at: datetime, seconds: float) -> DrillReport:
        document = self._document
        return DrillReport(
            product=PRODUCT,
            program_version=cas.__version__,
            version=document.number,
            version_name=document.name,
            version_state=document.state,
            version_created_at=document.created_at,
            repository=self._repository.id,
            store=self._repository.store.url,
            source_database=document.source.database,
            source_server=document.source.server_version,
            server=self._server_version,
            who=self._request.who,
            began_at=began_at.isoformat(timespec="seconds"),
            ended_at=self._now().isoformat(timespec="seconds"),
            seconds=seconds,
            result="FAILED" if fault else "PASSED",
            reason=str(fault) if fault else "",
            error_code=fault.code if fault else "",
            records=document.records,
            payload_bytes=document.original_bytes,
            expected_checksum=document.checksum,
            found_checksum=self._found_checksum,
            entities=tuple(
                self._found.get(_identity(entry.entity)) or laid_beside(entry, None, "not reached", 0.0)
                for entry in self._entries
            ),
            steps=tuple(self._steps.done),
            notes=tuple(self._notes),
        )


class _Counter:
    """Counts the records of one entity as they pass by."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress = progress
        self._label = label
        self.records = 0

    def counted(self, batches: Iterable[RecordBatch]) -> Iterator[RecordBatch]:
        for batch in batches:
            self.records += len(batch.payloads)
            self._progress.advance(self._label, len(batch.payloads), sum(map(len, batch.payloads)))
            yield batch


def _identity(entity: Entity) -> tuple[str, str, str]:
    return (entity.kind.value, entity.schema, entity.name)


def _payloads(batches: Iterable[RecordBatch]) -> Iterator[bytes]:
    return (payload for batch in batches for payload in batch.payloads)


def _stored(contents: Contents, entry: EntityEntry) -> Iterator[bytes]:
    return (payload for batch in read_records(contents.reader, entry) for payload in batch.payloads)


def _digest(payloads: Iterable[bytes]) -> bytes:
    """Of large objects, without what belongs to the platform's roles."""
    digest = StreamDigest()
    for payload in payloads:
        with requiring_types(LARGE_OBJECTS):
            record = decode_large_object(payload)
        if isinstance(record, LargeObjectHead):
            record = replace(record, owner=b"", privileges=None)
        digest.add([encode_large_object(record)])
    return digest.finish()
