"""`cas demo`: the main job on a platform of its own making, with a proof at the end."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cas.demo.accident import delete_category
from cas.demo.platform import DEFAULT_RECORDS, MAX_RECORDS
from cas.errors import Conflict
from cli.commanding import command
from cli.demo.place import MARK, demo_place
from cli.demo.story import PLATFORM, Demo
from cli.demo.telling import Steps, goodbye, headline, told
from cli.exit_codes import ExitCode
from cli.serialising import json_text
from cli.session import Session
from cli.settings_files import FILE_NAME
from cli.words import counted, plain

LEVEL = 9
"""zstd level of the demo: a little slower than the usual one, and smaller."""


def add_demo(app: typer.Typer) -> None:
    command(app, "demo", examples=["cas demo", "cas demo --records 500000 --keep", "cas demo --accident"])(
        demo
    )


def demo(
    cas: Session,
    records: Annotated[
        int, typer.Option(min=1, max=MAX_RECORDS, help="Products of the platform.")
    ] = DEFAULT_RECORDS,
    compression: Annotated[int, typer.Option(min=1, max=19, metavar="1..19", help="zstd level.")] = LEVEL,
    keep: Annotated[bool, typer.Option("--keep", help="Leave databases and repository there.")] = False,
    directory: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where; unset: demo below CAS_HOME.")
    ] = None,
    accident: Annotated[
        bool, typer.Option("--accident", help="On a demo that was kept: delete a category, and all in it.")
    ] = False,
) -> ExitCode:
    """See it work: a product platform, versions, what they cost, a restore, and a proof."""
    if accident:
        return _accident(cas)
    terminal = cas.terminal
    cas.if_stopped = "The demo's server is stopped; run it again at any time"
    with demo_place(directory or cas.home / "demo", records, keep=keep) as place:
        if not terminal.as_json:
            terminal.beside(headline(place))
        with Session(
            terminal, {"home": place, "store": str(place / "store"), "catalog": "", "source": ""}
        ) as own:
            report = Demo(own, place, records, compression, Steps(terminal)).run()
            if keep:
                _write_settings(place, own.embedded.url(PLATFORM))
        if terminal.as_json:
            terminal.result(report)
        terminal.show(*told(report, terminal.out.width), *goodbye(place, report, is_kept=keep))
    return ExitCode.OK


def _accident(cas: Session) -> ExitCode:
    """Only where a demo was kept: in no other database is anything deleted."""
    source = cas.settings.source
    if not (cas.home / MARK).exists() or not source:
        raise Conflict(
            "CAS_HOME is no demo that was kept",
            where=str(cas.home),
            hint="Run `cas demo --keep`, and set CAS_HOME as it says",
        )
    cas.embedded.url(PLATFORM)
    done = delete_category(source.get_secret_value())
    cas.terminal.result(
        done,
        human=Text.assemble(
            "Somebody deleted ",
            (plain(done.name), "bold"),
            f" (tree_nodes {done.id}), with {counted(done.categories - 1, 'category', 'categories')}",
            f" below it and {counted(done.products, 'product')}.",
        ),
    )
    return ExitCode.OK


def _write_settings(place: Path, url: str) -> None:
    """With CAS_HOME set to this place, every command finds the demo."""
    text = f'store = "store"\nsource = {json_text(url)}\n'
    (place / FILE_NAME).write_text(text, encoding="utf-8")
