"""Rows of a query as they come: tables for people, JSON lines or CSV for programs."""

import json
import re
import sys
from collections.abc import Iterator, Sequence

from rich.text import Text

from cas.records.scratch import Form, ResultColumn, Row, Rows
from cli.tables import table
from cli.terminal import Terminal
from cli.words import plain, shortened

PAGE_ROWS = 200
"""Rows of one table on a terminal: the next begins with its head again, so that nothing waits for the end."""

SHOWN_CHARACTERS = 500
"""Of one value in a table; JSON and CSV have all."""

_FINITE = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


def show_tables(terminal: Terminal, rows: Rows) -> int:
    """Tables of bounded length; how many rows there were."""
    count = 0
    for page in _pages(rows):
        _show_page(terminal, rows.columns, page)
        count += len(page)
    if not count:
        _show_page(terminal, rows.columns, [])
    return count


def show_json(rows: Rows) -> int:
    """One object a row, each on a line; a column whose name comes again is numbered."""
    names = [json.dumps(name) for name in _different([column.name for column in rows.columns])]
    forms = [column.form for column in rows.columns]
    count = 0
    for batch in rows.batches():
        for row in batch:
            pairs = [
                f"{name}: {_json(form, value)}" for name, form, value in zip(names, forms, row, strict=True)
            ]
            sys.stdout.write(f"{{{', '.join(pairs)}}}\n")
        count += len(batch)
    sys.stdout.flush()
    return count


def show_csv(rows: Rows) -> int:
    """RFC 4180 with a head. NULL is an empty field, and an empty text is "", as PostgreSQL writes them."""
    _write_csv([column.name for column in rows.columns])
    count = 0
    for batch in rows.batches():
        for row in batch:
            _write_csv(row)
        count += len(batch)
    sys.stdout.flush()
    return count


def _pages(rows: Rows) -> Iterator[list[Row]]:
    page: list[Row] = []
    for batch in rows.batches():
        page += batch
        while len(page) >= PAGE_ROWS:
            yield page[:PAGE_ROWS]
            page = page[PAGE_ROWS:]
    if page:
        yield page


def _show_page(terminal: Terminal, columns: Sequence[ResultColumn], page: Sequence[Row]) -> None:
    listing = table()
    for column in columns:
        is_number = column.form is Form.NUMBER
        name = Text(plain(column.name))
        listing.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in page:
        listing.add_row(*map(_cell, row))
    terminal.show(listing)


def _cell(value: str | None) -> Text:
    return Text("NULL", style="dim") if value is None else Text(shortened(plain(value), SHOWN_CHARACTERS))


def _different(names: Sequence[str]) -> list[str]:
    """`a, a, b` -> `a, a_2, b`."""
    made: list[str] = []
    for name in names:
        number, new = 1, name
        while new in made:
            number += 1
            new = f"{name}_{number}"
        made.append(new)
    return made


def _json(form: Form, value: str | None) -> str:
    """The value as JSON on one line in ASCII. Numbers keep all of their digits."""
    if value is None:
        return "null"
    if form is Form.BOOLEAN:
        return "true" if value == "t" else "false"
    if form is Form.NUMBER and _FINITE.fullmatch(value):
        return value
    if form is Form.JSON:
        # Line ends stand between its parts only, and other than ASCII in its texts only.
        return "".join(
            sign if sign.isascii() else json.dumps(sign)[1:-1] for sign in value.replace("\n", " ")
        )
    return json.dumps(value)


def _write_csv(row: Sequence[str | None]) -> None:
    sys.stdout.write(",".join(map(_field, row)) + "\n")


def _field(value: str | None) -> str:
    if value is None:
        return ""
    if value == "" or any(sign in value for sign in ',"\r\n'):
        return '"' + value.replace('"', '""') + '"'
    return value
