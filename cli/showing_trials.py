"""How the trial of a store is told to people."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cas.probing.model import StoreTrial, Verdict
from cli.tables import cells, facts, indented, table
from cli.words import counted, duration, plain, size

SHOWN_KEYS = 5
"""Of what was left behind, as far as a person sees it; the result has all."""

_STYLES = {Verdict.KEPT: "green", Verdict.WEAK: "yellow", Verdict.BROKEN: "bold red"}


def told(trial: StoreTrial) -> Iterator[RenderableType]:
    broken = [finding for finding in trial.findings if finding.verdict is Verdict.BROKEN]
    if broken:
        yield Text(f"{counted(len(broken), 'promise')} broken: {plain(trial.store)}", style="bold red")
    else:
        yield Text(f"This store keeps its promises: {plain(trial.store)}", style="bold green")
    yield Text()
    listing = table("promise", "", "seen")
    for finding in trial.findings:
        verdict = Text(finding.verdict.value, style=_STYLES[finding.verdict])
        listing.add_row(*cells([finding.promise, verdict, finding.seen]))
    yield indented(listing)
    yield Text()
    for meaning in dict.fromkeys(finding.meaning for finding in trial.findings if finding.meaning):
        meant = [finding for finding in trial.findings if finding.meaning == meaning]
        names = ", ".join(finding.promise for finding in meant)
        yield Text(f"  {names}: {meaning}", style=_STYLES[meant[0].verdict])
    yield facts(_figures(trial))
    for key in trial.left_behind[:SHOWN_KEYS]:
        yield Text(f"  not removed: {plain(key)}", style="yellow")
    if len(trial.left_behind) > SHOWN_KEYS:
        yield Text(f"  … and {len(trial.left_behind) - SHOWN_KEYS} more", style="yellow")


def _figures(trial: StoreTrial) -> Iterator[tuple[str, str | Text]]:
    for one in trial.latencies:
        yield one.call, f"{_milliseconds(one.median_seconds)}, 95 % within {_milliseconds(one.p95_seconds)}"
    speed = trial.throughput
    if speed is not None:
        what = f"of an object of {size(speed.object_bytes)}"
        yield "up", f"{size(round(speed.upload_bytes_per_second))}/s {what}"
        yield "down", f"{size(round(speed.download_bytes_per_second))}/s"
    yield "links", plain(trial.links.seen)
    yield "retries", str(trial.retries) if trial.retries else ""
    yield "took", duration(trial.seconds)


def _milliseconds(seconds: float) -> str:
    """`0.4 ms`, `12 ms`: small calls differ below a second."""
    value = 1000 * seconds
    return f"{value:.1f} ms" if value < 9.95 else f"{value:,.0f} ms"
