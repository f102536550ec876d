"""The refusals of the parsers: one place that words them, with the kinds of FORMAT.md's vectors."""

from cas.errors import CorruptData, Unsupported


def malformed(what: str, where: str = "") -> CorruptData:
    """Bytes that no writer of this format produces."""
    return CorruptData(what, kind="malformed", where=where)


def truncated(what: str, where: str = "") -> CorruptData:
    """Bytes that end before they should."""
    return CorruptData(what, kind="truncated", where=where)


def over_limit(what: str, where: str = "") -> CorruptData:
    """A declared or real size above a limit of `cas.limits`."""
    return CorruptData(what, kind="limit", where=where)


def mismatch(what: str, where: str = "") -> CorruptData:
    """A hash that does not fit its bytes."""
    return CorruptData(what, kind="hash-mismatch", where=where)


def newer(what: str, where: str = "") -> Unsupported:
    """A format version or feature that came after this program."""
    return Unsupported(what, where=where, hint="A newer release of this program can read it")
