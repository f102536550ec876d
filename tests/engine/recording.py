"""A store and a catalog that write down in one list what they were asked, in order."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from threading import Lock
from typing import Any, cast
from uuid import UUID

from cas.catalog.checking import Checking
from cas.catalog.cleaning import Cleaning
from cas.catalog.collecting import Collecting
from cas.catalog.entrusting import Entrusting
from cas.catalog.interface import Catalog
from cas.catalog.keeping import Keeping
from cas.catalog.model import (
    AdoptedVersion,
    Base,
    EntityPast,
    Incident,
    NewPack,
    NewVersion,
    QuarantinedVersion,
    SessionHandle,
    Version,
    VersionFilter,
    VersionKind,
    VersionResult,
    VersionRoots,
)
from cas.catalog.replicating import Replicating
from cas.catalog.sealing import Sealing
from cas.ids import PackName
from cas.store.interface import ObjectInfo, Store

Event = tuple[str, str]
"""Which call, and on what: a key, the name of a pack, or nothing."""


class Gate:
    """Sees every call before it is made and after. The recording one only remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._lock = Lock()

    def before(self, call: str, what: str = "") -> None:
        with self._lock:
            self.events.append((call, what))

    def after(self, call: str, what: str = "") -> None:
        """The call has done its work."""


class GatedStore:
    """`inner`, through a gate."""

    def __init__(self, inner: Store, gate: Gate) -> None:
        self.inner = inner
        self._gate = gate

    @property
    def url(self) -> str:
        return self.inner.url

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        self._gate.before("put", key)
        self.inner.put(key, data, create_only=create_only)
        self._gate.after("put", key)

    def get(self, key: str) -> bytes:
        self._gate.before("get", key)
        data = self.inner.get(key)
        self._gate.after("get", key)
        return data

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self._gate.before("get_range", key)
        data = self.inner.get_range(key, start, length)
        self._gate.after("get_range", key)
        return data

    def get_tail(self, key: str, length: int) -> bytes:
        self._gate.before("get_tail", key)
        data = self.inner.get_tail(key, length)
        self._gate.after("get_tail", key)
        return data

    def size(self, key: str) -> int:
        self._gate.before("size", key)
        size = self.inner.size(key)
        self._gate.after("size", key)
        return size

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        self._gate.before("objects", prefix)
        rows = list(self.inner.objects(prefix, after=after))
        self._gate.after("objects", prefix)
        return iter(rows)

    def delete(self, key: str) -> None:
        self._gate.before("delete", key)
        self.inner.delete(key)
        self._gate.after("delete", key)

    def free_bytes(self) -> int | None:
        return self.inner.free_bytes()

    def close(self) -> None:
        self.inner.close()


class _GatedPort:
    """`inner`, every call of which goes through a gate by its name."""

    def __init__(self, inner: object, gate: Gate) -> None:
        self._inner = inner
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self._gate.before(name, *map(str, arguments[:1]))
            answer = found(*arguments, **named)
            self._gate.after(name, *map(str, arguments[:1]))
            return answer

        return call


