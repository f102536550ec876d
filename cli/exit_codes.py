"""The exit codes of every command: one table. Nothing but a whole success is 0."""

from enum import IntEnum

from cas.errors import (
    Cancelled,
    CasError,
    Conflict,
    ConnectionFailed,
    CorruptData,
    Fenced,
    InsufficientSpace,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    SourceChanged,
    TimedOut,
    Unsupported,
    VerificationFailed,
)
from cas.store.interface import FaultKind, ObjectExists, ObjectMissing, StoreFault


class ExitCode(IntEnum):
    """Stable; a code never changes its meaning."""

    OK = 0
    FAILURE = 1
    """Our own mistake, or an error without a code of its own."""
    INVALID = 2
    """Usage, settings, options: nothing was started."""
    NOT_FOUND = 3
    CONFLICT = 4
    UNREACHABLE = 5
    """A database or store does not answer."""
    DENIED = 6
    TIMED_OUT = 7
    NO_SPACE = 8
    CORRUPT = 9
    """Stored bytes are damaged; also when `check` finds damage."""
    SOURCE_CHANGED = 10
    FENCED = 11
    UNSUPPORTED = 12
    STORE_FAULT = 13
    """The store failed in another way; after all its retries."""
    VERIFICATION_FAILED = 14
    INCOMPLETE = 20
    """A version was taken, and something that should be in it is not: partial is not success."""
    NOT_HEALTHY = 21
    """`doctor` or `store test` found something that will not work."""
    DECLINED = 22
    """A person was asked, and did not agree. Nothing was done."""
    CANCELLED = 23
    """Somebody asked for it to be stopped. Nothing was committed."""
    OUTCOME_UNKNOWN = 24
    """The connection was lost during COMMIT, and nobody could be asked whether it was committed."""
    PARTIAL = 25
    """A version was taken, and a store that should hold it does not: partial is not success."""
    INTERRUPTED = 130
    """Ctrl-C, as shells count it: 128 + SIGINT."""
    BROKEN_PIPE = 141
    """Whoever read our output went away: 128 + SIGPIPE."""
    TERMINATED = 143
    """128 + SIGTERM."""


_BY_ERROR: dict[type[CasError], ExitCode] = {
    InvalidInput: ExitCode.INVALID,
    NotFound: ExitCode.NOT_FOUND,
    ObjectMissing: ExitCode.NOT_FOUND,
    Conflict: ExitCode.CONFLICT,
    ObjectExists: ExitCode.CONFLICT,
    ConnectionFailed: ExitCode.UNREACHABLE,
    PermissionDenied: ExitCode.DENIED,
    TimedOut: ExitCode.TIMED_OUT,
    InsufficientSpace: ExitCode.NO_SPACE,
    CorruptData: ExitCode.CORRUPT,
    SourceChanged: ExitCode.SOURCE_CHANGED,
    Fenced: ExitCode.FENCED,
    Unsupported: ExitCode.UNSUPPORTED,
    VerificationFailed: ExitCode.VERIFICATION_FAILED,
    Cancelled: ExitCode.CANCELLED,
    OutcomeUnknown: ExitCode.OUTCOME_UNKNOWN,
}

_BY_FAULT: dict[FaultKind, ExitCode] = {
    FaultKind.DENIED: ExitCode.DENIED,
    FaultKind.FULL: ExitCode.NO_SPACE,
    FaultKind.UNREACHABLE: ExitCode.UNREACHABLE,
}


def exit_code_of(error: CasError) -> ExitCode:
    """The code of the error's class or of the nearest class above; FAILURE where none has one."""
    if isinstance(error, StoreFault):
        return _BY_FAULT.get(error.fault, ExitCode.STORE_FAULT)
    return next((_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _BY_ERROR), ExitCode.FAILURE)
