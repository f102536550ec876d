"""`cas snapshot`: take a version."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cas.catalog.model import Version, VersionState
from cas.errors import CasError, InvalidInput
from cas.pinning import pinned
from cas.records.source import Selection
from cas.snapshot import SnapshotReceipt, SnapshotRequest, take_version
from cli import flags
from cli.commanding import command
from cli.exit_codes import ExitCode, exit_code_of
from cli.file_trees import file_trees
from cli.mirroring import Copies, copies_as_json, copy_version, destinations_of, told_copies
from cli.session import Session, whoami
from cli.showing_counts import told_changes
from cli.showing_omissions import omissions_by_reason
from cli.watching import Announced
from cli.watching_faces import watching
from cli.words import counted, duration, saved, size

if TYPE_CHECKING:
    from cas.read_back import ReadBack


def add_snapshot(app: typer.Typer) -> None:
    examples = [
        'cas snapshot --source postgresql://reader@db/shop --reason "before the import"',
        "cas snapshot --table products --table 'supplier*'",
        "cas snapshot --schema-only --name 'schema of 2.4' --protect",
        "cas snapshot --files uploads=/srv/shop/uploads",
        "cas snapshot --verify",
        "cas snapshot --to offsite --to vault",
    ]
    command(app, "snapshot", examples=examples)(snapshot)


def snapshot(
    cas: Session,
    source: flags.Source = None,
    schema: flags.Schemas = None,
    table: flags.Tables = None,
    exclude: flags.Exclude = None,
    schema_only: flags.SchemaOnly = False,
    data_only: flags.DataOnly = False,
    files: flags.Files = None,
    allow_incomplete: flags.LeaveOut = False,
    reason: flags.Reason = "",
    name: flags.Name = "",
    description: flags.Description = "",
    tag: flags.Tags = None,
    metadata: flags.Metadata = None,
    protect: flags.Protect = False,
    compression: flags.Compression = None,
    scan: flags.Scan = False,
    verify: flags.Verify = None,
    to: flags.To = None,
) -> ExitCode:
    """Take a version: one consistent moment of the database, every new record stored once.

    Mirrors get it in the same run. Exit code 25 where one of them does not hold it at the end.
    """
    cas.set(source=source, compression=compression, verify=verify, files=tuple(files) if files else None)
    if schema_only and files:
        raise InvalidInput("files are data", where="--schema-only --files", hint="Drop one of them")
    if schema_only and data_only:
        raise InvalidInput(
            "neither schema nor data would be taken",
            where="--schema-only --data-only",
            hint="Drop one of them",
        )
    request = SnapshotRequest(
        selection=Selection(tuple(schema or ()), tuple(table or ()), tuple(exclude or ())),
        with_schema=not data_only,
        with_data=not schema_only,
        reason=reason,
        name=name,
        description=description,
        tags=tuple(dict.fromkeys(tag or ())),
        metadata=parse_metadata(metadata or ()),
        created_by=whoami(),
        protected=protect,
        allow_incomplete=allow_incomplete,
        level=cas.settings.compression,
        threads=cas.settings.threads,
        delta_depth=cas.settings.delta_depth,
        scan=scan,
        scan_every=cas.settings.scan_every,
        unusual=cas.settings.anomaly_rules,
        destinations=destinations_of(cas, to),
        files=file_trees(cas, cas.settings.files),
    )
    return take(cas, request)


def take(cas: Session, request: SnapshotRequest) -> ExitCode:
    """Take the version, with progress, and tell of it."""
    platform = cas.source(cas.source_url)
    repository, catalog = cas.repository, cas.catalog
    cas.if_stopped = "The version is listed as failed; the versions before it are untouched"
    with watching(cas.terminal, "snapshot") as counters:
        receipt = take_version(repository, catalog, Announced(platform, counters), request, counters)
    for warning in receipt.warnings:
        cas.terminal.warn(warning)
    copies = copy_version(cas, receipt.version)
    shown = {"version": receipt.version, "warnings": receipt.warnings, **copies_as_json(copies)}
    human: list[RenderableType] = [_told(receipt, copies), *told_copies(copies)]
    failed = None
    if cas.settings.verify:
        found, failed = _read_back(cas, receipt.version)
        shown["read_back"] = found
        human += _told_read_back(found)
    cas.terminal.result(shown, human=Group(*human))
    is_whole = receipt.version.state is VersionState.COMPLETE
    return failed or (copies.exit_code or ExitCode.OK if is_whole else ExitCode.INCOMPLETE)


def _read_back(cas: Session, version: Version) -> tuple["ReadBack | None", ExitCode | None]:
    """What the version added, as the store has it now. The version is there, whatever comes of it."""
    from cas.read_back import read_back

    cas.if_stopped = f"Version {version.number} is {version.state.value}, and was not read back"
    try:
        with (
            pinned(cas.repository.environment, cas.catalog, version.number, "reading it back"),
            watching(cas.terminal, "verify") as counters,
        ):
            found = read_back(cas.repository, cas.catalog, version.number, counters)
    except CasError as error:
        cas.terminal.warn(
            f"version {version.number} is {version.state.value}, and was not read back: {error}"
        )
        return None, exit_code_of(error)
    return found, None if found.is_good else ExitCode.CORRUPT


def _told_read_back(found: "ReadBack | None") -> Iterator[RenderableType]:
    if found is None:
        return
    looked = f"{counted(found.packs, 'pack')}, {size(found.pack_bytes)}, {counted(found.chunks, 'chunk')}"
    if found.is_good:
        yield Text(f"  Read back and proven: {looked}", style="green")
        return
    from cli.showing_checks import told_damage

    yield Text(f"  Read back, and not what was stored: {looked}", style="bold red")
    yield from map(told_damage, found.findings)


def parse_metadata(pairs: list[str] | tuple[str, ...]) -> dict[str, str]:
    """`KEY=VALUE` texts as a mapping; InvalidInput for a text without a key, or a key given twice."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals or key in found:
            raise InvalidInput(
                f"not a pair, or given twice: {pair[:40]}",
                where="--metadata",
                hint="Write --metadata KEY=VALUE",
            )
        found[key] = value
    return found


def _told(receipt: SnapshotReceipt, copies: Copies) -> Text:
    version = receipt.version
    is_whole = version.state is VersionState.COMPLETE and not copies.placement.is_partial
    style = "bold green" if is_whole else "bold yellow"
    less = saved(version.original_bytes, version.added_bytes)
    told = Text.assemble(
        (f"Version {version.number} is {version.state.value}", style),
        f": {counted(version.records or 0, 'record')}, {size(version.original_bytes)}",
        f", in {duration(version.duration_seconds)}\n",
        f"  {counted(sum(entity.new_chunks for entity in version.entities), 'new record')}",
        f", {size(version.added_bytes)} added",
        (f" ({less} saved)" if less else ""),
    )
    told.append_text(told_changes(version))
    for names, reason in omissions_by_reason(version.omissions):
        told.append(f"\n  left out: {names}: {reason}", style="yellow")
    told.append(f"\n  See it: cas show {version.number}", style="dim")
    return told
