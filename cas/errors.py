"""What can go wrong, as types with fields. Prose is made in the faces, from the fields.

Each class has a `code` (stable, upper case, for machines), and an instance says what happened,
where, and what to do about it. Exit codes and HTTP problems are one table each, in the faces.
"""


class CasError(Exception):
    """Base of every error that is not our own mistake.

    what: one clause, no full stop. where: the object, table, file or URL (without secrets).
    hint: what the reader can do. All three are plain text, never user data in full.
    """

    code = "ERROR"

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        advice = f". {self.hint}" if self.hint else ""
        return f"{self.what}{place}{advice}"


class InvalidInput(CasError):
    """A setting, option or name given by a person is wrong. Nothing was started."""

    code = "INVALID_CONFIG"


class NotFound(CasError):
    """The version, entity, record, repository or object that was asked for does not exist."""

    code = "NOT_FOUND"


class Conflict(CasError):
    """The state of things forbids it: target not empty, object exists, another catalog at work."""

    code = "CONFLICT"


class ConnectionFailed(CasError):
    """A database or a store does not answer at all."""

    code = "CONNECTION_FAILED"


class PermissionDenied(CasError):
    """A database or a store answers, and refuses."""

    code = "PERMISSION_DENIED"


class TimedOut(CasError):
    """Something took longer than its time-out. Usually worth another try."""

    code = "TIMEOUT"


class InsufficientSpace(CasError):
    """A disk, quota or bucket is full, or would be."""

    code = "INSUFFICIENT_SPACE"


class CorruptData(CasError):
    """Stored bytes are not what they were: wrong hash, malformed, truncated, over a limit.

    kind is one of malformed, hash-mismatch, truncated, missing, unsupported, limit: the words of
    FORMAT.md's test vectors.
    """

    code = "FILE_CORRUPTION"

    def __init__(self, what: str, *, kind: str, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.kind = kind


class SourceChanged(CasError):
    """The platform changed under the read (table dropped, altered); starting again may succeed."""

    code = "SOURCE_CHANGED"


class Fenced(CasError):
    """Our session was ended by somebody else, or its lease ran out: nothing may be committed."""

    code = "SESSION_FENCED"


class Unsupported(CasError):
    """A newer format, a server version, a type of table that this program does not know."""

    code = "UNSUPPORTED"


class VerificationFailed(CasError):
    """What was written, read again, is not what it should be. The target must not be used."""

    code = "VERIFICATION_FAILED"


class OutcomeUnknown(CasError):
    """The connection was lost while a transaction was being committed: look it up before anything else."""

    code = "ROLLBACK_FAILED"


class Cancelled(CasError):
    """Somebody asked for it to be stopped: it must not go on, and nothing of it may be committed."""

    code = "CANCELLED"
