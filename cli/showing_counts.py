"""How what changed in a version looks: counts per entity, and which of them are unusual."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from cas.catalog.model import Anomaly, CountKind, EntitySummary, Version
from cli.showing_figures import named_figures
from cli.tables import facts, indented
from cli.words import counted, number, plain

MARK = "!"
"""Beside what is unusual."""

STYLE = "yellow"

_STYLES = {CountKind.INSERTED: "green", CountKind.UPDATED: "yellow", CountKind.DELETED: "red"}

SHOWN = 3
"""Unusual counts that are told where there is more to see elsewhere."""


def changes_in(version: Version, width: int) -> Iterator[RenderableType]:
    """Entities with changes and their counts; those without; what is unusual."""
    known = [one for one in version.entities if one.inserted is not None]
    compared = [one for one in known if one.compared_with is not None]
    moved = [one for one in compared if any(_counts(one).values())]
    unusual = {(one.label, one.kind) for one in version.anomalies}
    if moved:
        yield named_figures(
            f"changed since {_since(moved)}",
            [*(kind.value for kind in CountKind), "records"],
            [(_name(one, moved), [*_figures(one, unusual), Text(number(one.records))]) for one in moved],
            width,
        )
    rest = list(_rest(version, known, compared, moved))
    if rest:
        yield facts(rest)
    if version.anomalies:
        told = Text("Unusual", style=STYLE)
        for one in version.anomalies:
            told.append(f"\n{MARK} {plain(one.why)}")
        yield indented(told)


def told_changes(version: Version) -> Text:
    """The sums in one line, and the most telling of what is unusual."""
    compared = [one for one in version.entities if one.compared_with is not None]
    told = Text()
    if compared:
        sums = {kind: sum(_counts(one)[kind] for one in compared) for kind in CountKind}
        words = ", ".join(f"{count:,} {kind.value}" for kind, count in sums.items())
        told.append(f"\n  since {_since(compared)}: {words}")
    for one in version.anomalies[:SHOWN]:
        told.append(f"\n  unusual: {plain(one.why)}", style=STYLE)
    if len(version.anomalies) > SHOWN:
        told.append(f"\n  and {counted(len(version.anomalies) - SHOWN, 'more unusual count')}", style=STYLE)
    return told


def most_unusual(anomalies: Sequence[Anomaly]) -> str:
    """In one line; empty where nothing is."""
    if not anomalies:
        return ""
    more = f" (and {len(anomalies) - 1:,} more)" if len(anomalies) > 1 else ""
    return f"unusual: {anomalies[0].why}{more}"


def _counts(entity: EntitySummary) -> dict[CountKind, int]:
    return {
        CountKind.INSERTED: entity.inserted or 0,
        CountKind.UPDATED: entity.updated or 0,
        CountKind.DELETED: entity.deleted or 0,
    }


def _since(entities: Sequence[EntitySummary]) -> str:
    versions = {one.compared_with for one in entities}
    return f"version {versions.pop()}" if len(versions) == 1 else "earlier versions"


def _name(entity: EntitySummary, among: Sequence[EntitySummary]) -> str:
    """With the version that it is compared with, where that is not the same for all."""
    is_one = len({one.compared_with for one in among}) == 1
    return entity.label if is_one else f"{entity.label} (since {entity.compared_with})"


def _figures(entity: EntitySummary, unusual: set[tuple[str, CountKind]]) -> Iterator[Text]:
    for kind, count in _counts(entity).items():
        is_marked = (entity.label, kind) in unusual
        figure = Text(number(count), style=_STYLES[kind] if count else "dim")
        yield figure.append(f" {MARK}", style=f"bold {STYLE}") if is_marked else figure


def _rest(
    version: Version,
    known: Sequence[EntitySummary],
    compared: Sequence[EntitySummary],
    moved: Sequence[EntitySummary],
) -> Iterator[tuple[str, str]]:
    """Entities without counts to show."""
    new = [one for one in known if one.compared_with is None]
    same = len(compared) - len(moved)
    if same:
        which = counted(same, "entity", "entities")
        yield "unchanged", which if moved else f"{which} since {_since(compared)}"
    if new:
        yield "first seen", _listed(new, len(version.entities))
    unknown = [one for one in version.entities if one.inserted is None and any(one.root)]
    if unknown:
        yield "changes not known", _listed(unknown, len(version.entities))


def _listed(entities: Sequence[EntitySummary], of: int) -> str:
    return "all entities" if len(entities) == of else ", ".join(one.label for one in entities)
