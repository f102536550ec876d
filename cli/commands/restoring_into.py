"""A restore into an empty database, after a look at what that means."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from cas.errors import Conflict, InvalidInput
from cas.postgres.filling.target import PostgresTarget
from cas.records.source import EntityEstimate
from cas.restore import RestoreReceipt, restore_into
from cas.restore_preview import RestorePreview, preview_restore
from cas.restore_scope import RestoreRequest
from cli import flags
from cli.exit_codes import ExitCode
from cli.scope import LiveScope, given_options
from cli.session import Session
from cli.showing_findings import told_finding
from cli.tables import cells, facts, indented, table
from cli.watching_faces import watching
from cli.words import counted, duration, number, plain, size

SHOWN_ENTITIES = 12
"""Entities that a preview lists, the largest first; JSON has all of them."""


@dataclass(frozen=True, slots=True)
class IntoParts:
    """The options that only a restore into an empty database has."""

    schema_only: flags.SchemaOnly = False
    data_only: flags.DataOnly = False
    no_indexes: flags.NoIndexes = False
    no_constraints: flags.NoConstraints = False
    no_triggers: flags.NoTriggers = False
    no_owners: flags.NoOwners = False
    no_privileges: flags.NoPrivileges = False
    no_verify: flags.NoVerify = False

    @property
    def given(self) -> tuple[str, ...]:
        """Those that were given, as they are written."""
        return given_options(self)

    def request(self, scope: LiveScope, parallel: int) -> RestoreRequest:
        """With the tables of the scope. InvalidInput where nothing would be left."""
        if self.schema_only and self.data_only:
            raise InvalidInput(
                "neither schema nor data were asked for",
                where="--schema-only --data-only",
                hint="Drop one of them",
            )
        return RestoreRequest(
            tables=tuple(scope.table or ()),
            exclude=tuple(scope.exclude or ()),
            with_schema=not self.data_only,
            with_data=not self.schema_only,
            with_indexes=not self.no_indexes,
            with_constraints=not self.no_constraints,
            with_triggers=not self.no_triggers,
            with_owners=not self.no_owners,
            with_privileges=not self.no_privileges,
            parallel=parallel,
            verify=not self.no_verify,
            allow_incomplete=scope.allow_incomplete,
        )


def restore_into_empty(
    cas: Session, version: int, into: str, request: RestoreRequest, *, is_agreed: bool, dry_run: bool
) -> ExitCode:
    """Fill the database, read everything again and prove that it is equal."""
    target = cas.target(into)
    preview = preview_restore(cas.repository, version, target, request)
    if dry_run:
        cas.terminal.result(preview, human=Group(*_previewed(preview)))
        return ExitCode.CONFLICT if preview.is_blocked else ExitCode.OK
    if not _is_agreed(cas, preview, is_agreed=is_agreed):
        cas.terminal.note("Nothing was done")
        return ExitCode.DECLINED
    receipt = _run(cas, preview, target, into, request)
    cas.terminal.result(receipt, human=_told(receipt))
    return ExitCode.OK


def _run(
    cas: Session, preview: RestorePreview, target: PostgresTarget, into: str, request: RestoreRequest
) -> RestoreReceipt:
    cas.if_stopped = "The target is incomplete and marked so: drop it and restore into a new database"
    expected = {e.label: EntityEstimate(e.records, e.payload_bytes) for e in preview.entities}
    with watching(cas.terminal, "restore") as counters:
        counters.expect(expected, is_exact=True)
        return restore_into(cas.repository, preview.version, target, cas.source(into), request, counters)


def _is_agreed(cas: Session, preview: RestorePreview, *, is_agreed: bool) -> bool:
    """Show what will happen and ask, unless that was said already. Conflict where it cannot work."""
    terminal = cas.terminal
    if preview.is_blocked or not is_agreed:
        for part in _previewed(preview):
            terminal.beside(part)
    if preview.is_blocked:
        first = next(finding for finding in preview.findings if finding.blocks)
        raise Conflict(f"the target does not fit: {first.what}", where=preview.target, hint=first.hint)
    if is_agreed:
        for finding in preview.findings:
            terminal.warn(f"{finding.what}. {finding.hint}")
        return True
    if not terminal.is_interactive:
        raise InvalidInput(
            "a restore wants to be confirmed, and nobody can be asked", where="restore", hint="Add --yes"
        )
    answer = terminal.ask(f"Type {preview.version} to restore it into {preview.target}: ")
    return answer.strip() == str(preview.version)


def _previewed(preview: RestorePreview) -> Iterator[RenderableType]:
    source, server = preview.source, preview.target_server
    yield Text(f"Version {preview.version} would be restored", style="bold")
    yield facts(
        [
            ("from", f"{source.database}, PostgreSQL {source.server_version}, {source.encoding}"),
            ("into", preview.target),
            ("", f"{server.database}, PostgreSQL {server.server_version}, {server.encoding}, empty"),
            ("extensions", ", ".join(f"{name} {version}" for name, version in source.extensions)),
            ("roles", ", ".join(source.roles)),
            ("records", f"{number(preview.records)}, {size(preview.payload_bytes)}"),
        ]
    )
    largest = sorted(preview.entities, key=lambda entity: -entity.payload_bytes)
    if largest:
        listing = table("entity", ">records", ">bytes")
        for entity in largest[:SHOWN_ENTITIES]:
            listing.add_row(*cells([entity.label, number(entity.records), size(entity.payload_bytes)]))
        yield Text()
        yield indented(listing)
    if len(largest) > SHOWN_ENTITIES:
        yield Text(f"  … and {counted(len(largest) - SHOWN_ENTITIES, 'smaller one')}", style="dim")
    yield Text()
    yield from map(told_finding, preview.findings)


def _told(receipt: RestoreReceipt) -> Text:
    seconds = sum(seconds for _, seconds in receipt.seconds_by_phase)
    proof = "read again and found equal" if receipt.verified else "not verified"
    told = Text.assemble(
        (f"Version {receipt.version} is restored", "bold green"),
        f" into {plain(receipt.target)}\n",
        f"  {counted(receipt.records, 'record')}, {size(receipt.payload_bytes)}, in {duration(seconds)}, ",
        (proof, "green" if receipt.verified else "yellow"),
    )
    steps = ", ".join(f"{name} {duration(seconds)}" for name, seconds in receipt.seconds_by_phase)
    told.append(f"\n  {steps}", style="dim")
    for note in receipt.notes:
        told.append(f"\n  passed over: {plain(note)}", style="yellow")
    return told
