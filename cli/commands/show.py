"""`cas show`: the receipt of one version."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cas.catalog.checking import VersionCheck
from cas.catalog.model import Version, VersionKind
from cas.catalog.replica_model import Placement
from cas.replicas.mirroring import placement_of
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.mirroring import placement_as_json
from cli.session import Session
from cli.showing_checks import told_check, with_check
from cli.showing_counts import changes_in
from cli.showing_omissions import omissions_by_reason
from cli.tables import STATE_STYLES, cells, facts, indented, table
from cli.words import duration, moment, number, plain, saved, size

SHORT_CHECKSUM = 8
"""Hex digits of an entity's checksum in the table; JSON has all of them."""

VersionArgument = Annotated[str, typer.Argument(metavar="V", help="A version's number, or latest.")]


def add_show(app: typer.Typer) -> None:
    command(app, "show", examples=["cas show 12", "cas show latest --json"])(show)


def show(cas: Session, version: VersionArgument) -> ExitCode:
    """Show one version: how each entity was read, what changed in it, what it holds and costs, when it was
    checked, and which stores hold it."""
    found = cas.catalog.version(cas.number(version))
    check = cas.catalog.checking.versions([found.number]).get(found.number)
    placement = placement_of(cas.catalog, found.number)
    receipt = _receipt(found, check, placement, cas.terminal.out.width)
    shown = {**with_check(found, check), **placement_as_json(placement)}
    cas.terminal.result(shown, human=Group(*receipt))
    return ExitCode.OK


def _receipt(
    version: Version, check: VersionCheck | None, placement: Placement, width: int
) -> Iterator[RenderableType]:
    yield Text.assemble(
        (f"Version {version.number}", "bold"),
        "  ",
        (version.state.value, STATE_STYLES[version.state]),
        f"  {version.trigger.value}  {version.kind.value}",
        ("  protected" if version.protected else ""),
        ("  partial" if placement.is_partial else "", "yellow"),
    )
    yield facts(_about(version))
    yield facts(_stores(placement))
    if version.entities:
        yield Text()
        yield indented(_entities(version))
        yield Text()
        yield facts(_ways(version))
        for part in changes_in(version, width):
            yield Text()
            yield part
    if version.omissions:
        yield Text()
        yield Text("  Left out", style="yellow")
        yield facts(omissions_by_reason(version.omissions))
    if version.original_bytes is not None and version.kind is not VersionKind.SCHEMA_ONLY:
        yield Text()
        yield facts(_sizes(version))
    if check is not None:
        yield Text()
        yield facts(told_check(check))


def _about(version: Version) -> Iterator[tuple[str, str]]:
    yield "name", version.name
    yield "reason", version.reason
    yield "description", version.description
    yield "tags", ", ".join(version.tags)
    yield "metadata", ", ".join(f"{key}={value}" for key, value in version.metadata.items())
    yield "error", f"{version.error_code}: {version.error_text}" if version.error_code else ""
    took = f", in {duration(version.duration_seconds)}" if version.duration_seconds is not None else ""
    yield "taken", f"{moment(version.created_at)}{took}"
    yield "by", version.created_by
    server = f", PostgreSQL {version.source_server_version}" if version.source_server_version else ""
    yield "source", f"{version.source_url}{server}"
    yield "tables", ", ".join(version.included)
    yield "schemas", ", ".join(version.included_schemas)
    yield "without", ", ".join(version.excluded)
    yield "built on", f"version {version.parent}" if version.parent else ""
    yield "hold", version.hold
    yield "expires", moment(version.expires_at) if version.expires_at else ""
    yield (
        "forgotten",
        f"{moment(version.forgotten_at)}: {version.forgotten_why}" if version.forgotten_at else "",
    )
    yield "begun again", f"{version.retries} times, because the platform changed" if version.retries else ""
    yield "checksum", version.checksum.hex() if version.checksum else ""


def _stores(placement: Placement) -> Iterator[tuple[str, str | Text]]:
    stores = [*(["the primary"] if placement.primary else []), *placement.replicas]
    yield "stores", ", ".join(map(plain, stores))
    yield "lacks", Text(", ".join(map(plain, placement.lacks)), style="yellow")


def _entities(version: Version) -> Table:
    listing = table("entity", "read by", ">rows", ">new", ">bytes", "checksum")
    listing.columns[0].overflow = "fold"
    for entity in version.entities:
        row = [
            entity.label,
            entity.read_by,
            number(entity.rows_read),
            number(entity.new_chunks),
            size(entity.payload_bytes),
            entity.checksum.hex()[:SHORT_CHECKSUM],
        ]
        listing.add_row(*cells(row))
    return listing


def _ways(version: Version) -> Iterator[tuple[str, str]]:
    """How entities were read and why, each way once."""
    labels: dict[tuple[str, str], list[str]] = {}
    for entity in version.entities:
        labels.setdefault((entity.read_by, entity.read_reason), []).append(entity.label)
    for (read_by, reason), read in labels.items():
        whose = "all entities" if len(labels) == 1 else ", ".join(read)
        yield read_by, f"{reason} ({whose})"


def _sizes(version: Version) -> Iterator[tuple[str, str]]:
    original = version.original_bytes
    yield "records", f"{number(version.records)}, {size(original)}"
    for name, stored in (("added", version.added_bytes), ("whole version", version.stored_bytes)):
        less = saved(original, stored)
        yield name, f"{size(stored)}" + (f", {less} less" if less else "")
    yield "objects", number(version.objects_written)
