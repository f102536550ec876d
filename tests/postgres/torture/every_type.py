"""The table with a column for every built-in type that can be stored, and edge values in each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edges:
    """A type, SQL expressions of its edge values, and the server version from which it can be had."""

    type: str
    values: tuple[str, ...]
    since: int = 14
    arrays: bool = True


def _quoted(*texts: str) -> tuple[str, ...]:
    return tuple("'" + text.replace("'", "''") + "'" for text in texts)


_CONTROL = "E'" + "".join(f"\\x{code:02x}" for code in range(1, 32)) + "\\x7f'"
_EVERY_BYTE = "'\\x" + "".join(f"{code:02x}" for code in range(256)) + "'"
_TEXTS = (
    *_quoted(
        "",
        " ",
        "\\N",
        "\\.",
        "\\",
        "\\\\",
        "a'b\"c",
        "NULL",
        "{}",
        "tab\tline\nend",
        "é☃😀",
        "e\u0301",
        "\ufeff",
    ),
    _CONTROL,
    "E'\\r\\n\\b\\f\\v\\t\\\\'",
    "repeat('0123456789abcdef', 65536)",
)

EVERY_TYPE = (
    Edges("boolean", ("true", "false")),
    Edges("smallint", ("-32768", "32767", "0")),
    Edges("integer", ("-2147483648", "2147483647", "0")),
    Edges("bigint", ("-9223372036854775808", "9223372036854775807", "0")),
    Edges(
        "numeric",
        (
            *_quoted("NaN", "Infinity", "-Infinity", "0", "-0.00", "1.500", "1e-16383", "1e131071"),
            "repeat('9', 1000) || '.' || repeat('1', 1000)",
        ),
    ),
    Edges("numeric(12,4)", ("1.5", "-99999999.9999", "'NaN'")),
    Edges(
        "real",
        _quoted("NaN", "Infinity", "-Infinity", "-0", "1e-45", "3.4028235e38", "0.1", "1.17549435e-38"),
    ),
    Edges(
        "double precision",
        _quoted(
            "NaN",
            "Infinity",
            "-Infinity",
            "-0",
            "5e-324",
            "1.7976931348623157e308",
            "0.1",
            "0.30000000000000004",
        ),
    ),
    Edges(
        "money",
        (
            "1234.56::numeric::money",
            "(-92233720368547758.08)::numeric::money",
            "92233720368547758.07::numeric::money",
        ),
    ),
    Edges('"char"', _quoted("", "a", "~", "\\")),
    Edges("name", _quoted("", "a b", "x" * 63)),
    Edges("text", _TEXTS),
    Edges("varchar", _TEXTS[:13]),
    Edges("varchar(5)", _quoted("", "ab   ", "é☃😀ab")),
    Edges("char(5)", _quoted("", "ab", "a\tb", "é☃😀")),
    Edges("bpchar", _quoted("", "ab  ", "c")),
    Edges("bytea", (*_quoted("", "\\x00", "\\x5c4e", "\\x0a"), _EVERY_BYTE)),
    Edges(
        "date",
        _quoted(
            "4713-01-01 BC", "5874897-12-31", "infinity", "-infinity", "0001-12-31 BC", "2000-02-29", "1-1-1"
        ),
    ),
    Edges("time", _quoted("00:00", "24:00:00", "23:59:59.999999", "12:34:56.7")),
    Edges("time(0)", _quoted("00:00", "23:59:59")),
    Edges("timetz", _quoted("00:00:00+15:59:59", "24:00:00-15:59:59", "12:00:00.000001+05:30")),
    Edges(
        "timestamp",
        _quoted(
            "4714-11-24 00:00:00 BC",
            "294276-12-31 23:59:59.999999",
            "infinity",
            "-infinity",
            "2024-02-29 12:00:00.5",
        ),
    ),
    Edges("timestamp(3)", _quoted("2024-01-01 00:00:00.123")),
    Edges(
        "timestamptz",
        _quoted(
            "4714-11-24 00:00:00+00 BC",
            "294276-12-31 23:59:59.999999+00",
            "infinity",
            "-infinity",
            "2024-03-31 02:30:00 Europe/Berlin",
        ),
    ),
    Edges(
        "interval",
        _quoted(
            "178000000 years",
            "-178000000 years",
            "1 mon",
            "30 days",
            "-1 year -2 mons +3 days -04:05:06.7",
            "0",
            "1 day -00:00:00.000001",
        ),
    ),
    Edges("interval day to second(2)", _quoted("1 02:03:04.56")),
    Edges("uuid", _quoted("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff")),
    Edges(
        "json",
        _quoted('{"b":1, "a" : 2, "b":3}', "null", '"\\u0041\\u0000"', "[1,\n 2,\t3]", "1e400", '{"":{}}'),
    ),
    Edges(
        "jsonb",
        _quoted(
            '{"b":1,"a":[1.0,1.00,-0,1e40,null,true,"\\u00e9\\n"]}', "null", "[]", '"\\\\"', "1.50", '{"":{}}'
        ),
    ),
    Edges(
        "jsonpath", _quoted('$.a[*] ? (@ > 1 && @.b like_regex "^x" flag "i")', "strict $", '$."quo\\"ted"')
    ),
    Edges("inet", _quoted("0.0.0.0/0", "::/0", "192.168.1.5/24", "::ffff:1.2.3.4", "255.255.255.255")),
    Edges("cidr", _quoted("10/8", "2001:db8::/32", "0.0.0.0/0", "1.2.3.4/32")),
    Edges("macaddr", _quoted("00:00:00:00:00:00", "08:00:2b:01:02:03")),
    Edges("macaddr8", _quoted("ff:ff:ff:ff:ff:ff:ff:ff", "08:00:2b:ff:fe:01:02:03")),
    Edges("bit(8)", ("B'00000000'", "B'10110011'")),
    Edges("bit varying(16)", ("B''", "B'1'", "B'1111000011110000'")),
    Edges("bit varying", ("B''", "repeat('10', 500)::varbit")),
    Edges("point", _quoted("(0,0)", "(-0,1e300)", "(Infinity,NaN)", "(0.1,0.2)")),
    Edges("line", _quoted("{1,2,3}", "{0,-1,0.5}")),
    Edges("lseg", _quoted("[(0,0),(1,1)]")),
    Edges("box", _quoted("(1,1),(0,0)", "(0,0),(0,0)"), arrays=False),
    Edges("path", _quoted("[(0,0),(1,1)]", "((0,0),(1,1),(2,0))")),
    Edges("polygon", _quoted("((0,0),(1,1),(2,0))", "((0,0))")),
    Edges("circle", _quoted("<(0,0),0>", "<(1.5,-2),1e10>")),
    Edges(
        "tsvector",
        (
            *_quoted("", "a fat cat", "'it''s' 'quo\"ted':1A,2B,3", "x:16383"),
            "to_tsvector('simple', 'The é quick')",
        ),
    ),
    Edges("tsquery", _quoted("", "a & !b | c:*AB", "a <-> b <3> c", "'it''s'")),
    Edges("pg_lsn", _quoted("0/0", "FFFFFFFF/FFFFFFFF", "16/B374D848")),
    Edges("txid_snapshot", _quoted("10:20:10,14,15", "1:1:")),
    Edges("pg_snapshot", _quoted("10:20:10,14,15", "1:1:")),
    Edges("xid", _quoted("0", "4294967295")),
    Edges("xid8", _quoted("0", "18446744073709551615")),
    Edges("cid", _quoted("0", "4294967295")),
    Edges("tid", _quoted("(0,0)", "(4294967295,65535)")),
    Edges("oid", _quoted("0", "4294967295")),
    Edges("oidvector", _quoted("", "1 2 4294967295")),
    Edges("int2vector", _quoted("", "1 -2 32767")),
    Edges(
        "regclass",
        _quoted("pg_class", "torture.no_key", "0", '"Sche.ma ""quoted"""."Ta.ble ""x"" \'y\' \\ z"'),
    ),
    Edges("regtype", _quoted("integer", "torture.mood", "timestamp with time zone", "text[]", "0")),
    Edges("regproc", _quoted("now", "torture.atomic", "0")),
    Edges("regprocedure", _quoted("abs(integer)", "torture.atomic(integer,integer)", "0")),
    Edges("regoper", _quoted("||/", "0")),
    Edges("regoperator", _quoted("+(integer,integer)", "torture.<=>(integer,integer)", "0")),
    Edges("regrole", _quoted("torture_owner", '"torture ""quoted"" role"', "0")),
    Edges("regnamespace", _quoted("torture", '"Sche.ma ""quoted"""', "0")),
    Edges("regconfig", _quoted("english", "torture.search", "0")),
    Edges("regdictionary", _quoted("simple", "torture.simple_stop", "0")),
    Edges("regcollation", _quoted('"C"', "torture.c_like", "0")),
    Edges(
        "aclitem",
        _quoted(
            "torture_reader=r*w/torture_owner",
            "=X/torture_owner",
            '"torture ""quoted"" role=r/torture_owner"'.replace('""', '\\"'),
        )[:2],
    ),
    Edges("int4range", _quoted("empty", "(,)", "[1,10)", "(5,)", "[-2147483648,2147483647)")),
    Edges("int8range", _quoted("empty", "[-9223372036854775808,9223372036854775807)")),
    Edges("numrange", _quoted("empty", "[1.0,2.00]", "(,NaN]")),
    Edges("daterange", _quoted("empty", "[2024-01-01,infinity)", "(-infinity,)")),
    Edges(
        "tsrange", _quoted("empty", "[2024-01-01 00:00,2024-01-02 12:00:00.000001)", "[-infinity,infinity]")
    ),
    Edges("tstzrange", _quoted("empty", "[2024-01-01 00:00+01,)")),
    Edges("int4multirange", _quoted("{}", "{[1,3),[5,7),[9,)}")),
    Edges("nummultirange", _quoted("{}", "{[1.0,1.50],(2,3)}")),
    Edges("tstzmultirange", _quoted("{}", "{[2024-01-01 00:00+00,2024-02-01 00:00+00)}")),
    Edges("datemultirange", _quoted("{}", "{(,2024-01-01),[2024-02-01,)}")),
    Edges("refcursor", _quoted("", "a cursor")),
)

