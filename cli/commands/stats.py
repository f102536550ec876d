"""`cas stats`: what the store takes, how that grows, and when it is full."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cas.stored_sizes import StoredSizes, stored_sizes
from cas.usage import Added, Usage, usage
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.session import Session
from cli.tables import cells, facts, indented, table
from cli.watching_faces import watching
from cli.words import counted, number, plain, size

SHOWN = 15
"""Entities that a person sees; JSON has all."""


def add_stats(app: typer.Typer) -> None:
    examples = ["cas stats", "cas stats --by-entity", "cas stats --json"]
    command(app, "stats", examples=examples)(stats)


def stats(
    cas: Session,
    *,
    by_entity: Annotated[
        bool, typer.Option("--by-entity", help="walk the trees of all versions: what each entity takes")
    ] = False,
) -> ExitCode:
    """Show what is stored: by origin, kind, entity and store, how much is saved, growth, and what to do.

    From the catalog: nothing is read of the store but how much room it has, unless by entity.
    """
    repository, catalog = cas.repository, cas.catalog
    sizes = None
    if by_entity:
        cas.if_stopped = "Nothing was changed"
        with watching(cas.terminal, "stats") as counters:
            sizes = stored_sizes(repository, catalog, counters)
    found = usage(catalog, repository.store.url, repository.store.free_bytes(), sizes)
    cas.terminal.result(found, human=Group(*_told(found)))
    return ExitCode.OK


def _told(found: Usage) -> Iterator[RenderableType]:
    yield Text.assemble(
        (size(found.pack_bytes), "bold"),
        f" hold {counted(found.versions, 'version')} of {size(found.original_bytes)}",
    )
    growth = f"{size(round(found.growth.bytes_per_day))} a day" if found.growth else found.why_unknown
    left = f"{found.days_left:,.0f} days" if found.days_left is not None else found.why_unknown
    pairs: list[tuple[str, str | Text]] = [
        ("ratio", f"{found.ratio:,.1f} to 1" if found.ratio else ""),
        (
            "compression",
            f"{found.first_ratio:,.1f} to 1 in the oldest version alone" if found.first_ratio else "",
        ),
        ("condemned", size(found.condemned_bytes) if found.condemned_bytes else ""),
        ("quota", size(found.quota) if found.quota else "none"),
        ("growth", growth),
        ("full in", left),
    ]
    yield indented(facts(pairs))
    yield indented(_by("origin", found.by_origin))
    yield indented(_by("kind", found.by_kind))
    rows = table("entity, newest version", ">records", ">bytes of records")
    for one in found.entities[:SHOWN]:
        rows.add_row(*cells([plain(one.label), number(one.records), size(one.payload_bytes)]))
    yield indented(rows)
    if found.sizes is not None:
        yield indented(_sizes(found.sizes))
        if found.sizes.unreadable:
            damaged = counted(len(found.sizes.unreadable), "version")
            yield Text(f"  {damaged} could not be read whole, so it is more: `cas check`", style="yellow")
    places = table("store", "where", ">stored", ">free")
    for place in found.stores:
        places.add_row(
            *cells([plain(place.name), plain(place.url), size(place.stored_bytes), size(place.free_bytes)])
        )
    yield indented(places)
    for one_of in found.recommendations:
        yield Text(f"  {one_of}", style="yellow")


def _sizes(sizes: StoredSizes) -> RenderableType:
    rows = table("entity, all versions", ">versions", ">stored", ">for it alone")
    for one in sizes.entities[:SHOWN]:
        rows.add_row(
            *cells([plain(one.label), number(one.versions), size(one.stored_bytes), size(one.alone_bytes)])
        )
    if len(sizes.entities) > SHOWN:
        rows.add_row(*cells([Text(f"and {len(sizes.entities) - SHOWN:,} more", style="dim"), "", "", ""]))
    rows.add_row(*cells(["schemas, lists and dictionaries", "", size(sizes.rest_bytes), ""]))
    rows.add_row(*cells(["all that versions need", "", size(sizes.needed_bytes), ""]))
    return rows


def _by(what: str, added: tuple[Added, ...]) -> RenderableType:
    rows = table(what, ">versions", ">added")
    for one in added:
        rows.add_row(*cells([one.name, number(one.versions), size(one.added_bytes)]))
    return rows
