"""What a restore must leave as it was: read from the system catalogs, comparable before and after."""

from tests.postgres.target.moving import ask

_STANDING = """
SELECT 'trigger', c.relname::text, CASE WHEN t.tgisinternal THEN coalesce(k.conname::text, '') || t.tgtype
       ELSE t.tgname::text END, t.tgenabled::text
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid LEFT JOIN pg_constraint k ON k.oid = t.tgconstraint
UNION ALL
SELECT 'rule', c.relname::text, r.rulename::text, r.ev_enabled::text
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT 'event trigger', '', evtname::text, evtenabled::text FROM pg_event_trigger
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname::text,
       concat_ws(' ', pg_get_constraintdef(oid), convalidated, condeferrable, condeferred,
                 to_json(k)->>'conenforced', obj_description(oid, 'pg_constraint'))
FROM pg_constraint k WHERE conrelid <> 0
UNION ALL
SELECT 'table', c.relname::text, c.relkind::text, concat_ws(' ', c.relrowsecurity, c.relforcerowsecurity,
       pg_get_userbyid(c.relowner), c.relacl, obj_description(c.oid, 'pg_class'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
ORDER BY 1, 2, 3, 4
"""

_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname), c.relkind::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'S') AND NOT c.relispartition AND n.nspname !~ '^pg_|information_schema'
ORDER BY 1
"""

_ROWS = """
SELECT ROW(t.*)::text AS row, t.xmin::text || ' ' || t.ctid::text || ' ' || t.tableoid::text AS at
FROM ONLY {} AS t ORDER BY 1, 2
"""

Rows = list[tuple[str, str]]


def standing(url: str) -> list[tuple[object, ...]]:
    """States of triggers, rules, constraints and tables."""
    return ask(url, _STANDING)


def contents(url: str) -> dict[str, Rows]:
    """All rows of all tables as texts, each with the transaction and place that it was written at; of a
    sequence its state."""
    found: dict[str, Rows] = {}
    is_bytes = ask(url, "SHOW server_encoding") == [("SQL_ASCII",)]
    for name, kind in ask(url, _TABLES):
        query = _ROWS.format(name)
        if is_bytes:
            query = query.replace("ROW(t.*)::text", "md5(ROW(t.*)::text)")
        if kind == "p":
            query = query.replace("ONLY ", "")
        if kind == "S":
            query = f"SELECT last_value::text || ' ' || is_called::text, '' FROM {name}"
        found[str(name)] = [(str(row), str(at)) for row, at in ask(url, query)]
    return found


def texts(found: dict[str, Rows]) -> dict[str, list[str]]:
    """The rows without where they lie."""
    return {name: [row for row, _ in rows] for name, rows in found.items()}


def rewritten(before: dict[str, Rows], after: dict[str, Rows]) -> dict[str, list[str]]:
    """Rows that are there before and after with the same text, and were written anew all the same. Equal
    rows count as written only as far as fewer of them than before kept their place."""
    found: dict[str, list[str]] = {}
    for name, rows in before.items():
        kept = set(after.get(name, []))
        there = [row for row, _ in after.get(name, [])]
        for row, at in rows:
            if there.count(row) >= [r for r, _ in rows].count(row) and (row, at) not in kept:
                found.setdefault(name, []).append(row)
    return found
