"""What `cas watch` and `cas follow` share: the watcher with its platform, and what it tells a person."""

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

import typer

from cas.auto_save.watch import WatchTimes
from cas.auto_save.watcher import Watcher
from cas.catalog.auto_save_model import Claim, Policy
from cas.catalog.model import Trigger, Version
from cas.errors import CasError
from cas.postgres.capture.platform_feed import PlatformFeed
from cas.records.changes import ChangeFeed, PlatformName
from cas.snapshot import SnapshotRequest, take_version
from cli.dates import parse_span
from cli.exit_codes import ExitCode
from cli.faults import failure_of
from cli.session import Session, naming, whoami
from cli.showing_counts import STYLE, most_unusual
from cli.stopping import Stopped
from cli.terminal import Terminal
from cli.watching import Announced
from cli.watching_faces import watching
from cli.words import counted, duration, moment, plain, size

Poll = Annotated[str, typer.Option(metavar="SPAN", help="How often to look: 1s, 5s, 1m.")]
Once = Annotated[
    bool, typer.Option("--once", help="Look once, take a version if there is reason for one, and end.")
]


def run_watcher(
    cas: Session,
    policies: Callable[[], Sequence[Policy]],
    poll: str,
    *,
    once: bool,
    allow_incomplete: bool,
) -> ExitCode:
    """Until somebody stops it; that is its usual end, and no failure."""
    seconds = parse_span(poll, "--poll")
    url, repository = cas.source_url, cas.repository
    platform = cas.source(url)
    told = _Teller(cas.terminal)

    def open_feed(position: str) -> ChangeFeed:
        with naming("CAS_SOURCE"):
            return PlatformFeed(url, repository.id, cas.connection_options, position=position)

    def take(reason: str, metadata: Mapping[str, str]) -> Version:
        request = auto_request(cas, reason, metadata, allow_incomplete=allow_incomplete)
        with watching(cas.terminal, "snapshot") as counters:
            receipt = take_version(repository, cas.catalog, Announced(platform, counters), request, counters)
        for warning in receipt.warnings:
            cas.terminal.warn(warning)
        return receipt.version

    watcher = Watcher(
        open_feed,
        cas.catalog,
        cas.catalog.auto_saving,
        policies,
        take,
        told,
        holder=f"{whoami()}, process {os.getpid()}, {secrets.token_hex(3)}",
        clock=time.monotonic,
        times=WatchTimes(),
        allow_incomplete=allow_incomplete,
    )
    try:
        while True:
            watcher.look(at_once=once)
            if once:
                break
            time.sleep(seconds)
    except Stopped:
        told.say("stopped")
    finally:
        watcher.close()
    numbers = [version.number for version in told.taken]
    cas.terminal.result({"versions": told.taken})
    if numbers:
        cas.terminal.note(f"{counted(len(numbers), 'version')} taken; see them: cas versions", style="dim")
    return ExitCode.OK


def auto_request(
    cas: Session, reason: str, metadata: Mapping[str, str], *, allow_incomplete: bool
) -> SnapshotRequest:
    """A version of everything that no person asked for."""
    return SnapshotRequest(
        trigger=Trigger.AUTO,
        reason=reason,
        metadata=metadata,
        created_by=whoami(),
        allow_incomplete=allow_incomplete,
        level=cas.settings.compression,
        threads=cas.settings.threads,
        delta_depth=cas.settings.delta_depth,
        scan_every=cas.settings.scan_every,
        unusual=cas.settings.anomaly_rules,
    )


@dataclass(slots=True)
class _Teller:
    """Each thing that happens is a line with its time; for programs an event."""

    terminal: Terminal
    taken: list[Version] = field(default_factory=list)

    def say(self, text: str, *, style: str = "") -> None:
        self.terminal.note(f"{moment(datetime.now().astimezone())}  {text}", style=style)

    def began(self, platform: PlatformName, feed: ChangeFeed) -> None:
        spots = feed.blind_spots()
        self.say(f"Watching {plain(platform.database)}, by {feed.sees}")
        for spot in spots:
            self.terminal.warn(spot)

    def waits(self, claim: Claim) -> None:
        self.say(f"Waiting: {plain(claim.holder)} watches it, until {moment(claim.until)} at least")

    def noticed(self, reason: str) -> None:
        self.say(plain(reason), style="cyan")

    def covered(self, version: Version) -> None:
        self.say(f"Version {version.number} holds it already")

    def saved(self, version: Version, reason: str) -> None:
        self.taken.append(version)
        cost = f"{size(version.added_bytes)} added, in {duration(version.duration_seconds)}"
        self.say(
            f"Version {version.number} is {version.state.value}: {plain(reason)} ({cost})", style="green"
        )
        if version.anomalies:
            self.say(f"  {plain(most_unusual(version.anomalies))}", style=STYLE)

    def failed(self, error: CasError, retry_in: float) -> None:
        line = failure_of(error).line
        self.say(f"{line}. Next try in {duration(retry_in)}", style="bold red")
