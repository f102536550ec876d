r"""The text of `pg_dump --schema-only --verbose` cut into its entries.

Before each entry pg_dump writes a comment that says what it is; with --verbose also the catalog and
oid of the object, which is the only name that cannot be forged or garbled:

    --
    -- TOC entry 215 (class 1259 OID 16391)
    -- Dependencies: 6
    -- Name: a; Type: TABLE; Schema: s; Owner: postgres
    --

Such lines may stand in function bodies too. So the text is scanned as SQL: what is inside of quotes,
dollar quotes or other comments is no header.

What --verbose adds is taken out again, and so are the lines for psql (\restrict). The entries joined
are then, byte for byte, what pg_dump writes without --verbose, but for those lines.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cas.errors import CasError

SETTINGS = "SETTINGS"
"""Type of entries that are no objects: the SET statements before and between them, and the end."""

_HEADER = (
    r"--\n-- TOC entry (?P<dump>\d+) \(class (?P<class>\d+) OID (?P<oid>\d+)\)\n"
    r"(?:-- Dependencies: (?P<needs>[\d ]+)\n)?"
    r"-- Name: (?P<name>.*); Type: (?P<type>[A-Z ]+); Schema: (?P<schema>.*); Owner: (?P<owner>.*)\n--\n"
)
_PIECE = re.compile(
    "|".join(
        (
            f"(?P<header>^{_HEADER})",
            r"(?P<end>^--\n-- PostgreSQL database dump complete\n--\n)",
            r"(?P<noise>^(?:-- (?:Started|Completed) on .*|\\(?:un)?restrict .*)\n\n)",
            r"(?P<comment>--.*)",
            r"(?P<block>/\*)",
            r"(?P<escape>(?<![\w$])[eE]'(?:[^'\\]|''|\\(?s:.))*')",
            r"(?P<string>'[^']*')",
            r'(?P<quoted>"[^"]*")',
            r"(?P<dollar>(?<![\w$])\$(?:[^\W\d]\w*)?\$)",
        )
    ),
    re.MULTILINE,
)
_SETTINGS_AT_END = re.compile(
    r"(?:^SET default_(?:tablespace|table_access_method|with_oids) = .*;\n\n)+\Z", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class DumpEntry:
    """One entry of a dump. `dump_id` is 0 for settings. `needs` are dump ids, and only there where
    the entry speaks of another one (comments, privileges). Names are as pg_dump writes them in
    comments, line feeds as spaces."""

    dump_id: int
    class_oid: int
    oid: int
    needs: tuple[int, ...]
    type: str
    schema: str
    name: str
    owner: str
    sql: str


def entries(text: str) -> Iterator[DumpEntry]:
    """The entries in order. CasError where the text is no complete dump."""
    pieces: list[str] = []
    current: re.Match[str] | None = None
    at = start = 0
    complete = False
    while (match := _PIECE.search(text, at)) is not None:
        at = match.end()
        kind = match.lastgroup
        if match["header"] is not None or kind == "end":
            pieces.append(text[start : match.start()])
            yield from _entry(current, "".join(pieces))
            complete = kind == "end"
            pieces, current, start = [], None if complete else match, match.start()
            if current is not None:
                pieces.append(_plain_header(match[0]))
                start = at
        elif kind == "noise":
            pieces.append(text[start : match.start()])
            start = at
        elif kind == "dollar":
            at = _end(text, text.find(match[0], at), len(match[0]), match.start())
        elif kind == "block":
            at = _end_of_block(text, at, match.start())
    if not complete:
        raise CasError("pg_dump's output ends in the middle", where="pg_dump")
    pieces.append(text[start:])
    yield from _entry(None, "".join(pieces))


def _entry(header: re.Match[str] | None, sql: str) -> Iterator[DumpEntry]:
    """The entry, and behind it, as an entry of their own, settings that belong to the next ones."""
    if header is None:
        yield _settings(sql)
        return
    tail = _SETTINGS_AT_END.search(sql)
    body = sql[: tail.start()] if tail else sql
    schema, owner = header["schema"], header["owner"].split("; Tablespace: ")[0]
    yield DumpEntry(
        dump_id=int(header["dump"]),
        class_oid=int(header["class"]),
        oid=int(header["oid"]),
        needs=tuple(map(int, (header["needs"] or "").split())),
        type=header["type"],
        schema="" if schema == "-" else schema,
        name=header["name"],
        owner=owner,
        sql=body,
    )
    if tail:
        yield _settings(tail[0])


def _settings(sql: str) -> DumpEntry:
    return DumpEntry(0, 0, 0, (), SETTINGS, "", "", "", sql)


def _plain_header(header: str) -> str:
    """Without the lines that --verbose adds."""
    return re.sub(r"^-- (?:TOC entry|Dependencies:) .*\n", "", header, count=2, flags=re.MULTILINE)


def _end(text: str, found: int, length: int, opening: int) -> int:
    if found < 0:
        raise _endless(text, opening)
    return found + length


def _end_of_block(text: str, at: int, opening: int) -> int:
    depth = 1
    for edge in re.compile(r"/\*|\*/").finditer(text, at):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    raise _endless(text, opening)


def _endless(text: str, at: int) -> CasError:
    line = text.count("\n", 0, at) + 1
    return CasError(f"a quote or comment in pg_dump's output never ends (line {line})", where="pg_dump")
