"""What must hold whatever comes: a value of one encoding, or a refusal in plain words, in bounded time."""

import time

from cas.errors import CasError
from tests.fuzz.model import Target

MOST_SECONDS = 2.0
"""Of the processor, for one input: those that are tried are small."""

MOST_WORDS = 2000
"""Characters of a refusal. It never repeats what it refuses in full."""


class Broken(Exception):
    """What must hold did not hold."""


def judge(target: Target, data: bytes) -> bool:
    """Whether the input was read. Broken where a promise was."""
    began = time.process_time()
    again: bytes | None = None
    refusal: Exception | None = None
    try:
        again = target.read(data)
    except target.refusals as error:
        refusal = error
    except Exception as error:
        raise Broken(f"{target.name} raises {type(error).__name__}: {str(error)[:200]}") from error
    spent = time.process_time() - began
    if spent > MOST_SECONDS:
        raise Broken(f"{target.name} takes {spent:.1f} s for {len(data)} bytes")
    if again is not None and again != data:
        raise Broken(f"{target.name} reads another encoding of what it writes")
    if isinstance(refusal, CasError) and len(str(refusal)) > MOST_WORDS:
        raise Broken(f"{target.name} refuses in {len(str(refusal))} characters")
    return refusal is None
