"""A catalog in memory that keeps the same contract: for fast tests of the engine and simulations.

It is deterministic: the clock is a parameter, ids of sessions are counted. One object is one
catalog; several writers share the object. Everything happens under one lock, so each method is a
transaction of its own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import RLock
from uuid import UUID

from cas.catalog import rules
from cas.catalog.auto_saving import AutoSaving
from cas.catalog.auto_saving_memory import MemoryAutoSaving
from cas.catalog.model import (
    AdoptedVersion,
    Base,
    EntityPast,
    EntityRoot,
    Incident,
    NewPack,
    NewVersion,
    PackState,
    QuarantinedVersion,
    SessionHandle,
    Version,
    VersionFilter,
    VersionKind,
    VersionResult,
    VersionRoots,
    VersionState,
)
from cas.catalog.restores import Restores
from cas.catalog.restores_memory import MemoryRestores
from cas.errors import CasError, Conflict, Fenced, NotFound
from cas.ids import PackName


@dataclass(slots=True)
class _Session:
    number: int
    state: str
    renewed_at: datetime
    lease_until: datetime


@dataclass(slots=True)
class _Pack:
    state: PackState
    owner: UUID | None


class MemoryCatalog:
    """See the port for what each method promises."""

    def __init__(self, clock: Callable[[], datetime], *, url: str = "memory:") -> None:
        """`clock` gives the time with a time zone; it is the catalog's only clock."""
        self._clock = clock
        self._url = url
        self._lock = RLock()
        self._repository_id: str | None = None
        self._epoch = 0
        self._journal = 0
        self._next_number = 1
        self._versions: dict[int, Version] = {}
        self._sessions: dict[UUID, _Session] = {}
        self._packs: dict[PackName, _Pack] = {}
        self._bases: list[Base] = []
        self._incidents: list[Incident] = []
        self._restores = MemoryRestores(self.now, self._lock, self._demand_attached, self._state_of)
        self._auto_saving = MemoryAutoSaving(self.now, self._lock)

    @property
    def url(self) -> str:
        return self._url

    @property
    def restores(self) -> Restores:
        """Restores into the running platform."""
        return self._restores

    @property
    def auto_saving(self) -> AutoSaving:
        """Policies, and who watches."""
        return self._auto_saving

    def attach(self, repository_id: str, store_url: str, *, create: bool = False) -> None:
        del store_url  # only people read it, in PostgreSQL
        with self._lock:
            if self._repository_id is None and create:
                self._repository_id = repository_id
            if self._repository_id is None:
                raise NotFound("the catalog belongs to no repository yet", where=self.url)
            if self._repository_id != repository_id:
                raise Conflict(
                    f"the catalog belongs to another repository ({self._repository_id})", where=self.url
                )

    def begin(self, new: NewVersion) -> SessionHandle:
        rules.check_new(new)
        with self._lock:
            self._demand_attached()
            if new.parent is not None:
                self._demand_parent(new.parent)
            number, now = self._next_number, self.now()
            self._next_number += 1
            session = UUID(int=len(self._sessions) + 1)
            self._sessions[session] = _Session(number, "open", now, now + rules.LEASE)
            self._versions[number] = _begun(number, new, now)
            return SessionHandle(session, number, self._epoch, now, self.live_packs())

    def describe_source(
        self, session: UUID, database: str, server_version: str, system_identifier: str
    ) -> None:
        rules.check_source(database, server_version, system_identifier)
        with self._lock:
            number = self._demand_open(session).number
            self._versions[number] = replace(
                self._versions[number],
                source_database=database,
                source_server_version=server_version,
                source_system_identifier=system_identifier,
            )

    def renew(self, session: UUID) -> None:
        with self._lock:
            found = self._sessions.get(session)
            if found is None or found.state != "open":
                raise self._why_fenced(found)
            found.renewed_at = self.now()
            found.lease_until = found.renewed_at + rules.LEASE

    def register_pack(self, session: UUID, pack: NewPack) -> None:
        rules.check_pack(pack)
        with self._lock:
            self._demand_open(session)
            if pack.name in self._packs:
                raise Conflict("a pack of this name is known already; names never recur", where=pack.name)
            self._packs[pack.name] = _Pack(PackState.UPLOADING, session)

    def prepare(self, session: UUID) -> None:
        with self._lock:
            self._demand_attached()
            self._demand_open(session)

    def commit(self, session: UUID, result: VersionResult, *, journal: int) -> Version:
        rules.check_result(result)
        with self._lock:
            self._demand_attached()
            if journal > self._journal:
                raise rules.behind(journal, self._journal)
            before = self._committed_before(session, result)
            if before is not None:
                return before
            found = self._demand_open(session)
            for pack in self._packs.values():
                if pack.owner == session and pack.state is PackState.UPLOADING:
                    pack.state = PackState.LIVE
            found.state = "ended"
            version = self._versions[found.number]
            done = _completed(version, result, finished_at=max(self.now(), version.created_at))
            self._versions[found.number] = done
            self._keep_reading(found.number, result)
            return done

    def fail(self, session: UUID, code: str, text: str) -> None:
        with self._lock:
            found = self._sessions.get(session)
            if found is not None and found.state == "open":
                self._end(found, "ended", rules.clean(code) or CasError.code, rules.clean(text))

    def journal(self) -> int:
        with self._lock:
            return self._journal

    def live_packs(self) -> frozenset[PackName]:
        with self._lock:
            return frozenset(name for name, pack in self._packs.items() if pack.state is PackState.LIVE)

    def versions(self, where: VersionFilter) -> Sequence[Version]:
        rules.check_filter(where)
        with self._lock:
            listed = (self._listed(self._versions[number]) for number in sorted(self._versions, reverse=True))
            matching = [replace(version, entities=()) for version in listed if _matches(version, where)]
            return matching[: where.limit]

    def version(self, number: int) -> Version:
        with self._lock:
            if number not in self._versions:
                raise NotFound("there is no such version", where=f"version {number}")
            return self._listed(self._versions[number])

    def latest(
        self,
        source_system_identifier: str = "",
        source_database: str = "",
        kinds: Sequence[VersionKind] = (),
    ) -> Version | None:
        with self._lock:
            numbers = [
                version.number
                for version in self._versions.values()
                if version.state is VersionState.COMPLETE
                and source_system_identifier in ("", version.source_system_identifier)
                and source_database in ("", version.source_database)
                and (not kinds or version.kind in kinds)
            ]
            return self._versions[max(numbers)] if numbers else None

    def entity_roots(self, name: str) -> Sequence[VersionRoots]:
        known = rules.clean(name)
        with self._lock:
            committed = [each for each in self._versions.values() if each.state in rules.COMMITTED]
        return [_roots(version, known) for version in sorted(committed, key=lambda each: each.number)]

    def entity_pasts(
        self, version: int, entities: Sequence[tuple[str, str]], limit: int
    ) -> Sequence[Sequence[EntityPast]]:
        with self._lock:
            if version not in self._versions:
                raise NotFound("there is no such version", where=f"version {version}")
            earlier = [
                self._versions[number]
                for number in sorted(self._versions, reverse=True)
                if number < version
                and self._versions[number].state in rules.COMMITTED
                and _source_of(self._versions[number]) == _source_of(self._versions[version])
            ]
        asked = [(kind, rules.clean(label)) for kind, label in entities]
        return [[past for one in earlier for past in _pasts(one, *entity)][:limit] for entity in asked]

    def bases(self, limit: int = 20) -> Sequence[Base]:
        with self._lock:
            return sorted(self._bases, key=lambda base: -base.version)[:limit]

    def base(self, version: int) -> Base | None:
        with self._lock:
            return next((base for base in self._bases if base.version == version), None)

    def incidents(self, limit: int = 100) -> Sequence[Incident]:
        with self._lock:
            return self._incidents[::-1][:limit]

    def _keep_reading(self, number: int, result: VersionResult) -> None:
        if result.mark is not None:
            self._bases.append(Base(number, result.mark, result.since_scan))
        for incident in map(rules.clean_incident, result.incidents):
            at = self.now().astimezone(UTC)
            self._incidents.append(Incident(len(self._incidents) + 1, number, at, incident))

    def known_numbers(self) -> frozenset[int]:
        with self._lock:
            return frozenset(self._versions)

    def adopt(
        self,
        versions: Sequence[AdoptedVersion],
        *,
        journal: int,
        quarantined: Sequence[QuarantinedVersion] = (),
    ) -> int:
        for adopted in versions:
            rules.check_adopted(adopted)
        for doubtful in quarantined:
            rules.check_quarantined(doubtful)
        with self._lock:
            self._demand_attached()
            taken = {
                adopted.number: adopted
                for adopted in versions
                if adopted.number not in self._versions
                or self._versions[adopted.number].state not in rules.COMMITTED
            }
            packs = [pack.name for adopted in taken.values() for pack in adopted.packs]
            for name in packs:
                if name in self._packs and self._packs[name].state is PackState.DELETING:
                    raise Conflict("a pack that a version needs is being deleted", where=name)
            for session in self._sessions.values():
                if session.state == "open":
                    self._end(session, "fenced", Fenced.code, rules.ADOPTED_OVER)
            for number, adopted in taken.items():
                begun = _begun(number, adopted.begin, adopted.created_at)
                finished_at = adopted.created_at + timedelta(seconds=adopted.duration_seconds)
                self._versions[number] = _completed(begun, adopted.result, finished_at=finished_at)
            for name in packs:
                self._packs.setdefault(name, _Pack(PackState.LIVE, None)).state = PackState.LIVE
            for doubtful in quarantined:
                self._versions.setdefault(doubtful.number, _quarantined(doubtful))
            numbers = [adopted.number for adopted in versions]
            highest = max(numbers + [doubtful.number for doubtful in quarantined], default=0)
            self._next_number = max(self._next_number, highest + 1)
            self._journal = max(self._journal, journal)
            return len(taken)

    def now(self) -> datetime:
        return self._clock().astimezone(UTC)

    def close(self) -> None:
        """Nothing to close: other writers may share the object."""

    # What the collector does in PostgreSQL, as far as writers must stand it.

    def fence(self, session: UUID) -> None:
        """End another one's session by its row."""
        with self._lock:
            found = self._sessions[session]
            if found.state == "open":
                self._end(found, "fenced", Fenced.code, "somebody else ended its session")

    def condemn(self, names: Iterable[PackName]) -> None:
        """A new epoch, in which these packs may no longer be reused."""
        with self._lock:
            self._epoch += 1
            for name in names:
                self._packs[name].state = PackState.CONDEMNED

    def begin_deleting(self, names: Iterable[PackName]) -> None:
        """Condemned packs that nobody may bring back any more."""
        with self._lock:
            for name in names:
                self._packs[name].state = PackState.DELETING

    def _end(self, session: _Session, state: str, code: str, text: str) -> None:
        session.state = state
        version = self._versions[session.number]
        finished_at = max(self.now(), version.created_at)
        self._versions[session.number] = replace(
            version,
            state=VersionState.FAILED,
            error_code=code,
            error_text=text,
            finished_at=finished_at,
            duration_seconds=(finished_at - version.created_at).total_seconds(),
        )

    def _listed(self, version: Version) -> Version:
        if version.state is not VersionState.RUNNING:
            return version
        session = next(found for found in self._sessions.values() if found.number == version.number)
        if session.lease_until > self.now():
            return version
        return replace(
            version,
            state=VersionState.FAILED,
            error_code=Fenced.code,
            error_text=rules.lapsed(session.renewed_at),
            finished_at=session.renewed_at,
            duration_seconds=(session.renewed_at - version.created_at).total_seconds(),
        )

    def _committed_before(self, session: UUID, result: VersionResult) -> Version | None:
        found = self._sessions.get(session)
        if found is None or found.state != "ended":
            return None
        version = self._versions[found.number]
        same = version.state is result.state and version.document_hash == result.document_hash
        return version if same else None

    def _state_of(self, number: int) -> VersionState | None:
        return self._versions[number].state if number in self._versions else None

    def _demand_attached(self) -> None:
        if self._repository_id is None:
            raise Conflict("the catalog was not attached to a repository", where=self.url)

    def _demand_parent(self, parent: int) -> None:
        if parent not in self._versions:
            raise NotFound("there is no such version to build on", where=f"version {parent}")
        if self._versions[parent].state not in rules.COMMITTED:
            raise Conflict("only a complete or incomplete version can be built on", where=f"version {parent}")

    def _demand_open(self, session: UUID) -> _Session:
        found = self._sessions.get(session)
        if found is None or found.state != "open" or found.lease_until <= self.now():
            raise self._why_fenced(found)
        return found

    def _why_fenced(self, session: _Session | None) -> Fenced:
        if session is None:
            return rules.fenced(None, "the catalog does not know it")
        if session.state == "open":
            return rules.fenced(session.number, rules.lapsed(session.renewed_at))
        ended = session.state == "ended"
        return rules.fenced(session.number, "it has ended" if ended else "somebody else ended it")


