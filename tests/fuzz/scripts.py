"""Texts of SQL: the schema of a version cut into statements, and what pg_dump says."""

from cas.errors import CasError, CorruptData
from cas.postgres.dumping.text import entries
from cas.postgres.filling.compatibility import _extension_made, _locale_options
from cas.postgres.filling.schema_filter import wanted
from cas.postgres.filling.schema_roles import owners_named, roles_named
from cas.postgres.filling.schema_steps import steps
from cas.postgres.filling.step_order import is_after_data, is_held
from cas.postgres.scratch.locales import tries
from cas.postgres.scratch.marking import Maker, Mark, encode_mark, read_mark
from cas.postgres.statements import statements, tokens
from cas.records.source import SchemaItem, SourceIdentity
from cas.records.target import SchemaParts
from tests.fuzz.changing import by_words
from tests.fuzz.model import Target

KINDS = (
    *("TABLE", "VIEW", "INDEX", "CONSTRAINT", "FK CONSTRAINT", "EXTENSION", "COMMENT", "ACL"),
    *("SEQUENCE OWNED BY", "TABLE ATTACH", "TRIGGER", "EVENT TRIGGER", "MATERIALIZED VIEW DATA"),
    *("SEQUENCE", "DEFAULT ACL", "RULE"),
)
PARTS = (
    SchemaParts(),
    SchemaParts(indexes=False, constraints=False, triggers=False, owners=False, privileges=False),
    SchemaParts(tables=frozenset({("public", "a"), ("public", "b")}), tablespaces=False),
)
SCRIPT = b"""\
SET default_tablespace = '';
CREATE TABLE public.a (id bigint NOT NULL, name text DEFAULT 'x;y' COLLATE "C");
ALTER TABLE public.a OWNER TO shop;
COMMENT ON TABLE public.a IS $$it's; one$$;
CREATE SEQUENCE public.s START WITH 1;
ALTER SEQUENCE public.s OWNED BY public.a.id;
ALTER TABLE ONLY public.b ADD CONSTRAINT b_a FOREIGN KEY (a) REFERENCES public.a(id);
CREATE UNIQUE INDEX i ON ONLY public.a USING btree (id);
ALTER INDEX public.i ATTACH PARTITION public.j;
CREATE FUNCTION public.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;
CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA public;
GRANT SELECT ON TABLE public.a TO reader, other;
REFRESH MATERIALIZED VIEW public.m;
/* a /* nested */ comment */ SELECT pg_catalog.set_config('search_path', '', false);
COMMENT ON CONSTRAINT c ON public.a IS E'it\\'s';
CREATE TRIGGER t AFTER INSERT ON public.a EXECUTE FUNCTION public.f();
CREATE POLICY p ON public.a TO shop USING (true);
"""
DUMP = b"""\
--
-- PostgreSQL database dump
--

SET statement_timeout = 0;

--
-- TOC entry 215 (class 1259 OID 16391)
-- Dependencies: 6
-- Name: a; Type: TABLE; Schema: public; Owner: shop
--

CREATE TABLE public.a (id bigint, t text DEFAULT '--');


SET default_tablespace = x;

--
-- TOC entry 3100 (class 0 OID 0)
-- Name: f(); Type: FUNCTION; Schema: public; Owner: shop; Tablespace: t
--

CREATE FUNCTION public.f() AS $_$ -- /* $_$;


-- Completed on 2026-01-31

--
-- PostgreSQL database dump complete
--

\\unrestrict abc

"""
WORDS = (
    *(b"'", b'"', b'""', b"$$", b"$a$", b"/*", b"*/", b"--", b"\n", b";", b"(", b")", b",", b".", b"E'"),
    *(b'U&"', b"CREATE ", b"ALTER ", b"TABLE ", b"EXTENSION", b"IF NOT EXISTS ", b"OWNER TO ", b"ON "),
    *(b"OWNED BY ", b"SET ", b"= ", b"FUNCTION ", b"BEGIN ATOMIC ", b"CASE ", b"END", b"REFERENCES "),
    *(b"INHERITS (", b"FROM ", b"ATTACH PARTITION ", b"CONSTRAINT ", b"GRANT ", b"TO ", b"COMMENT "),
    *(b"SECURITY LABEL ", b"\xc3\xa9", b"-- TOC entry 1 (class 1 OID 1)\n", b"-- Name: ", b"; Type: "),
    *(b"Dependencies: 1 2\n", b"\\restrict x\n\n", b"(" * 2000, b"/*" * 1000, b"'" * 2001, b"[" * 3000),
    *(b"9" * 5000, b"OR REPLACE ", b"EVENT TRIGGER ", b"{", b"}"),
)


def _sql(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _statements(data: bytes) -> None:
    sql = _sql(data)
    found = list(statements(sql))
    assert all(one in sql for one in found)
    for token in tokens(sql):
        assert token.start < token.end <= len(sql)


def _steps(data: bytes) -> None:
    """Items, each of a kind by its first byte, with NUL between them: what a restore makes of them."""
    items = [
        SchemaItem(
            "post-data" if part[:1] > b"\x80" else "pre-data", _kind(part), "public", "a", _sql(part[1:])
        )
        for part in data.split(b"\0")
    ]
    found = list(steps(items))
    for parts in PARTS:
        for step in wanted(found, parts):
            is_after_data(step)
            is_held(step)
    roles_named(found)
    owners_named(found)
    for step in found:
        _extension_made(step)


def _kind(part: bytes) -> str:
    return KINDS[(part or b"\0")[0] % len(KINDS)]


def _dump(data: bytes) -> None:
    for entry in entries(_sql(data)):
        assert entry.sql is not None


def _locale(data: bytes) -> None:
    """What a version says of its database's locale: how a throwaway one is made, and what is told of it."""
    identity = SourceIdentity("shop", "18.0", 180000, "7", 5, "UTF8", _sql(data), ())
    assert [one.note for one in tries(identity, 180000)]
    _locale_options(identity)


def _mark(data: bytes) -> None:
    """The comment of a role, which anybody may have made."""
    name = f"cas_scratch_{'0' * 16}"
    read_mark(name, _sql(data))


def _mark_seeds() -> list[bytes]:
    mark = Mark(f"cas_scratch_{'0' * 16}", "a query", "2026-01-31", Maker("host 1", 7, "99"))
    return [encode_mark(mark).encode()]


def _items() -> list[bytes]:
    lines = SCRIPT.splitlines()
    each = [bytes((at % len(KINDS),)) + line for at, line in enumerate(lines)]
    of_extension = bytes((KINDS.index("EXTENSION"),)) + b"CREATE EXTENSION IF NOT EXISTS hstore;"
    return [b"\0".join(each), of_extension, *each]


_change = by_words(WORDS)

TARGETS = (
    Target("statements", _statements, lambda: [SCRIPT], (CorruptData,), _change),
    Target("steps", _steps, _items, (CorruptData,), _change),
    Target("pg-dump", _dump, lambda: [DUMP], (CasError,), _change),
    Target("locale", _locale, lambda: [b"provider=icu collate=C ctype=C locale=de-DE"], (), _change),
    Target("scratch-mark", _mark, _mark_seeds, (), _change),
)
