"""The SQL that makes change capture: the schema with its own tables, and what one table needs.

All tables are unlogged (a logged one would be part of publications FOR ALL TABLES, and break them), without
any constraint that two writers could collide on, and never truncated by VACUUM, which takes an exclusive lock
for it. Arrays are stored as they are: compressing them would be paid by the platform's statements.
"""

from collections.abc import Iterator, Sequence

from cas.postgres.capture.families import Relation
from cas.postgres.capture.function_text import ROWS, marking_body, noting_body
from cas.postgres.capture.keys import LogKey
from cas.postgres.capture.naming import (
    LOST,
    POSITIONS,
    WATERMARKS,
    function_name,
    log_name,
    marking_name,
    trigger_name,
)
from cas.postgres.quoting import shown
from cas.postgres.reading.shapes import CAPTURE_SCHEMA

_OPTIONS = "WITH (vacuum_truncate = off, toast.vacuum_truncate = off)"

SCHEMA = (
    f"CREATE SCHEMA IF NOT EXISTS {CAPTURE_SCHEMA}",
    f"COMMENT ON SCHEMA {CAPTURE_SCHEMA} IS"
    " 'Change capture of cas. Take it away with `cas capture remove`, never by hand'",
    f"CREATE SEQUENCE IF NOT EXISTS {LOST}",
    f"""CREATE UNLOGGED TABLE IF NOT EXISTS {POSITIONS} (
    reader text NOT NULL, log oid NOT NULL, snapshot pg_catalog.pg_snapshot NOT NULL, noted timestamptz NOT
        NULL
) {_OPTIONS}""",
    f"""CREATE UNLOGGED TABLE IF NOT EXISTS {WATERMARKS} (
    log oid NOT NULL, snapshot pg_catalog.pg_snapshot NOT NULL
) {_OPTIONS}""",
)


def loses_rows(relation: Relation) -> bool:
    """Whether an update of it may have fewer new rows than old ones: see `function_text`."""
    return relation.kind == "p"


def transition_tables(relation: Relation, operation: str) -> tuple[str, str]:
    """What a statement's old and new rows are called in its function; empty where they are not kept."""
    match operation:
        case "update":
            return (ROWS["delete"] if loses_rows(relation) else "", ROWS["update"])
        case "insert":
            return ("", ROWS["insert"])
        case "delete":
            return (ROWS["delete"], "")
        case _:
            return ("", "")


def log_statements(oid: int, keys: Sequence[LogKey]) -> Iterator[str]:
    """The log of one table, and the types that it needs. `seal` is filled in the first row only."""
    log = f"{CAPTURE_SCHEMA}.{log_name(oid)}"
    for key in keys:
        if key.is_boxed:
            yield f"CREATE TYPE {key.box_sql(oid)} AS (value {key.type_sql}{key.collate})"
    columns = [
        "xid pg_catalog.xid8 NOT NULL",
        "relation oid NOT NULL",
        'operation "char" NOT NULL',
        "rows bigint NOT NULL",
        "at timestamptz NOT NULL",
    ]
    columns += [f"k{key.number} {key.array_sql(oid)}" for key in keys]
    yield f"CREATE UNLOGGED TABLE {log} (\n    {', '.join([*columns, 'seal text[]'])}\n) {_OPTIONS}"
    arrays = [f"ALTER k{key.number} SET STORAGE EXTERNAL" for key in keys]
    yield f"ALTER TABLE {log} {', '.join(arrays)}"


def bodies(oid: int, keys: Sequence[LogKey], family: Sequence[Relation], limit: int) -> dict[str, str]:
    """The functions that write the log: name and body."""
    filtered = any(relation.is_parent for relation in family)
    partitioned = any(map(loses_rows, family))
    body = noting_body(oid, keys, limit, filtered=filtered, partitioned=partitioned)
    found = {function_name(oid): body}
    if not all(relation.has_key for relation in family):
        found[marking_name(oid)] = marking_body(oid)
    return found


def function_statements(name: str, body: str) -> Iterator[str]:
    """One function. Only its owner may call it, and triggers do not ask.

    It runs with its owner's rights in whatever search_path the writer has: every name, type and operator in
    it has its schema, and transition tables come before all tables. A search_path of its own would cost a
    single-row update 13 us, as much as the INSERT.
    """
    full = f"{CAPTURE_SCHEMA}.{name}()"
    tag = "$cas$"
    while tag in body:  # a column may be called so
        tag = f"{tag[:-1]}s$"
    yield (
        f"CREATE OR REPLACE FUNCTION {full} RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER\n"
        f"AS {tag}{body}{tag}"
    )
    yield f"REVOKE ALL ON FUNCTION {full} FROM PUBLIC"


def trigger_statements(oid: int, relation: Relation) -> Iterator[str]:
    """The triggers of one relation. They fire in a replica's role too."""
    table = shown(relation.schema, relation.name)
    only = "ONLY " if relation.kind == "r" else ""
    function = function_name(oid) if relation.has_key else marking_name(oid)
    for operation in relation.operations:
        name = trigger_name(oid, operation)
        old, new = transition_tables(relation, operation)
        tables = (f" OLD TABLE AS {old}" if old else "") + (f" NEW TABLE AS {new}" if new else "")
        arguments = "'moves'" if old and new else ""
        yield (
            f"CREATE OR REPLACE TRIGGER {name} AFTER {operation.upper()} ON {table}"
            f"{' REFERENCING' if tables else ''}{tables}\n"
            f"FOR EACH STATEMENT EXECUTE FUNCTION {CAPTURE_SCHEMA}.{function}({arguments})"
        )
        yield f"ALTER TABLE {only}{table} ENABLE ALWAYS TRIGGER {name}"
