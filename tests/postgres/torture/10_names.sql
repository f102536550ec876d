-- Names that have to be quoted, and roles that own and are granted things.
DO $$ DECLARE role text; BEGIN
  FOREACH role IN ARRAY ARRAY['torture_owner', 'torture_reader', 'torture "quoted" role'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', role);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
  END LOOP;
END $$;

CREATE SCHEMA torture AUTHORIZATION torture_owner;
COMMENT ON SCHEMA torture IS 'Everything at once; it''s "quoted" \ and has
a line feed';
CREATE SCHEMA "Sche.ma ""quoted""";
CREATE SCHEMA "schéma ☃";
CREATE SCHEMA empty_schema;
SET search_path = torture, public;

CREATE TABLE "Sche.ma ""quoted"""."Ta.ble ""x"" 'y' \ z" (
    "id" integer PRIMARY KEY,
    "select" text,
    "with space" text,
    "dot.ted" text,
    "quo""ted" text,
    "back\slash" text,
    "per%cent %s %(x)s" text,
    "line
feed" text,
    "ünïcödé ☃ 😀" text,
    "CamelCase" text
);
COMMENT ON COLUMN "Sche.ma ""quoted"""."Ta.ble ""x"" 'y' \ z"."quo""ted" IS 'a column''s comment';
INSERT INTO "Sche.ma ""quoted"""."Ta.ble ""x"" 'y' \ z"
SELECT g, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i' FROM generate_series(1, 3) AS g;

CREATE TABLE "schéma ☃"."tablé
; -- DROP TABLE x; Type: TABLE; Schema: public; Owner: nobody" ("clé ☃" text PRIMARY KEY, v int);
INSERT INTO "schéma ☃"."tablé
; -- DROP TABLE x; Type: TABLE; Schema: public; Owner: nobody" VALUES ('é', 1), ('☃', 2), ('a', 3), ('', 4), ('Z', 5);

CREATE TABLE "schéma ☃"."tab	ulator" (id int PRIMARY KEY);
CREATE TABLE torture."order" ("table" int PRIMARY KEY, "user" text DEFAULT 'x'';--');
INSERT INTO torture."order" VALUES (1), (2);
CREATE TABLE torture.a_name_of_sixty_three_bytes_which_is_all_that_postgresql_allows (id int PRIMARY KEY);
