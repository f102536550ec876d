"""Tables of random lives, and what is done to them: rows written in every way, and definitions altered.

A statement is a text in which `{a}` and `{b}` stand for keys, `{v}` for a value and `{t}` for one of the
family's tables. `COPY ... |DATA` is a COPY and what is sent. Whatever a platform refuses does nothing.
"""

from dataclasses import dataclass

KEYS = 10
"""Keys that statements speak of: few, so that they meet."""


@dataclass(frozen=True)
class Family:
    """Tables that belong together. `alterations` may run in a transaction; `{v}` in them is a value, too."""

    name: str
    tables: tuple[str, ...]
    definition: tuple[str, ...]
    writes: tuple[str, ...]
    alterations: tuple[str, ...]


def _filled(table: str, values: str = "n, 'row ' || n") -> str:
    return f"INSERT INTO {table} SELECT {values} FROM generate_series(0, {KEYS - 1}) AS n"


def _plain(table: str, key: str = "id") -> tuple[str, ...]:
    """Writes to a table of an integer key and a text `v`."""
    return (
        f"INSERT INTO {table} ({key}, v) VALUES ({{a}}, '{{v}}')",
        f"INSERT INTO {table} ({key}, v) SELECT n, '{{v}}' FROM generate_series({{a}}, {{b}}) AS n"
        " ON CONFLICT DO NOTHING",
        f"UPDATE {table} SET v = '{{v}}' WHERE {key} = {{a}}",
        f"UPDATE {table} SET v = '{{v}}' WHERE {key} % 3 = {{a}} % 3",
        f"UPDATE {table} SET v = '{{v}}' || {key}",
        f"UPDATE {table} SET {key} = {{b}} WHERE {key} = {{a}}",
        f"DELETE FROM {table} WHERE {key} = {{a}}",
        f"DELETE FROM {table} WHERE {key} > {{a}}",
        f"DELETE FROM {table} WHERE {key} = {{a}};"
        f" INSERT INTO {table} ({key}, v) VALUES ({{a}}, 'row {{a}}')",
        f"COPY {table} ({key}, v) FROM STDIN|{{a}}\t{{v}}\n{{b}}\t{{v}}\n",
    )


