"""What changed in an entity that is read whole: counted against an earlier version while it is stored."""

from collections.abc import Sequence

from cas.catalog.model import EntityPast
from cas.errors import CasError
from cas.tree.counting import LeafCounter, NewLeaf, RecordCounts
from cas.tree.nodes import NodeReader, Root


class Comparison:
    """The tree of an entity in the making, beside the one that an earlier version has. Never in the way:
    where that one cannot be read, nothing is counted and `fault` says why."""

    def __init__(self, earlier: EntityPast, nodes: NodeReader) -> None:
        self.earlier = earlier
        self.fault = ""
        self._nodes = nodes
        self._counter: LeafCounter | None = None

    def leaves(self, some: Sequence[NewLeaf]) -> None:
        """The next leaves of the tree, from its first to its last."""
        if self.fault:
            return
        try:
            self._begun().leaves(some)
        except CasError as error:
            self.fault = str(error)

    def counts(self, root: Root) -> RecordCounts | None:
        """When the tree is built. None where they are not known."""
        if root.id == self.earlier.root:
            return RecordCounts()
        self.leaves(())
        if self._counter is None or self.fault:
            return None
        counts = self._counter.finish()
        expected = self.earlier.records + counts.inserted - counts.deleted
        if root.records != expected:
            self.fault = f"{root.records:,} records are there, {expected:,} were expected"
            return None
        return counts

    def _begun(self) -> LeafCounter:
        if self._counter is None:
            self._counter = LeafCounter(self._nodes, self.earlier.root)
        return self._counter
