"""The rows that the rooms of the catalog in memory share, their lock and their clock."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import RLock
from uuid import UUID

from cas.catalog import rules
from cas.catalog.checking import PackCheck
from cas.catalog.model import PackState, Version, VersionState
from cas.errors import Fenced
from cas.ids import PackName


@dataclass(slots=True)
class MemorySession:
    """A writer. `state`: open, ended, or fenced by somebody else."""

    number: int
    epoch: int
    parent: int | None
    state: str
    renewed_at: datetime
    lease_until: datetime


@dataclass(slots=True)
class MemoryPack:
    """A pack that was announced. `number`: what versions that need it call it."""

    state: PackState
    owner: UUID | None
    number: int
    made_at: datetime
    condemned_epoch: int | None = None
    announced: bool = False
    check: PackCheck | None = None
    collector: UUID | None = None
    stored_bytes: int = 0


@dataclass(slots=True)
class MemoryPin:
    """A reader."""

    version: int
    epoch: int
    lease_until: datetime


class CountedIds:
    """Ids that no two calls get, and the same ones in every run. A catalog that is set back to an older copy
    of itself goes on with those of the newer one: no two sessions of one database have one id."""

    def __init__(self) -> None:
        self._given = 0

    def __call__(self) -> UUID:
        self._given += 1
        return UUID(int=self._given)


@dataclass(slots=True)
class MemoryRows:
    """Whoever reads or changes them holds the lock, so each method of the catalog is a transaction."""

    clock: Callable[[], datetime]
    new_id: Callable[[], UUID] = field(default_factory=CountedIds)
    """Of sessions, pins, collectors and runs."""
    lock: RLock = field(default_factory=RLock)
    versions: dict[int, Version] = field(default_factory=dict)
    sessions: dict[UUID, MemorySession] = field(default_factory=dict)
    packs: dict[PackName, MemoryPack] = field(default_factory=dict)
    packs_made: int = 0
    epoch: int = 0
    journal: int = 0
    announced: int | None = None
    """The journal that a collector is about to put, or has put."""
    pins: dict[UUID, "MemoryPin"] = field(default_factory=dict)
    rebuilt_at: datetime | None = None

    @property
    def known_journal(self) -> int:
        """The highest that a writer may find in the store."""
        return self.journal if self.announced is None else self.announced

    def now(self) -> datetime:
        """UTC."""
        return self.clock().astimezone(UTC)

    def make_pack(
        self,
        name: PackName,
        state: PackState,
        owner: UUID | None = None,
        condemned_epoch: int | None = None,
        *,
        stored_bytes: int,
    ) -> None:
        """A row for a pack that has none."""
        self.packs_made += 1
        made = MemoryPack(state, owner, self.packs_made, self.now(), condemned_epoch)
        made.stored_bytes = stored_bytes
        self.packs[name] = made

    def open_session(self, session: UUID) -> MemorySession:
        """Fenced where it is not open, or its lease is over."""
        found = self.sessions.get(session)
        if found is None or found.state != "open" or found.lease_until <= self.now():
            raise why_fenced(found)
        return found

    def end(self, session: MemorySession, state: str, code: str, text: str) -> None:
        """A session without a version; its version counts as failed."""
        session.state = state
        version = self.versions[session.number]
        finished_at = max(self.now(), version.created_at)
        self.versions[session.number] = replace(
            version,
            state=VersionState.FAILED,
            error_code=code,
            error_text=text,
            finished_at=finished_at,
            duration_seconds=(finished_at - version.created_at).total_seconds(),
        )


def why_fenced(session: MemorySession | None) -> Fenced:
    """Why a session may write no more."""
    if session is None:
        return rules.fenced(None, "the catalog does not know it")
    if session.state == "open":
        return rules.fenced(session.number, rules.lapsed(session.renewed_at))
    ended = session.state == "ended"
    return rules.fenced(session.number, "it has ended" if ended else "somebody else ended it")
