"""Damage that any database can take: records that go with all that refers to them."""

import psycopg

_KEYS = """
SELECT k.conrelid::regclass::text, k.confrelid::regclass::text,
       string_agg(format('c.%I = p.%I', c.attname, p.attname), ' AND ' ORDER BY n),
       string_agg(format('c.%I IS NOT NULL', c.attname), ' AND ' ORDER BY n)
FROM pg_constraint k, unnest(k.conkey, k.confkey) WITH ORDINALITY AS one(child, parent, n),
     pg_attribute c, pg_attribute p
WHERE k.contype = 'f' AND c.attrelid = k.conrelid AND c.attnum = child
  AND p.attrelid = k.confrelid AND p.attnum = parent
GROUP BY k.oid ORDER BY 1, 2
"""

_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""

ONE_IN = 40
"""How many records a scattered one stands for."""


def damage(url: str, *statements: str) -> None:
    """Run them while no foreign key and no trigger hinders, then let everything go that refers to what is
    gone: a database that no foreign key of its own contradicts. All is committed at once."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement.encode())
        _sweep(connection)


def scatter(url: str) -> None:
    """Some records of every table go, and what refers to them."""
    with psycopg.connect(url) as connection:
        tables = [table for (table,) in connection.execute(_TABLES).fetchall()]
    chosen = f"abs(hashtext(to_jsonb(t)::text)) % {ONE_IN} = 0"
    damage(url, *(f"DELETE FROM {table} t WHERE {chosen}" for table in tables))


def _sweep(connection: psycopg.Connection) -> None:
    keys = connection.execute(_KEYS).fetchall()
    while True:
        gone = 0
        for child, parent, joined, refers in keys:
            query = (
                f"DELETE FROM {child} c WHERE {refers} AND NOT EXISTS (SELECT FROM {parent} p WHERE {joined})"
            )
            gone += connection.execute(query.encode()).rowcount
        if not gone:
            return
