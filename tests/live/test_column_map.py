"""Records of a version as records of the live table: fields by name, whatever stands where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas.errors import InvalidInput
from cas.live.column_map import Retyped, column_map
from cas.records.model import Column, Entity, EntityKind, KeyPart
from cas.records.payload import NULL, TAB, strip_trailing_nulls

KEY = (("id", KeyPart.INTEGER),)


def entity(*columns: str, types: dict[str, str] | None = None) -> Entity:
    made = tuple(Column(name, (types or {}).get(name, "text"), not_null=False) for name in columns)
    return Entity(EntityKind.TABLE, "shop", "items", made, KEY)


def test_the_same_columns_are_alike() -> None:
    made = column_map(entity("id", "name"), entity("id", "name"), {})
    assert made.is_alike
    assert made.keeps_places
    assert not made.drifts
    assert made.applied(b"1\tnew", b"1\told") == b"1\tnew"
    assert made.created(b"1\tnew") == b"1\tnew"


def test_columns_are_matched_by_name_and_not_by_place() -> None:
    made = column_map(entity("id", "name", "price"), entity("price", "id", "name"), {})
    assert not made.is_alike
    assert not made.keeps_places, "equal payloads would be other records"
    assert made.applied(b"1\tnail\t5", b"4\t1\tscrew") == b"5\t1\tnail"
    assert made.created(b"1\tnail\t5") == b"5\t1\tnail"


def test_a_column_that_only_the_live_table_has_keeps_its_value() -> None:
    made = column_map(entity("id", "name"), entity("id", "stock", "name"), {})
    assert made.added == ("stock",)
    assert not made.drifts
    assert made.applied(b"1\tnail", b"1\t7\tscrew") == b"1\t7\tnail"
    assert made.created(b"1\tnail") == b"1\tnail"
    assert made.taken == (0, 2)


def test_a_column_behind_all_others_leaves_equal_payloads_equal() -> None:
    made = column_map(entity("id", "name"), entity("id", "name", "stock"), {})
    assert made.keeps_places
    assert made.applied(b"1\tnail", b"1\tscrew\t7") == b"1\tnail\t7"


def test_a_dropped_column_is_named() -> None:
    made = column_map(entity("id", "name", "price"), entity("id", "name"), {})
    assert made.dropped == ("price",)
    assert made.drifts
    assert made.applied(b"1\tnail\t5", b"1\tscrew") == b"1\tnail"


def test_a_renamed_column_keeps_its_values() -> None:
    made = column_map(entity("id", "name"), entity("id", "title"), {"name": "title"})
    assert (made.dropped, made.added, made.renamed) == ((), (), (("name", "title"),))
    assert made.applied(b"1\tnail", b"1\tscrew") == b"1\tnail"


def test_another_type_is_drift() -> None:
    made = column_map(entity("id", "n", types={"n": "integer"}), entity("id", "n"), {})
    assert made.retyped == (Retyped("n", "integer", "text"),)
    assert made.drifts
    assert not made.keeps_places


def test_only_some_columns_come_back() -> None:
    made = column_map(entity("id", "name", "price"), entity("id", "name", "price"), {}, ("price",))
    assert made.keeps_places
    assert made.applied(b"1\tnail\t5", b"1\tscrew\t6") == b"1\tscrew\t5"
    assert (made.dropped, made.added) == ((), ())


@pytest.mark.parametrize(
    ("renamed", "only"),
    [({"nothing": "name"}, ()), ({"name": "nothing"}, ()), ({}, ("nothing",))],
)
def test_names_must_exist(renamed: dict[str, str], only: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput, match="nothing"):
        column_map(entity("id", "name"), entity("id", "name"), renamed, only)


NAMES = ("id", "a", "b", "c", "d")
FIELDS = st.sampled_from([NULL, b"", b"x", b"y\\tz", b"\\\\N"])


@given(
    st.permutations(NAMES),
    st.permutations(NAMES),
    st.integers(1, 5),
    st.integers(1, 5),
    st.lists(FIELDS, min_size=5, max_size=5),
    st.lists(FIELDS, min_size=5, max_size=5),
)
def test_fields_go_where_their_names_are(
    olds: list[str], news: list[str], width: int, live_width: int, old: list[bytes], now: list[bytes]
) -> None:
    """Against dictionaries by name."""
    olds, news, old, now = olds[:width], news[:live_width], old[:width], now[:live_width]
    made = column_map(entity(*olds), entity(*news), {})
    version, live = (strip_trailing_nulls(TAB.join(fields)) for fields in (old, now))
    values = dict(zip(news, now, strict=True)) | {
        name: value for name, value in zip(olds, old, strict=True) if name in news
    }
    expected = strip_trailing_nulls(TAB.join(values[name] for name in news))
    assert made.applied(version, live) == expected
    if made.keeps_places and version == live:
        assert expected == live
