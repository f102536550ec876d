"""Notes: what people said of versions after these were made, and what they have set for the repository.

Documents are never written anew, so it stands beside them, in objects that are numbered from 1 on. The notes
in their order say all that a lost catalog knew of protection, holds and dates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from cas.format.canonical import Fields, Json, encode_json, open_envelope, parse_json, seal_envelope
from cas.format.config import FORMAT, REPOSITORY_ID_BYTES
from cas.format.malformed import malformed, newer, over_limit
from cas.format.times import check_time
from cas.limits import MAX_NOTE_CHARACTERS, MAX_NOTES, MAX_VERSION_NUMBER

MAX_NAME_CHARACTERS = 400
"""Of a setting."""


class NoteField(StrEnum):
    """What is said of a version. The last word counts."""

    PROTECTED = "protected"
    """True or false: no rule of retention lets it go."""
    HOLD = "hold"
    """A reason, or empty: nobody lets it go before the hold is lifted."""
    EXPIRES_AT = "expires_at"
    """A time, or null: it stays until then, and no longer."""
    FORGOTTEN = "forgotten"
    """The reason: it is no version any more, and its document may be deleted at any time."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing about one version. `value`: as its field demands."""

    version: int
    field: NoteField
    value: bool | str | None


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that holds for the repository from now on: a name, and texts that a later release knows to
    read. None: what is the default holds again."""

    name: str
    values: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Notes:
    """One object. `at`: cas.format.times; `by`: whoever said it."""

    repository_id: str
    number: int
    at: str
    by: str
    notes: tuple[Note | Setting, ...]


def encode_notes(notes: Notes) -> bytes:
    """The one encoding. Raises what `parse_notes` would raise for it."""
    body: dict[str, Json] = {
        "at": notes.at,
        "by": notes.by,
        "format": FORMAT,
        "notes": [_encode(note) for note in notes.notes],
        "number": notes.number,
        "repository_id": notes.repository_id,
        "type": "notes",
    }
    data = seal_envelope(encode_json(body))
    parse_notes(data)
    return data


def _encode(note: Note | Setting) -> Json:
    if isinstance(note, Setting):
        return {"setting": note.name, "values": note.values}
    return {"field": note.field.value, "value": note.value, "version": note.version}


def parse_notes(data: bytes, where: str = "") -> Notes:
    """The notes. Unsupported for a field that this release does not know: who does not understand a note must
    not delete anything. CorruptData for every deviation from the one encoding."""
    fields = Fields(parse_json(open_envelope(data, where), where), where)
    if fields.text("type") != "notes":
        raise malformed("not notes", where)
    version = fields.integer("format")
    if version != FORMAT:
        raise newer(f"notes of format {version}", where)
    rows = fields.sequence("notes")
    notes = Notes(
        repository_id=fields.binary("repository_id", REPOSITORY_ID_BYTES).hex(),
        number=fields.integer("number"),
        at=check_time(fields.text("at"), where),
        by=fields.text("by"),
        notes=tuple(_parse(row, where) for row in rows[: MAX_NOTES + 1]),
    )
    fields.finish()
    if not 1 <= notes.number <= MAX_VERSION_NUMBER or not notes.notes:
        raise malformed(f"notes {notes.number} with {len(notes.notes)} notes", where)
    if len(notes.notes) > MAX_NOTES:
        raise over_limit(f"{len(rows)} notes in one object", where)
    return notes


def _parse(row: Json, where: str) -> Note | Setting:
    fields = Fields(row, where)
    if isinstance(row, Mapping) and "setting" in row:
        name = fields.text("setting")
        if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
            raise malformed(f"name of a setting of {len(name)} characters", where)
        values = None if row.get("values") is None else fields.texts("values")
        if values is None:
            fields.reserved("values")
        for value in values or ():
            _check_length(value, where)
        fields.finish()
        return Setting(name, values)
    name = fields.text("field")
    if name not in list(NoteField):
        raise newer(f"note about {name[:40]}", where)
    field = NoteField(name)
    note = Note(fields.integer("version"), field, _parse_value(field, fields, where))
    fields.finish()
    if not 1 <= note.version <= MAX_VERSION_NUMBER:
        raise malformed(f"note about version {note.version}", where)
    return note


def _check_length(text: str, where: str) -> str:
    if len(text) > MAX_NOTE_CHARACTERS:
        raise over_limit(f"note of {len(text)} characters", where)
    return text


def _parse_value(field: NoteField, fields: Fields, where: str) -> bool | str | None:
    match field:
        case NoteField.PROTECTED:
            return fields.boolean("value")
        case NoteField.HOLD:
            return _check_length(fields.text("value"), where)
        case NoteField.FORGOTTEN:
            why = _check_length(fields.text("value"), where)
            if not why:
                raise malformed("a version is forgotten without a reason", where)
            return why
        case NoteField.EXPIRES_AT:
            text = fields.optional_text("value")
            return None if text is None else check_time(text, where)
    assert_never(field)
