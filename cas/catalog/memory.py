"""A catalog in memory that keeps the same contract: for fast tests of the engine and simulations.

It is deterministic: the clock is a parameter, ids are counted. One object is one
catalog; several writers share the object. Everything happens under one lock, so each method is a
transaction of its own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cas.catalog import rules
from cas.catalog.auto_saving import AutoSaving
from cas.catalog.auto_saving_memory import MemoryAutoSaving
from cas.catalog.checking import Checking
from cas.catalog.checking_memory import MemoryChecking
from cas.catalog.cleaning import Cleaning
from cas.catalog.cleaning_memory import MemoryCleaning
from cas.catalog.collecting import Collecting
from cas.catalog.collecting_memory import MemoryCollecting
from cas.catalog.entrusting import Entrusting
from cas.catalog.entrusting_memory import MemoryEntrusting
from cas.catalog.keeping import Keeping
from cas.catalog.keeping_memory import MemoryKeeping
from cas.catalog.memory_rows import MemoryRows, MemorySession, why_fenced
from cas.catalog.memory_values import (
    begun,
    completed,
    matches,
    pasts_in,
    quarantined_version,
    roots_of,
    source_of,
)
from cas.catalog.model import (
    AdoptedVersion,
    Base,
    EntityPast,
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
from cas.catalog.replicating import Replicating
from cas.catalog.replicating_memory import MemoryReplicating
from cas.catalog.replicating_rules import is_a_replica
from cas.catalog.restores import Restores
from cas.catalog.restores_memory import MemoryRestores
from cas.catalog.sealing import Sealing
from cas.catalog.sealing_memory import MemorySealing
from cas.errors import CasError, Conflict, Fenced, NotFound
from cas.ids import PackName


class MemoryCatalog:
    """See the port for what each method promises."""

    def __init__(self, clock: Callable[[], datetime], *, url: str = "memory:") -> None:
        """`clock` gives the time with a time zone; it is the catalog's only clock."""
        self._rows = MemoryRows(clock)
        self._url = url
        self._repository_id: str | None = None
        self._next_number = 1
        self._bases: list[Base] = []
        self._incidents: list[Incident] = []
        self._restores = MemoryRestores(self.now, self._rows.lock, self._demand_attached, self._state_of)
        self._auto_saving = MemoryAutoSaving(self.now, self._rows.lock)
        self._collecting = MemoryCollecting(self._rows, self._demand_attached)
        self._cleaning = MemoryCleaning(self._rows, self._demand_attached)
        self._sealing = MemorySealing(self._rows, self._demand_attached)
        self._entrusting = MemoryEntrusting(self._rows, self._demand_attached, self._attached_to)
        self._checking = MemoryChecking(self._rows, self._demand_attached)
        self._replicating = MemoryReplicating(self._rows, self._demand_attached)
        self._keeping = MemoryKeeping(
            self._rows, self._demand_attached, self._forget_reading, self._restores.relies_on
        )

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

    @property
    def collecting(self) -> Collecting:
        """Garbage collection."""
        return self._collecting

    @property
    def checking(self) -> Checking:
        """What checks have found."""
        return self._checking

    @property
    def replicating(self) -> Replicating:
        """Copies in other stores."""
        return self._replicating

    @property
    def cleaning(self) -> Cleaning:
        """When it was cleaned up last."""
        return self._cleaning

    @property
    def sealing(self) -> Sealing:
        """What is remembered of the keys of sealed stores."""
        return self._sealing

    def _attached_to(self) -> str | None:
        return self._repository_id

    @property
    def entrusting(self) -> Entrusting:
        """Credentials of stores, sealed."""
        return self._entrusting

    @property
    def keeping(self) -> Keeping:
        """What stays, and what goes."""
        return self._keeping

    def attach(self, repository_id: str, store_url: str, *, create: bool = False) -> None:
        with self._rows.lock:
            name = self._replicating.name_at(store_url)
            if name is not None:
                raise is_a_replica(name, store_url)
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
        with self._rows.lock:
            self._demand_attached()
            if new.parent is not None:
                self._demand_parent(new.parent)
            destinations = self._replicating.require_destinations(new.destinations)
            number, now = self._next_number, self.now()
            self._next_number += 1
            session = self._rows.new_id()
            self._rows.sessions[session] = MemorySession(
                number, self._rows.epoch, new.parent, "open", now, now + rules.LEASE
            )
            self._rows.versions[number] = begun(number, new, now)
            self._replicating.aim(number, destinations)
            return SessionHandle(session, number, self._rows.epoch, now, self.live_packs())

    def describe_source(
        self, session: UUID, database: str, server_version: str, system_identifier: str
    ) -> None:
        rules.check_source(database, server_version, system_identifier)
        with self._rows.lock:
            number = self._rows.open_session(session).number
            self._rows.versions[number] = replace(
                self._rows.versions[number],
                source_database=database,
                source_server_version=server_version,
                source_system_identifier=system_identifier,
            )

    def renew(self, session: UUID) -> None:
        with self._rows.lock:
            found = self._rows.sessions.get(session)
            if found is None or found.state != "open":
                raise why_fenced(found)
            found.renewed_at = self.now()
            found.lease_until = found.renewed_at + rules.LEASE

    def register_pack(self, session: UUID, pack: NewPack) -> None:
        rules.check_pack(pack)
        with self._rows.lock:
            self._rows.open_session(session)
            if pack.name in self._rows.packs:
                raise rules.known_pack(pack.name)
            self._rows.make_pack(pack.name, PackState.UPLOADING, session, stored_bytes=pack.stored_bytes)

    def prepare(self, session: UUID) -> None:
        with self._rows.lock:
            self._demand_attached()
            self._rows.open_session(session)

    def commit(
        self, session: UUID, result: VersionResult, *, journal: int, packs: Sequence[PackName] = ()
    ) -> Version:
        rules.check_result(result)
        with self._rows.lock:
            self._demand_attached()
            if journal > self._rows.known_journal:
                raise rules.behind(journal, self._rows.known_journal)
            before = self._committed_before(session, result)
            if before is not None:
                return before
            found = self._rows.open_session(session)
            uploads = {
                name: pack
                for name, pack in self._rows.packs.items()
                if pack.owner == session and pack.state is PackState.UPLOADING
            }
            unknown = set(packs) - uploads.keys()
            if unknown:
                raise rules.pack_unknown(min(unknown))
            for pack in uploads.values():
                pack.state = PackState.LIVE
            found.state = "ended"
            version = self._rows.versions[found.number]
            done = completed(version, result, finished_at=max(self.now(), version.created_at))
            self._rows.versions[found.number] = done
            self._keep_reading(found.number, result)
            return done

    def fail(self, session: UUID, code: str, text: str) -> None:
        with self._rows.lock:
            found = self._rows.sessions.get(session)
            if found is not None and found.state == "open":
                self._rows.end(found, "ended", rules.clean(code) or CasError.code, rules.clean(text))

    def journal(self) -> int:
        with self._rows.lock:
            return self._rows.known_journal

    def live_packs(self) -> frozenset[PackName]:
        with self._rows.lock:
            return frozenset(name for name, pack in self._rows.packs.items() if pack.state is PackState.LIVE)

    def versions(self, where: VersionFilter) -> Sequence[Version]:
        rules.check_filter(where)
        with self._rows.lock:
            listed = (
                self._listed(self._rows.versions[number])
                for number in sorted(self._rows.versions, reverse=True)
            )
            matching = [
                replace(version, entities=())
                for version in listed
                if matches(version, where)
                and (not where.partial or self._replicating.is_partial(version.number))
            ]
            return matching[: where.limit]

    def version(self, number: int) -> Version:
        with self._rows.lock:
            if number not in self._rows.versions:
                raise NotFound("there is no such version", where=f"version {number}")
            return self._listed(self._rows.versions[number])

    def latest(
        self,
        source_system_identifier: str = "",
        source_database: str = "",
        kinds: Sequence[VersionKind] = (),
    ) -> Version | None:
        with self._rows.lock:
            numbers = [
                version.number
                for version in self._rows.versions.values()
                if version.state is VersionState.COMPLETE
                and source_system_identifier in ("", version.source_system_identifier)
                and source_database in ("", version.source_database)
                and (not kinds or version.kind in kinds)
            ]
            return self._rows.versions[max(numbers)] if numbers else None

    def entity_roots(self, name: str) -> Sequence[VersionRoots]:
        known = rules.clean(name)
        with self._rows.lock:
            committed = [each for each in self._rows.versions.values() if each.state in rules.COMMITTED]
        return [roots_of(version, known) for version in sorted(committed, key=lambda each: each.number)]

    def entity_pasts(
        self, version: int, entities: Sequence[tuple[str, str]], limit: int
    ) -> Sequence[Sequence[EntityPast]]:
        with self._rows.lock:
            if version not in self._rows.versions:
                raise NotFound("there is no such version", where=f"version {version}")
            earlier = [
                self._rows.versions[number]
                for number in sorted(self._rows.versions, reverse=True)
                if number < version
                and self._rows.versions[number].state in rules.COMMITTED
                and source_of(self._rows.versions[number]) == source_of(self._rows.versions[version])
            ]
        asked = [(kind, rules.clean(label)) for kind, label in entities]
        return [[past for one in earlier for past in pasts_in(one, *entity)][:limit] for entity in asked]

    def bases(self, limit: int = 20) -> Sequence[Base]:
        with self._rows.lock:
            return sorted(self._committed_bases(), key=lambda base: -base.version)[:limit]

    def base(self, version: int) -> Base | None:
        with self._rows.lock:
            return next((base for base in self._committed_bases() if base.version == version), None)

    def _committed_bases(self) -> list[Base]:
        return [base for base in self._bases if self._rows.versions[base.version].state in rules.COMMITTED]

    def incidents(self, limit: int = 100) -> Sequence[Incident]:
        with self._rows.lock:
            return self._incidents[::-1][:limit]

    def _keep_reading(self, number: int, result: VersionResult) -> None:
        if result.mark is not None:
            self._bases.append(Base(number, result.mark, result.since_scan))
        for incident in map(rules.clean_incident, result.incidents):
            at = self.now().astimezone(UTC)
            self._incidents.append(Incident(len(self._incidents) + 1, number, at, incident))

    def _forget_reading(self, number: int) -> None:
        self._bases = [base for base in self._bases if base.version != number]
        self._checking.forget(number)

    def known_numbers(self) -> frozenset[int]:
        with self._rows.lock:
            return frozenset(self._rows.versions)

    def adopt(
        self,
        versions: Sequence[AdoptedVersion],
        *,
        journal: int,
        quarantined: Sequence[QuarantinedVersion] = (),
        journaled: Sequence[PackName] = (),
    ) -> int:
        for adopted in versions:
            rules.check_adopted(adopted)
        for doubtful in quarantined:
            rules.check_quarantined(doubtful)
        with self._rows.lock:
            self._demand_attached()
            taken = {
                adopted.number: adopted
                for adopted in versions
                if adopted.number not in self._rows.versions
                or self._rows.versions[adopted.number].state not in rules.SETTLED
            }
            sizes = {pack.name: pack.stored_bytes for one in taken.values() for pack in one.packs}
            packs = list(sizes)
            for name in packs:
                if name in self._rows.packs and self._rows.packs[name].state is PackState.DELETING:
                    raise Conflict("a pack that a version needs is being deleted", where=name)
            for session in self._rows.sessions.values():
                if session.state == "open":
                    self._rows.end(session, "fenced", Fenced.code, rules.ADOPTED_OVER)
            given = [*(one.number for one in versions), *(one.number for one in quarantined)]
            if journal > self._rows.known_journal or not self._rows.versions.keys() >= set(given):
                self._rows.rebuilt_at = self.now()
            for number, adopted in taken.items():
                started = begun(number, adopted.begin, adopted.created_at)
                finished_at = adopted.created_at + timedelta(seconds=adopted.duration_seconds)
                self._rows.versions[number] = completed(started, adopted.result, finished_at=finished_at)
            spent = self._rows.known_journal
            self._collecting.ended_by_adoption()
            self._collecting.condemn_journaled(journaled)
            for name in packs:
                if name not in self._rows.packs:
                    self._rows.make_pack(name, PackState.LIVE, stored_bytes=sizes[name])
                pack = self._rows.packs[name]
                pack.state, pack.condemned_epoch = PackState.LIVE, None
                pack.stored_bytes = sizes[name]
            for doubtful in quarantined:
                self._rows.versions.setdefault(doubtful.number, quarantined_version(doubtful))
            self._next_number = max(self._next_number, max(given, default=0) + 1)
            self._rows.journal = max(spent, journal)
            self._keeping.hear_again()
            return len(taken)

    def now(self) -> datetime:
        return self._rows.now()

    def close(self) -> None:
        """Nothing to close: other writers may share the object."""

    # What the collector does in PostgreSQL, as far as writers must stand it.

    def fence(self, session: UUID) -> None:
        """End another one's session by its row."""
        with self._rows.lock:
            found = self._rows.sessions[session]
            if found.state == "open":
                self._rows.end(found, "fenced", Fenced.code, "somebody else ended its session")

    def condemn(self, names: Iterable[PackName]) -> None:
        """A new epoch, in which these packs may no longer be reused."""
        with self._rows.lock:
            self._rows.epoch += 1
            for name in names:
                pack = self._rows.packs[name]
                pack.state, pack.condemned_epoch = PackState.CONDEMNED, self._rows.epoch

    def begin_deleting(self, names: Iterable[PackName]) -> None:
        """Condemned packs that nobody may bring back any more."""
        with self._rows.lock:
            for name in names:
                self._rows.packs[name].state = PackState.DELETING

    def _listed(self, version: Version) -> Version:
        if version.state is not VersionState.RUNNING:
            return version
        session = next(found for found in self._rows.sessions.values() if found.number == version.number)
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
        found = self._rows.sessions.get(session)
        if found is None or found.state != "ended":
            return None
        version = self._rows.versions[found.number]
        same = version.state is result.state and version.document_hash == result.document_hash
        return version if same else None

    def _state_of(self, number: int) -> VersionState | None:
        return self._rows.versions[number].state if number in self._rows.versions else None

    def _demand_attached(self) -> None:
        if self._repository_id is None:
            raise Conflict("the catalog was not attached to a repository", where=self.url)

    def _demand_parent(self, parent: int) -> None:
        if parent not in self._rows.versions:
            raise NotFound("there is no such version to build on", where=f"version {parent}")
        if self._rows.versions[parent].state not in rules.COMMITTED:
            raise Conflict("only a complete or incomplete version can be built on", where=f"version {parent}")
