"""Lines of safety, each taken away for a moment: without any one of them some schedule loses something.

Of some, another line does the same once more; these are taken away together.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from tests.simulation.missing_in_collecting import IN_COLLECTING
from tests.simulation.missing_in_copying import IN_COPYING
from tests.simulation.missing_in_keeping import IN_KEEPING
from tests.simulation.missing_in_taking_in import IN_TAKING_IN
from tests.simulation.missing_in_writing import IN_WRITING

Fault = Callable[[ExitStack], None]

MISSING: Mapping[str, Fault] = IN_WRITING | IN_COLLECTING | IN_TAKING_IN | IN_KEEPING | IN_COPYING

STOOD_IN_FOR: Mapping[str, str] = {
    "who writes is asked for the lease, by the clock": "committing after the lease expired",
    "who is about to put a document is asked for the lease": "committing after the lease expired",
    "a session builds upon a committed version only": "an inherited subtree of a forgotten parent",
    "the parent's document is looked for at the commit": "an inherited subtree of a forgotten parent",
    "a session begins only where the store knows no more": "a catalog restored from an older backup",
    "only what is listed as well is used again": "trusting a stale index",
    "packs are ripe when no session may know them": "sessions are not waited for",
    "when packs are announced, sessions are asked for once more": "sessions are not waited for",
    "who takes in versions leaves packs that are being deleted": "doomed packs live again",
    "no pack that is being deleted is taken in": "doomed packs live again",
}
"""Lines that others stand in for: without this one alone nothing is lost. Each with the fault that takes away
both."""
