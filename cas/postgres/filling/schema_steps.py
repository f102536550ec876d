"""A schema dump as steps: one statement each, with the object it makes and those it needs.

pg_dump names one object per item, and the statements of an item speak of others: an index of its
table, a foreign key of two tables. To build only a part of a schema, or to build indexes in
parallel without two statements waiting for one table, these names have to be known. They are read
from the tokens of the few kinds of statement that pg_dump writes about tables; what is not known
here names nothing, and then runs alone and in the dump's order.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from cas.postgres.statements import Token, statements, tokens
from cas.records.source import SchemaItem

Name = tuple[str, ...]
"""Schema and name of a table, index or sequence, unquoted; longer for a column."""

PLACEMENT = ("default_tablespace", "default_table_access_method")
"""The settings of a dump that change what later statements make."""

SESSION_SETTINGS = frozenset(
    {
        *("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"),
        *("idle_session_timeout", "transaction_timeout", "client_encoding", "client_min_messages"),
        *("standard_conforming_strings", "check_function_bodies", "xmloption", "row_security"),
        *("escape_string_warning", "search_path", "default_with_oids"),
    }
)
"""Settings that a dump asks for and that our connections have anyway. They are not run: an older
server refuses those that it does not know, and client_encoding would no longer be that of our text."""


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of a schema. `item` is where it comes from.

    makes: the table, index, sequence or constraint `(schema, table, constraint)` that it creates.
    needs: relations that must be there, `makes` not among them.
    placement: values, as SQL, of the settings in PLACEMENT; None leaves the server's default.
    tolerated: SQLSTATEs with which it may fail, since parts that it may need were left out.
    """

    item: SchemaItem
    statement: str
    makes: Name | None = None
    needs: tuple[Name, ...] = ()
    placement: tuple[str | None, ...] = (None, None)
    tolerated: frozenset[str] = frozenset()


def steps(items: Sequence[SchemaItem]) -> Iterator[Step]:
    """The statements of all items, in order, without those that only set up a session.

    Raises CorruptData for text that is no SQL.
    """
    placement: list[str | None] = [None, None]
    for item in items:
        for statement in statements(item.sql):
            setting = _setting(statement)
            if setting is None:
                makes, needs = names(statement)
                yield Step(item, statement, makes, needs, tuple(placement))
            elif setting[0] in PLACEMENT:
                placement[PLACEMENT.index(setting[0])] = setting[1]
            elif setting[0] not in SESSION_SETTINGS:
                yield Step(item, statement)


def _setting(statement: str) -> tuple[str, str] | None:
    """The parameter of a SET, or of pg_dump's `SELECT pg_catalog.set_config(...)`, and its value."""
    if statement[:3].upper() not in ("SET", "SEL"):
        return None
    words = list(islice(tokens(statement), 6))
    match [token.text for token in words]:
        case ["set", parameter, "=", _, *_]:
            return parameter, statement[words[3].start :]
        case ["select", "pg_catalog", ".", "set_config", "(", parameter]:
            return parameter.strip("'"), ""
    return None


class _Reader:
    """Takes tokens from the front, and knows how names are written. It reads no further than asked."""

    def __init__(self, words: Iterable[Token]) -> None:
        self._rest = iter(words)
        self._ahead: deque[Token] = deque()

    def take(self, *texts: str) -> bool:
        """Step over these words, or stay where they do not stand."""
        there = self._peek(len(texts))
        if [token.text for token in there if token.kind != "quoted"] != list(texts):
            return False
        for _ in texts:
            self._ahead.popleft()
        return True

    def take_any(self, *texts: str) -> str:
        """Step over one of these words if it stands here; "" otherwise."""
        return next((text for text in texts if self.take(text)), "")

    def skip_past(self, *texts: str) -> bool:
        """Step behind the next such words outside of parentheses, or to the end."""
        depth = 0
        while there := self._peek(1):
            if depth == 0 and self.take(*texts):
                return True
            if there[0].kind == "other":
                depth += {"(": 1, ")": -1}.get(there[0].text, 0)
            self._ahead.popleft()
        return False

    def name(self) -> Name:
        """A name with its dots; empty where none stands here."""
        parts: list[str] = []
        while (there := self._peek(1)) and there[0].is_name:
            parts.append(self._ahead.popleft().text)
            if not self.take("."):
                break
        return tuple(parts)

    def names(self) -> tuple[Name, ...]:
        """Names with commas between them."""
        found = [self.name()]
        while self.take(","):
            found.append(self.name())
        return tuple(name for name in found if name)

    def _peek(self, count: int) -> list[Token]:
        """The next tokens, fewer at the end."""
        self._ahead.extend(islice(self._rest, max(0, count - len(self._ahead))))
        return list(islice(self._ahead, count))


