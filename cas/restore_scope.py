"""What of a version a restore brings back: the request, and what it means for entities and schema."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cas.contents import Contents
from cas.errors import InvalidInput
from cas.file_contents import names_of_files
from cas.format.entities import EntityEntry
from cas.records.model import OF_THE_DATABASE, Entity
from cas.records.target import Finding, SchemaParts


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What to bring back. Patterns are as in Selection; empty means all.

    `parallel`: connections that write at once. `verify`: read everything again and compare.
    """

    tables: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    with_schema: bool = True
    with_data: bool = True
    with_indexes: bool = True
    with_constraints: bool = True
    with_triggers: bool = True
    with_owners: bool = True
    with_privileges: bool = True
    parallel: int = 2
    verify: bool = True
    allow_incomplete: bool = False

    @property
    def is_selected(self) -> bool:
        """Whether some tables are left out."""
        return bool(self.tables or self.exclude)


@dataclass(frozen=True, slots=True)
class RestoredEntity:
    """One entity that was brought back."""

    label: str
    records: int
    payload_bytes: int


def chosen_entries(contents: Contents, request: RestoreRequest) -> tuple[EntityEntry, ...]:
    """The entities that the request names; InvalidInput for a pattern that matches none."""
    entries = [entry for entry in contents.entries if entry.entity.kind in OF_THE_DATABASE]
    for pattern in (*request.tables, *request.exclude):
        if not any(_matches(entry.entity, (pattern,)) for entry in entries):
            raise InvalidInput(
                f"version {contents.document.number} holds no table {pattern}",
                hint="`cas show` lists what it holds",
            )
    return tuple(
        entry
        for entry in entries
        if (not request.tables or _matches(entry.entity, request.tables))
        and not _matches(entry.entity, request.exclude)
    )


def files_left_out(contents: Contents) -> list[Finding]:
    """What a database does not get."""
    names = names_of_files(contents)
    if not names:
        return []
    number = contents.document.number
    hint = "".join(f" --files {name}=DIRECTORY" for name in names)
    what = f"the files of the version ({', '.join(names)}) do not go into a database"
    return [Finding(False, what, f"Bring them back with: cas restore {number}{hint}")]


def _matches(entity: Entity, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(entity.label, p) or fnmatchcase(entity.name, p) for p in patterns)


def schema_parts(request: RestoreRequest, entries: Sequence[EntityEntry]) -> SchemaParts:
    """The parts of the schema that are built for these entities."""
    names = frozenset((entry.entity.schema, entry.entity.name) for entry in entries)
    return SchemaParts(
        indexes=request.with_indexes,
        constraints=request.with_constraints,
        triggers=request.with_triggers,
        owners=request.with_owners,
        privileges=request.with_privileges,
        data=request.with_data,
        tables=names if request.is_selected else None,
    )
