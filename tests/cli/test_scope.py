"""What a person says of the scope of a restore: read as it was meant, or refused with the reason."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas.catalog.restore_model import RestoreMode
from cas.errors import InvalidInput
from cas.live.request import LiveRequest, MissingParents, Prefer
from cli.flags import Winner
from cli.scope import SPECIAL, LiveScope, parse_keys, parse_names, parse_predicate


@pytest.mark.parametrize(
    ("text", "table", "keys"),
    [
        ("products:42", "products", (("42",),)),
        ("products:42,43", "products", (("42",), ("43",))),
        ("shop.products:-1", "shop.products", (("-1",),)),
        ("order_items:7/3,7/4", "order_items", (("7", "3"), ("7", "4"))),
        ("prices:EUR/2026-03-01", "prices", (("EUR", "2026-03-01"),)),
        ("moments:2026-03-01 14:05:12+01", "moments", (("2026-03-01 14:05:12+01",),)),
        (r"moments:2026-03-01 14\:05", "moments", (("2026-03-01 14:05",),)),
        (r"files:a\/b\,c\\d/e", "files", (("a/b,c\\d", "e"),)),
        (r"odd\:name:1", "odd:name", (("1",),)),
        ("names: Zoë ,ß", "names", ((" Zoë ",), ("ß",))),
        ("rows:NULL,'x',\"y\"", "rows", (("NULL",), ("'x'",), ('"y"',))),
    ],
)
def test_keys_are_read(text: str, table: str, keys: tuple[tuple[str, ...], ...]) -> None:
    assert parse_keys(text, "--key") == (table, keys)


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "products", "products:", ":42", ",", "/"),
        *("products:,42", "products:42,", "products:42,,43", "items:7/", "items:/3", "items:7//3"),
        *("products:42\\", r"products:4\2", r"pro\ducts:42", "products:\0", "products:\udc80"),
    ],
)
def test_keys_that_cannot_be_meant_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_keys(text, "--subtree")
    assert refused.value.where == "--subtree"
    assert "\0" not in str(refused.value)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), st.data())
def test_any_text_can_be_a_key_once_it_is_escaped(text: str, data: st.DataObject) -> None:
    others = data.draw(st.lists(st.sampled_from([text, "7", "/"]), max_size=3))
    key = (text, *others)
    written = "/".join("".join(f"\\{sign}" if sign in SPECIAL else sign for sign in part) for part in key)
    assert parse_keys(f"table:{written}", "--key") == ("table", (key,))


@given(st.text(max_size=30))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    for read in (lambda: parse_keys(text, "--key"), lambda: parse_predicate(text), lambda: parse_names(text)):
        with suppress(InvalidInput):
            read()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("products: price > 100", ("products", "price > 100")),
        ("shop.products:price::text = 'a:b'", ("shop.products", "price::text = 'a:b'")),
        (r"odd\:name: true", ("odd:name", "true")),
        (r"products: name ~ '\d'", ("products", r"name ~ '\d'")),
    ],
)
def test_a_condition_stays_as_it_is(text: str, expected: tuple[str, str]) -> None:
    assert parse_predicate(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "products", "products:", "products: ", ": true", " : true", "price > 100", "a: \0", r"a\b: t"],
)
def test_a_condition_without_table_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="--where"):
        parse_predicate(text)


@pytest.mark.parametrize("text", ["", ",", "price,", "price,,name", " ", "price\0"])
def test_columns_without_name_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="--columns"):
        parse_names(text)


def test_nothing_said_is_everything() -> None:
    assert LiveScope().request(None) == LiveRequest()
    assert LiveScope().given == ()


def test_all_that_can_be_said_becomes_a_request() -> None:
    scope = LiveScope(
        table=["a*"],
        exclude=["ab"],
        allow_incomplete=True,
        key=["t:1,2", "t:2,3"],
        where=["t: true"],
        columns=["x,y", "y"],
        subtree=["t:4"],
        with_parents=True,
        with_children=True,
        mode=RestoreMode.MERGE,
        base="7",
        prefer=Winner.LIVE,
        missing_parents=MissingParents.NULL,
        map=["a=b", "t.c=t.d"],
        accept_drift=True,
        no_safety=True,
    )
    assert scope.request(7) == LiveRequest(
        mode=RestoreMode.MERGE,
        tables=("a*",),
        exclude=("ab",),
        keys=(("t", ("1",)), ("t", ("2",)), ("t", ("3",))),
        where=(("t", "true"),),
        subtrees=(("t", ("4",)),),
        columns=("x", "y"),
        with_parents=True,
        with_children=True,
        missing_parents=MissingParents.NULL,
        prefer=Prefer.LIVE,
        base=7,
        renamed=(("a", "b"), ("t.c", "t.d")),
        accept_drift=True,
        allow_incomplete=True,
        safety=False,
    )
    assert LiveRequest.of_json(scope.request(7).as_json()) == scope.request(7)
    assert len(scope.given) == 16
    assert {"--table", "--exclude", "--allow-incomplete"} == {*scope.given} - {*scope.given_for_live}


@pytest.mark.parametrize("pair", ["a", "=", "a=", "=b", ""])
def test_a_renaming_has_two_names(pair: str) -> None:
    with pytest.raises(InvalidInput, match="--map"):
        LiveScope(map=[pair]).request(None)


def test_a_renaming_is_said_once() -> None:
    with pytest.raises(InvalidInput, match="given twice"):
        LiveScope(map=["a=b", "a=c"]).request(None)


@pytest.mark.parametrize("scope", [LiveScope(prefer=Winner.VERSION), LiveScope(base="3")])
def test_sides_are_for_merges(scope: LiveScope) -> None:
    with pytest.raises(InvalidInput, match="--mode merge"):
        scope.request(3)
