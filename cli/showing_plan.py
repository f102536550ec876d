"""How the plan of a live restore looks: counts, examples, what follows from it, and what it means."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from cas.live.plan import Drift, EntityPlan, Estimate, Reference, RestorePlan, SequencePlan
from cas.live.request import LiveRequest, MissingParents
from cli.showing_changes import ARROW, told_record
from cli.showing_figures import named_figures
from cli.showing_findings import told_finding
from cli.tables import facts
from cli.words import counted, duration, moment, number, plain

EXAMPLE_COLUMNS = 3
"""Of a record that comes or goes; of one that changes, all that differ."""

SHOWN_EXAMPLES = 8
"""Entities with examples, those that change most; JSON has all."""

SHOWN_KEYS = 6
"""Keys of a scope that are spelled out."""

_RISK_STYLES = {"low": "green", "medium": "yellow", "high": "bold red"}


def is_empty(plan: RestorePlan) -> bool:
    """Whether executing it would change nothing."""
    return not (plan.changes or plan.sequences)


def told_plan(plan: RestorePlan, width: int) -> Iterator[RenderableType]:
    """All of it, in lines of this width."""
    request = LiveRequest.of_json(plan.request)
    yield Text.assemble((f"Plan {plan.number}", "bold"), f": {_purpose(plan, request)}")
    yield facts(_asked(plan, request))
    yield Text()
    changing = [one for one in plan.entities if _is_told(one)]
    if changing:
        yield _counts(changing, width)
    yield from _beside(plan.entities, len(changing))
    largest = sorted(changing, key=lambda one: -one.changes)[:SHOWN_EXAMPLES]
    for one in changing:
        if one in largest and one.examples:
            yield from _examples(one, width)
    if plan.sequences:
        yield _headed("Sequences", map(_sequence, plan.sequences))
    if plan.references:
        yield _headed("Foreign keys", map(_reference, plan.references))
    drifting = [line for one in plan.entities for line in _drift(one.label, one.drift)]
    if drifting:
        yield _headed("Columns differ", drifting)
    if plan.findings:
        yield Text()
    for finding in plan.findings:
        yield told_finding(finding)
    yield Text()
    yield facts((*_compared(plan.entities), *_meaning(plan)))


def _purpose(plan: RestorePlan, request: LiveRequest) -> str:
    if request.undoes is not None:
        return f"restore {request.undoes} is taken back, from its safety version {plan.version}"
    return f"version {plan.version} comes back, of {moment(datetime.fromisoformat(plan.version_time))}"


def _asked(plan: RestorePlan, request: LiveRequest) -> Iterator[tuple[str, str]]:
    yield "into", plan.target
    yield "tables", ", ".join(request.tables)
    yield "without", ", ".join(request.exclude)
    yield "keys", _keys(request.keys)
    yield "below", _keys(request.subtrees)
    yield "where", "; ".join(f"{name}: {text}" for name, text in request.where)
    yield "columns", ", ".join(request.columns)
    follows = [
        name for name, is_meant in (("parents", request.with_parents), ("children", request.with_children))
        if is_meant
    ]  # fmt: skip
    yield "with", " and ".join(follows)
    gone = request.missing_parents
    yield "parents that are gone", gone.value if gone is not MissingParents.REFUSE else ""
    yield "mode", f"{request.mode.value}{f', {request.prefer.value} wins' if request.prefer else ''}"
    yield "renamed", ", ".join(f"{old}{ARROW}{new}" for old, new in request.renamed)


def _keys(keys: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    shown = ", ".join(f"{name} {'/'.join(key)}" for name, key in keys[:SHOWN_KEYS])
    return shown + (f" and {number(len(keys) - SHOWN_KEYS)} more" if len(keys) > SHOWN_KEYS else "")


def _is_told(one: EntityPlan) -> bool:
    return bool(one.changes or one.conflicts)


def _counts(entities: Sequence[EntityPlan], width: int) -> RenderableType:
    """Records in the version, live, and after; and what happens to the live ones."""
    heads = ["version", "live", "after", "insert", "update", "delete"]
    heads += ["conflict"] if any(one.conflicts for one in entities) else []
    rows = [(one.label, _figures(one)[: len(heads)]) for one in entities]
    return named_figures("entity", heads, rows, width)


def _figures(one: EntityPlan) -> list[Text]:
    return [
        Text(number(one.version_records)),
        Text(number(one.live_records)),
        Text(number(one.after_records)),
        _figure(one.inserts, "green"),
        _figure(one.updates, "yellow"),
        _figure(one.deletes, "red"),
        _figure(one.conflicts, "bold red"),
    ]


def _figure(count: int, style: str) -> Text:
    return Text(number(count), style=style if count else "dim")


def _beside(entities: Sequence[EntityPlan], changing: int) -> Iterator[Text]:
    """What stays, so that nobody wonders about it."""
    rest = len(entities) - changing
    if rest:
        which = "more table stays as it is" if rest == 1 else "more tables stay as they are"
        yield Text(f"  {number(rest)} {which if changing else which.removeprefix('more ')}", style="dim")
    for one in entities:
        left = one.differing - one.changes - one.conflicts
        if left > 0:
            records = "record differs" if left == 1 else "records differ"
            yield Text(
                f"  {number(left)} other {records} in {plain(one.label)}, and stay{'s' if left == 1 else ''}",
                style="dim",
            )


def _compared(entities: Sequence[EntityPlan]) -> Iterator[tuple[str, str]]:
    """How tables were compared with the version and why, each way once."""
    ways: dict[tuple[str, str], list[EntityPlan]] = {}
    for one in entities:
        ways.setdefault((one.read_by, one.read_reason), []).append(one)
    for (read_by, reason), alike in ways.items():
        whose = "all tables" if len(ways) == 1 and len(alike) > 1 else ", ".join(one.label for one in alike)
        rows = counted(sum(one.rows_read for one in alike), "row")
        yield "compared", f"by {read_by}, {rows}: {reason} ({whose})"


def _examples(one: EntityPlan, width: int) -> Iterator[Text]:
    yield Text(f"\n{plain(one.label)}", style="bold")
    for record in one.examples:
        yield told_record(record, width, columns=EXAMPLE_COLUMNS)
    left = one.changes - sum(record.count for record in one.examples)
    if left > 0:
        yield Text(f"  … and {counted(left, 'more record')}", style="dim")


def _headed(title: str, lines: Iterator[Text] | Sequence[Text]) -> Text:
    return Text("\n").join([Text(f"\n{title}", style="bold"), *lines])


def _sequence(one: SequencePlan) -> Text:
    before, after = (
        f"{value}{'' if is_called else ' (unused)'}" for value, is_called in (one.before, one.after)
    )
    return Text.assemble(f"  {plain(one.name)}  {before}", (ARROW, "dim"), after)


def _reference(one: Reference) -> Text:
    return Text.assemble(
        f"  {counted(one.records, 'record')} of {plain(one.child)} {one.what} of {plain(one.parent)} ",
        (f"({plain(one.constraint)}, on delete {one.on_delete})", "dim"),
    )


def _drift(label: str, drift: Drift) -> Iterator[Text]:
    said = [
        (f"{', '.join(drift.dropped)} gone: the values have no place", drift.dropped, "red"),
        (
            "; ".join(f"{one.column} was {one.version} and is {one.live}" for one in drift.retyped),
            drift.retyped,
            "yellow",
        ),
        (f"{', '.join(drift.added)} new: kept, or by default", drift.added, ""),
        ("; ".join(f"{old} is called {new} now" for old, new in drift.renamed), drift.renamed, ""),
    ]
    for text, is_there, style in said:
        if is_there:
            yield Text(f"  {plain(label)}: {plain(text)}", style=style)


def _meaning(plan: RestorePlan) -> Iterator[tuple[str, str | Text]]:
    if is_empty(plan):
        yield "changes", "none: the platform is already as asked"
        yield "hash", plan.hash
        return
    yield "estimate", _estimate(plan.estimate)
    risk = Text(plan.risk.level, style=_RISK_STYLES.get(plan.risk.level, ""))
    yield "risk", risk.append(f": {plain('; '.join(plan.risk.reasons))}", style="default")
    yield "impact", plan.impact
    changes = [counted(plan.changes, "record")] if plan.changes else []
    changes += [counted(len(plan.sequences), "sequence")] if plan.sequences else []
    yield "changes", ", ".join(changes)
    yield "hash", plan.hash


def _estimate(guess: Estimate) -> str:
    if guess.seconds is None:
        return guess.basis
    lock = f", writers wait {duration(guess.lock_seconds)}" if guess.lock_seconds is not None else ""
    undo = f", an undo takes {duration(guess.undo_seconds)}" if guess.undo_seconds is not None else ""
    return f"{duration(guess.seconds)}{lock}{undo} ({guess.basis})"
