"""What every implementation of keeping demands and says alike."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from cas.catalog.keeping import Heard, NotesMoved
from cas.catalog.model import Trigger, Version, VersionState
from cas.catalog.rules import COMMITTED, MAX_TEXT, MAX_WORD, check_text
from cas.errors import Conflict, Fenced, InvalidInput, NotFound
from cas.format.notes import Note, NoteField, Setting

JUST_MADE = timedelta(minutes=10)
"""A restore names its safety version only after it was made."""

ENDED_FOR_FORGOTTEN = "its lease was over, and the version that it built upon was let go"


def check_why(why: str) -> None:
    """InvalidInput where nothing is said, or what cannot be kept."""
    if not why:
        raise InvalidInput("a version is not forgotten without a reason")
    check_text("why", why, MAX_TEXT)


def check_purpose(purpose: str) -> None:
    check_text("purpose", purpose, MAX_WORD)


def check_said(said: Iterable[Note | Setting]) -> None:
    """InvalidInput where the catalog cannot hold what is said."""
    for note in said:
        if isinstance(note, Setting):
            check_text("setting", note.name, MAX_WORD)
            for value in note.values or ():
                check_text("setting", value, MAX_TEXT)
        elif note.field in (NoteField.HOLD, NoteField.FORGOTTEN):
            check_text("note", str(note.value), MAX_TEXT)


def versions_of(said: Iterable[Note | Setting]) -> list[int]:
    """Those of which something is said, ascending."""
    return sorted({one.version for one in said if isinstance(one, Note)})


def keeps(note: Note) -> bool:
    """Whether it says that a version stays."""
    return note.field in (NoteField.PROTECTED, NoteField.HOLD) and bool(note.value)


def going(versions: Mapping[int, str]) -> tuple[Note, ...]:
    """What is said of versions that are let go: their numbers, and why."""
    return tuple(Note(number, NoteField.FORGOTTEN, versions[number]) for number in sorted(versions))


def require_heard(known: Heard, heard: Heard) -> None:
    if known != heard:
        raise NotesMoved(
            "somebody has said something meanwhile, or versions were taken in from the store",
            hint="Run again",
        )


def missing_notes(number: int, known: int) -> Conflict:
    return Conflict(
        f"notes {number} follow notes {known}: some are missing between",
        hint="Bring the missing objects under notes/ back from a copy of the store",
    )


def none_such(number: int) -> NotFound:
    return NotFound("there is no such version", where=f"version {number}")


def not_committed(number: int, state: VersionState) -> Conflict:
    is_gone = state in (VersionState.FORGOTTEN, VersionState.GONE)
    what = "it was forgotten" if is_gone else f"it is {state.value}"
    return Conflict(f"only a complete or incomplete version will do, and {what}", where=f"version {number}")


def refuse_to_forget(version: Version, last_good: int | None, now: datetime, *, is_relied_on: bool) -> None:
    """Conflict where it must stay. last_good: the newest good version of its platform. is_relied_on: by a
    restore that is at work."""
    where, number = f"version {version.number}", version.number
    if version.state not in COMMITTED:
        raise not_committed(number, version.state)
    if version.protected:
        raise Conflict("it is protected", where=where, hint=f"`cas unprotect {number}` lifts that")
    if version.hold:
        raise Conflict(f"it is held: {version.hold}", where=where, hint=f"`cas release {number}` lifts that")
    is_new = version.finished_at is not None and now < version.finished_at + JUST_MADE
    if is_relied_on or (version.trigger is Trigger.SYSTEM and is_new):
        raise Conflict(
            "a restore relies on it, or may", where=where, hint="Wait until it is over: `cas restores`"
        )
    if last_good == number:
        raise Conflict(
            "it is the last good version of its platform", where=where, hint="Take a version first"
        )


def let_go_meanwhile() -> Fenced:
    return Fenced(
        "the version that was read was forgotten, and the reader's lease was over",
        hint="Choose another version",
    )