ITEMS = Family(
    "items",
    ("items",),
    (
        "CREATE TYPE mood AS ENUM ('low', 'high')",
        "CREATE DOMAIN price AS int CHECK (VALUE < 1000)",
        "CREATE TABLE items (id int PRIMARY KEY, v text, m mood DEFAULT 'low', p price)",
        _filled("items"),
        "UPDATE items SET m = 'high' WHERE id < 4",
    ),
    (
        *_plain("items"),
        "INSERT INTO items VALUES ({a}, '{v}') ON CONFLICT (id) DO UPDATE SET v = '{v}', p = {b}",
        "UPDATE items SET v = NULL, m = 'high' WHERE id = {b}",
        "UPDATE items SET id = id WHERE id > {a}",
        "UPDATE items SET id = -1 WHERE id = {a}; UPDATE items SET id = {a} WHERE id = {b};"
        " UPDATE items SET id = {b} WHERE id = -1",
        "MERGE INTO items i USING (SELECT {a} AS id) s ON i.id = s.id WHEN MATCHED THEN DELETE"
        " WHEN NOT MATCHED THEN INSERT VALUES (s.id, '{v}')",
        "MERGE INTO items i USING (VALUES ({a}), ({b})) AS s (id) ON i.id = s.id"
        " WHEN MATCHED THEN UPDATE SET v = '{v}' WHEN NOT MATCHED THEN INSERT VALUES (s.id, '{v}')",
        "WITH gone AS (DELETE FROM items WHERE id = {a} RETURNING id) INSERT INTO items SELECT {b} FROM gone",
        "SELECT * FROM items FOR UPDATE",
        "DELETE FROM items",
    ),
    (
        "ALTER TABLE items ADD COLUMN w int DEFAULT {a}",
        "ALTER TABLE items DROP COLUMN w",
        "ALTER TABLE items RENAME v TO x",
        "ALTER TABLE items RENAME x TO v",
        "ALTER TABLE items DROP COLUMN p; ALTER TABLE items ADD COLUMN p price DEFAULT {a}",
        "ALTER TABLE items ALTER v TYPE varchar(9) USING '{v}'",
        "ALTER TABLE items ALTER v TYPE text",
        "ALTER TABLE items ALTER id TYPE bigint",
        "ALTER TABLE items ALTER id TYPE int",
        "ALTER TABLE items DROP CONSTRAINT items_pkey",
        "ALTER TABLE items ADD CONSTRAINT items_pkey PRIMARY KEY (id)",
        "ALTER TABLE items DROP CONSTRAINT items_pkey; ALTER TABLE items ADD PRIMARY KEY (v)",
        "ALTER TABLE items DROP CONSTRAINT items_pkey; ALTER TABLE items ADD PRIMARY KEY (id) INCLUDE (v)",
        "ALTER TYPE mood RENAME VALUE 'low' TO 'deep'",
        "ALTER TYPE mood RENAME VALUE 'deep' TO 'low'",
        "ALTER TYPE mood RENAME VALUE 'high' TO 'top'",  # the default does not speak of it
        "ALTER TYPE mood RENAME VALUE 'top' TO 'high'",
        "ALTER TYPE mood RENAME VALUE 'low' TO 'x'; ALTER TYPE mood RENAME VALUE 'high' TO 'low';"
        " ALTER TYPE mood RENAME VALUE 'x' TO 'high'",
        "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'middle' BEFORE 'high'",
        "ALTER DOMAIN price DROP CONSTRAINT price_check",
        "DROP TABLE items; CREATE TABLE items (id int PRIMARY KEY, v text, m mood DEFAULT 'low', p price);"
        " INSERT INTO items VALUES ({a}, '{v}')",
        "CREATE TABLE IF NOT EXISTS items_old (LIKE items INCLUDING ALL); INSERT INTO items_old TABLE items"
        " ON CONFLICT DO NOTHING; UPDATE items_old SET v = '{v}'",
        "ALTER TABLE items RENAME TO items_mid; ALTER TABLE items_old RENAME TO items;"
        " ALTER TABLE items_mid RENAME TO items_old",
    ),
)

TWINS = Family(
    "twins",
    ("twin_a", "twin_b"),
    (
        "CREATE TABLE twin_a (id int PRIMARY KEY, v text)",
        "CREATE TABLE twin_b (id int PRIMARY KEY, v text)",
        _filled("twin_a"),
        _filled("twin_b", "n, 'other ' || n"),
    ),
    (*_plain("twin_a"), *_plain("twin_b")),
    (
        "ALTER TABLE twin_a RENAME TO twin_c; ALTER TABLE twin_b RENAME TO twin_a;"
        " ALTER TABLE twin_c RENAME TO twin_b",
        "ALTER TABLE twin_a RENAME TO twin_c",
        "ALTER TABLE twin_c RENAME TO twin_a",
        "ALTER TABLE twin_a RENAME TO twin_c; UPDATE twin_c SET v = '{v}' WHERE id = {a};"
        " ALTER TABLE twin_c RENAME TO twin_a",
        "CREATE SCHEMA aside",
        "ALTER TABLE twin_a SET SCHEMA aside; ALTER TABLE twin_b RENAME TO twin_a",
        "ALTER TABLE twin_a RENAME TO twin_b; ALTER TABLE aside.twin_a SET SCHEMA public",
    ),
)

SCHEMAS = Family(
    "schemas",
    ("lefts.pots", "rights.pots"),
    (
        "CREATE SCHEMA lefts",
        "CREATE SCHEMA rights",
        "CREATE TABLE lefts.pots (id int PRIMARY KEY, v text)",
        "CREATE TABLE rights.pots (id int PRIMARY KEY, v text)",
        _filled("lefts.pots"),
        _filled("rights.pots", "n, 'other ' || n"),
    ),
    (*_plain("lefts.pots"), *_plain("rights.pots")),
    (
        "ALTER SCHEMA lefts RENAME TO mids; ALTER SCHEMA rights RENAME TO lefts;"
        " ALTER SCHEMA mids RENAME TO rights",
        "ALTER SCHEMA lefts RENAME TO mids",
        "ALTER SCHEMA mids RENAME TO lefts",
    ),
)

