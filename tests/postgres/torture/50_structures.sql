-- Partitions, inheritance, foreign keys, constraints.
CREATE TABLE torture.by_list (id int, country text, v text, PRIMARY KEY (id, country)) PARTITION BY LIST (country);
CREATE TABLE torture.by_list_de PARTITION OF torture.by_list FOR VALUES IN ('de', 'at');
CREATE TABLE torture.by_list_null PARTITION OF torture.by_list FOR VALUES IN ('fr', '');
CREATE TABLE torture.by_list_default PARTITION OF torture.by_list DEFAULT;
INSERT INTO torture.by_list SELECT g, (ARRAY['de', 'at', 'fr', '', 'jp'])[1 + g % 5], 'v' || g FROM generate_series(1, 50) AS g;
CREATE TABLE torture.by_range (day date NOT NULL, id int, v text) PARTITION BY RANGE (day);
CREATE TABLE torture.by_range_old PARTITION OF torture.by_range FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
CREATE TABLE torture.by_range_2024 PARTITION OF torture.by_range FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY HASH (id);
CREATE TABLE torture.by_range_2024_0 PARTITION OF torture.by_range_2024 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE "schéma ☃".by_range_2024_1 PARTITION OF torture.by_range_2024 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
-- A partition whose columns lie otherwise, with one that was dropped.
CREATE TABLE torture.by_range_later (gone int, v text DEFAULT 'later', id int, day date NOT NULL, CHECK (day >= '2025-01-01'));
ALTER TABLE torture.by_range_later DROP COLUMN gone;
ALTER TABLE torture.by_range ATTACH PARTITION torture.by_range_later FOR VALUES FROM ('2025-01-01') TO (MAXVALUE);
CREATE INDEX ON torture.by_range (id DESC);
CREATE INDEX by_range_later_own ON torture.by_range_later (v);
INSERT INTO torture.by_range SELECT '2023-06-01'::date + g * 7, g, 'w' || g FROM generate_series(0, 150) AS g;
INSERT INTO torture.by_range VALUES ('2024-02-01', 1, 'same'), ('2024-02-01', 1, 'same');
CREATE TABLE torture.by_hash (id uuid PRIMARY KEY, v int) PARTITION BY HASH (id);
CREATE TABLE torture.by_hash_0 PARTITION OF torture.by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE torture.by_hash_1 PARTITION OF torture.by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 1) WITH (fillfactor = 60);
CREATE TABLE torture.by_hash_2 PARTITION OF torture.by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO torture.by_hash SELECT md5(g::text)::uuid, g FROM generate_series(1, 60) AS g;
CREATE TABLE torture.by_hash_of_enum (m torture.mood, v int) PARTITION BY HASH (m);
CREATE TABLE torture.by_hash_of_enum_0 PARTITION OF torture.by_hash_of_enum FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE torture.by_hash_of_enum_1 PARTITION OF torture.by_hash_of_enum FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO torture.by_hash_of_enum VALUES ('sad', 1), ('ok', 2), ('first', 3), ('', 4);
CREATE TABLE torture.by_expression (t text) PARTITION BY LIST (lower(t));
CREATE TABLE torture.by_expression_a PARTITION OF torture.by_expression FOR VALUES IN ('a');
INSERT INTO torture.by_expression VALUES ('A'), ('a');
CREATE TABLE torture.without_partitions (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE torture.valid_only_below (id int NOT NULL, v int NOT NULL) PARTITION BY LIST (v);
CREATE TABLE torture.valid_only_below_1 PARTITION OF torture.valid_only_below FOR VALUES IN (1);
ALTER TABLE ONLY torture.valid_only_below ADD PRIMARY KEY (id, v);
INSERT INTO torture.valid_only_below VALUES (1, 1), (1, 1);

CREATE TABLE torture.parent (id int PRIMARY KEY, v text DEFAULT 'parent');
CREATE TABLE torture.child (extra int, CHECK (extra > 0)) INHERITS (torture.parent);
CREATE TABLE torture.mixin (m int NOT NULL);
CREATE TABLE torture.grandchild (v text DEFAULT 'grandchild') INHERITS (torture.child, torture.mixin);
INSERT INTO torture.parent VALUES (1), (2);
INSERT INTO torture.child (id, extra) VALUES (2, 1), (2, 1);
INSERT INTO torture.grandchild (id, extra, m) VALUES (1, 3, 4);

CREATE TABLE torture.tree (id int PRIMARY KEY, parent int REFERENCES torture.tree ON DELETE CASCADE);
INSERT INTO torture.tree VALUES (1, NULL), (2, 1), (3, 1), (4, 3), (5, 5);
CREATE TABLE torture.hen (id int PRIMARY KEY, egg int NOT NULL);
CREATE TABLE torture.egg (id int PRIMARY KEY, hen int NOT NULL REFERENCES torture.hen DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE torture.hen ADD FOREIGN KEY (egg) REFERENCES torture.egg DEFERRABLE;
BEGIN; SET CONSTRAINTS ALL DEFERRED;
INSERT INTO torture.hen VALUES (1, 1), (2, 2);
INSERT INTO torture.egg VALUES (1, 2), (2, 1);
COMMIT;
CREATE TABLE torture.refers (
    id int PRIMARY KEY,
    a int, b text,
    FOREIGN KEY (a, b) REFERENCES torture.by_list MATCH FULL ON UPDATE CASCADE,
    tree int CONSTRAINT "to the tree" REFERENCES torture.tree ON DELETE SET DEFAULT DEFAULT 1);
INSERT INTO torture.refers VALUES (1, 5, 'de', 2), (2, NULL, NULL, DEFAULT);
CREATE TABLE torture.by_ref (id int, t int REFERENCES torture.tree) PARTITION BY LIST (id);
CREATE TABLE torture.by_ref_1 PARTITION OF torture.by_ref FOR VALUES IN (1);
INSERT INTO torture.by_ref VALUES (1, 3);

CREATE TABLE torture.constraints (
    id int PRIMARY KEY,
    u int UNIQUE DEFERRABLE INITIALLY DEFERRED,
    r int4range,
    e text CHECK (e <> 'never') NO INHERIT,
    CONSTRAINT "check it's ""quoted""" CHECK (u IS NULL OR u < 1000),
    EXCLUDE USING gist (r WITH &&) WHERE (id > 0)
);
COMMENT ON CONSTRAINT "check it's ""quoted""" ON torture.constraints IS 'a comment on a constraint';
INSERT INTO torture.constraints VALUES (1, 1, '[1,5)', 'a'), (2, NULL, '[5,9)', NULL), (-3, 3, '[1,9)', '');
ALTER TABLE torture.constraints ADD CONSTRAINT not_valid CHECK (id > 0) NOT VALID;
ALTER TABLE torture.constraints ADD CONSTRAINT fk_not_valid FOREIGN KEY (u) REFERENCES torture.tree NOT VALID;

CREATE INDEX indexes_desc ON torture.many_rows (g DESC NULLS LAST, t text_pattern_ops) WHERE id > 10;
CREATE INDEX indexes_expression ON torture.many_rows ((lower(t) || 'x'), (n + 1)) INCLUDE (g);
ALTER INDEX torture.indexes_expression ALTER COLUMN 1 SET STATISTICS 400;
CREATE INDEX indexes_hash ON torture.many_rows USING hash (t);
CREATE INDEX indexes_brin ON torture.many_rows USING brin (id) WITH (pages_per_range = 4);
CREATE INDEX indexes_gin ON torture.large_values USING gin (j jsonb_path_ops);
CREATE INDEX indexes_spgist ON torture.key_text USING spgist (k);
COMMENT ON INDEX torture.indexes_hash IS 'a comment on an index';
CREATE STATISTICS torture.stats (ndistinct, dependencies) ON g, id FROM torture.many_rows;
CREATE STATISTICS torture.stats_expression ON (g % 10), (length(t)) FROM torture.many_rows;
ALTER STATISTICS torture.stats SET STATISTICS 300;
COMMENT ON STATISTICS torture.stats IS 'a comment on statistics';