_SHAPES = (
    "'{{}}'",
    "'{{NULL}}'",
    "ARRAY[NULL, {first}]::{type}[]",
    "ARRAY[[{first}, {last}], [{last}, NULL]]::{type}[]",
    "array_fill({first}::{type}, ARRAY[2, 1], ARRAY[-3, 7])",
)


def every_type_sql(major: int) -> str:
    """CREATE TABLE and INSERTs: row N holds each type's Nth value, NULL where it has no more."""
    edges = [edge for edge in EVERY_TYPE if edge.since <= major]
    columns: list[tuple[str, str, list[str]]] = []
    for number, edge in enumerate(edges):
        values = [f"({value})::{edge.type}" for value in edge.values]
        columns.append((f"c{number}", edge.type, values))
        if edge.arrays and edge.type != "interval day to second(2)":
            shapes = [s.format(first=values[0], last=values[-1], type=edge.type) for s in _SHAPES]
            columns.append(
                (f"c{number}s", f"{edge.type}[]", [f"({shape})::{edge.type}[]" for shape in shapes])
            )
    lines = [f"    {name} {type_}" for name, type_, _ in columns]
    statements = ["CREATE TABLE torture.every_type (\n    id int PRIMARY KEY,\n" + ",\n".join(lines) + "\n);"]
    rows = max(len(values) for _, _, values in columns) + 1
    for row in range(rows):
        given = [(name, values[row]) for name, _, values in columns if row < len(values)]
        names = ", ".join(["id", *(name for name, _ in given)])
        values_text = ", ".join([str(row), *(value for _, value in given)])
        statements.append(f"INSERT INTO torture.every_type ({names}) VALUES ({values_text});")
    return "\n".join(statements)
