"""Deferrable unique and exclusion constraints, which a replica does not check: no written row may collide.

What is equal, the constraint's own index says: by its operators and its collation, and not by what `=` finds
under some search_path.
"""

from collections.abc import Mapping

import psycopg

from cas.errors import Conflict
from cas.postgres.filling.faults import refusal
from cas.postgres.live.written import Written

# Of a B-tree the third strategy is equality; an exclusion constraint (WITHOUT OVERLAPS is one too) names its
# operators itself.
_DEFERRABLE = """
SELECT k.conrelid::int8, k.conname::text,
       format('%%s%%I.%%I', CASE c.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END, n.nspname, c.relname),
       coalesce((to_json(i)->>'indnullsnotdistinct')::bool, false), k.contype::text,
       pg_get_expr(i.indpred, i.indrelid),
       ARRAY(SELECT '(' || pg_get_indexdef(i.indexrelid, place::int, false) || ')' || coalesce(
                (SELECT format(' COLLATE %%I.%%I', cn.nspname, l.collname)
                 FROM pg_collation l JOIN pg_namespace cn ON cn.oid = l.collnamespace
                 WHERE l.oid = u.own), '')
             FROM unnest(i.indcollation::oid[]) WITH ORDINALITY AS u(own, place)
             WHERE place <= i.indnkeyatts ORDER BY place),
       CASE WHEN k.conexclop IS NOT NULL THEN
         ARRAY(SELECT format('OPERATOR(%%I.%%s)', s.nspname, o.oprname)
               FROM unnest(k.conexclop) WITH ORDINALITY AS u(operator, place)
               JOIN pg_operator o ON o.oid = u.operator JOIN pg_namespace s ON s.oid = o.oprnamespace
               ORDER BY place)
       ELSE
         ARRAY(SELECT format('OPERATOR(%%I.%%s)', s.nspname, o.oprname)
               FROM unnest(i.indclass::oid[]) WITH ORDINALITY AS u(class, place)
               JOIN pg_opclass f ON f.oid = u.class
               JOIN pg_amop a ON a.amopfamily = f.opcfamily AND a.amopstrategy = 3
                             AND a.amoplefttype = f.opcintype AND a.amoprighttype = f.opcintype
               JOIN pg_operator o ON o.oid = a.amopopr JOIN pg_namespace s ON s.oid = o.oprnamespace
               WHERE place <= i.indnkeyatts ORDER BY place) END
FROM pg_constraint k JOIN pg_index i ON i.indexrelid = k.conindid
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.conrelid = ANY (%s::oid[]) AND k.contype IN ('p', 'u', 'x') AND NOT i.indimmediate
  AND k.conparentid = 0
ORDER BY k.conname
"""


def check_unique(connection: psycopg.Connection, written: Mapping[int, Written], encoding: str) -> None:
    """By the oid of a relation of the written table. Conflict names the first constraint that would no longer
    hold."""
    try:
        rows = connection.execute(_DEFERRABLE, [list(written)]).fetchall()
        for oid, name, relation, nulls_equal, kind, predicate, expressions, operators in rows:
            one = written[oid]
            values = b", ".join(b"%b AS e%d" % (_sent(text), at) for at, text in enumerate(expressions))
            condition = b" WHERE " + _sent(predicate) if predicate else b""
            side = b"(SELECT ctid AS place, tableoid AS part, %b FROM %b%b)" % (
                values,
                _sent(relation),
                condition,
            )
            equal = b" AND ".join(
                _equal(at, _sent(operator), nulls_equal=nulls_equal) for at, operator in enumerate(operators)
            )
            touched = b"SELECT r.ctid, r.tableoid FROM %b AS r WHERE %b" % (
                one.table(encoding),
                one.is_written(b"r", encoding),
            )
            found = connection.execute(
                b"SELECT count(*) FROM %b AS a JOIN %b AS b ON (a.place, a.part) <> (b.place, b.part) AND %b"
                b" WHERE (a.place, a.part) IN (%b)" % (side, side, equal, touched)
            ).fetchone()
            if found is not None and found[0]:
                what = "collide with another row" if kind == "x" else "have a key that another row has too"
                raise Conflict(
                    f"{found[0]} rows would {what}: {name}",
                    where=one.staged.table.entity.label,
                    hint="Nothing was changed. The other row is outside of what is restored: see the plan",
                )
    except psycopg.Error as error:
        raise refusal(error, doing="checking constraints", where=connection.info.dbname) from error


def _equal(at: int, operator: bytes, *, nulls_equal: bool) -> bytes:
    same = b"a.e%d %b b.e%d" % (at, operator, at)
    return b"(%b OR a.e%d IS NULL AND b.e%d IS NULL)" % (same, at, at) if nulls_equal else same


def _sent(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
