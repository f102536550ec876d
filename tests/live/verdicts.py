"""Whether a restore was planned and done rightly."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cas.catalog.restore_model import RestoreMode
from cas.errors import CasError, TimedOut
from cas.live.plan import RestorePlan
from cas.live.request import LiveRequest, MissingParents
from tests.live import expecting
from tests.live.expecting import Changes, Tables
from tests.live.looking import Moment, Rows
from tests.live.shapes import Shape


@dataclass
class Wanted:
    """What a plan must be: its changes at a moment, and the sequences then. `changes` is None where only
    weaker things are known."""

    version: Moment
    changes: Callable[[Tables], dict[str, Changes]] | None
    sequences: Callable[[Moment, Mapping[str, Changes]], dict[str, tuple[int, bool]]]
    request: LiveRequest


@dataclass
class Verdict:
    """Over one plan, made at `start`."""

    shape: Shape
    plan: RestorePlan
    wanted: Wanted
    start: Moment

    def __post_init__(self) -> None:
        make = self.wanted.changes
        self.found = None if make is None else make(self.start.tables)

    def planned_rightly(self) -> None:
        """The plan is what a naive one would be."""
        plan, wanted, start = self.plan, self.wanted, self.start
        told = {one.label: one for one in plan.entities if one.label != "public.echo"}
        for label, one in told.items():
            assert one.live_records == start.tables[label].total()
            assert one.version_records == wanted.version.tables[label].total()
            assert one.after_records == one.live_records + one.inserts - one.deletes
        found = self.found
        if found is None:
            return
        for label, those in found.items():
            counts = (
                (told[label].inserts, told[label].updates, told[label].deletes)
                if label in told
                else (0, 0, 0)
            )
            assert counts == those.counts, f"{label}: the plan has {counts}, and {those.counts} are right"
            assert (told[label].conflicts if label in told else 0) == those.conflicts, label
        assert not [name for name in told if name not in found and told[name].changes], "tables out of scope"
        broken = expecting.broken_references(self.shape, expecting.applied(start.tables, found))
        conflicts = any(those.conflicts for those in found.values())
        assert plan.is_blocked == bool(broken or conflicts), f"{broken} {conflicts} {plan.findings}"
        sequences = wanted.sequences(start, found)
        after = {bare_name(one.name): one.after for one in plan.sequences}
        right = {n: v for n, v in sequences.items() if v != start.sequences[n]}
        assert after == right, f"sequences: the plan has {after}, and {right} are right"

    def justified(self, error: BaseException | None, middle: Moment, held: set[str]) -> None:
        """Nobody disturbed the restore, and yet it refused. `held`: what open transactions hold."""
        assert isinstance(error, CasError), repr(error)
        if isinstance(error, TimedOut):
            assert held, repr(error)
            return
        now = self._now(middle)
        if now is None or self._moved(now):
            return
        made = expecting.applied(middle.tables, self._told(now))
        broken = expecting.broken_references(self.shape, made)
        assert broken or expecting.broken_uniqueness(self.shape, made), repr(error)

    def _now(self, middle: Moment) -> dict[str, Changes] | None:
        return None if self.wanted.changes is None else self.wanted.changes(middle.tables)

    def _told(self, found: Mapping[str, Changes]) -> dict[str, Changes]:
        """Of the tables that the plan speaks of: the others are not looked at again."""
        told = {one.label for one in self.plan.entities}
        return {label: those for label, those in found.items() if label in told}

    def _moved(self, now: Mapping[str, Changes]) -> bool:
        """Whether what the plan speaks of is something else now."""
        told = self._told(self.found or {})
        return any(those.moved != now[label].moved for label, those in told.items())

    def done_rightly(self, middle: Moment, end: Moment) -> None:
        """The effect is what the plan said, and what is right."""
        plan, wanted = self.plan, self.wanted
        for table in self.shape.tables:
            made = difference(
                table.key and table.places(table.key), middle.tables[table.label], end.tables[table.label]
            )
            told = next((one for one in plan.entities if one.label == table.label), None)
            counts = (told.inserts, told.updates, told.deletes) if told else (0, 0, 0)
            if wanted.request.missing_parents is not MissingParents.NULL or table.key:
                assert made.counts == counts, f"{table.label}: {made.counts}, and the plan said {counts}"
            if self.found is None:
                self._plausible(table.label, made)
        assert end.sequences == set_sequences(plan, middle)
        now = self._now(middle)
        if now is not None:
            assert not self._moved(now), "what was planned had moved"
            assert end.tables == expecting.applied(middle.tables, self._told(now))

    def was_whole(self, end: Moment) -> bool:
        """Whether the platform is the whole version again, so that another one must be equal. Of sequences
        somebody may have drawn meanwhile."""
        request, version = self.wanted.request, self.wanted.version
        if request.mode is not RestoreMode.EXACT or request != LiveRequest(safety=request.safety):
            return False
        assert end.tables == version.tables, "an exact restore of everything left something else"
        return end.sequences == version.sequences

    def _plausible(self, label: str, made: Changes) -> None:
        """Weaker: whatever changed became as in the version, but for references."""
        table, request = self.shape.table(label), self.wanted.request
        if request.mode is RestoreMode.MERGE:
            return
        refers = {n for key in self.shape.keys if key.child == label for n in key.columns}
        null = request.missing_parents is MissingParents.NULL
        at = [i for i, n in enumerate(table.names) if not (null and n in refers)]
        columns = request.columns if label in expecting.meant(self.shape, request) else ()
        if columns:  # parents and children come whole
            at = [i for i in at if table.names[i] in columns]
        then = {tuple(row[i] for i in at) for row in self.wanted.version.tables[label]}
        for _, after in made.moved:
            assert after is None or tuple(after[i] for i in at) in then, (
                f"{label}: {after} is not of the version"
            )
        inserts, updates, deletes = made.counts
        if columns:
            assert not inserts
            assert not deletes
        if request.mode is RestoreMode.MISSING:
            assert not updates
            assert not deletes
        if request.mode is RestoreMode.CHANGED:
            assert not inserts
            assert not deletes


def untouched_kept(middle: Moment, end: Moment) -> None:
    """Rows that are as they were were not written at all."""
    for label, rows in middle.tables.items():
        common = Counter(row for _, row in (middle.written[label] & end.written[label]).elements())
        assert common == rows & end.tables[label], f"rows of {label} were written without need"


def bare_name(quoted: str) -> str:
    """Of a sequence."""
    return quoted.partition(".")[2].strip('"')


def set_sequences(plan: RestorePlan, middle: Moment) -> dict[str, tuple[int, bool]]:
    """The sequences afterwards: as planned, but never behind what was drawn since."""
    made = dict(middle.sequences)
    for one in plan.sequences:
        name = bare_name(one.name)
        drawn = made[name] != one.before
        made[name] = max(made[name], (one.after[0], True)) if drawn else one.after
    return made


def difference(places: Any, before: Rows, after: Rows) -> Changes:
    """What became of a table, by its keys or by whole rows."""
    found = Changes()
    if not places:
        for row in {*before, *after}:
            more = after[row] - before[row]
            if more > 0:
                found.moved[None, row] = more
            elif more < 0:
                found.moved[row, None] = -more
        return found
    old, new = ({tuple(row[at] for at in places): row for row in rows} for rows in (before, after))
    for key in {*old, *new}:
        if old.get(key) != new.get(key):
            found.moved[old.get(key), new.get(key)] += 1
    return found
