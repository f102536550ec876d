"""Letting go what a replica wants no more. Nothing is deleted that anybody may believe in, now or later.

    forget     catalog: the version is wanted here no more, for ever     (crash: the next run goes on)
    document   deleted, if it is the one that the catalog knew           (crash: the next run goes on)
    mark       what all documents that lie there need                    (crash: nothing)
    packs      that nothing there needs and that can never live again    (crash: the next run goes on)

A run that lost its lease may still delete what it had chosen, at any later time. So only that may be chosen
which can never be wanted again: documents of versions that this replica has forgotten, or the primary, and
packs that neither live nor may yet (guarantee 4 of cas/catalog/replicating.py). A version that counts as
copied later on needs none of these. The lease is looked at between choosing and the first delete, so whatever
is chosen was chosen before another run began, and asked for packs.

The document with the highest number stays, as in the primary: by it a lost catalog knows which numbers were
given. Dictionaries and notes stay.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from blake3 import blake3

from cas.catalog.interface import Catalog
from cas.catalog.model import VersionState
from cas.engine.repository import Repository
from cas.engine.write_session import require_same_history
from cas.errors import CorruptData, NotFound
from cas.format.names import VERSIONS, number_of_key, pack_key, version_key
from cas.garbage.marking import Marked, mark
from cas.ids import PackName
from cas.progress import Progress
from cas.replicas.copying import IN_THE_WAY
from cas.replicas.listing import ReplicaListing
from cas.replicas.model import Problem
from cas.store.interface import FaultKind, ObjectMissing, Store, StoreFault

AT_ONCE = 100
"""Objects that are deleted between two looks at the lease."""

_FORGOTTEN = (VersionState.FORGOTTEN, VersionState.GONE)


@dataclass(slots=True)
class Pruner:
    """Of one run. `held`: versions of the catalog that were copied, and since when they are forgotten here.
    `open`: the replica as a repository of its own. `renew`: raises Fenced where the lease is over.
    `is_mirror`: it has no rules of its own. `lock`:
    how long what was let go may still be locked; None: nothing is. `settled`: what was looked at when nothing
    was left."""

    primary: Repository
    catalog: Catalog
    store: Store
    open: Callable[[], Repository]
    there: ReplicaListing
    held: Mapping[int, datetime | None]
    renew: Callable[[], None]
    progress: Progress
    is_mirror: bool
    lock: timedelta | None = None
    settled: bytes = b""
    problems: list[Problem] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    deleted_documents: list[int] = field(default_factory=list)
    let_go: set[str] = field(default_factory=set)
    """Keys of what nobody wants, whether it is deleted already or is locked still."""
    deleted_packs: int = 0
    deleted_bytes: int = 0
    still_locked: int = 0

    def choose_documents(self) -> list[int]:
        """Those that nobody wants, ascending; and find those that nobody knows. The highest one stays."""
        highest = max(self.there.documents, default=0)
        chosen = []
        for number in sorted(self.there.documents):
            if self._is_unwanted(number):
                self.let_go.add(version_key(number))
                if number != highest:
                    chosen.append(number)
        return chosen

    def documents(self, chosen: Sequence[int]) -> None:
        """Delete these, under the lease."""
        now = self.catalog.now() if self.lock else None
        for position, number in enumerate(chosen):
            if position % AT_ONCE == 0:
                self.renew()
            since = self.held.get(number)
            if self.lock and now and since and now < since + self.lock:
                self.still_locked += 1
            else:
                self._delete_document(number)

    def packs(self) -> None:
        """Delete what no document needs. Where one that counts lacks something, nothing is deleted."""
        staying = self.catalog.replicating.may_live()
        candidates = self.there.packs.keys() - staying
        if not candidates:
            self.settled = b""
            return
        if self.settled == _looked_at(candidates, sorted(self.there.documents)):
            return
        numbers = self._numbers()
        require_same_history(self.primary, self.catalog)
        self.progress.phase("mark")
        copied = {number for number, since in self.held.items() if since is None}
        try:
            marked = self._mark(numbers, copied, staying)
        except CorruptData as error:
            self.problems.append(Problem(error.where, error.what, error.hint))
            self.settled = b""
            return
        dead = sorted((candidates & marked.readable) - marked.needed)
        self._delete_packs(dead)
        if dead and self.there.packs.keys() & set(dead):
            self.settled = b""  # locked still: they are to be tried again
            return
        self.settled = _looked_at(self.there.packs.keys() & candidates, self._numbers() if dead else numbers)

    def _mark(self, numbers: Sequence[int], copied: Collection[int], staying: Collection[PackName]) -> Marked:
        opened = self.open()
        try:
            marked = mark(opened, numbers, copied, self.there.packs, staying, self.progress)
        finally:
            opened.close()
        vanished = set(copied) - marked.numbers
        if vanished:
            raise CorruptData(
                "the document of a version that counts as copied is missing",
                kind="missing",
                where=version_key(min(vanished)),
                hint="Nothing was deleted. The next run copies it again, if the primary has it",
            )
        return marked

    def _is_unwanted(self, number: int) -> bool:
        """Forgotten here; or, where the replica holds what the primary keeps, forgotten there. With rules of
        its own, one that never counted may be from before the replica was added again."""
        if number in self.held:
            return self.held[number] is not None
        try:
            is_forgotten = self.catalog.version(number).state in _FORGOTTEN
        except NotFound:
            is_forgotten = True
        else:
            if is_forgotten and self.is_mirror:
                return True
        if is_forgotten:
            self.unknown.append(number)
        return False

    def _delete_document(self, number: int) -> None:
        key = version_key(number)
        try:
            data = self.store.get(key)
        except ObjectMissing:
            return
        if blake3(data).digest() != self.catalog.version(number).document_hash:
            self.problems.append(Problem(key, "another document lies under this number", IN_THE_WAY))
        elif self._delete(key):
            self.deleted_bytes += self.there.documents.pop(number)
            self.deleted_documents.append(number)

    def _delete_packs(self, dead: Sequence[PackName]) -> None:
        self.progress.phase("delete")
        self.let_go.update(map(pack_key, dead))
        for position, name in enumerate(dead):
            if position % AT_ONCE == 0:
                self.renew()
            if self._delete(pack_key(name)):
                self.deleted_bytes += self.there.packs.pop(name)
                self.deleted_packs += 1

    def _delete(self, key: str) -> bool:
        """False where it is locked still."""
        try:
            self.store.delete(key)
        except StoreFault as error:
            if self.lock is None or error.fault is not FaultKind.DENIED:
                raise
            self.still_locked += 1
            return False
        return True

    def _numbers(self) -> list[int]:
        """Of the documents that lie there now."""
        found = (number_of_key(VERSIONS, info.key) for info in self.store.objects(VERSIONS))
        return sorted(number for number in found if number is not None)


def _looked_at(packs: Collection[PackName], numbers: Sequence[int]) -> bytes:
    """Equal where the same packs and documents were looked at."""
    digest = blake3()
    for name in sorted(packs):
        digest.update(name.encode())
    for number in numbers:
        digest.update(number.to_bytes(8, "big"))
    return digest.digest()
