"""What a plan finds beside its counts: what must be decided before it is executed, and what to know."""

from collections.abc import Mapping, Sequence

from cas.contents import Contents
from cas.live.plan import EntityPlan, Reference
from cas.live.planned_table import PlannedTable
from cas.live.prepared import Undone
from cas.live.request import LiveRequest
from cas.live.tables import Name
from cas.live.touched_keys import is_edited
from cas.records.model import EntityKind
from cas.records.target import Finding
from cas.restore_scope import files_left_out


def _for_undo(request: LiveRequest) -> str:
    """How a hint begins that names options, which an undo has none of."""
    return "" if request.undoes is None else "Bring the safety version back with `cas restore` instead. "


def blocking_findings(
    entities: Sequence[EntityPlan], references: Sequence[Reference], request: LiveRequest
) -> list[Finding]:
    """What must be decided before the plan can be executed."""
    findings = [
        Finding(
            True,
            f"{one.records} records of {one.child} {one.what} ({one.constraint} to {one.parent})",
            _for_undo(request)
            + "Bring the others back too with --with-parents or --with-children, or say what becomes of the"
            " reference with --missing-parents null|skip",
        )
        for one in references
    ]
    for one in entities:
        if one.conflicts:
            findings.append(
                Finding(
                    True,
                    f"{one.conflicts} records of {one.label} were changed both live and in the version",
                    "Decide with --prefer live or --prefer version",
                )
            )
        if (one.drift.dropped or one.drift.retyped) and not request.accept_drift:
            lost = [f"{name} is gone" for name in one.drift.dropped]
            lost += [f"{c.column} was {c.version} and is {c.live}" for c in one.drift.retyped]
            findings.append(
                Finding(
                    True,
                    f"the columns of {one.label} are not as in the version: {', '.join(lost)}",
                    _for_undo(request)
                    + "Name what was renamed with --map old=new, or accept it with --accept-drift",
                )
            )
    return findings


def edited_since(undone: Undone, tables: Mapping[Name, PlannedTable]) -> list[Finding]:
    """Records that somebody edited after the restore that is taken back."""
    findings = []
    for table in tables.values():
        marks = undone.keys.get(table.pair.live.label, {})
        edited = sum(1 for one in table.changes if is_edited(marks[one.key], one.before))
        if edited and not table.pair.live.is_bag:
            what = f"{edited} records of {table.pair.live.label} were edited after the restore"
            findings.append(Finding(False, what, "The undo overwrites these edits"))
    return findings


def doubted(tables: Mapping[Name, PlannedTable], contents: Contents) -> list[Finding]:
    """Tables of which what was written since the version was read was told, and cannot be all."""
    return [
        Finding(
            False,
            f"what was written to {table.pair.live.label} since version {contents.document.number} is in"
            f" doubt ({table.doubt}); every row was compared",
            "Take versions with --scan until the cause is known",
        )
        for table in tables.values()
        if table.doubt
    ]


def left_out(contents: Contents, request: LiveRequest) -> list[Finding]:
    """What the version holds and a running platform does not get."""
    if request.tables or request.is_narrowed:
        return []
    entries, findings = contents.entries, files_left_out(contents)
    if any(e.entity.kind is EntityKind.LARGE_OBJECTS and e.records for e in entries):
        findings.append(
            Finding(
                False,
                "large objects are not brought back into a running platform",
                "Restore the version with --into to get them",
            )
        )
    return findings
