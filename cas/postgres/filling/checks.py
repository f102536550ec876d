"""What PostgreSQL did not check because session_replication_role was replica: checked by queries.

Foreign keys of the filled tables: a row that refers to nothing. Deferrable unique constraints: two
rows with one key. Constraints that were NOT VALID or NOT ENFORCED before are left so.
"""

from collections.abc import Sequence

import psycopg

from cas.errors import Conflict
from cas.postgres.filling.existing import family
from cas.postgres.filling.faults import refusal
from cas.records.model import Entity

# conpfeqop holds `parent = child`. The query finds one child row without its parent. The period of a
# temporal key (18) must be covered by the parents' periods together.
_FOREIGN_KEYS = """
WITH keys AS (
  SELECT k.oid, k.conname::text AS name, k.conrelid, k.confrelid, k.confmatchtype,
         coalesce((to_json(k)->>'conperiod')::bool, false) AS is_temporal,
         child.relkind = 'r' AS child_only, parent.relkind = 'r' AS parent_only
  FROM pg_constraint k JOIN pg_class child ON child.oid = k.conrelid
  JOIN pg_class parent ON parent.oid = k.confrelid
  WHERE k.conrelid = ANY (%s::oid[]) AND k.contype = 'f' AND k.conparentid = 0 AND k.convalidated
), parts AS (
  SELECT k.*, u.place, quote_ident(ca.attname) AS child_column, quote_ident(pa.attname) AS parent_column,
         format('p.%%I OPERATOR(%%I.%%s) c.%%I', pa.attname, n.nspname, o.oprname, ca.attname) AS equal,
         k.is_temporal AND u.place = cardinality(x.conkey) AS is_period
  FROM keys k JOIN pg_constraint x ON x.oid = k.oid,
       unnest(x.conkey, x.confkey, x.conpfeqop) WITH ORDINALITY AS u(child, parent, operator, place)
  JOIN pg_operator o ON o.oid = u.operator JOIN pg_namespace n ON n.oid = o.oprnamespace
  JOIN pg_attribute ca ON ca.attnum = u.child JOIN pg_attribute pa ON pa.attnum = u.parent
  WHERE ca.attrelid = k.conrelid AND pa.attrelid = k.confrelid
)
SELECT name, conrelid::regclass::text,
  format('SELECT FROM %%s%%s c WHERE %%s AND NOT %%s LIMIT 1',
    CASE WHEN child_only THEN 'ONLY ' END, conrelid::regclass,
    CASE WHEN confmatchtype = 'f'
      THEN '(' || string_agg('c.' || child_column || ' IS NOT NULL', ' OR ' ORDER BY place) || ')'
      ELSE string_agg('c.' || child_column || ' IS NOT NULL', ' AND ' ORDER BY place) END,
    format(CASE WHEN is_temporal
      THEN 'coalesce((SELECT c.%%1$s <@ range_agg(p.%%2$s) FROM %%3$s%%4$s p WHERE %%5$s), false)'
      ELSE 'EXISTS (SELECT FROM %%3$s%%4$s p WHERE %%5$s)' END,
      max(child_column) FILTER (WHERE is_period), max(parent_column) FILTER (WHERE is_period),
      CASE WHEN parent_only THEN 'ONLY ' END, confrelid::regclass,
      coalesce(string_agg(equal, ' AND ' ORDER BY place) FILTER (WHERE NOT is_period), 'true')))
FROM parts GROUP BY oid, name, conrelid, confrelid, confmatchtype, is_temporal, child_only, parent_only
ORDER BY 2, 1
"""

_UNIQUE = """
SELECT k.conname::text, k.conrelid::regclass::text,
  format('SELECT FROM %%s%%s GROUP BY %%s HAVING count(*) > 1 AND %%s LIMIT 1',
    CASE WHEN c.relkind = 'r' THEN 'ONLY ' END, k.conrelid::regclass,
    string_agg(quote_ident(a.attname), ', '),
    string_agg('bool_and(' || quote_ident(a.attname) || ' IS NOT NULL)', ' AND '))
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
WHERE k.conrelid = ANY (%s::oid[]) AND k.contype IN ('p', 'u') AND k.condeferrable
  AND NOT coalesce((to_json(k)->>'conperiod')::bool, false)
GROUP BY k.oid, k.conname, k.conrelid, c.relkind ORDER BY 2, 1
"""

_UNCHECKED = """
SELECT k.conrelid::regclass::text || ' ' || k.conname FROM pg_constraint k
WHERE k.conrelid = ANY (%s::oid[]) AND k.condeferrable AND k.contype <> 'f'
  AND (k.contype = 'x' OR coalesce((to_json(k)->>'conperiod')::bool, false)) ORDER BY 1
"""


def check_constraints(connection: psycopg.Connection, entities: Sequence[Entity]) -> list[str]:
    """Conflict naming the first constraint that the filled tables break.

    Returns deferrable exclusion constraints, which are not checked, as `table constraint`.
    """
    try:
        tables = list(family(connection, entities))
        for query, says in (
            (_FOREIGN_KEYS, "refers to a row that does not exist"),
            (_UNIQUE, "has a key that another row has too"),
        ):
            for constraint, table, check in connection.execute(query, [tables]).fetchall():
                if connection.execute(check.encode("utf-8", "surrogateescape")).fetchone() is not None:
                    raise Conflict(
                        f"a row {says}: constraint {constraint}",
                        where=table,
                        hint="The selection left its parents out, or the target's schema is another one",
                    )
        return [str(name) for (name,) in connection.execute(_UNCHECKED, [tables])]
    except psycopg.Error as error:
        raise refusal(error, doing="checking constraints", where=connection.info.dbname) from error
