"""What is asked of a restore into the running platform, as it is kept beside its plan."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from cas.catalog.restore_model import RestoreKind, RestoreMode


class Prefer(StrEnum):
    """Who wins a conflict of a merge."""

    NOBODY = ""
    """Conflicts are listed, and the plan blocks."""
    LIVE = "live"
    VERSION = "version"


class MissingParents(StrEnum):
    """What to do where a record that comes back refers to one that is gone."""

    REFUSE = "refuse"
    CREATE = "create"
    """The parent comes back too, from the same version."""
    NULL = "null"
    """The reference becomes NULL."""
    SKIP = "skip"
    """The record stays away."""


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """Scope, mode and options. Nothing named means everything that the version holds.

    `keys` and `subtrees`: (entity, texts of the key columns). `where`: (entity, SQL predicate on the
    version's records). `columns`: live columns that are brought back, of every entity that has one of them.
    `renamed`: (old, new) as `table=table` or `table.column=column`. `base`: of a merge, the version after
    which live edits count as new; None takes the newest one.
    """

    mode: RestoreMode = RestoreMode.EXACT
    tables: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    keys: tuple[tuple[str, tuple[str, ...]], ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    subtrees: tuple[tuple[str, tuple[str, ...]], ...] = ()
    columns: tuple[str, ...] = ()
    with_parents: bool = False
    with_children: bool = False
    missing_parents: MissingParents = MissingParents.REFUSE
    prefer: Prefer = Prefer.NOBODY
    base: int | None = None
    renamed: tuple[tuple[str, str], ...] = ()
    accept_drift: bool = False
    allow_incomplete: bool = False
    safety: bool = True
    scan: bool = False
    """Compare every row, whatever could be told of what was written since the version was read."""
    undoes: int | None = None
    """Number of the restore that is taken back: its records are the scope."""

    @property
    def is_narrowed(self) -> bool:
        """Whether only some records of an entity are meant."""
        return bool(self.keys or self.where or self.subtrees or self.columns or self.undoes)

    @property
    def kind(self) -> RestoreKind:
        """How much is asked for."""
        if self.tables or self.exclude or self.is_narrowed:
            return RestoreKind.SELECTED
        return RestoreKind.DATA_ONLY

    def as_json(self) -> Mapping[str, object]:
        """For the catalog; `of_json` gives it back."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    @staticmethod
    def of_json(stored: Mapping[str, Any]) -> "LiveRequest":
        """The request that was kept. Unknown fields, of a newer program, raise ValueError."""
        known = {one.name for one in fields(LiveRequest)}
        if unknown := stored.keys() - known:
            raise ValueError(f"unknown fields {', '.join(sorted(unknown))}")
        values = {name: _frozen(value) for name, value in stored.items()}
        values |= {
            "mode": RestoreMode(stored["mode"]),
            "prefer": Prefer(stored["prefer"]),
            "missing_parents": MissingParents(stored["missing_parents"]),
        }
        return LiveRequest(**values)


@dataclass(frozen=True, slots=True)
class Named:
    """What a person calls a restore."""

    name: str = ""
    description: str = ""
    created_by: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


def _plain(value: object) -> object:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value


def _frozen(value: object) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
