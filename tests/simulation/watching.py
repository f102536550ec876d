"""Keeping the books: what catalogs have answered becomes a promise, or ends one."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from cas.catalog.model import AdoptedVersion
from cas.format.document import parse_document
from cas.format.names import NOTES, PACKS, VERSIONS, version_key
from cas.format.notes import Note, NoteField, parse_notes
from tests.engine.scenes import Platform, expected
from tests.simulation.world import CatalogBox, SimulatedWorld


class Watching:
    """Of one world."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world
        self.under_way: list[tuple[Callable[[], Any], str]] = []
        """What will be done, though its caller is gone or believes that it failed."""
        self._pin: UUID | None = None
        world.store.watch = self._changed
        if world.replica is not None:
            world.replica.store.watch = self._changed_elsewhere

    def later(self, act: Callable[[], Any], title: str) -> None:
        self.under_way.append((act, title))

    def _changed(self, key: str, is_put: bool) -> None:
        """Only what goes can break a promise; an object that is put again is another one."""
        if not is_put and key.startswith((PACKS, VERSIONS)):
            self._lost(self._world.truth.broken())

    def _changed_elsewhere(self, key: str, is_put: bool) -> None:
        replica = self._world.replica
        if replica is not None and not is_put and key.startswith((PACKS, VERSIONS)):
            self._lost_elsewhere(replica.broken())

    def answered(self, call: str, arguments: tuple[Any, ...], answer: Any) -> None:
        match call:
            case "commit":
                # Another catalog may have taken the document in, and let the version go, meanwhile: it was a
                # version by its document, and notes say that it is none any more.
                if self._world.catalogs == 1 or not self._is_let_go(answer.number):
                    self._promise(answer.number)
            case "adopt":
                for one in arguments[0]:
                    assert isinstance(one, AdoptedVersion)
                    if not self._is_let_go(one.number):
                        self._promise(one.number)
            case "let_go":
                for number in answer:
                    self._ended(number)
            case "take_notes":
                for note in arguments[0].notes:
                    if isinstance(note, Note) and note.field is NoteField.FORGOTTEN:
                        self._drop(note.version)
            case "pin":
                self._pin = answer
            case "replicating copied":
                for number in answer:
                    self._promise_elsewhere(number)
            case "replicating forgotten" if self._world.replica is not None:
                for number in arguments[1]:
                    self._world.replica.promises.pop(number, None)

    def _promise(self, number: int) -> None:
        world = self._world
        if number in world.truth.promises:
            return
        document = world.store.contents().get(version_key(number))
        if document is None:
            self._lost(f"version {number} was committed without a document")
            return
        self._lost(world.truth.promise(number, document, expected(self._platform(document))))

    def _promise_elsewhere(self, number: int) -> None:
        replica = self._world.replica
        assert replica is not None
        document = replica.store.contents().get(version_key(number))
        if document is None:
            self._lost_elsewhere(f"version {number} counts as copied, without a document")
        elif number not in replica.promises:
            self._lost_elsewhere(replica.promise(number, document, expected(self._platform(document))))

    def _lost_elsewhere(self, what: str) -> None:
        if what:
            self._lost(f"elsewhere: {what}")

    def _ended(self, number: int) -> None:
        if number in self._world.protected:
            self._lost(f"version {number} is protected, and was forgotten")
        self._drop(number)

    def _is_let_go(self, number: int) -> bool:
        """Whether notes say so: whoever takes the version in hears them next."""
        notes = [
            parse_notes(data) for key, data in self._world.store.contents().items() if key.startswith(NOTES)
        ]
        said = [note for one in notes for note in one.notes]
        return any(
            isinstance(note, Note) and note.field is NoteField.FORGOTTEN and note.version == number
            for note in said
        )

    def _drop(self, number: int) -> None:
        promise = self._world.truth.promises.pop(number, None)
        if promise is not None:
            self._world.gone.append(self._platform(promise.document))

    def _platform(self, document: bytes) -> Platform:
        return self._world.platforms[int(parse_document(document, "").name)]

    def _lost(self, what: str) -> None:
        self._world.loss = self._world.loss or what

    def holds(self, box: CatalogBox) -> Callable[[], bool]:
        """Whether the last pin still holds, told by the catalog that gave it."""
        catalog, pin = box.catalog, self._pin

        def held() -> bool:
            found = catalog._rows.pins.get(pin) if pin else None
            return box.catalog is catalog and found is not None and found.lease_until > catalog.now()

        return held
