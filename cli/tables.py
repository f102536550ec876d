"""How tables and lists of facts look, everywhere alike."""

from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from cas.catalog.model import VersionState
from cli.words import plain

STATE_STYLES = {
    VersionState.COMPLETE: "green",
    VersionState.INCOMPLETE: "yellow",
    VersionState.FAILED: "red",
    VersionState.RUNNING: "cyan",
    VersionState.PENDING: "cyan",
    VersionState.FORGOTTEN: "dim",
    VersionState.GONE: "dim",
}


def table(*columns: str, title: str | None = None) -> Table:
    """A table without lines but one below the head. A column's name that begins with `>` is a number's."""
    made = Table(
        box=box.SIMPLE_HEAD,
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        pad_edge=False,
        show_edge=False,
    )
    for name in columns:
        is_number = name.startswith(">")
        made.add_column(name.lstrip(">"), justify="right" if is_number else "left", no_wrap=is_number)
    return made


def facts(pairs: Iterable[tuple[str, str | Text]]) -> Padding:
    """Names and values below each other; a pair without a value is left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            grid.add_row(name, value if isinstance(value, Text) else Text(plain(value)))
    return indented(grid)


def indented(what: RenderableType) -> Padding:
    """Two columns to the right."""
    return Padding(what, (0, 0, 0, 2), expand=False)


def cells(values: Sequence[str | Text]) -> list[Text]:
    """Cells of a row; texts from elsewhere can neither recolour the screen nor be taken for markup."""
    return [value if isinstance(value, Text) else Text(plain(value)) for value in values]


def remarked(
    grid: Table,
    remarks: Sequence[Sequence[tuple[str, str]]],
    width: int,
    *,
    indent: int,
    above: bool = False,
) -> Group:
    """A table of a head and lines that do not wrap, each with its remarks in their styles: below it, or
    above. Empty ones are left out."""
    head, *lines = (Text.assemble(*line) for line in _lines(Console(width=width), grid))
    parts: list[RenderableType] = [head]
    for line, beside in zip(lines, remarks, strict=True):
        told = [
            Padding(Text(plain(remark), style=style), (0, 0, 0, indent), expand=False)
            for remark, style in beside
            if remark
        ]
        parts += [*told, line] if above else [line, *told]
    return Group(*parts)


def _lines(console: Console, grid: Table) -> Iterator[list[tuple[str, Style]]]:
    for line in console.render_lines(grid, pad=False):
        yield [(segment.text, segment.style or Style()) for segment in line]


def state(value: VersionState) -> Text:
    """A version's state in its colour."""
    return Text(value.value, style=STATE_STYLES[value])
