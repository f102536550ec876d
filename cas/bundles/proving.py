"""Proving a bundle before anything of it is believed: every byte, every id, and that nothing lacks.

A bundle that leaves out what an earlier version has is proven together with the repository that has it: the
bundle's packs to the byte, and of the rest that it is there, as its trees and trailers say.
"""

import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from cas.bundles.opening import OpenBundle
from cas.check import CheckLevel, check_repository
from cas.check_packs import PACKS_LABEL, Bodies, ProvenGround, packs_of_store
from cas.closure.bases import Bases
from cas.closure.listing import list_store, suspicious
from cas.closure.versions import VersionWalk
from cas.damage import DamageKind, Fault, Finding, Ledger
from cas.engine.repository import Repository
from cas.errors import CorruptData, Unsupported
from cas.format.entities import EntityEntry
from cas.format.malformed import malformed, mismatch
from cas.format.names import DICTIONARIES, pack_key
from cas.format.pack import parse_end, parse_header
from cas.ids import PackName, pack_name
from cas.progress import Progress
from cas.temporary import temporary_faults

ANOTHER_COPY = "Get another copy of the file; nothing was taken from this one"


def examine(bundle: OpenBundle, together: Repository | None, progress: Progress) -> Sequence[Finding]:
    """What is wrong with a bundle. `together`: with the repository that has the rest of it, where it leaves
    out something. None: where it does, only what lies in it is looked at: that each pack is what its name
    says."""
    ledger = Ledger()
    own = bundle.repository.packs()
    _listed(bundle, own.keys(), ledger)
    if bundle.head.since is None:
        report = check_repository(bundle.repository, level=CheckLevel.BYTES, progress=progress)
        return [*ledger.findings(), *(one for one in report.findings if not _is_second_copy(one))]
    if together is None:
        _alone(bundle, own, ledger, progress)
        return ledger.findings()
    _together(bundle, together, own.keys(), ledger, progress)
    keys = {pack_key(name) for name in own}
    return [one for one in ledger.findings() if one.object in keys or one.versions]


def _is_second_copy(finding: Finding) -> bool:
    """Whether it is about a second copy of a dictionary that is not there: a bundle holds none."""
    return (
        finding.object.startswith(DICTIONARIES) and finding.kind is DamageKind.MISSING and not finding.is_loss
    )


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


def _together(
    bundle: OpenBundle,
    together: Repository,
    own: Collection[PackName],
    ledger: Ledger,
    progress: Progress,
) -> None:
    with temporary_faults(), tempfile.TemporaryDirectory(prefix="cas-bundle-") as name:
        directory = Path(name)
        listing = list_store(together)
        progress.phase("packs")
        packs = packs_of_store(together, listing.packs, own, directory, ledger, progress)
        ground = ProvenGround(packs, ledger, together.index, directory)
        suspicious(together, ground, listing)
        Bases(ground, listing.packs, own).examine()
        progress.phase("bytes")
        Bodies(together, ground, listing.packs, progress).examine(sorted(own))
        progress.phase("trees")
        VersionWalk(ground, together.boundary, progress).version(bundle.document)


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
