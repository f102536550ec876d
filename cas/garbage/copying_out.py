"""Copying out: what documents need of packs that somebody may be deleting comes into packs of its own.

A journal names packs that are about to go. Who takes in a store whose journals it does not know cannot tell
whether a collector is still at work on them, of a catalog that was lost or is older now. So none of these
packs counts for what it holds: first what is needed is copied, then they are nobody's.
"""

from collections.abc import Collection, Iterable

from cas.engine.packer import ClosedPack
from cas.engine.putting import put_once
from cas.engine.repository import Repository
from cas.errors import CorruptData, Unsupported
from cas.format.journal import parse_journal
from cas.format.names import JOURNALS, journal_key, number_of_key, pack_key
from cas.garbage.marking import mark
from cas.garbage.rewriting import rewrite
from cas.ids import PackName
from cas.progress import Progress
from cas.store.interface import ObjectMissing


def journaled(repository: Repository, above: int) -> frozenset[PackName]:
    """The packs that the store's journals with higher numbers name. A journal that cannot be read names none:
    what a version lacks for that is found when it is taken in."""
    after = journal_key(above) if above else ""
    names: set[PackName] = set()
    for info in repository.store.objects(JOURNALS, after=after):
        if number_of_key(JOURNALS, info.key) is not None:
            try:
                names.update(parse_journal(repository.store.get(info.key), info.key).packs)
            except (CorruptData, Unsupported, ObjectMissing):
                continue
    return frozenset(names)


def copy_out(
    repository: Repository,
    numbers: Iterable[int],
    listed: Collection[PackName],
    doomed: Collection[PackName],
    progress: Progress,
) -> None:
    """Put what these documents need of `doomed`, and no other listed pack holds. What is gone already, or
    cannot be read, is left."""

    def deliver(pack: ClosedPack) -> None:
        put_once(repository.store, pack_key(pack.name), pack.stored)
        repository.index.add(pack.name, pack.trailer)

    old = sorted(set(doomed).intersection(listed))
    staying = set(listed) - set(old)
    if old:
        marked = mark(repository, numbers, (), listed, staying, progress)
        rewrite(repository, marked, old, staying, deliver, progress)
