"""`cas import` of files of records, JSON lines or CSV: checked as a whole, then taken as a new version."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from cas.catalog.model import Version, VersionState
from cas.snapshot import SnapshotRequest, take_version
from cas.tabular.checking import Checked, check_files
from cas.tabular.file_source import FileSource
from cas.tabular.opening import open_package, read_layout
from cli.exit_codes import ExitCode
from cli.paths import expanded
from cli.session import Session, whoami
from cli.watching import Announced
from cli.watching_faces import watching
from cli.words import counted, plain, size


@dataclass(frozen=True, slots=True)
class ImportReceipt:
    """A new version, and the one that the files are of.

    edited: labels of entities whose files are not what was written. is_same: whether the new version has the
    checksum of the exported one, which only says something in the same repository. unchecked_types: of
    columns whose values were taken as they are, since only a database could check them.
    """

    version: Version
    exported: int
    edited: tuple[str, ...]
    is_same: bool
    unchecked_types: tuple[str, ...]
    warnings: tuple[str, ...]


def import_for_people(
    cas: Session, path: Path, *, edited: bool = False, name: str = "", reason: str = ""
) -> ExitCode:
    """Check the files, take a version of them, and tell of it."""
    place = expanded(path).absolute()
    cas.if_stopped = "Nothing was registered before all was checked; the versions before are untouched"
    with ExitStack() as held:
        package = held.enter_context(open_package(place))
        layout = read_layout(package)
        repository, catalog = cas.repository, cas.catalog
        with watching(cas.terminal, "check") as counters:
            counters.phase("check")
            checked = check_files(package, layout, held, counters, edited=edited)
        request = _request(cas, checked, name, reason)
        source = FileSource(checked, place.as_uri())
        with watching(cas.terminal, "import") as counters:
            taken = take_version(repository, catalog, Announced(source, counters), request, counters)
        receipt = _receipt(checked, taken.version, taken.warnings)
    for warning in receipt.warnings:
        cas.terminal.warn(warning)
    cas.terminal.result(receipt, human=_told(receipt))
    return ExitCode.OK if receipt.version.state is VersionState.COMPLETE else ExitCode.INCOMPLETE


def _request(cas: Session, checked: Checked, name: str, reason: str) -> SnapshotRequest:
    facts = checked.layout.version
    return SnapshotRequest(
        selection=facts.selection,
        with_schema=checked.layout.schema is not None,
        with_data=facts.kind != "schema-only" and _has_data(checked),
        name=name,
        reason=reason or f"import of version {facts.number}",
        metadata={"imported_version": str(facts.number), "imported_checksum": facts.checksum},
        created_by=whoami(),
        allow_incomplete=True,
        level=cas.settings.compression,
        threads=cas.settings.threads,
        delta_depth=cas.settings.delta_depth,
        scan=True,
        unusual=None,
    )


def _has_data(checked: Checked) -> bool:
    return not checked.entities or any(one.rows is not None for one in checked.entities)


def _receipt(checked: Checked, version: Version, warnings: tuple[str, ...]) -> ImportReceipt:
    facts = checked.layout.version
    return ImportReceipt(
        version=version,
        exported=facts.number,
        edited=tuple(one.entity.label for one in checked.entities if one.is_edited),
        is_same=version.checksum is not None and version.checksum.hex() == facts.checksum,
        unchecked_types=checked.unchecked_types,
        warnings=warnings,
    )


def _told(receipt: ImportReceipt) -> Text:
    version = receipt.version
    told = Text.assemble(
        (f"Version {version.number} is {version.state.value}", "bold green"),
        f": {counted(version.records or 0, 'record')}, {size(version.original_bytes)}, from files of version"
        f" {receipt.exported}",
    )
    if receipt.is_same:
        told.append("\n  It holds exactly what that version held", style="green")
    if receipt.edited:
        told.append(f"\n  Edited: {plain(', '.join(receipt.edited))}", style="yellow")
        told.append("\n  Foreign keys, checks and unique constraints are only checked by a database:")
        told.append(f" `cas restore {version.number} --into URL`")
        if receipt.unchecked_types:
            types = plain(", ".join(receipt.unchecked_types))
            told.append(f"\n  Taken as they are, since only a database can check them: values of {types}")
    return told
