"""The report of a drill as one page: no scripts, nothing fetched, fit for paper, light and dark.

Every value comes from elsewhere and is escaped; characters that cannot be seen or that turn the
direction of writing are shown by their numbers, so that no name can look like another one.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape

from cas.drill_report import DrilledEntity, DrillReport, DrillStep

_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ground: #f4f5f7; --ink: #1a1d23; --soft: #5c6470;
  --line: #dfe2e7; --good: #0b6b3a; --good-ground: #e4f5ea; --bad: #a3171f; --bad-ground: #fde8e8;
  --bar: #7aa2d8; }
@media (prefers-color-scheme: dark) { :root { --paper: #171a1f; --ground: #0e1013; --ink: #e7e9ed;
  --soft: #9aa3b0; --line: #2c313a; --good: #6fdc9d; --good-ground: #10291c; --bad: #ff9a9a;
  --bad-ground: #331518; --bar: #3f6ea8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 62rem; margin: 2rem auto; padding: 2.5rem 3rem; background: var(--paper);
  border: 1px solid var(--line); border-radius: 10px; }
header { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; }
h1 { font-size: 1.55rem; line-height: 1.25; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 1.02rem; margin: 2.2rem 0 0.7rem; }
p { margin: 0.4rem 0; }
.product { color: var(--soft); white-space: nowrap; }
.verdict { margin: 1.4rem 0 0; padding: 1.1rem 1.4rem; border-radius: 8px; border-left: 6px solid; }
.verdict strong { font-size: 1.3rem; letter-spacing: 0.06em; }
.passed { color: var(--good); background: var(--good-ground); border-color: var(--good); }
.failed { color: var(--bad); background: var(--bad-ground); border-color: var(--bad); }
.verdict p { color: var(--ink); margin: 0.25rem 0 0; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.35rem 1.6rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
code { font: 0.86em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; font-size: 0.86em; color: var(--soft);
  padding: 0.35rem 0.7rem 0.35rem 0; border-bottom: 1px solid var(--line); }
td { padding: 0.42rem 0.7rem 0.42rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child { overflow-wrap: anywhere; }
th.number, td.number { text-align: right; white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
.equal { color: var(--good); font-weight: 600; white-space: nowrap; }
.differs { color: var(--bad); font-weight: 600; }
.note, .differs span { display: block; color: var(--soft); font-weight: 400; font-size: 0.9em; }
.steps td { border: 0; padding-top: 0.2rem; padding-bottom: 0.2rem; }
.steps td.bar { width: 45%; }
.bar div { height: 0.7rem; margin-top: 0.4rem; background: var(--bar); border-radius: 2px; min-width: 1px; }
ul { margin: 0; padding-left: 1.2rem; }
li { overflow-wrap: anywhere; margin: 0.2rem 0; }
footer { margin-top: 2.4rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft);
  font-size: 0.9em; }
@media (max-width: 46rem) { main { margin: 0; padding: 1.3rem; border: 0; border-radius: 0; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 0.5rem; } header { display: block; } }
@page { margin: 16mm 14mm; }
@media print { :root { color-scheme: light; --paper: #fff; --ground: #fff; --ink: #000; --soft: #444;
    --line: #bbb; --good: #0b6b3a; --good-ground: #fff; --bad: #a3171f; --bad-ground: #fff; --bar: #999; }
  body { font-size: 10.5pt; } main { margin: 0; padding: 0; border: 0; max-width: none; }
  .verdict { border: 1px solid; border-left-width: 6px; } h2 { break-after: avoid; }
  thead { display: table-header-group; } tr, dl, .verdict { break-inside: avoid; } }
"""

_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
"""Categories of characters that cannot be seen."""

_HOW = (
    "A drill reads the version's chunks from the store, compares each with the hash that is its name, and"
    " writes them into an empty database that it has made. Indexes and constraints are built by the"
    " statements that a real restore runs. Then every record is read again, and the hash tree of each entity"
    " is computed anew from what was read: equal checksums mean equal definitions, and equal records down to"
    " the last byte. The database is dropped afterwards. The platform is not touched."
)


def drill_page(report: DrillReport) -> str:
    """The whole page, as text for a file in UTF-8."""
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
            "style-src 'unsafe-inline'\">",
            '<meta name="referrer" content="no-referrer">',
            f"<title>Restore drill of version {report.version}: {_text(report.result)}</title>",
            f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>",
            *_head(report),
            *_section("Facts", _facts(_about(report))),
            *_section("Entities", _entities(report.entities)),
            *_section("Duration of each step", _steps(report.steps)),
            *_section("Left out, and not as on the platform", _list(report.notes)),
            *_section("How a drill is done", f"<p>{_text(_HOW)}</p>"),
            f"<footer>{_text(report.product)} {_text(report.program_version)}, "
            f"repository <code>{_text(report.repository)}</code>. "
            "The same facts, for programs, are in the JSON file beside this page.</footer>",
            "</main>\n</body>\n</html>\n",
        )
    )


