"""The port to what stays and what goes: notes of people, readers at work, and versions that are forgotten.

Guarantees that an implementation gives:

1. Each method is one transaction. What people say and what is forgotten is one after the other: a version
   that somebody has just protected is not forgotten by who has not yet heard of it.
2. `forget` refuses what is protected or held, and the last good version of a platform.
3. A version that is forgotten can be pinned and built upon by nobody any more. It is there, with its document
   and all that it needs, until `let_go` has found that nobody pins it.
4. Numbers of notes are taken in without a gap.
"""

from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

from cas.format.notes import Notes


class Keeping(Protocol):
    """Of one catalog. Methods may be called from several threads at once."""

    def noted(self) -> int:
        """Number of the last notes that were taken in; 0 before the first."""

    def note(self, versions: Sequence[int], put: Callable[[int], Notes]) -> Notes:
        """Say something: `put` is given the next number, makes the notes durable in the store and returns
        them; then they hold. Nothing holds where it raises. NotFound or Conflict, before, where one of these
        versions is not complete or incomplete."""

    def take_notes(self, notes: Notes) -> None:
        """Notes that the store has. Those that are known do nothing; Conflict where some are missing between.
        What they say of versions that are not complete or incomplete has no effect."""

    def setting(self, name: str) -> tuple[str, ...] | None:
        """What was set; None: what is the default."""

    def pin(self, version: int, purpose: str) -> UUID:
        """Keep a version until `unpin`, or until the lease is over and somebody lets it go. NotFound or
        Conflict where it is not complete or incomplete."""

    def renew_pin(self, pin: UUID) -> None:
        """Extend the lease. Fenced where the version was let go meanwhile."""

    def unpin(self, pin: UUID) -> None: ...

    def forget(self, number: int, why: str) -> bool:
        """Mark a version, `why` in words. False where it is marked already; NotFound or Conflict where it is
        none that can go."""

    def forgotten(self) -> Sequence[int]:
        """Versions that are marked and not yet let go, ascending."""

    def let_go(self, number: int) -> bool:
        """A marked version that nobody pins is gone: from now on its document may be deleted. A writer that
        builds upon it and whose lease is over is fenced; a reader's pin whose lease is over counts no more.
        False where somebody has it."""

    def gone(self) -> frozenset[int]:
        """Versions whose document may be deleted, or is."""
