"""The result as one SVG: horizontal bars, a panel for each question."""

from html import escape

from tests.bench.panels import FLOOR, OURS, PEER, Panel
from tests.bench.report import Report
from tests.bench.tools import Stage

WIDTH, LABEL, VALUE, BAR, GAP = 860, 230, 90, 22, 6


def svg(report: Report) -> str:
    """A chart that needs nothing else: no script, no font, no other file."""
    more = [panel for found in report.groups.values() for panel in found.panels()]
    panels = [panel for panel in (*_panels(report), *more) if panel.bars]
    parts = []
    y = 34
    for panel in panels:
        parts.append(f'<text x="16" y="{y}" font-weight="600">{escape(panel.title)}</text>')
        y += 12
        longest = max(length for _, length, _, _ in panel.bars) or 1.0
        for label, length, words, colour in panel.bars:
            wide = max(1.5, (WIDTH - LABEL - VALUE - 16) * length / longest)
            middle = y + BAR - 7
            parts.append(f'<text x="{LABEL - 8}" y="{middle}" text-anchor="end">{escape(label)}</text>')
            parts.append(f'<rect x="{LABEL}" y="{y}" width="{wide:.1f}" height="{BAR}" fill="{colour}"/>')
            parts.append(f'<text x="{LABEL + wide + 8:.1f}" y="{middle}">{escape(words)}</text>')
            y += BAR + GAP
        y += 30
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
        ' font-family="system-ui, sans-serif" font-size="13" fill="#0f172a">'
        f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>' + "".join(parts) + "</svg>\n"
    )


def _panels(report: Report) -> list[Panel]:
    records = f"{report.records:,} products"
    return [
        _panel(report, f"First version of {records}: seconds", Stage.FIRST, "seconds", 1, "s"),
        _panel(report, "First version: stored, MB", Stage.FIRST, "stored_bytes", 1e6, "MB"),
        _panel(report, "After 0.1 % changes: seconds", Stage.SECOND, "seconds", 1, "s"),
        _panel(report, "After 0.1 % changes: added, MB", Stage.SECOND, "stored_bytes", 1e6, "MB"),
        _panel(report, "Restore into an empty database: seconds", Stage.RESTORE, "seconds", 1, "s"),
        _panel(report, "Peak memory of the first version, MB", Stage.FIRST, "peak_bytes", 1e6, "MB"),
    ]


def _panel(report: Report, title: str, stage: Stage, quantity: str, unit: float, name: str) -> Panel:
    bars = []
    for tool, summary in report.by_stage(stage):
        value = getattr(summary, quantity) / unit
        if value > 0:
            colour = {"cas": OURS, "copy": FLOOR}.get(tool, PEER)
            bars.append((report.label(tool, stage), value, f"{value:.3g} {name}", colour))
    return Panel(title, bars)
