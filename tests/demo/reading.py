"""How the tests of the demo platform read it: as COPY text, independently of `cas`."""

import psycopg
from psycopg import sql

KEYS = {
    "custom_fields": "id",
    "price_history": "product_id, changed_at",
    "product_custom_values": "product_id, field_id",
    "products": "id",
    "suppliers": "id",
    "tree_nodes": "id",
}


def lines(url: str, table: str) -> list[bytes]:
    """The rows of a table in key order, each a COPY line with its end."""
    query = f"COPY (SELECT * FROM {table} ORDER BY {KEYS[table]}) TO STDOUT"
    with (
        psycopg.connect(url, options="-c timezone=UTC") as connection,
        connection.cursor().copy(sql.SQL(query)) as copy,
    ):
        text = b"".join(bytes(block) for block in copy)
    return text.splitlines(keepends=True)


def everything(url: str) -> dict[str, list[bytes]]:
    """The rows of all tables."""
    return {table: lines(url, table) for table in KEYS}


def value(url: str, query: str) -> object:
    """The one value that a query gives."""
    with psycopg.connect(url) as connection:
        row = connection.execute(sql.SQL(query)).fetchone()
    assert row is not None
    return row[0]
