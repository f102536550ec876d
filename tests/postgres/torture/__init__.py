"""A database that holds one of everything: what a version must bring back exactly.

`load_torture(url)` fills an empty database of any server from 14 on, as a superuser. What a server
lacks (contrib, ICU, XML, newer syntax) is left out, and named in the result.
"""

from pathlib import Path

import psycopg

from tests.postgres.torture.every_type import every_type_sql

_HERE = Path(__file__).parent


def load_torture(url: str) -> tuple[str, ...]:
    """Fill the database. Returns the names of the parts that this server cannot have."""
    with psycopg.connect(url, autocommit=True) as connection:
        major = connection.info.server_version // 10000
        has = {
            "71_from_15": major >= 15,
            "72_from_18": major >= 18,
            "81_contrib": _is_there(
                connection, "SELECT count(*) = 5 FROM pg_available_extensions"
                " WHERE name IN ('hstore', 'citext', 'ltree', 'btree_gist', 'isn')"
            ),
            "82_icu": _is_there(
                connection, "SELECT EXISTS (SELECT FROM pg_collation WHERE collname = 'de-x-icu')"
            ),
            "83_xml": _has_xml(connection),
        }  # fmt: skip
        for script in sorted(_HERE.glob("*.sql")):
            if has.get(script.stem, True):
                connection.execute(script.read_text(encoding="utf-8").encode())
        connection.execute(every_type_sql(major).encode())
        connection.execute("ANALYZE torture.many_rows")
    return tuple(sorted(part for part, there in has.items() if not there))


def _is_there(connection: psycopg.Connection, question: str) -> bool:
    return connection.execute(question.encode()).fetchone() == (True,)


def _has_xml(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("SELECT '<a/>'::xml")
    except psycopg.errors.FeatureNotSupported:
        return False
    return True
