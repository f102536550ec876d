-- Functions, triggers, rules, views, policies, privileges, and the rest of a schema.
CREATE FUNCTION torture.looks_like_a_dump(a int DEFAULT 1, OUT b int, OUT c text) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE COST 5 ROWS 10 SET work_mem = '4MB' AS $body$
BEGIN
--
-- Name: fake; Type: TABLE; Schema: public; Owner: postgres
--

--
-- TOC entry 99 (class 1259 OID 1)
-- Name: fake; Type: TABLE; Schema: public; Owner: postgres
--

/*
\unrestrict nonsense

*/
  RETURN QUERY SELECT 1, $$dollar 'quoted' "text"$$::text || '/* no comment' || E'it\'s' ; -- it's "open
END $body$;
COMMENT ON FUNCTION torture.looks_like_a_dump IS '
--
-- TOC entry 98 (class 0 OID 0)
-- Dependencies: 97
-- Name: fake; Type: TABLE; Schema: public; Owner: postgres
--
\restrict x

$body$ it''s';
CREATE FUNCTION torture.atomic(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  SELECT CASE WHEN a > b THEN a ELSE b END;
  SELECT a + b;
END;
CREATE FUNCTION torture.uses_a_table() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM torture.no_key; END;
CREATE FUNCTION torture."fun ""c""(x)"(VARIADIC "a b" text[]) RETURNS text LANGUAGE sql AS 'select $1[1]';
CREATE PROCEDURE torture.proc(INOUT x int) LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN x := x + 1; END';
CREATE AGGREGATE torture.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE OPERATOR torture.<=> (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl, COMMUTATOR = OPERATOR(torture.<=>));
CREATE CAST (torture.mood AS int) WITH INOUT AS ASSIGNMENT;
CREATE COLLATION torture.c_like FROM "C";
CREATE TABLE torture.collated (id int PRIMARY KEY, t text COLLATE torture.c_like, u text COLLATE "POSIX");
INSERT INTO torture.collated VALUES (1, 'b', 'é'), (2, 'A', NULL);
CREATE TEXT SEARCH DICTIONARY torture.simple_stop (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION torture.search (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION torture.search ALTER MAPPING FOR word WITH torture.simple_stop, simple;
CREATE FOREIGN DATA WRAPPER torture_wrapper;
CREATE SERVER torture_server FOREIGN DATA WRAPPER torture_wrapper OPTIONS (host 'no''where');
CREATE USER MAPPING FOR torture_owner SERVER torture_server OPTIONS (secret 'x');
CREATE FOREIGN TABLE torture.elsewhere (id int OPTIONS (c 'd'), v text) SERVER torture_server OPTIONS (a 'b');

CREATE FUNCTION torture.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' AND TG_LEVEL = 'ROW' THEN NEW.v := coalesce(NEW.v, '') || ' (by trigger)'; END IF;
  RETURN NEW;
END $$;
CREATE TABLE torture.triggered (id int PRIMARY KEY, v text);
INSERT INTO torture.triggered VALUES (1, 'before the triggers');
CREATE TRIGGER before_row BEFORE INSERT ON torture.triggered FOR EACH ROW EXECUTE FUNCTION torture.note();
CREATE TRIGGER when_columns BEFORE UPDATE OF v ON torture.triggered FOR EACH ROW WHEN (OLD.v IS DISTINCT FROM NEW.v) EXECUTE FUNCTION torture.note('an', 'argument''s');
CREATE TRIGGER "disabled ""one""" BEFORE INSERT ON torture.triggered FOR EACH ROW EXECUTE FUNCTION torture.note();
CREATE TRIGGER always_on AFTER INSERT ON torture.triggered REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION torture.note();
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON torture.triggered DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION torture.note();
ALTER TABLE torture.triggered DISABLE TRIGGER "disabled ""one""";
ALTER TABLE torture.triggered ENABLE ALWAYS TRIGGER always_on;
ALTER TABLE torture.triggered ENABLE REPLICA TRIGGER when_columns;
COMMENT ON TRIGGER before_row ON torture.triggered IS 'a comment on a trigger';
CREATE TRIGGER on_partitions AFTER INSERT ON torture.by_list FOR EACH ROW EXECUTE FUNCTION torture.note();
ALTER TABLE torture.by_list_de DISABLE TRIGGER on_partitions;
CREATE RULE no_delete AS ON DELETE TO torture.triggered WHERE old.id = 1 DO INSTEAD NOTHING;
CREATE RULE also AS ON UPDATE TO torture.triggered DO ALSO NOTIFY torture;
ALTER TABLE torture.triggered DISABLE RULE also;
COMMENT ON RULE no_delete ON torture.triggered IS 'a comment on a rule';

CREATE VIEW torture.view AS SELECT id, v FROM torture.triggered WHERE id > 0 WITH LOCAL CHECK OPTION;
CREATE VIEW torture.view_on_view WITH (security_barrier) AS SELECT id AS "renamed ""id""" FROM torture.view;
CREATE VIEW torture.view_by_key AS SELECT id, g, count(*) FROM torture.many_rows GROUP BY id;
CREATE RECURSIVE VIEW torture.view_tree (id, depth) AS
    SELECT id, 0 FROM torture.tree WHERE parent IS NULL
    UNION ALL SELECT t.id, depth + 1 FROM torture.tree t JOIN view_tree p ON t.parent = p.id;
ALTER VIEW torture.view ALTER COLUMN v SET DEFAULT 'by view';
CREATE FUNCTION torture.instead() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER instead INSTEAD OF INSERT ON torture.view FOR EACH ROW EXECUTE FUNCTION torture.instead();
COMMENT ON VIEW torture.view IS 'a comment on a view';
CREATE MATERIALIZED VIEW torture.mat AS SELECT g, count(*) AS n FROM torture.many_rows GROUP BY g;
CREATE UNIQUE INDEX mat_g ON torture.mat (g);
CREATE MATERIALIZED VIEW torture.mat_on_mat AS SELECT max(n) AS most FROM torture.mat;
CREATE MATERIALIZED VIEW torture.mat_empty AS SELECT 1 AS never WITH NO DATA;
CREATE MATERIALIZED VIEW torture.a_mat_on_view AS SELECT * FROM torture.view_by_key WHERE id < 10;
COMMENT ON MATERIALIZED VIEW torture.mat IS 'a comment on a matview';

CREATE TABLE torture.guarded (id int PRIMARY KEY, owner text);
INSERT INTO torture.guarded VALUES (1, 'torture_owner'), (2, 'torture_reader');
ALTER TABLE torture.guarded OWNER TO torture_owner;
ALTER TABLE torture.guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON torture.guarded AS RESTRICTIVE FOR SELECT TO torture_reader, torture_owner USING (owner = current_user);
CREATE POLICY "write ""it""" ON torture.guarded FOR INSERT WITH CHECK (id > 0);
COMMENT ON POLICY mine ON torture.guarded IS 'a comment on a policy';

CREATE FUNCTION torture.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER torture_on_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION torture.on_ddl();
ALTER EVENT TRIGGER torture_on_ddl DISABLE;
CREATE PUBLICATION torture_some FOR TABLE torture.triggered, torture.many_rows WITH (publish = 'insert, update');
CREATE PUBLICATION torture_all FOR ALL TABLES WITH (publish_via_partition_root = true);
COMMENT ON PUBLICATION torture_some IS 'a comment on a publication';

GRANT USAGE ON SCHEMA torture TO torture_reader, "torture ""quoted"" role";
GRANT SELECT, INSERT ON torture.many_rows TO torture_reader WITH GRANT OPTION;
GRANT SELECT (g), UPDATE (t) ON torture.many_rows TO "torture ""quoted"" role";
GRANT SELECT ON torture.view TO PUBLIC;
REVOKE ALL ON FUNCTION torture.atomic FROM PUBLIC;
GRANT EXECUTE ON FUNCTION torture.atomic TO torture_reader;
REVOKE USAGE ON TYPE torture.mood FROM PUBLIC;
GRANT USAGE ON FOREIGN SERVER torture_server TO torture_reader;
ALTER TABLE torture.parent OWNER TO torture_owner;
ALTER TYPE torture.point3 OWNER TO "torture ""quoted"" role";
ALTER FUNCTION torture.atomic OWNER TO torture_owner;
ALTER SEQUENCE torture.seq_down OWNER TO torture_owner;
ALTER DEFAULT PRIVILEGES FOR ROLE torture_owner IN SCHEMA torture GRANT SELECT ON TABLES TO torture_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE torture_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
REVOKE ALL ON SCHEMA empty_schema FROM PUBLIC;

-- Large objects: two pages, empty, one with a hole, one that ends on a page's edge.
SELECT lo_from_bytea(900001, decode((SELECT string_agg(md5(g::text), '') FROM generate_series(1, 20000) AS g), 'hex'));
SELECT lo_create(900002);
SELECT lo_create(900003);
SELECT lo_put(900003, 3145728, 'behind a hole');
SELECT lo_from_bytea(900004, decode(repeat('ab', 262144), 'hex'));
SELECT lo_from_bytea(900005, decode(repeat('00', 5000), 'hex'));
COMMENT ON LARGE OBJECT 900001 IS 'it''s a comment';
ALTER LARGE OBJECT 900001 OWNER TO torture_owner;
GRANT SELECT ON LARGE OBJECT 900001 TO torture_reader;
GRANT SELECT, UPDATE ON LARGE OBJECT 900003 TO "torture ""quoted"" role" WITH GRANT OPTION;
REVOKE ALL ON LARGE OBJECT 900004 FROM torture_owner, PUBLIC;
ALTER LARGE OBJECT 900002 OWNER TO torture_owner;
REVOKE ALL ON LARGE OBJECT 900002 FROM torture_owner;