KEYED = Family(
    "keyed",
    ("pairs", "words", "tokens", "numbers", "turns"),
    (
        "CREATE TABLE pairs (a int, b text, v text, PRIMARY KEY (a, b))",
        "CREATE TABLE words (k text PRIMARY KEY, v text)",
        "CREATE TABLE tokens (k uuid PRIMARY KEY, v text)",
        "CREATE TABLE numbers (k numeric PRIMARY KEY, v text)",
        "CREATE TABLE turns (id int, v text, PRIMARY KEY (id) DEFERRABLE)",
        _filled("pairs", "n % 3, n, 'row ' || n"),
        _filled("words"),
        _filled("tokens", "md5(n::text)::uuid, 'row ' || n"),
        _filled("numbers"),
        _filled("turns"),
    ),
    (
        "INSERT INTO pairs VALUES ({a}, '{b}', '{v}') ON CONFLICT DO NOTHING",
        "UPDATE pairs SET a = {a} WHERE b = '{b}'",
        "UPDATE pairs SET b = a, a = {b} WHERE b = '{a}'",
        "UPDATE pairs SET v = '{v}' WHERE a = {a}",
        "DELETE FROM pairs WHERE a = {a}",
        "COPY pairs FROM STDIN|{a}\t{b}\t{v}\n",
        "INSERT INTO words VALUES ('{v}', '{v}') ON CONFLICT DO NOTHING",
        "UPDATE words SET k = k || '{v}' WHERE k = '{a}'",
        "UPDATE words SET v = '{v}'",
        "DELETE FROM words WHERE k > '{a}'",
        "INSERT INTO tokens VALUES (md5('{v}')::uuid, '{v}') ON CONFLICT (k) DO UPDATE SET v = '{a}'",
        "DELETE FROM tokens WHERE k = md5('{a}')::uuid",
        "UPDATE tokens SET k = md5('{b}')::uuid WHERE k = md5('{a}')::uuid",
        "INSERT INTO numbers VALUES ({a}.0, '{v}')",
        "UPDATE numbers SET k = {a}.00 WHERE k = {a}",
        "UPDATE numbers SET k = trim_scale(k)",
        "DELETE FROM numbers WHERE k = {a}; INSERT INTO numbers VALUES ({a}.0, '{v}')",
        "UPDATE turns SET id = CASE id WHEN {a} THEN {b} ELSE {a} END WHERE id IN ({a}, {b})",
        "SET CONSTRAINTS ALL DEFERRED; INSERT INTO turns VALUES ({a}, '{v}');"
        " DELETE FROM turns WHERE id = {a} AND v <> '{v}'",
        "UPDATE turns SET id = 9 - id",
        "DELETE FROM turns WHERE id = {a}",
    ),
    (
        "ALTER TABLE pairs DROP CONSTRAINT pairs_pkey; ALTER TABLE pairs ADD PRIMARY KEY (b, a)",
        "ALTER TABLE pairs DROP CONSTRAINT pairs_pkey; ALTER TABLE pairs ADD PRIMARY KEY (a, b)",
        'ALTER TABLE words ALTER k TYPE text COLLATE "C"',
        "ALTER TABLE words ALTER k TYPE text",
        "ALTER TABLE numbers ALTER k TYPE numeric(9,2)",
        "ALTER TABLE numbers ALTER k TYPE numeric",
        "ALTER TABLE tokens ALTER k TYPE text",
        "ALTER TABLE tokens ALTER k TYPE uuid USING k::uuid",
    ),
)

_LEAVES = ("parts_0", "parts_1a", "parts_2")

