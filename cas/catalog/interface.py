"""The port to the catalog: who writes, what is live, which versions there are.

Guarantees that an implementation gives (STORAGE protocol; FORMAT.md, "Write order"):

1. Postgres is the only clock. A lease is compared with the catalog's clock, inside the
   transaction that depends on it.
2. `begin` takes the view (packs that are live) in the same transaction that makes the session,
   pins its parent, reserves the number, lists the version as running and keeps its destinations: whatever
   happens after the commit, a version that one of them does not hold is known to be partial.
3. `register_pack`, `prepare` and `commit` lock the session's row and demand: open, and its lease
   in the future. Otherwise `Fenced`, and nothing is changed. The epoch's row is locked FOR SHARE
   in begin, prepare and commit; gc locks it FOR UPDATE.
4. `commit` is one transaction: the journal that the writer has seen in the bucket is not beyond
   the catalog's, packs become live, the version is complete, the session ends.
5. A name of a pack never recurs; registering a known name is `Conflict`.
6. Nothing is ever committed for a repository other than the one the catalog is attached to.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from cas.catalog.checking import Checking
from cas.catalog.cleaning import Cleaning
from cas.catalog.collecting import Collecting
from cas.catalog.entrusting import Entrusting
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


class Catalog(Protocol):
    """The catalog of one repository. Methods may be called from several threads at once."""

    @property
    def url(self) -> str:
        """The address without password."""

    @property
    def keeping(self) -> Keeping:
        """What people say of versions, readers at work, and versions that go."""

    @property
    def collecting(self) -> Collecting:
        """Garbage collection."""

    @property
    def checking(self) -> Checking:
        """What checks have found."""

    @property
    def replicating(self) -> Replicating:
        """Copies in other stores."""

    @property
    def cleaning(self) -> Cleaning:
        """When it was cleaned up last."""

    @property
    def sealing(self) -> Sealing:
        """What is remembered of the keys of sealed stores."""

    @property
    def entrusting(self) -> Entrusting:
        """Credentials of stores, sealed."""

    def attach(self, repository_id: str, store_url: str, *, create: bool = False) -> None:
        """Check that this catalog belongs to the repository; with `create`, claim an unclaimed one.
        Conflict where it belongs to another one, or the store is a replica that it knows; NotFound where
        it is unclaimed and not `create`."""

    def begin(self, new: NewVersion) -> SessionHandle:
        """InvalidInput for a text that cannot be kept, NotFound or Conflict for a parent that is not
        committed, NotFound for a destination that is no replica. A lapsed session of somebody else is no
        obstacle and is left alone."""

    def describe_source(
        self, session: UUID, database: str, server_version: str, system_identifier: str
    ) -> None:
        """Complete the running version's row by what is known only once the platform answered."""

    def renew(self, session: UUID) -> None:
        """Extend the lease. Fenced where the session was ended; a lapsed lease may be renewed as long
        as nobody ended the session."""

    def register_pack(self, session: UUID, pack: NewPack) -> None: ...

    def prepare(self, session: UUID) -> None:
        """The last check before the document is put: session open, lease good."""

    def commit(
        self, session: UUID, result: VersionResult, *, journal: int, packs: Sequence[PackName] = ()
    ) -> Version:
        """`journal`: the highest number among the bucket's gc journals, listed after the document was
        put; 0 where there are none. Conflict where the catalog's own is lower: it is older than the
        bucket and must be reconciled first. `packs`: those that the session has put; Conflict where it has
        not registered one of them: the catalog has become an older copy of itself meanwhile. After
        ConnectionFailed nobody knows whether it happened: committing the same result again says so, or does
        it."""

    def fail(self, session: UUID, code: str, text: str) -> None:
        """End the session and keep its version listed as failed. No effect on an ended session."""

    def journal(self) -> int:
        """The highest gc journal that the catalog knows; 0 before the first."""

    def live_packs(self) -> frozenset[PackName]: ...

    def versions(self, where: VersionFilter) -> Sequence[Version]:
        """Newest first. A running version whose session's lease lapsed is listed as failed."""

    def version(self, number: int) -> Version:
        """With entities. NotFound."""

    def latest(
        self,
        source_system_identifier: str = "",
        source_database: str = "",
        kinds: Sequence[VersionKind] = (),
    ) -> Version | None:
        """The newest complete version, of this source and of these kinds where given. With entities."""

    def entity_roots(self, name: str) -> Sequence[VersionRoots]:
        """All complete and incomplete versions, oldest first, each with its entities that this name may
        mean: those with this label, and those whose label ends in a dot and the name."""

    def entity_pasts(
        self, version: int, entities: Sequence[tuple[str, str]], limit: int
    ) -> Sequence[Sequence[EntityPast]]:
        """For each of these entities, by kind and label: how committed versions of the same database as this
        one, with lower numbers, hold it, newest first and at most `limit` of them. Those that may hold only
        a part of it do not count: of sequences all but complete versions of everything, of large objects
        incomplete ones."""

    def bases(self, limit: int = 20) -> Sequence[Base]:
        """Committed versions that a reading of changes can build upon, newest first."""

    def base(self, version: int) -> Base | None:
        """Where the platform stood when this version was read; None where that is not known."""

    def incidents(self, limit: int = 100) -> Sequence[Incident]:
        """Readings of changes that were found wrong, newest first."""

    def known_numbers(self) -> frozenset[int]:
        """Numbers of all versions that the catalog has ever listed, whatever became of them."""

    def adopt(
        self,
        versions: Sequence[AdoptedVersion],
        *,
        journal: int,
        quarantined: Sequence[QuarantinedVersion] = (),
        journaled: Sequence[PackName] = (),
    ) -> int:
        """Take in what the bucket holds, one transaction: versions that are not known, or that are
        listed as failed though their document exists; their packs as live, also condemned ones; the
        next number raised above all. Packs that are `journaled` somebody may be deleting: those that
        are live, and in no version that is taken in, are condemned in a new epoch. Those that are
        quarantined become known as failed, unless they are known already. Ends every open session
        first. Returns how many were taken in. CorruptData for a version that cannot be true, Conflict
        where a pack is being deleted."""

    def now(self) -> datetime: ...

    def close(self) -> None: ...
