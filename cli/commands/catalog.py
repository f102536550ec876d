"""`cas catalog rebuild | confirm`: the catalog anew, from the store alone; and that it is as it should be."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cas.catalog.postgres import PostgresCatalog
from cas.errors import Conflict
from cas.rebuild import RebuildReport, rebuild_catalog
from cas.sealing.store import SealedStore
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.session import Session
from cli.watching_faces import watching
from cli.words import counted, plain


def add_catalog(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    command(group, "rebuild", examples=["cas catalog rebuild", "cas catalog rebuild --json"])(rebuild)
    command(group, "confirm", examples=["cas catalog confirm"])(confirm)
    app.add_typer(group, name="catalog", help="The catalog: rebuild it from the store, and confirm that.")


def rebuild(cas: Session) -> ExitCode:
    """Take every version that the store holds into the catalog; it is claimed where it is new.

    Run it after the catalog was lost or restored from an older backup. Nothing is deleted, also not by
    cleanup, until `cas catalog confirm`. What is damaged is listed as failed with its reason, and taken in
    by a later run once it was mended.
    """
    repository = cas.repository
    catalog = cas.attached(repository, create=True)
    cas.if_stopped = "What was taken in so far is kept; run it again to go on"
    with watching(cas.terminal, "rebuild") as counters:
        report = rebuild_catalog(repository, catalog, counters)
    cas.terminal.result(report, human=Group(*_told(report, catalog)))
    if cas.secrets.are_set and not isinstance(repository.store, SealedStore):
        cas.terminal.warn(
            "the store is not sealed, though a key is set: if you know it to be sealed, somebody has put "
            "another one into its place, and what was taken in is not yours"
        )
    return ExitCode.CORRUPT if report.quarantined else ExitCode.OK


@dataclass(frozen=True, slots=True)
class Confirmed:
    """`rebuilt_at`: what was confirmed, None where there was nothing."""

    rebuilt_at: datetime | None


def confirm(cas: Session) -> ExitCode:
    """Say that the catalog is as it should be after a rebuild: `cas cleanup`, `cas forget` and `cas gc` work
    again.

    Before that look at `cas versions` and `cas retention`, and make sure that no other catalog is used for
    this store.
    """
    at = cas.catalog.cleaning.rebuilt_at()
    if at is not None and not cas.catalog.cleaning.confirm(at):
        raise Conflict(
            "the catalog took in something else just now", hint="Look again, and then confirm once more"
        )
    said = "There was nothing to confirm" if at is None else "Confirmed: what no rule wants may go again"
    cas.terminal.result(Confirmed(at), human=Text(said, style="bold green"))
    return ExitCode.OK


def _told(report: RebuildReport, catalog: PostgresCatalog) -> Iterator[RenderableType]:
    style = "bold yellow" if report.quarantined else "bold green"
    yield Text(f"{counted(len(report.adopted), 'version')} taken in", style=style)
    yield Text(
        f"  {len(report.known):,} were known already, {counted(report.packs, 'pack')} live", style="dim"
    )
    yield Text(f"  catalog  {plain(catalog.url)}", style="dim")
    if report.wants_confirmation:
        yield Text("  nothing is let go until `cas catalog confirm`", style="yellow")
    for document in report.quarantined:
        yield Text.assemble(
            (f"  version {document.number} was not taken in: ", "yellow"),
            f"{plain(document.what)} ({plain(document.object)}). {plain(document.hint)}",
        )
