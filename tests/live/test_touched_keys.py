"""Which records a restore wrote, and whether they are still what it made of them."""

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cas.errors import CorruptData
from cas.live import touched_keys
from cas.live.touched_keys import is_edited, packed_keys, unpacked_keys
from cas.records.live import Change

SOME = st.none() | st.binary(max_size=9)
CHANGES = st.lists(st.builds(Change, st.binary(max_size=40), SOME, SOME), max_size=20)


@given(CHANGES)
def test_keys_come_back_with_what_became_of_them(changes: list[Change]) -> None:
    found = [pair for part in packed_keys(changes, narrow=False) for pair in unpacked_keys(part)]
    assert [key for key, _ in found] == [one.key for one in changes]
    for one, (_, mark) in zip(changes, found, strict=True):
        assert not is_edited(mark, one.after)
        assert is_edited(mark, b"something else that is longer")
        assert is_edited(mark, None) == (one.after is not None)


def test_a_record_of_which_only_some_columns_are_known_is_never_called_edited() -> None:
    (part,) = packed_keys([Change(b"k", None, b"1\tname"), Change(b"l", b"x", b"y")], narrow=True)
    (_, created), (_, replaced) = unpacked_keys(part)
    assert not is_edited(created, b"1\tname\tdefault")
    assert is_edited(replaced, b"z")


def test_many_keys_make_many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(touched_keys, "PART_BYTES", 100)
    changes = [Change(b"%04d" % n, b"", None) for n in range(100)]
    parts = list(packed_keys(changes, narrow=False))
    assert len(parts) > 10
    assert [key for part in parts for key, _ in unpacked_keys(part)] == [one.key for one in changes]


@pytest.mark.parametrize(
    "part", [b"", b"nonsense", zstandard.compress(b"\1\0\0"), zstandard.compress(b"\xff\xff\0\0k")]
)
def test_what_is_no_part_is_damage(part: bytes) -> None:
    with pytest.raises(CorruptData):
        list(unpacked_keys(part))
