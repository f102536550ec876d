"""`cas snapshot`: take a version."""

import typer
from rich.text import Text

from cas.catalog.model import VersionState
from cas.errors import InvalidInput
from cas.records.source import Selection
from cas.snapshot import SnapshotReceipt, SnapshotRequest, take_version
from cli import flags
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.session import Session, whoami
from cli.showing_counts import told_changes
from cli.showing_omissions import omissions_by_reason
from cli.watching import Announced
from cli.watching_faces import watching
from cli.words import counted, duration, saved, size


def add_snapshot(app: typer.Typer) -> None:
    examples = [
        'cas snapshot --source postgresql://reader@db/shop --reason "before the import"',
        "cas snapshot --table products --table 'supplier*'",
        "cas snapshot --schema-only --name 'schema of 2.4' --protect",
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
    allow_incomplete: flags.LeaveOut = False,
    reason: flags.Reason = "",
    name: flags.Name = "",
    description: flags.Description = "",
    tag: flags.Tags = None,
    metadata: flags.Metadata = None,
    protect: flags.Protect = False,
    compression: flags.Compression = None,
    scan: flags.Scan = False,
) -> ExitCode:
    """Take a version: one consistent moment of the database, every new record stored once."""
    cas.set(source=source, compression=compression)
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
    cas.terminal.result(receipt, human=_told(receipt))
    return ExitCode.OK if receipt.version.state is VersionState.COMPLETE else ExitCode.INCOMPLETE


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


def _told(receipt: SnapshotReceipt) -> Text:
    version = receipt.version
    style = "bold green" if version.state is VersionState.COMPLETE else "bold yellow"
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
