"""Letting versions go: the document of each is deleted, and gc may take what nobody else needs.

    mark       catalog: nobody can build upon it or pin it any more     (crash: the next run goes on)
    hear       notes; who was protected before is a version again       (crash: the next run goes on)
    let go     notes in the store, then in the catalog: nobody has it   (crash: whoever hears of it goes on)
    delete     the document                                             (it is gone)

A version that somebody reads or builds upon is only marked; a later run lets it go. Each run goes on with
what earlier ones have left.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from blake3 import blake3

from cas.catalog.interface import Catalog
from cas.catalog.keeping import Heard, NotesMoved
from cas.engine.repository import Repository
from cas.errors import Conflict, NotFound
from cas.format.names import version_key
from cas.limits import MAX_NOTES
from cas.noting import let_go
from cas.progress import Progress, Silent
from cas.store.interface import ObjectMissing


@dataclass(frozen=True, slots=True)
class ForgetReport:
    """What became of versions, by number, ascending.

    `marked`: by this run. `kept`: why some that were asked for stay after all, in words. `gone`: whose
    document was deleted. `waiting`: marked, and still read or built upon by somebody. `strange`: another
    document than that of the version that went lies under its number; it is left alone.
    """

    marked: tuple[int, ...]
    kept: Mapping[int, str]
    gone: tuple[int, ...]
    waiting: tuple[int, ...]
    strange: tuple[int, ...] = ()


def forget(
    repository: Repository,
    catalog: Catalog,
    wanted: Mapping[int, str],
    heard: Heard,
    progress: Progress | None = None,
    by: str = "retention",
) -> ForgetReport:
    """Forget these versions, each with a reason in words; and finish what earlier runs began. `heard`: by
    `catch_up`, before it was decided what goes; NotesMoved where somebody has said something since, which may
    be that it stays. As the store raises; then decide again, and run it again. by: who says that they go."""
    watcher = progress or Silent()
    watcher.phase("mark")
    marked: list[int] = []
    kept: dict[int, str] = {}
    for number in sorted(wanted):
        try:
            if catalog.keeping.forget(number, wanted[number], heard=heard):
                marked.append(number)
        except NotesMoved:
            raise
        except (Conflict, NotFound) as error:
            kept[number] = error.what
    watcher.phase("delete")
    waiting = _let_go(repository, catalog, by)
    gone, strange = _delete(repository, catalog)
    return ForgetReport(tuple(marked), kept, tuple(gone), tuple(waiting), tuple(strange))


def _let_go(repository: Repository, catalog: Catalog, by: str) -> list[int]:
    """Versions that still wait for somebody."""
    left = list(catalog.keeping.forgotten())
    while left:
        some, left = left[:MAX_NOTES], left[MAX_NOTES:]
        let_go(repository, catalog, by, some)
    return list(catalog.keeping.forgotten())


def _delete(repository: Repository, catalog: Catalog) -> tuple[list[int], list[int]]:
    """Documents of versions that were let go, whoever did that. The one with the highest number stays until
    there is a higher one: by it a catalog that was lost knows which numbers were given."""
    gone, numbers = catalog.keeping.gone(), repository.numbers()
    deleted: list[int] = []
    strange: list[int] = []
    for number in (one for one in numbers[:-1] if one in gone):
        key = version_key(number)
        with suppress(ObjectMissing):
            if blake3(repository.store.get(key)).digest() != catalog.version(number).document_hash:
                strange.append(number)
                continue
        repository.store.delete(key)
        deleted.append(number)
    return deleted, strange
