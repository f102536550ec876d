"""Lines of safety, each taken away for a moment: without any one of them some schedule loses something."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from tests.simulation.missing_in_collecting import IN_COLLECTING
from tests.simulation.missing_in_copying import IN_COPYING
from tests.simulation.missing_in_keeping import IN_KEEPING
from tests.simulation.missing_in_taking_in import IN_TAKING_IN
from tests.simulation.missing_in_writing import IN_WRITING

Fault = Callable[[ExitStack], None]

MISSING: Mapping[str, Fault] = IN_WRITING | IN_COLLECTING | IN_TAKING_IN | IN_KEEPING | IN_COPYING
