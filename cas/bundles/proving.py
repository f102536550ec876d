"""Proving a bundle before anything of it is believed: every byte, every id, and that nothing lacks.

A bundle that leaves out what an earlier version has is proven together with the repository that has it: the
bundle's packs to the byte, and of the rest that it is there, as its trees and trailers say.
"""

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cas.bundles.ground import NeededGround
from cas.bundles.opening import OpenBundle
from cas.check_objects import Objects
from cas.check_packs import PACKS_LABEL, Bodies, packs_of_store
from cas.closure.bases import Bases
from cas.closure.ground import Ground, Packs
from cas.closure.listing import Listing, list_store, suspicious
from cas.closure.versions import VersionWalk
from cas.damage import DamageKind, Fault, Finding, Ledger
from cas.engine.repository import Repository
from cas.errors import CorruptData, Unsupported
from cas.format.entities import EntityEntry
from cas.format.malformed import malformed, mismatch
from cas.format.names import pack_key
from cas.format.pack import parse_end, parse_header
from cas.ids import PackName, pack_name
from cas.progress import Progress
from cas.temporary import temporary_faults

ANOTHER_COPY = "Get another copy of the file; nothing was taken from this one"


@dataclass(frozen=True, slots=True)
class Examined:
    """`findings`: what is wrong. `packs`: where everything lies. `ground`: whose each chunk is."""

    findings: Sequence[Finding]
    packs: Packs
    ground: NeededGround


def examine(bundle: OpenBundle, progress: Progress) -> Sequence[Finding]:
    """What is wrong with a bundle. Of one that leaves out something only what lies in it is looked at: that
    each pack is what its name says."""
    if bundle.head.since is None:
        with examined(bundle, bundle.repository, progress) as found:
            return found.findings
    ledger, own = Ledger(), bundle.repository.packs()
    _listed(bundle, own.keys(), ledger)
    _alone(bundle, own, ledger, progress)
    return ledger.findings()


@contextmanager
def examined(bundle: OpenBundle, together: Repository, progress: Progress) -> Iterator[Examined]:
    """All of a bundle, proven. `together`: it, with the repository that has the rest of it where it leaves
    out something. What is given is good until the end."""
    with temporary_faults():
        directory = tempfile.TemporaryDirectory(prefix="cas-bundle-")
    with directory as name:
        yield _proven(bundle, together, Path(name), progress)


def _proven(bundle: OpenBundle, together: Repository, directory: Path, progress: Progress) -> Examined:
    ledger, own = Ledger(), bundle.repository.packs()
    _listed(bundle, own.keys(), ledger)
    listing = list_store(together)
    progress.phase("packs")
    packs = packs_of_store(together, listing.packs, own, directory, ledger, progress)
    ground = NeededGround(packs, ledger, together.index, directory)
    suspicious(together, ground, listing)
    Bases(ground, listing.packs, own).examine()
    progress.phase("bytes")
    Bodies(together, ground, listing.packs, progress).examine(sorted(own))
    progress.phase("trees")
    _packs_of(bundle, together, ground, listing, ledger)
    VersionWalk(ground, together.boundary, progress).version(bundle.document)
    keys = {pack_key(name) for name in own}
    findings = [one for one in ledger.findings() if one.object in keys or one.versions]
    return Examined(findings, packs, ground)


def _packs_of(
    bundle: OpenBundle, together: Repository, ground: Ground, listing: Listing, ledger: Ledger
) -> None:
    """What the document says of the packs."""
    objects = Objects(together, ledger, frozenset(), 0)
    objects.packs_of(bundle.document, listing, ground, with_trailers=True)


def _listed(bundle: OpenBundle, own: Collection[PackName], ledger: Ledger) -> None:
    """The packs that lie in it are those that its document names."""
    named = {pack.name for pack in bundle.document.packs}
    for name in sorted(named.symmetric_difference(own)):
        what = "a pack that the document does not name" if name in own else "a pack is missing"
        kind = DamageKind.MALFORMED if name in own else DamageKind.MISSING
        number = ledger.note(pack_key(name), kind, what, ANOTHER_COPY)
        ledger.touch(Fault(number, is_loss=True), bundle.document.number)


def _alone(bundle: OpenBundle, own: Mapping[PackName, int], ledger: Ledger, progress: Progress) -> None:
    progress.phase("bytes")
    progress.entity(PACKS_LABEL, len(own), sum(own.values()))
    for name, size in own.items():
        key = pack_key(name)
        try:
            data = bundle.store.get(key)
            if pack_name(data) != name:
                raise mismatch("the stored bytes are not those of the pack's name")
            parse_header(data, key)
            parse_end(data, key, size=size)
        except (CorruptData, Unsupported) as error:
            ledger.note_error(key, error, ANOTHER_COPY)
        progress.advance(PACKS_LABEL, 1, size)


def require_good(bundle: OpenBundle, findings: Sequence[Finding]) -> None:
    """CorruptData with the first of them."""
    if findings:
        first = findings[0]
        more = f", and {len(findings) - 1} findings more" if len(findings) > 1 else ""
        raise CorruptData(
            f"{first.what}{more}",
            kind=first.kind.value,
            where=f"{bundle.path}:{first.object}",
            hint=ANOTHER_COPY,
        )


def require_entities(bundle: OpenBundle, entries: Sequence[EntityEntry]) -> None:
    """CorruptData where the bundle names other entities than are in it."""
    said = bundle.head.entities
    if said is not None and said != tuple(entry.entity.label for entry in entries):
        raise malformed("the bundle names other entities than it holds", str(bundle.path))
