"""Lines of safety of copies elsewhere."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from cas.catalog.replicating_memory import MemoryReplicating
from cas.replicas import running
from cas.replicas.copying import Copier
from cas.replicas.wanting import wanted

Fault = Callable[[ExitStack], None]


def _packs_are_asked_for_first(stack: ExitStack) -> None:
    """Which packs there are is asked before which versions there are."""
    asked: dict[str, Any] = {}
    copy = Copier.packs

    class Earlier:
        """What was live then."""

        packs = staticmethod(lambda: asked["packs"])

    def packs_and_versions(catalog: Any, *rest: Any) -> Any:
        asked["packs"] = catalog.replicating.packs()
        return wanted(catalog, *rest)

    stack.enter_context(patch.object(running, "wanted", packs_and_versions))
    stack.enter_context(
        patch.object(Copier, "packs", lambda self, _, renew: copy(self, Earlier(), renew))  # type: ignore[arg-type]
    )


def _live_packs_are_pruned(stack: ExitStack) -> None:
    """What no document there needs is deleted there, though a version that is copied next may need it."""
    stack.enter_context(patch.object(MemoryReplicating, "may_live", lambda _: frozenset()))


IN_COPYING: dict[str, Fault] = {
    "packs are asked for before versions": _packs_are_asked_for_first,
    "packs that may live are pruned": _live_packs_are_pruned,
}
