"""`cas store test | link`: whether a store keeps what is needed of it, before a repository is in it; and an
expiring link to an object.

`cas store credentials` is in store_credentials.py.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer
from rich.console import Group

from cas.errors import NotFound
from cas.probing.running import fresh_prefix, trial_options, try_store
from cas.store.interface import ObjectMissing
from cas.store.retrying import RetryingStore
from cli.bucket_places import bucket_place
from cli.commanding import command
from cli.commands.store_credentials import add_credentials
from cli.exit_codes import ExitCode
from cli.links import link_seconds, signed, tell
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
    links = ["cas store link s3://bucket/exports/shop-v12.casb --for 24h"]
    command(group, "link", examples=links)(link)
    add_credentials(group)
    app.add_typer(group, name="store", help="Stores: whether one is fit, what opens it, links into it.")


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


def link(
    cas: Session,
    place: Annotated[
        str, typer.Argument(metavar="URL", help="Of the object: s3://bucket/path/name, gs:// or az://.")
    ],
    span: Annotated[
        str, typer.Option("--for", metavar="SPAN", help="How long it holds: 30m, 24h; at most 7d.")
    ] = "24h",
) -> ExitCode:
    """Sign a link under which whoever has it downloads one object, whole or in ranges, until it expires.

    The link is the only line on standard output. It is a secret as long as it holds, and cannot be taken
    back.
    """
    seconds = link_seconds(span, "--for")
    found = bucket_place(cas, place, "URL")
    try:
        found.store.delivered_size(found.name)
    except ObjectMissing:
        raise NotFound("there is no such object", where=found.url) from None
    made = signed(found, seconds)
    cas.terminal.result(made)
    tell(cas.terminal, made)
    return ExitCode.OK


def _remove_directories(url: str, prefix: str) -> None:
    """The empty ones that a local store keeps of deleted objects; one with an object in it stays."""
    if not url.startswith("file:"):
        return
    top = Path(unquote(urlsplit(url).path)) / prefix
    for directory, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):
            Path(directory).rmdir()