PARTS = Family(
    "parts",
    ("parts", "parts_0", "parts_1"),
    (
        "CREATE TABLE parts (id int, area int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
        "CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (4)",
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (4) TO (8) PARTITION BY RANGE (id)",
        "CREATE TABLE parts_1a PARTITION OF parts_1 FOR VALUES FROM (4) TO (8)",
        "CREATE TABLE parts_2 (v text, id int PRIMARY KEY, area int)",
        "INSERT INTO parts_2 VALUES ('early', 8), ('early', 9)",
        "INSERT INTO parts SELECT n, n, 'row ' || n FROM generate_series(0, 7) AS n",
        "CREATE TABLE other_0 (id int PRIMARY KEY, area int, v text)",
        "INSERT INTO other_0 SELECT n, n, 'other ' || n FROM generate_series(0, 3) AS n",
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    ),
    (
        *_plain("parts"),
        "UPDATE parts_0 SET v = '{v}' WHERE id = {a} % 4",
        "DELETE FROM parts_0 WHERE id = {a}",
        "INSERT INTO parts_1 VALUES (4 + {a} % 4, {b}, '{v}') ON CONFLICT DO NOTHING",
        "UPDATE parts_1 SET id = 4 + {a} % 4 WHERE id = {b}",
        "CREATE TRIGGER lost BEFORE INSERT ON parts_1a FOR EACH ROW EXECUTE FUNCTION lose();"
        " UPDATE parts SET id = 4 + {a} % 4, v = '{v}' WHERE id = {b} % 4; DROP TRIGGER lost ON parts_1a",
        "DELETE FROM parts_1a WHERE id = {a}",
        "UPDATE parts_2 SET v = '{v}'",
        "INSERT INTO parts_2 VALUES ('{v}', {a}) ON CONFLICT DO NOTHING",
        "DELETE FROM parts_2 WHERE id = {a}",
        "UPDATE other_0 SET v = '{v}' WHERE id = {a}",
    ),
    (
        "ALTER TABLE parts DETACH PARTITION parts_0",
        "ALTER TABLE parts ATTACH PARTITION parts_0 FOR VALUES FROM (0) TO (4)",
        "ALTER TABLE parts DETACH PARTITION parts_0; UPDATE parts_0 SET v = '{v}';"
        " ALTER TABLE parts ATTACH PARTITION parts_0 FOR VALUES FROM (0) TO (4)",
        "ALTER TABLE parts DETACH PARTITION parts_0;"
        " ALTER TABLE parts ATTACH PARTITION other_0 FOR VALUES FROM (0) TO (4);"
        " ALTER TABLE parts_0 RENAME TO mid_0; ALTER TABLE other_0 RENAME TO parts_0;"
        " ALTER TABLE mid_0 RENAME TO other_0",
        "ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (8) TO (12)",
        "ALTER TABLE parts DETACH PARTITION parts_2",
        "ALTER TABLE parts ATTACH PARTITION parts_2 DEFAULT",
        "ALTER TABLE parts_1 DETACH PARTITION parts_1a",
        "ALTER TABLE parts_1 ATTACH PARTITION parts_1a FOR VALUES FROM (4) TO (8)",
        "DROP TABLE parts_2; CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (8) TO (12);"
        " INSERT INTO parts_2 VALUES ({a}, {b}, '{v}')",
        "ALTER TABLE parts ADD COLUMN w int DEFAULT {a}",
        "ALTER TABLE parts DROP COLUMN w",
        "TRUNCATE parts_0",
        *(
            f"CREATE TRIGGER lossy BEFORE INSERT ON {part} FOR EACH ROW EXECUTE FUNCTION lose()"
            for part in _LEAVES
        ),
        *(f"DROP TRIGGER lossy ON {part}" for part in _LEAVES),
    ),
)

TREE = Family(
    "tree",
    ("tree",),
    (
        "CREATE TABLE tree (id int PRIMARY KEY, v text,"
        " parent int REFERENCES tree ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE)",
        f"INSERT INTO tree SELECT n, 'row ' || n, nullif(n / 2, n) FROM generate_series(0, {KEYS - 1}) AS n",
    ),
    (
        *_plain("tree"),
        "UPDATE tree SET parent = {b} WHERE id = {a}",
        "INSERT INTO tree VALUES ({a}, '{v}', {b}) ON CONFLICT (id) DO UPDATE SET parent = {b}",
        "SET CONSTRAINTS ALL DEFERRED; INSERT INTO tree VALUES ({a} + 20, '{v}', {b} + 20)",
        "DELETE FROM tree WHERE parent = {a}",
    ),
    (
        "ALTER TABLE tree DROP CONSTRAINT tree_parent_fkey",
        "ALTER TABLE tree ADD FOREIGN KEY (parent) REFERENCES tree ON DELETE SET NULL NOT VALID",
        "TRUNCATE tree CASCADE",
    ),
)

