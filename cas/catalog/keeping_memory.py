"""What stays and what goes, in memory. Guarantees: cas/catalog/keeping.py."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from cas.catalog import keeping_rules
from cas.catalog.keeping import Heard
from cas.catalog.memory_rows import MemoryPin, MemoryRows
from cas.catalog.memory_values import source_of
from cas.catalog.model import Version, VersionState
from cas.catalog.rules import COMMITTED, LEASE, WHOLE
from cas.errors import Fenced
from cas.format.notes import Note, NoteField, Notes, Setting


class MemoryKeeping:
    """On the rows of a `MemoryCatalog`. `forget_reading`: told of versions that are gone. `is_relied_on`:
    whether a version is the safety version of a restore at work."""

    def __init__(
        self,
        rows: MemoryRows,
        demand_attached: Callable[[], None],
        forget_reading: Callable[[int], None],
        is_relied_on: Callable[[int], bool],
    ) -> None:
        self._rows = rows
        self._demand_attached = demand_attached
        self._forget_reading = forget_reading
        self._is_relied_on = is_relied_on
        self._generation = self._noted = 0
        self._settings: dict[str, tuple[str, ...]] = {}
        self._forgotten: dict[int, Version] = {}
        """What those were that are forgotten and not let go."""

    def hear_again(self) -> None:
        """Versions were taken in from the store."""
        self._noted = 0
        self._generation += 1

    def heard(self) -> Heard:
        with self._rows.lock:
            return Heard(self._generation, self._noted)

    def note(self, said: Sequence[Note | Setting], put: Callable[[int], Notes]) -> Notes:
        keeping_rules.check_said(said)
        with self._rows.lock:
            self._demand_attached()
            for number in keeping_rules.versions_of(said):
                self._committed(number)
            notes = put(self._noted + 1)
            self._take(notes)
            return notes

    def take_notes(self, notes: Notes) -> None:
        keeping_rules.check_said(notes.notes)
        with self._rows.lock:
            self._demand_attached()
            if notes.number > self._noted + 1:
                raise keeping_rules.missing_notes(notes.number, self._noted)
            if notes.number == self._noted + 1:
                self._take(notes)

    def setting(self, name: str) -> tuple[str, ...] | None:
        with self._rows.lock:
            return self._settings.get(name)

    def pin(self, version: int, purpose: str) -> UUID:
        keeping_rules.check_purpose(purpose)
        with self._rows.lock:
            self._demand_attached()
            self._committed(version)
            pin = self._rows.new_id()
            self._rows.pins[pin] = MemoryPin(version, self._rows.epoch, self._rows.now() + LEASE)
            return pin

    def renew_pin(self, pin: UUID) -> None:
        with self._rows.lock:
            if pin not in self._rows.pins:
                raise keeping_rules.let_go_meanwhile()
            self._rows.pins[pin].lease_until = self._rows.now() + LEASE

    def unpin(self, pin: UUID) -> None:
        with self._rows.lock:
            self._rows.pins.pop(pin, None)

    def forget(self, number: int, why: str, *, heard: Heard) -> bool:
        keeping_rules.check_why(why)
        with self._rows.lock:
            self._demand_attached()
            keeping_rules.require_heard(self.heard(), heard)
            version = self._version(number)
            if version.state in (VersionState.FORGOTTEN, VersionState.GONE):
                return False
            relied_on = self._is_relied_on(number)
            last_good, now = self._last_good(version), self._rows.now()
            keeping_rules.refuse_to_forget(version, last_good, now, is_relied_on=relied_on)
            self._forgotten[number] = version
            self._rows.versions[number] = replace(
                version,
                state=VersionState.FORGOTTEN,
                forgotten_at=self._rows.now(),
                forgotten_why=why,
                entities=(),
            )
            return True

    def forgotten(self) -> Sequence[int]:
        with self._rows.lock:
            return sorted(self._in(VersionState.FORGOTTEN))

    def let_go(self, numbers: Sequence[int], put: Callable[[int, Sequence[Note]], Notes]) -> Sequence[int]:
        with self._rows.lock:
            self._demand_attached()
            going: dict[int, str] = {}
            for number in sorted(set(numbers)):
                version = self._version(number)
                if version.state is VersionState.FORGOTTEN and not self._is_in_use(number):
                    going[number] = version.forgotten_why
            if going:
                self._take(put(self._noted + 1, keeping_rules.going(going)))
            return list(going)

    def _is_in_use(self, number: int) -> bool:
        now = self._rows.now()
        builders = [
            one for one in self._rows.sessions.values() if one.parent == number and one.state == "open"
        ]
        for one in builders:
            if one.lease_until <= now:
                self._rows.end(one, "fenced", Fenced.code, keeping_rules.ENDED_FOR_FORGOTTEN)
        for pin, found in list(self._rows.pins.items()):
            if found.version == number and found.lease_until <= now:
                del self._rows.pins[pin]
        is_pinned = any(found.version == number for found in self._rows.pins.values())
        return is_pinned or any(one.state == "open" for one in builders)

    def gone(self) -> frozenset[int]:
        with self._rows.lock:
            return frozenset(self._in(VersionState.GONE))

    def _in(self, state: VersionState) -> list[int]:
        return [number for number, version in self._rows.versions.items() if version.state is state]

    def _version(self, number: int) -> Version:
        if number not in self._rows.versions:
            raise keeping_rules.none_such(number)
        return self._rows.versions[number]

    def _committed(self, number: int) -> None:
        state = self._version(number).state
        if state not in COMMITTED:
            raise keeping_rules.not_committed(number, state)

    def _last_good(self, version: Version) -> int | None:
        good = [
            one.number
            for one in self._rows.versions.values()
            if one.state is VersionState.COMPLETE
            and one.kind in WHOLE
            and source_of(one) == source_of(version)
        ]
        return max(good, default=None)

    def _take(self, notes: Notes) -> None:
        for note in notes.notes:
            if isinstance(note, Setting):
                self._settings.pop(note.name, None)
                if note.values is not None:
                    self._settings[note.name] = note.values
            else:
                self._say(note, notes.at)
        self._noted = notes.number

    def _say(self, note: Note, at: str) -> None:
        version = self._rows.versions.get(note.version)
        if version is not None and version.state is VersionState.FORGOTTEN and keeping_rules.keeps(note):
            before = self._forgotten.pop(note.version)
            version = replace(
                version, state=before.state, entities=before.entities, forgotten_at=None, forgotten_why=""
            )
        if version is None or version.state not in (*COMMITTED, VersionState.FORGOTTEN):
            return
        match note.field:
            case NoteField.FORGOTTEN:
                self._lose(version, str(note.value), at)
                return
            case NoteField.PROTECTED:
                said = replace(version, protected=bool(note.value))
            case NoteField.HOLD:
                said = replace(version, hold=str(note.value))
            case NoteField.EXPIRES_AT:
                until = None if note.value is None else datetime.fromisoformat(str(note.value))
                said = replace(version, expires_at=until)
        self._rows.versions[note.version] = said

    def _lose(self, version: Version, why: str, at: str) -> None:
        """It is gone, unless it stays by what was said before."""
        if version.protected or version.hold:
            return
        self._forget_reading(version.number)
        self._forgotten.pop(version.number, None)
        self._rows.versions[version.number] = replace(
            version,
            state=VersionState.GONE,
            forgotten_at=version.forgotten_at or datetime.fromisoformat(at),
            forgotten_why=version.forgotten_why or why,
            entities=(),
        )