def _begun(number: int, new: NewVersion, created_at: datetime) -> Version:
    return Version(
        number=number,
        state=VersionState.RUNNING,
        trigger=new.trigger,
        kind=new.kind,
        reason=new.reason,
        name=new.name,
        description=new.description,
        tags=tuple(new.tags),
        metadata=dict(new.metadata),
        created_by=new.created_by,
        protected=new.protected,
        hold="",
        source_url=new.source_url,
        source_database=new.source_database,
        source_server_version=new.source_server_version,
        source_system_identifier=new.source_system_identifier,
        included=tuple(new.included),
        excluded=tuple(new.excluded),
        included_schemas=tuple(new.included_schemas),
        parent=new.parent,
        created_at=created_at.astimezone(UTC),
        finished_at=None,
        duration_seconds=None,
        expires_at=None,
        expiry_rule="",
        records=None,
        original_bytes=None,
        added_bytes=None,
        stored_bytes=None,
        objects_written=None,
        checksum=None,
        document_hash=None,
        retries=0,
        error_code="",
        error_text="",
        entities=(),
        omissions=(),
        anomalies=(),
    )


def _quarantined(version: QuarantinedVersion) -> Version:
    return replace(
        _begun(version.number, version.begin, version.created_at),
        state=VersionState.FAILED,
        error_code=rules.clean(version.code) or CasError.code,
        error_text=rules.clean(version.text),
        finished_at=version.created_at.astimezone(UTC),
        duration_seconds=0.0,
    )


