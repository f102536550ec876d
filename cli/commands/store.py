"""`cas store test`: whether a store keeps what is needed of it, before a repository is in it.

`cas store credentials` is in store_credentials.py.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer
from rich.console import Group

from cas.probing.running import fresh_prefix, trial_options, try_store
from cas.store.retrying import RetryingStore
from cli.commanding import command
from cli.commands.store_credentials import add_credentials
from cli.exit_codes import ExitCode
from cli.session import Session, url_of
from cli.showing_trials import told
from cli.watching_faces import watching
from cli.words import counted


def add_store(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    examples = [
        "cas store test s3://bucket/shop",
        "cas store test 'az://container/shop?account=name'",
        "cas store test gs://bucket --json",
    ]
    command(group, "test", examples=examples)(trial)
    add_credentials(group)
    app.add_typer(group, name="store", help="Stores: whether one is fit, and what opens it.")


def trial(
    cas: Session,
    place: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="Directory or URL; unset: the setting CAS_STORE.")
    ] = None,
) -> ExitCode:
    """Try a store out: what it promises, under many writers and readers, and how fast it is.

    Sends some 80 MiB to below .cas-test-… and removes it. What is there already is not touched. Exit code 21
    where a promise is broken.
    """
    url = cas.store_url if place is None else place
    options = trial_options(cas.primary_options if place is None else cas.store_options)
    prefix = fresh_prefix()
    opened: list[RetryingStore] = []

    def open_anew() -> RetryingStore:
        opened.append(cas.bare_replica_store(url, options=options))
        return opened[-1]

    def left(keys: tuple[str, ...]) -> None:
        cas.terminal.warn(f"{counted(len(keys), 'object')} could not be removed; they are below {prefix}/")

    cas.if_stopped = f"What was written for the test is removed, but for what a warning names below {prefix}/"
    try:
        with watching(cas.terminal, "store test") as counters:
            done = try_store(
                open_anew, prefix, counters, left=left, retries=lambda: sum(store.retries for store in opened)
            )
    finally:
        _remove_directories(url_of(url), prefix)
    cas.terminal.result(done, human=Group(*told(done)))
    return ExitCode.OK if done.passed else ExitCode.NOT_HEALTHY


def _remove_directories(url: str, prefix: str) -> None:
    """The empty ones that a local store keeps of deleted objects; one with an object in it stays."""
    if not url.startswith("file:"):
        return
    top = Path(unquote(urlsplit(url).path)) / prefix
    for directory, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):
            Path(directory).rmdir()