def names(statement: str) -> tuple[Name | None, tuple[Name, ...]]:
    """What a statement makes, and the relations it needs (see Step)."""
    reader = _Reader(tokens(statement))
    match reader.take_any("create", "alter", "comment", "security", "grant", "revoke", "refresh"):
        case "create":
            return _created(reader)
        case "alter":
            return _altered(reader)
        case "comment" | "security":
            reader.skip_past("on")
            return None, _described(reader)
        case "grant" | "revoke":
            reader.skip_past("on")
            known = reader.take_any("table", "sequence")
            return None, reader.names() if known else ()
        case "refresh":
            reader.take("materialized", "view")
            reader.take("concurrently")
            return None, (reader.name(),)
    return None, ()


def _created(reader: _Reader) -> tuple[Name | None, tuple[Name, ...]]:
    reader.take("or", "replace")
    reader.take_any("unlogged", "foreign", "unique", "constraint", "materialized", "recursive")
    match reader.take_any("table", "sequence", "view", "index", "trigger", "rule", "policy", "statistics"):
        case "table":
            made = reader.name()
            return made, reader.names() if reader.skip_past("inherits", "(") else ()
        case "sequence" | "view":
            return reader.name(), ()
        case "index":
            index = reader.name()
            reader.skip_past("on")
            reader.take("only")
            table = reader.name()
            return (*table[:-1], *index), (table,)
        case "trigger" | "policy":
            reader.skip_past("on")
            return None, (reader.name(),)
        case "rule":
            reader.skip_past("to")
            return None, (reader.name(),)
        case "statistics":
            made = reader.name()
            return made, reader.names() if reader.skip_past("from") else ()
    return None, ()


def _altered(reader: _Reader) -> tuple[Name | None, tuple[Name, ...]]:
    reader.take_any("foreign", "materialized")
    match reader.take_any("table", "index", "sequence", "view", "publication", "statistics"):
        case "table":
            reader.take("if", "exists")
            reader.take("only")
            return _altered_table(reader, reader.name())
        case "index":
            index = reader.name()
            return None, (index, reader.name()) if reader.take("attach", "partition") else (index,)
        case "sequence":
            sequence = reader.name()
            return None, (sequence, reader.name()[:-1]) if reader.take("owned", "by") else (sequence,)
        case "view" | "statistics":
            return None, (reader.name(),)
        case "publication":
            if reader.skip_past("table"):
                reader.take("only")
                return None, (reader.name(),)
    return None, ()


def _altered_table(reader: _Reader, table: Name) -> tuple[Name | None, tuple[Name, ...]]:
    if reader.take("add", "constraint"):
        constraint = reader.name()
        foreign = reader.skip_past("references")
        return (*table, *constraint), (table, reader.name()) if foreign else (table,)
    if reader.take("attach", "partition"):
        return None, (table, reader.name())
    if reader.take("cluster", "on") or reader.take("replica", "identity", "using", "index"):
        return None, (table, (*table[:-1], *reader.name()))
    return None, (table,)


def _described(reader: _Reader) -> tuple[Name, ...]:
    match reader.take_any(
        *("table", "column", "index", "sequence", "view", "materialized", "statistics"),
        *("constraint", "trigger", "rule", "policy", "foreign"),
    ):
        case "column":
            return (reader.name()[:-1],)
        case "constraint":
            constraint = reader.name()
            if not reader.take("on") or reader.take("domain"):
                return ()
            table = reader.name()
            return (table, (*table, *constraint))
        case "trigger" | "rule" | "policy":
            reader.name()
            reader.take("on")
            return (reader.name(),)
        case "":
            return ()
    reader.take_any("table", "view")
    return (reader.name(),)
