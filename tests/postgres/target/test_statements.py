"""SQL text cut into statements: whatever hides a semicolon must go on hiding it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas.errors import CorruptData
from cas.postgres.statements import statements, tokens

WHOLE = [
    "SELECT ';'",
    "SELECT 'it''s; fine', ''",
    r"SELECT E'\'; \\'",
    r"SELECT '\'",
    'SELECT 1 AS "a;""b"',
    "SELECT $$;$$",
    "SELECT $a$ $b$ ; $$ $a$",
    "SELECT $é$;$é$",
    "SELECT a$b$c",
    "SELECT /* ; /* ; */ ; */ 1",
    "SELECT 1 -- ; '\n + 2",
    "CREATE RULE r AS ON DELETE TO t DO (SELECT 1; SELECT 2)",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
    "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT 1; END",
    'CREATE FUNCTION f(OUT "begin" int) RETURNS int LANGUAGE sql AS $$ SELECT 1; $$',
    'CREATE TABLE t ("case" int, "end" int)',
    "SELECT U&'d\\0061t;', B'1', U&\"d;\"",
]


@pytest.mark.parametrize("statement", WHOLE)
def test_one_statement_stays_whole(statement: str) -> None:
    assert list(statements(statement + ";")) == [statement]


@given(st.lists(st.sampled_from(WHOLE), max_size=6), st.sampled_from([";", " ;\n\n", "; -- x;\n", ";/*;*/;"]))
def test_statements_are_cut_where_they_were_joined(parts: list[str], between: str) -> None:
    assert list(statements("".join(part + between for part in parts))) == parts


@given(st.text(alphabet="ab'\"$;/*-\\ \n()E", max_size=40))
def test_any_text_gives_statements_or_our_error(text: str) -> None:
    try:
        found = list(statements(text))
    except CorruptData:
        return
    assert all(part in text for part in found)


@pytest.mark.parametrize(
    "text", ["SELECT 'a", 'SELECT "a', "SELECT $x$ $y$", "SELECT /* /* */", r"SELECT E'\'"]
)
def test_a_quote_that_never_ends_is_malformed(text: str) -> None:
    with pytest.raises(CorruptData, match="never ends"):
        list(statements(text))


def test_names_come_unquoted_and_words_in_lower_case() -> None:
    assert [token.text for token in tokens('ALTER Table public."My ""T"" x" -- y')] == [
        *("alter", "table", "public", ".", 'My "T" x'),
    ]


def test_a_value_of_many_quotes_needs_little_memory_and_time() -> None:
    value = "'" + "a''" * 200_000 + "'"
    assert list(statements(f"SELECT {value}; SELECT 2")) == [f"SELECT {value}", "SELECT 2"]
