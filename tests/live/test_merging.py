"""Three states of a record: what only one side changed is that side's."""

from hypothesis import given
from hypothesis import strategies as st

from cas.live.merging import merged
from cas.live.request import Prefer
from cas.records.payload import NULL, TAB, strip_trailing_nulls

VALUES = st.lists(st.sampled_from([b"1", b"2", b"3", NULL]), min_size=3, max_size=3)


def payload(fields: list[bytes]) -> bytes:
    return strip_trailing_nulls(TAB.join(fields))


@given(VALUES, VALUES, VALUES, st.sampled_from(Prefer))
def test_each_field_is_decided_by_itself(
    version: list[bytes], base: list[bytes], live: list[bytes], prefer: Prefer
) -> None:
    made: list[bytes] | None = []
    for old, common, now in zip(version, base, live, strict=True):
        if made is None:
            break
        if now == common:
            made.append(old)
        elif now == old or old == common:
            made.append(now)
        elif prefer is Prefer.NOBODY:
            made = None
        else:
            made.append(old if prefer is Prefer.VERSION else now)
    expected = None if made is None else payload(made)
    assert merged(payload(version), payload(base), payload(live), 3, prefer) == expected


def test_what_was_edited_later_stays_and_the_rest_comes_back() -> None:
    version, base, live = b"7\tnail\t5\tblue", b"7\tnail\t99\tblue", b"7\tnail\t99\tred"
    assert merged(version, base, live, 4, Prefer.NOBODY) == b"7\tnail\t5\tred"


def test_a_field_that_both_changed_is_a_conflict() -> None:
    assert merged(b"7\t5", b"7\t99", b"7\t6", 2, Prefer.NOBODY) is None
    assert merged(b"7\t5", b"7\t99", b"7\t6", 2, Prefer.LIVE) == b"7\t6"
    assert merged(b"7\t5", b"7\t99", b"7\t6", 2, Prefer.VERSION) == b"7\t5"
