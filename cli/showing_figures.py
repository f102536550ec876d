"""Names with figures: beside each other where there is room, else each name above its figures."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli.tables import cells, indented, remarked, table
from cli.words import plain

INDENT = 2
GAP = 3
"""Characters before a listing, and between its columns."""


def named_figures(
    title: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[Text]]], width: int
) -> RenderableType:
    """`title` is what the names are; each row is a name and a figure for each head."""
    widths = [max(len(head), *(len(row[at]) for _, row in rows)) for at, head in enumerate(heads)]
    room = width - sum(widths) - GAP * len(widths) - INDENT
    if max(len(plain(name)) for name, _ in rows) <= room:
        listing = table(title, *(f">{head}" for head in heads))
        for name, row in rows:
            listing.add_row(*cells([name, *row]))
        return indented(listing)
    grid = Table.grid(padding=(0, 2))
    for _ in heads:
        grid.add_column(justify="right", no_wrap=True)
    grid.add_row(*(Text(head, style="dim") for head in heads))
    for _, row in rows:
        grid.add_row(*row)
    names = [[(name, "")] for name, _ in rows]
    return indented(remarked(grid, names, width - INDENT, indent=0, above=True))
