"""A plan with all that its execution needs, and what plans are made of beside the request."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

from cas.contents import Contents
from cas.engine.nodes_at_hand import RecentNodes
from cas.live.deciding import Rules
from cas.live.plan import RestorePlan, SequencePlan
from cas.live.planned_table import PlannedTable
from cas.live.request import LiveRequest
from cas.live.tables import Name
from cas.live.touched_keys import Keys
from cas.records.live import Noted, SequenceValue
from cas.records.marks import Mark
from cas.records.source import SourceIdentity


@dataclass(frozen=True, slots=True)
class Seen:
    """The moment that a plan was made from: the platform, and the sequences of the tables that change.
    `noted`: by what change capture was asked for what had happened until then."""

    mark: Mark
    noted: Noted | None
    identity: SourceIdentity
    sequences: tuple[SequenceValue, ...]


@dataclass(frozen=True, slots=True)
class Undone:
    """What a restore wrote: by live label the keys with marks (see `touched_keys`), and the sequences."""

    keys: Mapping[str, Keys]
    sequences: tuple[SequencePlan, ...]


class PreparedPlan:
    """A plan with all that its execution needs. A context manager: its temporary files go with it."""

    def __init__(
        self,
        plan: RestorePlan,
        contents: Contents,
        request: LiveRequest,
        tables: Mapping[Name, PlannedTable],
        seen: Seen,
        rules: Callable[[PlannedTable], Rules],
        nodes: RecentNodes,
        files: ExitStack,
    ) -> None:
        """`nodes`: those of the version that were read for the plan."""
        self.mark = seen.mark
        self.noted = seen.noted
        self.identity = seen.identity
        self.sequences = seen.sequences
        self.rules = rules
        self.nodes = nodes
        self.plan = plan
        self.contents = contents
        self.request = request
        self.tables = tables
        self._files = files

    def __enter__(self) -> "PreparedPlan":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()
