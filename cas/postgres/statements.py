"""SQL text cut into statements, and statements cut into tokens, as psql's scanner cuts them.

A schema dump is one text per object. A restore runs it statement by statement, so that an error
names the one that failed, and looks at tokens to learn which table or role a statement speaks of;
regular expressions on the raw text would read function bodies and comments as SQL. The rules are
PostgreSQL's lexical ones (documentation, "Lexical Structure") with standard_conforming_strings on,
which pg_dump always sets. Source: psql splits at a semicolon outside of parentheses and of
`BEGIN ATOMIC ... END`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cas.errors import CorruptData

_TOKEN = re.compile(
    r"""
      (?P<space> \s+ | --[^\n]* )
    | (?P<comment> /\* )
    | (?P<string> (?:[eEbBxXnN]|[uU]&)?' )
    | (?P<quoted> (?:[uU]&)?" )
    | (?P<dollar> \$(?:[A-Za-z_\u0080-\U0010ffff][\w]*)?\$ )
    | (?P<word> [A-Za-z_\u0080-\U0010ffff][\w$]* )
    | (?P<number> \d[\w.]* )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_QUOTE = re.compile(r"''?")
_QUOTE_OR_ESCAPE = re.compile(r"''?|\\.", re.DOTALL)
_DOUBLE_QUOTE = re.compile(r'""?')


@dataclass(frozen=True, slots=True)
class Token:
    """One token. `kind` is word, quoted, string, number or other; `start` and `end` are offsets.

    `text` is folded to lower case for words, and unquoted for quoted identifiers; strings stay as
    they stand.
    """

    kind: str
    text: str
    start: int
    end: int

    @property
    def is_name(self) -> bool:
        """Whether it can be (part of) an object's name."""
        return self.kind in ("word", "quoted")


def tokens(sql: str) -> Iterator[Token]:
    """All tokens but white space and comments. CorruptData where a quote or comment never ends."""
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        assert match is not None  # the last alternative takes any character
        kind, text, at = match.lastgroup or "", match.group(), match.end()
        if kind == "space":
            continue
        if kind == "comment":
            at = _end_of_comment(sql, at)
            continue
        if kind == "dollar":
            closing = sql.find(text, at)
            if closing < 0:
                raise _unterminated(sql, match.start())
            kind, at = "string", closing + len(text)
        elif kind in ("string", "quoted"):
            at = _end_of_quoted(sql, match)
        yield Token(kind, _plain(kind, sql[match.start() : at]), match.start(), at)


def statements(sql: str) -> Iterator[str]:
    """The statements of a text, without their semicolons and without surrounding comments."""
    start = end = -1
    scope = _Scope()
    for token in tokens(sql):
        if token.text == ";" and token.kind == "other" and scope.is_outermost:
            if start >= 0:
                yield sql[start:end]
            start, scope = -1, _Scope()
            continue
        if start < 0:
            start = token.start
        end = token.end
        scope.enter(token)
    if start >= 0:
        yield sql[start:end]


class _Scope:
    """How deep a statement is in parentheses and in the body of a standard SQL function."""

    def __init__(self) -> None:
        self._parentheses = 0
        self._begins = 0
        self._words: list[str] = []

    @property
    def is_outermost(self) -> bool:
        return self._parentheses <= 0 and self._begins == 0

    def enter(self, token: Token) -> None:
        if token.kind == "other":
            self._parentheses += {"(": 1, ")": -1}.get(token.text, 0)
        if token.kind != "word":
            return
        if len(self._words) < 4:
            self._words.append(token.text)
        if not self._defines_routine:
            return
        # END closes CASE too, so inside of a body CASE counts as an opening.
        if token.text == "begin" or (token.text == "case" and self._begins):
            self._begins += 1
        elif token.text == "end" and self._begins:
            self._begins -= 1

    @property
    def _defines_routine(self) -> bool:
        match self._words:
            case ["create", "function" | "procedure", *_]:
                return True
            case ["create", "or", "replace", "function" | "procedure"]:
                return True
        return False


def _plain(kind: str, text: str) -> str:
    if kind == "word":
        return text.lower()
    if kind == "quoted" and text[0] == '"':
        return text[1:-1].replace('""', '"')
    return text


def _end_of_quoted(sql: str, opening: re.Match[str]) -> int:
    """Where a string or quoted identifier ends: at a quote that is neither doubled nor escaped."""
    mark = opening.group()
    edges = _DOUBLE_QUOTE if mark[-1] == '"' else _QUOTE_OR_ESCAPE if mark in ("e'", "E'") else _QUOTE
    at = opening.end()
    while (edge := edges.search(sql, at)) is not None:
        at = edge.end()
        if edge.group() in ("'", '"'):
            return at
    raise _unterminated(sql, opening.start())


def _end_of_comment(sql: str, at: int) -> int:
    """Comments nest in PostgreSQL."""
    opening, depth = at - 2, 1
    while depth:
        edge = _COMMENT_EDGE.search(sql, at)
        if edge is None:
            raise _unterminated(sql, opening)
        depth += 1 if edge.group() == "/*" else -1
        at = edge.end()
    return at


def _unterminated(sql: str, at: int) -> CorruptData:
    excerpt = sql[at : at + 40].replace("\n", " ")
    return CorruptData(f"a quote or comment of the schema never ends: {excerpt}", kind="malformed")