def _completed(version: Version, result: VersionResult, *, finished_at: datetime) -> Version:
    return replace(
        version,
        state=result.state,
        finished_at=finished_at.astimezone(UTC),
        duration_seconds=(finished_at - version.created_at).total_seconds(),
        records=result.records,
        original_bytes=result.original_bytes,
        added_bytes=result.added_bytes,
        stored_bytes=result.stored_bytes,
        objects_written=result.objects_written,
        checksum=result.checksum,
        document_hash=result.document_hash,
        retries=result.retries,
        entities=tuple(rules.clean_entity(entity) for entity in result.entities),
        omissions=tuple((rules.clean(name), rules.clean(reason)) for name, reason in result.omissions),
        anomalies=tuple(map(rules.clean_anomaly, result.anomalies)),
    )


def _source_of(version: Version) -> tuple[str, str]:
    return version.source_system_identifier, version.source_database


def _pasts(version: Version, kind: str, label: str) -> Iterator[EntityPast]:
    """How a version holds the entity: once, or not at all."""
    for entity in version.entities:
        is_asked = (entity.kind, entity.label) == (kind, label)
        if is_asked and rules.is_comparable(version.kind, version.state, entity):
            yield EntityPast(
                version.number,
                version.trigger,
                entity.root,
                entity.records,
                entity.inserted,
                entity.updated,
                entity.deleted,
                entity.compared_with,
            )


def _roots(version: Version, name: str) -> VersionRoots:
    return VersionRoots(
        number=version.number,
        created_at=version.created_at,
        trigger=version.trigger,
        reason=version.reason,
        name=version.name,
        source_system_identifier=version.source_system_identifier,
        source_database=version.source_database,
        entities=tuple(
            EntityRoot(entity.label, entity.root, entity.records, entity.checksum)
            for entity in version.entities
            if entity.label == name or entity.label.endswith(f".{name}")
        ),
    )


def _matches(version: Version, where: VersionFilter) -> bool:
    searched = rules.search_text(version.number, version.name, version.reason, version.description)
    return (
        (not where.states or version.state in where.states)
        and (not where.triggers or version.trigger in where.triggers)
        and (not where.kinds or version.kind in where.kinds)
        and set(where.tags) <= set(version.tags)
        and (where.since is None or version.created_at >= where.since)
        and (where.until is None or version.created_at < where.until)
        and where.text.casefold() in searched
        and (not where.unusual or bool(version.anomalies))
        and (where.before is None or version.number < where.before)
    )
