"""Saying something of versions, or of the repository: in the store first, then in the catalog.

    lock     the catalog's number of notes, until the transaction ends     (crash: nothing was said)
    put      `notes/<number>`, create-only                                 (crash: only the store knows it)
    commit   what it says holds                                            (it is said)

What only the store knows holds as soon as somebody takes it in, and everybody does that before saying
anything, and before deciding that anything may go. That a version goes is said as well. So all that was ever
said has one order, in which nobody who was told that a version is protected finds it forgotten, also where
the catalog was lost, is an older copy of itself, or not the only one.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from cas.catalog.interface import Catalog
from cas.catalog.keeping import Heard
from cas.engine.repository import Repository
from cas.errors import Conflict, CorruptData
from cas.format.malformed import malformed
from cas.format.names import NOTES, notes_key, number_of_key
from cas.format.notes import Note, Notes, Setting, encode_notes, parse_notes
from cas.limits import MAX_NOTES
from cas.store.interface import ObjectExists

_T = TypeVar("_T")

ATTEMPTS = 5
"""How often somebody else may be faster: another catalog, since those who share one wait for each other."""

_HINT = "Bring the object back from a copy of the store; until then nothing can be forgotten"


def say(repository: Repository, catalog: Catalog, by: str, said: Sequence[Note | Setting]) -> Notes:
    """Make it hold. NotFound or Conflict where a version is not complete or incomplete; InvalidInput for what
    the catalog cannot hold; as the store raises."""
    return _heard_out(
        repository,
        catalog,
        lambda: catalog.keeping.note(said, lambda number: _put(repository, catalog, by, number, said)),
    )


def let_go(repository: Repository, catalog: Catalog, by: str, numbers: Sequence[int]) -> Sequence[int]:
    """Say of forgotten versions that they go: those that nobody uses, which are returned. From then on every
    catalog knows that, and their documents may be deleted. What somebody protected before stays."""
    return _heard_out(
        repository,
        catalog,
        lambda: catalog.keeping.let_go(
            numbers[:MAX_NOTES], lambda number, said: _put(repository, catalog, by, number, said)
        ),
    )


def _heard_out(repository: Repository, catalog: Catalog, speak: Callable[[], _T]) -> _T:
    """Speak when everybody else was heard."""
    for _ in range(ATTEMPTS):
        catch_up(repository, catalog)
        try:
            return speak()
        except _Faster:
            continue
    raise Conflict(
        "somebody else keeps saying something", where=repository.store.url, hint="Another catalog is at work"
    )


def _put(
    repository: Repository, catalog: Catalog, by: str, number: int, said: Sequence[Note | Setting]
) -> Notes:
    at = catalog.now().isoformat(timespec="microseconds")
    notes = Notes(repository.id, number, at, by, tuple(said))
    key, data = notes_key(number), encode_notes(notes)
    try:
        repository.store.put(key, data, create_only=True)
    except ObjectExists as error:
        # The answer to an earlier attempt may have been lost; or it is somebody else's.
        if repository.store.get(key) != data:
            raise _Faster("notes of this number are there", where=key) from error
    return notes


def catch_up(repository: Repository, catalog: Catalog) -> Heard:
    """Take in what only the store knows; what is heard then. CorruptData or Unsupported for what cannot be
    understood: it may be what protects a version."""
    while True:
        heard = catalog.keeping.heard()
        try:
            for notes in _stored(repository, heard.number):
                catalog.keeping.take_notes(notes)
                heard = heard._replace(number=notes.number)
        except Conflict:
            # All is to be heard again, since versions were taken in meanwhile; or notes are missing.
            if catalog.keeping.heard().generation == heard.generation:
                raise
            continue
        return heard


def _stored(repository: Repository, above: int) -> Iterator[Notes]:
    """Those with higher numbers, ascending."""
    after = notes_key(above) if above else ""
    for info in repository.store.objects(NOTES, after=after):
        number = number_of_key(NOTES, info.key)
        if number is not None:
            yield stored_notes(repository, number)


def stored_notes(repository: Repository, number: int) -> Notes:
    """Those with this number. CorruptData or Unsupported for what cannot be understood, Conflict where it is
    another repository's."""
    key = notes_key(number)
    try:
        notes = parse_notes(repository.store.get(key), key)
        if notes_key(notes.number) != key:
            raise malformed(f"notes {notes.number} under another name", key)
    except CorruptData as error:
        raise CorruptData(error.what, kind=error.kind, where=key, hint=_HINT) from error
    if notes.repository_id != repository.id:
        raise Conflict("the notes belong to another repository", where=key, hint=_HINT)
    return notes


class _Faster(Conflict):
    """Another catalog has put notes of this number."""
