"""Three states of one record, field by field."""

from cas.live.column_map import split_fields
from cas.live.request import Prefer
from cas.records.payload import TAB, strip_trailing_nulls


def merged(version: bytes, base: bytes, live: bytes, columns: int, prefer: Prefer) -> bytes | None:
    """The record in which each field is the version's where the live one is still as in the base, and the
    live one where it is not. None where a field differs in all three and nobody is preferred.

    All three have the live table's columns.
    """
    made = []
    for old, common, now in zip(
        split_fields(version, columns), split_fields(base, columns), split_fields(live, columns), strict=True
    ):
        if now in (common, old):
            made.append(old)
        elif old == common:
            made.append(now)
        elif prefer is Prefer.NOBODY:
            return None
        else:
            made.append(old if prefer is Prefer.VERSION else now)
    return strip_trailing_nulls(TAB.join(made))
