"""What `cas watch` and `cas follow` share: the watcher with its platform, and what it tells a person."""

import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated

import typer

from cas.auto_save.watch import WatchTimes
from cas.auto_save.watcher import Watcher
from cas.catalog.auto_save_model import Claim, Policy
from cas.catalog.model import Trigger, Version, VersionState
from cas.errors import CasError
from cas.postgres.capture.platform_feed import PlatformFeed
from cas.records.changes import ChangeFeed, PlatformName
from cas.sealed_places import recognise
from cas.snapshot import SnapshotRequest, take_version
from cli.databases import naming
from cli.dates import parse_span
from cli.exit_codes import ExitCode
from cli.faults import failure_of
from cli.file_trees import file_trees
from cli.mirroring import Copies, copy_version
from cli.session import Session, whoami
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

REMEMBERED = 100
"""Versions that are named at the end; all are listed by `cas versions`."""


def run_watcher(
    cas: Session,
    policies: Callable[[], Sequence[Policy]],
    poll: str,
    *,
    once: bool,
    allow_incomplete: bool,
    if_waiting: str = "",
) -> ExitCode:
    """Until somebody stops it; that is its usual end, and no failure. `once`: as a snapshot ends."""
    seconds = parse_span(poll, "--poll")
    url, repository = cas.source_url, cas.repository
    platform = cas.source(url)
    told = _Teller(cas.terminal, if_waiting)
    before = cas.if_stopped

    def open_feed(position: str) -> ChangeFeed:
        with naming("CAS_SOURCE"):
            return PlatformFeed(url, repository.id, cas.connection_options, position=position)

    def take(reason: str, metadata: Mapping[str, str]) -> Version:
        recognise(repository.store, cas.catalog)  # keys may have been rotated since it began
        request = auto_request(cas, reason, metadata, allow_incomplete=allow_incomplete)
        with watching(cas.terminal, "snapshot") as counters:
            receipt = take_version(repository, cas.catalog, Announced(platform, counters), request, counters)
        for warning in receipt.warnings:
            cas.terminal.warn(warning)
        told.mirrored(receipt.version, copy_version(cas, receipt.version))
        cas.if_stopped = before
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
        if once:
            raise
        told.say("stopped")
    finally:
        watcher.close()
    cas.terminal.result({"taken": told.taken, "versions": list(told.newest)})
    if told.taken:
        cas.terminal.note(f"{counted(told.taken, 'version')} taken; see them: cas versions", style="dim")
    if not once:
        return ExitCode.OK
    is_whole = all(version.state is VersionState.COMPLETE for version in told.newest)
    return (told.lacking or ExitCode.OK) if is_whole else ExitCode.INCOMPLETE


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
        destinations=None,
        files=file_trees(cas, cas.settings.files),
    )


@dataclass(slots=True)
class _Teller:
    """Each thing that happens is a line with its time; for programs an event. `if_waiting`: what to do where
    somebody else watches. Of the versions that were taken it remembers the newest."""

    terminal: Terminal
    if_waiting: str = ""
    taken: int = 0
    newest: deque[Version] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    lacking: ExitCode | None = None
    """Of the newest version."""

    def say(self, text: str, *, style: str = "") -> None:
        self.terminal.note(f"{moment(datetime.now().astimezone())}  {text}", style=style)

    def began(self, platform: PlatformName, feed: ChangeFeed) -> None:
        spots = feed.blind_spots()
        self.say(f"Watching {plain(platform.database)}, by {feed.sees}")
        for spot in spots:
            self.terminal.warn(spot)

    def waits(self, claim: Claim) -> None:
        self.say(f"Waiting: {plain(claim.holder)} watches it, until {moment(claim.until)} at least")
        if self.if_waiting:
            self.terminal.note(self.if_waiting, style="dim")

    def turned(self, *, on: bool) -> None:
        if on:
            self.say("Auto-save is on again")
        else:
            self.say("Auto-save was turned off: no versions are taken until it is on", style="yellow")

    def noticed(self, reason: str) -> None:
        self.say(plain(reason), style="cyan")

    def covered(self, version: Version) -> None:
        self.say(f"Version {version.number} holds it already")

    def mirrored(self, version: Version, copies: Copies) -> None:
        self.lacking = copies.exit_code
        for one in copies.copies:
            if one.is_held:
                self.say(f"Version {version.number} is copied to {plain(one.store)}", style="green")
            elif one.is_lacking:
                why = f"is not in {plain(one.store)}: {plain(one.why_not)}"
                self.say(f"Version {version.number} {why}", style="bold red")

    def saved(self, version: Version, reason: str) -> None:
        self.taken += 1
        self.newest.append(replace(version, entities=()))
        cost = f"{size(version.added_bytes)} added, in {duration(version.duration_seconds)}"
        self.say(
            f"Version {version.number} is {version.state.value}: {plain(reason)} ({cost})", style="green"
        )
        if version.anomalies:
            self.say(f"  {plain(most_unusual(version.anomalies))}", style=STYLE)

    def failed(self, error: CasError, retry_in: float) -> None:
        line = failure_of(error).line
        self.say(f"{line}. Next try in {duration(retry_in)}", style="bold red")
