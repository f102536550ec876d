"""The port to what stays and what goes: notes of people, readers at work, and versions that are forgotten.

Guarantees that an implementation gives:

1. Each method is one transaction. What people say and what is forgotten is one after the other: a version
   that somebody has just protected is not forgotten by who has not yet heard of it.
2. `forget` refuses what is protected or held, the last good version of a platform, and what a restore at
   work relies on, or may: a safety version that was made just now.
3. A version that is forgotten can be pinned and built upon by nobody any more. It is there, with its document
   and all that it needs, until `let_go` has found that nobody pins it, and has said in notes that it goes.
4. What notes say counts in their order, whoever said it. A version that is only forgotten is a version again
   where notes are taken in that protect or hold it: they are from before. One of which they say that it goes
   is gone, unless they said before that it stays.
5. Numbers of notes are taken in without a gap. Whoever takes in versions from the store sets the number back
   to 0, in the same transaction: what was said of these is to be heard again, and all else with it, in order.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from cas.errors import Conflict
from cas.format.notes import Note, Notes, Setting


class NotesMoved(Conflict):
    """Notes were taken in, or are to be taken in again, since the caller has looked."""


class Heard(NamedTuple):
    """Up to which notes all were taken in. `generation`: how often all had to be heard again from the first
    one on; within one, numbers only grow."""

    generation: int
    number: int


class Keeping(Protocol):
    """Of one catalog. Methods may be called from several threads at once."""

    def heard(self) -> Heard:
        """Number of the last notes that were taken in; 0 before the first."""

    def note(self, said: Sequence[Note | Setting], put: Callable[[int], Notes]) -> Notes:
        """Say something: `put` is given the next number, makes notes of it that are durable in the store and
        returns them; then they hold. Nothing holds where it raises. Before it is called: InvalidInput for
        what cannot be kept, NotFound or Conflict for a version that is not complete or incomplete."""

    def take_notes(self, notes: Notes) -> None:
        """Notes that the store has. Those that are known do nothing; Conflict where some are missing between.
        What they say of versions that are neither complete nor incomplete nor forgotten has no effect."""

    def setting(self, name: str) -> tuple[str, ...] | None:
        """What was set; None: what is the default."""

    def pin(self, version: int, purpose: str) -> UUID:
        """Keep a version until `unpin`, or until the lease is over and somebody lets it go. NotFound or
        Conflict where it is not complete or incomplete."""

    def renew_pin(self, pin: UUID) -> None:
        """Extend the lease. Fenced where the version was let go meanwhile."""

    def unpin(self, pin: UUID) -> None: ...

    def forget(self, number: int, why: str, *, heard: Heard) -> bool:
        """Mark a version, `why` in words. `heard`: what the caller had heard when it decided; NotesMoved
        where something was said since, or all is to be heard again. False where the version is marked
        already; NotFound or Conflict where it is none that can go."""

    def forgotten(self) -> Sequence[int]:
        """Versions that are marked and not yet let go, ascending."""

    def let_go(self, numbers: Sequence[int], put: Callable[[int, Sequence[Note]], Notes]) -> Sequence[int]:
        """Those of these that are forgotten, and that nobody pins or builds upon, are gone; who has fallen
        silent is waited for no longer. `put`: as for `note`, and given what to say; not called where none
        goes. Returns those that are gone now, ascending. NotFound."""

    def gone(self) -> frozenset[int]:
        """Versions whose document may be deleted, or is."""
