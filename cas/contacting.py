"""The one place where connections to databases are tried again, and only those that failed for a passing
reason.

Nothing has begun on a connection that is not there yet, so nothing is done twice. No transaction is repeated.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from cas.errors import CasError

_T = TypeVar("_T")

PASSING_STATES = ("08000", "08001", "08003", "08006", "53300", "57P01", "57P02", "57P03")
"""SQLSTATEs: the connection broke, all connections are taken, the server starts, stops or recovers."""

_LASTING = re.compile(
    "authentication failed|no password supplied|pg_hba.conf|could not translate host name|SSL error"
    "|does not support SSL|certificate|private key|does not exist|permission denied|is not permitted"
)
_PASSING = re.compile(
    "Connection refused|Connection reset|Connection timed out|timeout expired|No such file or directory"
    "|server closed the connection unexpectedly|EOF detected|could not (receive|send) data"
    "|the database system is (starting up|shutting down|in recovery|not (yet )?accepting connections)"
    "|terminating connection|too many clients|too many connections|remaining connection slots"
)
"""For a connection that never came up: libpq then gives a text and no SQLSTATE. English, as `lc_messages` of
servers mostly is; in another language it is told at once. The socket of a server that is down is no file."""


@dataclass(frozen=True, slots=True)
class Contact:
    """What `on_retry` is told: how it failed, how often by now, seconds until the next try."""

    fault: CasError
    failures: int
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class ContactPatience:
    """How often a connection is tried, the first try included, and how long is waited in between: random
    times below a bound, which doubles with every try. The two waits of three tries take 0.75 s on average."""

    attempts: int = 3
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 20.0
    on_retry: Callable[[Contact], None] | None = None
    """Called before each wait."""
    sleep: Callable[[float], None] = time.sleep


ONCE = ContactPatience(attempts=1)


def contacted(
    attempt: Callable[[], _T], is_passing: Callable[[CasError], bool], patience: ContactPatience
) -> _T:
    """What `attempt` gives, tried again where `is_passing` of its error. The last error is raised as it
    came."""

    def tell(state: RetryCallState) -> None:
        fault = state.outcome and state.outcome.exception()
        assert isinstance(fault, CasError)
        if patience.on_retry is not None:
            patience.on_retry(Contact(fault, state.attempt_number, state.upcoming_sleep))

    tries = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, CasError) and is_passing(error)),
        stop=stop_after_attempt(patience.attempts),
        wait=wait_random_exponential(
            multiplier=patience.first_wait_seconds, max=patience.longest_wait_seconds
        ),
        before_sleep=tell,
        sleep=patience.sleep,
        reraise=True,
    )
    return tries(attempt)


def passes(sqlstate: str | None, text: str) -> bool:
    """Whether a refusal to connect may pass by itself."""
    if sqlstate is not None:
        return sqlstate in PASSING_STATES
    return _PASSING.search(text) is not None and _LASTING.search(text) is None