class GatedCatalog:
    """`inner`, through a gate."""

    def __init__(self, inner: Catalog, gate: Gate) -> None:
        self.inner = inner
        self._gate = gate

    @property
    def url(self) -> str:
        return self.inner.url

    @property
    def keeping(self) -> Keeping:
        return cast(Keeping, _GatedPort(self.inner.keeping, self._gate))

    @property
    def collecting(self) -> Collecting:
        return cast(Collecting, _GatedPort(self.inner.collecting, self._gate))

    @property
    def checking(self) -> Checking:
        return cast(Checking, _GatedPort(self.inner.checking, self._gate))

    @property
    def replicating(self) -> Replicating:
        return cast(Replicating, _GatedPort(self.inner.replicating, self._gate))

    @property
    def cleaning(self) -> Cleaning:
        return cast(Cleaning, _GatedPort(self.inner.cleaning, self._gate))

    @property
    def sealing(self) -> Sealing:
        return cast(Sealing, _GatedPort(self.inner.sealing, self._gate))

    @property
    def entrusting(self) -> Entrusting:
        return cast(Entrusting, _GatedPort(self.inner.entrusting, self._gate))

    def attach(self, repository_id: str, store_url: str, *, create: bool = False) -> None:
        self._gate.before("attach")
        self.inner.attach(repository_id, store_url, create=create)
        self._gate.after("attach")

    def begin(self, new: NewVersion) -> SessionHandle:
        self._gate.before("begin")
        handle = self.inner.begin(new)
        self._gate.after("begin")
        return handle

    def describe_source(
        self, session: UUID, database: str, server_version: str, system_identifier: str
    ) -> None:
        self._gate.before("describe_source")
        self.inner.describe_source(session, database, server_version, system_identifier)
        self._gate.after("describe_source")

    def renew(self, session: UUID) -> None:
        self._gate.before("renew")
        self.inner.renew(session)
        self._gate.after("renew")

    def register_pack(self, session: UUID, pack: NewPack) -> None:
        self._gate.before("register_pack", pack.name)
        self.inner.register_pack(session, pack)
        self._gate.after("register_pack", pack.name)

    def prepare(self, session: UUID) -> None:
        self._gate.before("prepare")
        self.inner.prepare(session)
        self._gate.after("prepare")

    def commit(
        self, session: UUID, result: VersionResult, *, journal: int, packs: Sequence[PackName] = ()
    ) -> Version:
        self._gate.before("commit")
        version = self.inner.commit(session, result, journal=journal, packs=packs)
        self._gate.after("commit")
        return version

    def fail(self, session: UUID, code: str, text: str) -> None:
        self._gate.before("fail")
        self.inner.fail(session, code, text)
        self._gate.after("fail")

    def journal(self) -> int:
        self._gate.before("journal")
        answer = self.inner.journal()
        self._gate.after("journal")
        return answer

    def live_packs(self) -> frozenset[PackName]:
        self._gate.before("live_packs")
        answer = self.inner.live_packs()
        self._gate.after("live_packs")
        return answer

    def versions(self, where: VersionFilter) -> Sequence[Version]:
        self._gate.before("versions")
        answer = self.inner.versions(where)
        self._gate.after("versions")
        return answer

    def version(self, number: int) -> Version:
        self._gate.before("version")
        answer = self.inner.version(number)
        self._gate.after("version")
        return answer

    def latest(
        self,
        source_system_identifier: str = "",
        source_database: str = "",
        kinds: Sequence[VersionKind] = (),
    ) -> Version | None:
        self._gate.before("latest")
        answer = self.inner.latest(source_system_identifier, source_database, kinds)
        self._gate.after("latest")
        return answer

    def entity_roots(self, name: str) -> Sequence[VersionRoots]:
        self._gate.before("entity_roots")
        answer = self.inner.entity_roots(name)
        self._gate.after("entity_roots")
        return answer

    def entity_pasts(
        self, version: int, entities: Sequence[tuple[str, str]], limit: int
    ) -> Sequence[Sequence[EntityPast]]:
        self._gate.before("entity_pasts")
        answer = self.inner.entity_pasts(version, entities, limit)
        self._gate.after("entity_pasts")
        return answer

    def bases(self, limit: int = 20) -> Sequence[Base]:
        self._gate.before("bases")
        answer = self.inner.bases(limit)
        self._gate.after("bases")
        return answer

    def base(self, version: int) -> Base | None:
        return self.inner.base(version)

    def incidents(self, limit: int = 100) -> Sequence[Incident]:
        return self.inner.incidents(limit)

    def known_numbers(self) -> frozenset[int]:
        self._gate.before("known_numbers")
        answer = self.inner.known_numbers()
        self._gate.after("known_numbers")
        return answer

    def adopt(
        self,
        versions: Sequence[AdoptedVersion],
        *,
        journal: int,
        quarantined: Sequence[QuarantinedVersion] = (),
        journaled: Sequence[PackName] = (),
    ) -> int:
        self._gate.before("adopt")
        count = self.inner.adopt(versions, journal=journal, quarantined=quarantined, journaled=journaled)
        self._gate.after("adopt")
        return count

    def now(self) -> datetime:
        self._gate.before("now")
        answer = self.inner.now()
        self._gate.after("now")
        return answer

    def close(self) -> None:
        self.inner.close()
