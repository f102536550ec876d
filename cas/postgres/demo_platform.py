"""The SQL of the demo platform: fill an empty database, change it, all or nothing.

The words and the story are in `cas.demo`; here is what needs a connection.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager

import psycopg
from psycopg import errors, sql

from cas.errors import Conflict, NotFound
from cas.postgres.connecting import ConnectionOptions, connect, shown_url
from cas.postgres.faults import faults_of

TABLES = ("custom_fields", "price_history", "product_custom_values", "products", "suppliers", "tree_nodes")
"""The platform's tables; partitions are counted with their root."""

_CHANGE_PRODUCTS = """
UPDATE products p
SET price = CASE WHEN c.price_factor IS NULL THEN p.price ELSE round(p.price * c.price_factor, 2) END,
    stock = coalesce(c.stock, p.stock),
    attributes = CASE WHEN c.rating IS NULL THEN p.attributes
                      ELSE p.attributes || jsonb_build_object('rating', c.rating) END,
    updated_at = greatest(p.updated_at, %s::timestamptz) + c.later
FROM demo_changes c
JOIN (SELECT id, row_number() OVER (ORDER BY id) AS position FROM products) r USING (position)
WHERE p.id = r.id
"""


class DemoDatabase:
    """One transaction on the platform's database; `demo_database` commits it or takes it all back."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def require_empty(self) -> None:
        """Conflict where the database has a table of anybody's."""
        row = self._connection.execute(
            """SELECT n.nspname || '.' || c.relname
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname <> 'information_schema'
                 AND n.nspname !~ '^pg_' ORDER BY 1 LIMIT 1"""
        ).fetchone()
        if row is not None:
            raise Conflict(
                "the database for the demo platform is not empty",
                where=str(row[0]),
                hint="Name an empty database; nothing was changed",
            )

    def run(self, script: str) -> None:
        """Execute SQL statements that carry no values."""
        self._connection.execute(sql.SQL(script))

    def copy_in(self, table: str, columns: Sequence[str], buffers: Iterable[bytes]) -> int:
        """Append rows: buffers of whole COPY lines. Returns the rows that the server counted."""
        command = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with self._connection.cursor() as cursor:
            with cursor.copy(command) as copy:
                for buffer in buffers:
                    copy.write(buffer)
            return cursor.rowcount

    def texts(self, query: str, *values: object) -> list[str]:
        """The first column of a small result, as text."""
        return [str(row[0]) for row in self._connection.execute(sql.SQL(query), values)]

    def count(self, table: str) -> int:
        """Rows of one table."""
        return self._number_of(table, "SELECT count(*) FROM {}")

    def largest_id(self, table: str) -> int:
        """The highest number given so far; 0 in an empty table."""
        return self._number_of(table, "SELECT coalesce(max(id), 0) FROM {}")

    def counts(self) -> dict[str, int]:
        """Rows of each of TABLES."""
        return {table: self.count(table) for table in TABLES}

    def json_bytes(self) -> int:
        """Bytes of all records of TABLES as compact JSON, one document and line end a record."""
        query = "SELECT coalesce(sum(octet_length(row_to_json(t)::text) + 1), 0) FROM {} t"
        return sum(self._number_of(table, query) for table in TABLES)

    def change_products(self, changes: Iterable[bytes], *, not_before: str) -> int:
        """Update products by their position in the order of ids, counting from 1.

        A change is a COPY line: position, factor of the price, new stock, new rating (each may be
        NULL), and the interval by which `updated_at` moves beyond `not_before` and its old value.
        Returns the products that were updated.
        """
        self.run(
            "CREATE TEMPORARY TABLE demo_changes (position bigint, price_factor numeric, stock integer,"
            " rating numeric, later interval) ON COMMIT DROP"
        )
        columns = ("position", "price_factor", "stock", "rating", "later")
        self.copy_in("demo_changes", columns, changes)
        self.run("ANALYZE demo_changes")
        return self._connection.execute(_CHANGE_PRODUCTS, [not_before]).rowcount

    def rename_category(self, path: str, *, name: str, slug: str, at: str) -> int:
        """Give one category a new name and slug, and all below it their new paths. Returns rows changed."""
        moved = path.rpartition("/")[0] + "/" + slug
        return self._connection.execute(
            """UPDATE tree_nodes SET name = CASE WHEN path = %(old)s THEN %(name)s ELSE name END,
                      slug = CASE WHEN path = %(old)s THEN %(slug)s ELSE slug END,
                      path = %(new)s || substr(path, length(%(old)s) + 1), updated_at = %(at)s
               WHERE path = %(old)s OR starts_with(path, %(old)s || '/')""",
            {"old": path, "new": moved, "name": name, "slug": slug, "at": at},
        ).rowcount

    def delete_products(self, first: int, count: int) -> int:
        """Delete neighbours in the order of categories, with their custom values and old prices."""
        return self._connection.execute(
            """DELETE FROM products WHERE id IN (
                   SELECT id FROM products ORDER BY category_id, id OFFSET %s LIMIT %s)""",
            [first, count],
        ).rowcount

    def largest_category(self) -> tuple[int, str, str] | None:
        """Id, name and path of the category of the second level with the most products below it."""
        row = self._connection.execute(
            """SELECT g.id, g.name, g.path FROM tree_nodes g
               JOIN tree_nodes n ON n.path = g.path OR starts_with(n.path, g.path || '/')
               JOIN products p ON p.category_id = n.id
               WHERE g.depth = 2 GROUP BY g.id ORDER BY count(*) DESC, g.id LIMIT 1"""
        ).fetchone()
        return None if row is None else (row[0], row[1], row[2])

    def delete_products_below(self, path: str) -> int:
        """Delete the products of a category and of all below it."""
        return self._connection.execute(
            """DELETE FROM products WHERE category_id IN (
                   SELECT id FROM tree_nodes WHERE path = %(path)s OR starts_with(path, %(path)s || '/'))""",
            {"path": path},
        ).rowcount

    def delete_categories_below(self, path: str) -> int:
        """Delete a category and all below it, which have no products any more."""
        return self._connection.execute(
            "DELETE FROM tree_nodes WHERE path = %(path)s OR starts_with(path, %(path)s || '/')",
            {"path": path},
        ).rowcount

    def advance_ids(self, table: str) -> None:
        """Let the identity column `id` go on after the largest number present."""
        query = "SELECT setval(pg_get_serial_sequence({}, 'id'), max(id)) FROM {}"
        self._connection.execute(sql.SQL(query).format(sql.Literal(table), sql.Identifier(table)))

    def _number_of(self, table: str, query: str) -> int:
        row = self._connection.execute(sql.SQL(query).format(sql.Identifier(table))).fetchone()
        assert row is not None, query
        return int(row[0])


@contextmanager
def demo_database(url: str) -> Iterator[DemoDatabase]:
    """One transaction, committed at the end of the block.

    Raises what `connect` raises, PermissionDenied, InsufficientSpace, TimedOut, and NotFound where
    the database holds no demo platform.
    """
    with closing(connect(url, ConnectionOptions())) as connection, _faults(url), connection.transaction():
        connection.execute("SET search_path = public")
        yield DemoDatabase(connection)


def vacuum(url: str) -> None:
    """Statistics and visibility, so that what is measured next does not pay for the build."""
    with closing(connect(url, ConnectionOptions())) as connection, _faults(url):
        connection.execute("VACUUM (ANALYZE)")


@contextmanager
def _faults(url: str) -> Iterator[None]:
    where = shown_url(url)
    with faults_of(where):
        try:
            yield
        except errors.UndefinedTable as error:
            raise NotFound("there is no demo platform in this database", where=where) from error
