"""What a database holds, read by plain SQL and by pg_dump: judges that know nothing of ours."""

import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from tests.servers.postgres import Cluster

Rows = Mapping[str, Mapping[str, str]]
"""By table and primary key: the md5 of a row as JSON, in which columns stand by name."""

Counts = Mapping[str, tuple[int, int, int]]
"""By table: records inserted, updated and deleted. Tables without any are left out."""

_TABLES = """
SELECT n.nspname || '.' || c.relname,
       CASE c.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END || format('%I.%I', n.nspname, c.relname),
       (SELECT string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum)
        FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = c.oid AND i.indisprimary)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1
"""

SHOWN = 5
"""Lines of each side that a difference shows."""


def read_rows(url: str) -> Rows:
    """Every row of every table; partitions belong to their table. All of them have a primary key."""
    found: dict[str, dict[str, str]] = {}
    with psycopg.connect(url) as connection:
        for label, quoted, key in connection.execute(_TABLES).fetchall():
            query = f"SELECT ROW({key})::text, md5(to_jsonb(t)::text) FROM {quoted} t"
            found[label] = dict(connection.execute(query.encode()).fetchall())
    return found


def changes(before: Rows, after: Rows) -> Counts:
    """What makes one of the other."""
    found = {}
    for label, old in before.items():
        new = after[label]
        updated = sum(1 for key, row in new.items() if key in old and old[key] != row)
        counts = (len(new.keys() - old.keys()), updated, len(old.keys() - new.keys()))
        if any(counts):
            found[label] = counts
    return found


@dataclass(frozen=True, slots=True)
class Dump:
    """The lines that pg_dump writes: definitions, rows, and the values of sequences. They are counted, for
    the place of a row on the disk is no content."""

    lines: Counter[str]

    def differences(self, other: "Dump") -> str:
        """Some lines that only one of them has; empty where both are equal."""
        mine, others = self.lines - other.lines, other.lines - self.lines
        shown = [f"- {line}" for line in [*mine][:SHOWN]] + [f"+ {line}" for line in [*others][:SHOWN]]
        return "\n".join(line[:200] for line in shown)


def read_dump(cluster: Cluster, url: str) -> Dump:
    """By the pg_dump of the server's own version."""
    program = cluster.bin_directory / "pg_dump"
    done = subprocess.run([program, url], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    return Dump(Counter(line for line in lines if not line.startswith(("\\restrict", "\\unrestrict"))))