GOODS = Family(
    "goods",
    ("goods", "books"),
    (
        "CREATE TABLE goods (id int PRIMARY KEY, v text)",
        "CREATE TABLE books (pages int, PRIMARY KEY (id)) INHERITS (goods)",
        "CREATE TABLE strangers (v text, id int)",
        _filled("goods"),
        _filled("books", "n, 'book ' || n, n"),
    ),
    (
        *_plain("goods"),
        *_plain("books"),
        "UPDATE ONLY goods SET v = '{v}' WHERE id = {a}",
        "UPDATE strangers SET v = '{v}' WHERE id = {a}",
        "DELETE FROM strangers WHERE id = {a}",
    ),
    (
        "ALTER TABLE books NO INHERIT goods",
        "ALTER TABLE books INHERIT goods",
        "ALTER TABLE books INHERIT strangers",
        "ALTER TABLE books NO INHERIT strangers",
        "ALTER TABLE goods INHERIT strangers; UPDATE strangers SET v = '{v}' WHERE id = {a};"
        " DELETE FROM strangers WHERE id = {b}; ALTER TABLE goods NO INHERIT strangers",
        "CREATE TABLE roots (id int, v text) PARTITION BY LIST (id);"
        " ALTER TABLE goods NO INHERIT strangers; ALTER TABLE books NO INHERIT goods",
        "ALTER TABLE roots ATTACH PARTITION goods DEFAULT; UPDATE roots SET v = '{v}' WHERE id = {a};"
        " DELETE FROM roots WHERE id = {b}; ALTER TABLE roots DETACH PARTITION goods",
        "TRUNCATE goods",
    ),
)

MADE = Family(
    "made",
    ("made", "codes"),
    (
        "CREATE TABLE made (id int PRIMARY KEY, v text, g text GENERATED ALWAYS AS (v || '!') STORED)",
        "CREATE TABLE codes (n int, v text, k int GENERATED ALWAYS AS (n) STORED PRIMARY KEY,"
        " l int GENERATED ALWAYS AS (-n) STORED)",
        _filled("made"),
        _filled("codes"),
    ),
    (*_plain("made"), *_plain("codes", "n")),
    (
        "ALTER TABLE made ALTER g DROP EXPRESSION",
        "ALTER TABLE made DROP v",
        "ALTER TABLE made RENAME g TO v",
        "ALTER TABLE made ALTER g DROP EXPRESSION; ALTER TABLE made DROP v; ALTER TABLE made RENAME g TO v",
        "ALTER TABLE made ADD COLUMN g text GENERATED ALWAYS AS (v || '?') STORED",
        "ALTER TABLE codes DROP CONSTRAINT codes_pkey; ALTER TABLE codes RENAME k TO m;"
        " ALTER TABLE codes RENAME l TO k; ALTER TABLE codes RENAME m TO l;"
        " ALTER TABLE codes ADD PRIMARY KEY (k)",
    ),
)

THINGS = Family(
    "things",
    ("things", "bag"),
    (
        "CREATE TYPE pair AS (a int, b text)",
        "CREATE TABLE things (id int PRIMARY KEY, v text, p pair, q pair[])",
        "CREATE TABLE bag (v text, id int)",
        "INSERT INTO things SELECT n, 'row ' || n, ROW(n, 'x')::pair, ARRAY[ROW(n, 'y')::pair]"
        f" FROM generate_series(0, {KEYS - 1}) AS n",
        _filled("bag", "'row ' || n % 3, n"),
    ),
    (
        *_plain("things"),
        "UPDATE things SET p = ROW({b}, '{v}') WHERE id = {a}",
        "INSERT INTO bag VALUES ('{v}', {a})",
        "DELETE FROM bag WHERE id = {a}",
        "UPDATE bag SET v = '{v}' WHERE id = {a}",
    ),
    (
        "ALTER TYPE pair DROP ATTRIBUTE b",
        "ALTER TYPE pair ADD ATTRIBUTE b text",
        "ALTER TYPE pair DROP ATTRIBUTE b; ALTER TYPE pair ADD ATTRIBUTE b text",
        "ALTER TYPE pair RENAME ATTRIBUTE a TO c",
        "ALTER TYPE pair RENAME ATTRIBUTE c TO a",
        "ALTER TABLE bag ADD PRIMARY KEY (id)",
        "ALTER TABLE bag DROP CONSTRAINT bag_pkey",
    ),
)