def _head(report: DrillReport) -> Iterator[str]:
    name = f", {_text(report.version_name)}" if report.version_name else ""
    yield f"<header><h1>Restore drill of version {report.version}{name}</h1>"
    yield f'<span class="product">{_text(report.product)} {_text(report.program_version)}</span></header>'
    mood = "passed" if report.is_passed else "failed"
    says = (
        f"Version {report.version} was restored, read again, and found equal: "
        f"{report.records:,} records in {len(report.entities):,} entities."
        if report.is_passed
        else report.reason
    )
    yield f'<div class="verdict {mood}"><strong>{_text(report.result)}</strong><p>{_text(says)}</p></div>'


def _about(report: DrillReport) -> Iterator[tuple[str, str]]:
    """Names, and values that are HTML already."""
    expected = report.expected_checksum.hex()
    found = report.found_checksum.hex() if report.found_checksum else ""
    yield (
        "version",
        f"{report.version}, {_text(report.version_state)}, taken {_moment(report.version_created_at)}",
    )
    yield "its checksum", f"<code>{expected}</code>"
    if found == expected:
        yield "checksum of what came back", f'<code>{found}</code> <span class="equal">equal</span>'
    else:
        yield (
            "checksum of what came back",
            f'<code>{found}</code> <span class="differs">{"differs" if found else "not reached"}</span>',
        )
    yield "holds", f"{report.records:,} records, {_size(report.payload_bytes)}"
    yield "platform", f"{_text(report.source_database)}, PostgreSQL {_text(report.source_server)}"
    yield "restored into", f"PostgreSQL {_text(report.server)}" if report.server else "no database was made"
    yield "store", f"<code>{_text(report.store)}</code>"
    yield "by", _text(report.who)
    yield "began", _moment(report.began_at)
    yield "ended", f"{_moment(report.ended_at)}, after {_duration(report.seconds)}"
    yield "error", f"<code>{_text(report.error_code)}</code>" if report.error_code else ""


def _facts(pairs: Iterable[tuple[str, str]]) -> str:
    rows = [f"<dt>{_text(name)}</dt><dd>{value}</dd>" for name, value in pairs if value]
    return "<dl>\n" + "\n".join(rows) + "\n</dl>"


def _entities(entities: Sequence[DrilledEntity]) -> str:
    if not entities:
        return "<p>The version holds definitions and no records.</p>"
    head = (
        '<thead><tr><th>entity</th><th class="number">expected</th><th class="number">found</th>'
        '<th>checksum</th><th class="number">seconds</th></tr></thead>'
    )
    return f"<table>\n{head}\n<tbody>\n" + "\n".join(map(_entity, entities)) + "\n</tbody>\n</table>"


def _entity(entity: DrilledEntity) -> str:
    found = "none" if entity.found_records is None else f"{entity.found_records:,}"
    note = f'<span class="note">{_text(entity.note)}</span>' if entity.note else ""
    return (
        f"<tr><td><bdi>{_text(entity.label)}</bdi>{note}</td>"
        f'<td class="number">{entity.expected_records:,}</td><td class="number">{found}</td>'
        f'<td>{_compared(entity)}</td><td class="number">{entity.seconds:,.2f}</td></tr>'
    )


def _compared(entity: DrilledEntity) -> str:
    if entity.is_equal:
        return f'<span class="equal">equal</span> <code>{entity.expected_checksum.hex()[:16]}</code>'
    if entity.found_checksum is None:
        return '<span class="differs">not compared</span>'
    return (
        '<span class="differs">differs'
        f"<span>expected <code>{entity.expected_checksum.hex()}</code></span>"
        f"<span>found <code>{entity.found_checksum.hex()}</code></span></span>"
    )


def _steps(steps: Sequence[DrillStep]) -> str:
    longest = max((step.seconds for step in steps), default=0.0) or 1.0
    rows = [
        f"<tr><td>{_text(step.name)}</td>"
        f'<td class="bar"><div style="width: {100 * step.seconds / longest:.1f}%"></div></td>'
        f'<td class="number">{_duration(step.seconds)}</td></tr>'
        for step in steps
    ]
    return '<table class="steps"><tbody>\n' + "\n".join(rows) + "\n</tbody></table>" if rows else ""


def _list(notes: Sequence[str]) -> str:
    return "<ul>\n" + "\n".join(f"<li>{_text(note)}</li>" for note in notes) + "\n</ul>" if notes else ""


def _section(title: str, content: str) -> tuple[str, ...]:
    """Nothing where there is no content."""
    return (f"<section>\n<h2>{_text(title)}</h2>", content, "</section>") if content else ()


def _text(value: str) -> str:
    """Text from anywhere, as HTML."""
    seen = "".join(
        sign if unicodedata.category(sign) not in _UNSEEN else f"\\u{ord(sign):04x}" for sign in value
    )
    return escape(seen, quote=True)


def _moment(time: str) -> str:
    """`2026-03-01 14:05:12 UTC`, from RFC 3339 in UTC."""
    try:
        return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return _text(time)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min {left} s" if hours else f"{minutes} min {left} s"


def _size(count: int) -> str:
    value = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} TiB"
