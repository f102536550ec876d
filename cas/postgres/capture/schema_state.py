"""A digest of a platform's schema: every change of it gives another one, and nothing else does.

It is made of rows of the system catalogs as they stand, without what VACUUM and ANALYZE write there, and
without what change capture adds. A table that is dropped and made anew is another one; an index that is built
anew beside its old one is the same. No function looks anything up, so nothing fails while tables come and go.
"""

import psycopg

from cas.postgres.faults import faults_of
from cas.postgres.reading.shapes import CAPTURE_SCHEMA

_SQL = f"""
WITH spaces AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname <> ALL ('{{pg_catalog,information_schema,{CAPTURE_SCHEMA}}}') AND nspname !~
        '^pg_(toast|temp)'
), relations AS (
    SELECT c.* FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace
), lines(line) AS (
    SELECT format('schema %s %s', oid, nspname) FROM spaces
  UNION ALL
    SELECT format('relation %s %s %s %s %s %s %s %s %s', oid, relnamespace, relname, relkind, relpersistence,
        relispartition,
                  relrowsecurity, relforcerowsecurity, relpartbound::text)
    FROM relations WHERE relkind NOT IN ('i', 'I')
  UNION ALL
    SELECT format('column %s.%s %s %s %s %s %s %s %s %s %s %s %s', r.relnamespace, r.relname, a.attnum,
        a.attname,
                  a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated,
                      a.attisdropped,
                  a.attcollation, (SELECT md5(d.adbin::text) FROM pg_attrdef d
                                   WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum))
    FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
    WHERE r.relkind NOT IN ('i', 'I')
  UNION ALL
    SELECT format('constraint %s %s %s %s %s %s %s %s %s %s %s %s', k.conname, k.contype, k.connamespace,
        r.relname,
                  k.contypid, k.conkey, k.confrelid, k.confkey, k.convalidated, k.condeferrable,
                      k.confdeltype,
                  md5(k.conbin::text))
    FROM pg_constraint k JOIN spaces s ON s.oid = k.connamespace LEFT JOIN relations r ON r.oid = k.conrelid
  UNION ALL
    SELECT format('index %s %s %s %s %s %s %s %s', r.relname, i.indrelid, i.indisunique, i.indisprimary,
        i.indkey,
                  i.indclass, md5(i.indexprs::text), md5(i.indpred::text))
    FROM pg_index i JOIN relations r ON r.oid = i.indexrelid WHERE i.indisvalid
  UNION ALL
    SELECT format('type %s %s %s %s %s %s %s', t.typnamespace, t.typname, t.typtype, t.typbasetype,
        t.typtypmod,
                  t.typnotnull, t.typdefault) FROM pg_type t JOIN spaces s ON s.oid = t.typnamespace
  UNION ALL
    SELECT format('label %s %s %s', e.enumtypid, e.enumsortorder, e.enumlabel) FROM pg_enum e
  UNION ALL
    SELECT format('function %s %s %s %s %s', p.pronamespace, p.proname, p.proargtypes, p.prorettype,
        md5(p.prosrc))
    FROM pg_proc p JOIN spaces s ON s.oid = p.pronamespace
  UNION ALL
    SELECT format('trigger %s %s %s %s %s', t.tgrelid, t.tgname, t.tgfoid, t.tgtype, t.tgenabled)
    FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
    JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname <> '{CAPTURE_SCHEMA}' AND NOT t.tgisinternal
  UNION ALL
    SELECT format('rule %s %s %s', w.ev_class, w.rulename, md5(w.ev_action::text))
    FROM pg_rewrite w JOIN relations r ON r.oid = w.ev_class
  UNION ALL
    SELECT format('inherits %s %s %s', i.inhrelid, i.inhparent, i.inhseqno)
    FROM pg_inherits i JOIN relations r ON r.oid = i.inhrelid
  UNION ALL
    SELECT format('policy %s %s %s %s', p.polrelid, p.polname, md5(p.polqual::text),
        md5(p.polwithcheck::text))
    FROM pg_policy p
  UNION ALL
    SELECT format('sequence %s %s %s %s %s %s', r.relname, q.seqtypid, q.seqincrement, q.seqmin, q.seqmax,
        q.seqcycle)
    FROM pg_sequence q JOIN relations r ON r.oid = q.seqrelid
  UNION ALL
    SELECT format('extension %s %s', e.extname, e.extversion) FROM pg_extension e
)
SELECT md5(string_agg(line, E'\\n' ORDER BY line COLLATE "C")) FROM lines
"""


def schema_state(connection: psycopg.Connection) -> str:
    """Hex text. Raises as faults do."""
    with faults_of("looking at the schema"):
        return str(connection.execute(_SQL.encode()).fetchall()[0][0])