FAMILIES = (ITEMS, TWINS, SCHEMAS, KEYED, PARTS, TREE, GOODS, MADE, THINGS)

UPKEEP = (
    "VACUUM {t}",
    "VACUUM FULL {t}",
    "VACUUM (FREEZE, ANALYZE) {t}",
    "ANALYZE {t}",
    "CLUSTER {t} USING {t}_pkey",
    "REINDEX TABLE {t}",
    "ALTER TABLE parts DETACH PARTITION parts_0 CONCURRENTLY",
)
"""What runs outside of transactions."""

ANYWHERE = (
    "TRUNCATE {t}",
    "TRUNCATE {t} CASCADE",
    "BEGIN; TRUNCATE {t}; ROLLBACK",
    "GRANT SELECT ON {t} TO PUBLIC",
    "ALTER TABLE {t} SET (fillfactor = 50)",
    "ALTER TABLE {t} SET UNLOGGED",
    "ALTER TABLE {t} SET LOGGED",
    "ALTER TABLE {t} REPLICA IDENTITY FULL",
    "COMMENT ON TABLE {t} IS '{v}'",
    "CREATE INDEX ON {t} (v)",
    "LOCK TABLE {t} IN SHARE MODE",
    "CREATE TABLE another_{a} (id int PRIMARY KEY)",
    "DROP TABLE another_{a}",
)

GAMES = (
    ("ALTER TABLE {t} DISABLE TRIGGER ALL", "{w}", "ALTER TABLE {t} ENABLE TRIGGER ALL"),
    ("ALTER TABLE {t} DISABLE TRIGGER USER", "{w}", "ALTER TABLE {t} ENABLE TRIGGER USER"),
    (
        "ALTER TABLE {t} DISABLE TRIGGER cas_capture_{oid}_{o}",
        "{w}",
        "ALTER TABLE {t} ENABLE ALWAYS TRIGGER cas_capture_{oid}_{o}",
    ),
    ("ALTER TABLE {t} ENABLE REPLICA TRIGGER cas_capture_{oid}_{o}", "{w}", ""),
    ("DROP TRIGGER cas_capture_{oid}_{o} ON {t}", "{w}", ""),
    ("DROP FUNCTION cas_capture.note_{oid} CASCADE", "{w}", ""),
    (
        "CREATE OR REPLACE FUNCTION cas_capture.note_{oid}() RETURNS trigger LANGUAGE plpgsql"
        " SECURITY DEFINER AS 'BEGIN RETURN NULL; END'",
        "{w}",
        "{function}",
    ),
    ("SET session_replication_role = replica", "{w}", "RESET session_replication_role"),
    (
        "REVOKE ALL ON SCHEMA cas_capture FROM {owner}",
        "{w}",
        "GRANT ALL ON SCHEMA cas_capture TO {owner}",
    ),
    (
        "ALTER TABLE cas_capture.log_{oid} RENAME TO away",
        "{w}",
        "ALTER TABLE cas_capture.away RENAME TO log_{oid}",
    ),
    ("ALTER TABLE cas_capture.log_{oid} ADD CHECK (operation = 'S') NOT VALID", "{w}", ""),
    ("TRUNCATE cas_capture.log_{oid}", "{w}", ""),
    (
        "CREATE OR REPLACE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.v := NEW.v || ''+''; RETURN NEW; END';"
        " CREATE TRIGGER own BEFORE INSERT OR UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION own()",
        "{w}",
        "DROP TRIGGER own ON {t}",
    ),
    (
        "CREATE OR REPLACE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN IF hashtext(coalesce(NEW, OLD)::text) % 2 = 0 THEN RETURN NULL; END IF;"
        " RETURN coalesce(NEW, OLD); END';"
        " CREATE TRIGGER odd BEFORE INSERT OR UPDATE OR DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION odd()",
        "{w}",
        "DROP TRIGGER odd ON {t}",
    ),
)
"""Before a write, the write (`{w}`), and what puts all right again, one after the other; `{oid}`: the
table's, `{o}`: an operation, `{function}`: what the function of capture was before."""
