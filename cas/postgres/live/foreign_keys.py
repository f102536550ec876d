"""The foreign keys of a database, as values and as queries about some rows of theirs."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from cas.postgres.faults import faults_of
from cas.records.live import ForeignKey

_ACTIONS = {"a": "no action", "r": "restrict", "c": "cascade", "n": "set null", "d": "set default"}

# A partition stands for its root: it is the root that is an entity. conpfeqop holds `parent = child`.
_QUERY = """
WITH RECURSIVE roots AS (
  SELECT c.oid, c.oid AS root FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  UNION ALL
  SELECT i.inhrelid, r.root FROM pg_inherits i JOIN roots r ON r.oid = i.inhparent
  JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relispartition
)
SELECT k.oid::int8, k.conname::text, k.conrelid::int8, k.confrelid::int8,
       cn.nspname::text, cc.relname::text, pn.nspname::text, pc.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(number, place)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY place),
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(number, place)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY place),
       ARRAY(SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
             FROM unnest(k.conpfeqop) WITH ORDINALITY AS u(operator, place)
             JOIN pg_operator o ON o.oid = u.operator JOIN pg_namespace n ON n.oid = o.oprnamespace
             ORDER BY place),
       ARRAY(SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
             FROM unnest(k.conppeqop) WITH ORDINALITY AS u(operator, place)
             JOIN pg_operator o ON o.oid = u.operator JOIN pg_namespace n ON n.oid = o.oprnamespace
             ORDER BY place),
       k.confdeltype::text, k.condeferrable, k.confmatchtype = 'f', k.convalidated,
       coalesce((to_json(k)->>'conenforced')::bool, true),
       coalesce((to_json(k)->>'conperiod')::bool, false),
       co.relkind = 'r', po.relkind = 'r',
       con.nspname::text, co.relname::text, pon.nspname::text, po.relname::text, cr.root <> k.conrelid,
       EXISTS (SELECT FROM pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgenabled <> 'O'),
       EXISTS (SELECT FROM pg_attribute a WHERE a.attgenerated <> ''
               AND (a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
                    OR a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)))
FROM pg_constraint k
JOIN pg_class co ON co.oid = k.conrelid JOIN pg_namespace con ON con.oid = co.relnamespace
JOIN pg_class po ON po.oid = k.confrelid JOIN pg_namespace pon ON pon.oid = po.relnamespace
JOIN roots cr ON cr.oid = k.conrelid JOIN roots pr ON pr.oid = k.confrelid
JOIN pg_class cc ON cc.oid = cr.root JOIN pg_namespace cn ON cn.oid = cc.relnamespace
JOIN pg_class pc ON pc.oid = pr.root JOIN pg_namespace pn ON pn.oid = pc.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
ORDER BY cn.nspname, cc.relname, k.conname
"""


@dataclass(frozen=True, slots=True)
class DatabaseKey:
    """A foreign key with what its queries need. `operators[i]` compares parent and child, in this order; of a
    temporal one the last asks whether they overlap. `parent_operators[i]` compares two parents.

    `key` names roots, and `child` and `parent` the very relations that the constraint is of, which may be
    partitions (`of_partition`: the child is one). `child_only` and `parent_only`: that relation is no
    partitioned one, so its rows are read with ONLY. `is_validated`: no row breaks it. `is_altered`: its
    triggers are not in the state in which they are made. `of_generated`: a column of either side is a
    generated one.
    """

    oid: int
    child_oid: int
    parent_oid: int
    key: ForeignKey
    operators: tuple[str, ...]
    parent_operators: tuple[str, ...]
    is_validated: bool
    is_enforced: bool
    is_temporal: bool
    child_only: bool
    parent_only: bool
    child: tuple[str, str]
    parent: tuple[str, str]
    of_partition: bool
    is_altered: bool
    of_generated: bool

    @property
    def shows_in_records(self) -> bool:
        """Whether records tell that it holds: by equal values that are in them."""
        return self.is_enforced and not (self.is_temporal or self.of_generated)


def database_keys(connection: psycopg.Connection) -> Sequence[DatabaseKey]:
    """All of them, ascending by child and name."""
    with faults_of("reading the foreign keys"):
        rows = connection.execute(_QUERY).fetchall()
    return [
        DatabaseKey(
            oid=row[0],
            child_oid=row[2],
            parent_oid=row[3],
            key=ForeignKey(
                name=row[1],
                child=(row[4], row[5]),
                columns=tuple(row[8]),
                parent=(row[6], row[7]),
                referenced=tuple(row[9]),
                on_delete=_ACTIONS[row[12]],
                is_deferrable=row[13],
                matches_full=row[14],
                of_part=row[24],
            ),
            operators=tuple(row[10]),
            parent_operators=tuple(row[11]),
            is_validated=row[15],
            is_enforced=row[16],
            is_temporal=row[17],
            child_only=row[18],
            parent_only=row[19],
            child=(row[20], row[21]),
            parent=(row[22], row[23]),
            of_partition=row[24],
            is_altered=row[25],
            of_generated=row[26],
        )
        for row in rows
    ]
