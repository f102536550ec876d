"""Bringing objects back from other holders, each proven before it is put.

    ask      the holders in their order, until one has what is proven     (crash: nothing)
    pin      the version, where it is a document's                        (crash: the pin lapses)
    put      create-only where nothing lies there; else over what is      (crash: the object is as it should
             damaged, which is looked at once more right before            be, or as it was)
    read     it again, as it lies there now

A put is whole or not at all, and all who repair put the same bytes: however many do it at once, what is
proven lies there. Packs are brought under the collector's lease, so nobody is deleting meanwhile, and those
that an earlier collection is deleting are not asked for.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from cas.catalog.interface import Catalog
from cas.engine.repository import Repository
from cas.errors import CasError, Conflict, CorruptData, NotFound
from cas.format.names import VERSIONS, number_of_key
from cas.pinning import pinned
from cas.progress import Progress
from cas.repair.model import Brought, Holder, RepairProblem
from cas.repair.proving import Proof, proof_by_hash, proof_of, proof_of_sealed
from cas.store.interface import ObjectExists, ObjectMissing, StoreFault

DISAGREE = "Look into both; copy the right one to its place by hand"
NO_HOLDER = "Name another place with --from, or bring it back from a copy of the store"


@dataclass(slots=True)
class Bringer:
    """Of one repair."""

    repository: Repository
    catalog: Catalog
    holders: Sequence[Holder]
    progress: Progress
    brought: list[Brought] = field(default_factory=list)
    problems: list[RepairProblem] = field(default_factory=list)
    _silent: set[str] = field(default_factory=set)

    def bring(self, key: str, digest: bytes | None = None) -> bool:
        """Whether the object is as it should be now. digest: what proves a document."""
        is_sealed = False
        proof = proof_by_hash(digest) if digest is not None else proof_of(self.repository, key)
        if proof is None:
            proof, is_sealed = proof_of_sealed(self.repository, key), True
        if proof is None:
            return False
        found = self._from_all(key, proof) if is_sealed else self._from_first(key, proof)
        if found is None:
            return False
        holder, data = found
        if not self._put(key, data, proof):
            return False
        self.brought.append(Brought(key, holder, len(data)))
        self.progress.stored(len(data))
        return True

    def having(self, key: str) -> tuple[str, ...]:
        """The holders that have something under this key."""
        return tuple(holder.name for holder in self.holders if self._has(holder, key))

    def _has(self, holder: Holder, key: str) -> bool:
        try:
            holder.store.size(key)
        except ObjectMissing:
            return False
        except StoreFault as error:
            self._tell(holder, error)
            return False
        return True

    def _from_first(self, key: str, proof: Proof) -> tuple[str, bytes] | None:
        for holder in self.holders:
            data = self._ask(holder, key)
            if data is not None and proof(data):
                return holder.name, data
        return None

    def _from_all(self, key: str, proof: Proof) -> tuple[str, bytes] | None:
        """Where only a seal proves it, nobody may say otherwise."""
        answers = [
            (holder.name, data)
            for holder in self.holders
            if (data := self._ask(holder, key)) is not None and proof(data)
        ]
        if len({data for _, data in answers}) > 1:
            names = " and ".join(name for name, _ in answers)
            self.problems.append(RepairProblem(key, f"{names} hold different ones", DISAGREE))
            return None
        return answers[0] if answers else None

    def _ask(self, holder: Holder, key: str) -> bytes | None:
        if holder.name in self._silent:
            return None
        try:
            return holder.store.get(key)
        except (ObjectMissing, CorruptData):
            return None
        except StoreFault as error:
            self._tell(holder, error)
            return None

    def _tell(self, holder: Holder, error: CasError) -> None:
        """Once; it is not asked again."""
        if holder.name not in self._silent:
            self._silent.add(holder.name)
            hint = error.hint or "Run it again when that place answers"
            self.problems.append(RepairProblem(holder.name, f"it does not answer: {error.what}", hint))

    def _put(self, key: str, data: bytes, proof: Proof) -> bool:
        store = self.repository.store
        with ExitStack() as stack:
            number = number_of_key(VERSIONS, key)
            if number is not None:
                try:
                    pin = pinned(self.repository.environment, self.catalog, number, "a repair")
                    stack.enter_context(pin)
                except (NotFound, Conflict):
                    if self.was_version(number):
                        return False  # it goes, or is gone
            try:
                store.put(key, data, create_only=True)
            except ObjectExists:
                if not self._is_sound(key, proof):
                    store.put(key, data)
            if self._is_sound(key, proof):
                return True
        what = "what was put does not lie there"
        self.problems.append(
            RepairProblem(key, what, "Something locks it or stands before the store; look there")
        )
        return False

    def was_version(self, number: int) -> bool:
        """Whether the catalog has ever had such a version, whatever became of it."""
        try:
            return self.catalog.version(number).document_hash is not None
        except NotFound:
            return False

    def _is_sound(self, key: str, proof: Proof) -> bool:
        try:
            return proof(self.repository.store.get(key))
        except (ObjectMissing, CorruptData):
            return False
