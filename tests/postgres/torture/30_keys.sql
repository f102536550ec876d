-- Every kind of primary key, with values whose order or text is not what one might expect.
CREATE TABLE torture.key_smallint (k smallint PRIMARY KEY, v text);
INSERT INTO torture.key_smallint VALUES (-32768, 'a'), (0, 'b'), (32767, 'c'), (-1, 'd');
CREATE TABLE torture.key_bigint (v text, k bigint PRIMARY KEY);
INSERT INTO torture.key_bigint VALUES ('a', -9223372036854775808), ('b', 9223372036854775807), ('c', 0), ('d', -1), ('e', 10), ('f', 9);
CREATE TABLE torture.key_oid (k oid PRIMARY KEY, v int);
INSERT INTO torture.key_oid VALUES (0, 1), (4294967295, 2), (2147483648, 3), (16384, 4);
CREATE TABLE torture.key_uuid (k uuid PRIMARY KEY, v int);
INSERT INTO torture.key_uuid VALUES ('00000000-0000-0000-0000-000000000000', 1),
    ('ffffffff-ffff-ffff-ffff-ffffffffffff', 2), ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 3),
    ('5c0a1000-0000-4000-8000-00000a0d0900', 4);
CREATE TABLE torture.key_text (k text PRIMARY KEY, v int);
INSERT INTO torture.key_text VALUES ('', 1), ('a', 2), ('A', 3), ('ab', 4), ('a b', 5), ('é', 6), ('z', 7),
    (E'tab\there', 8), (E'line\nfeed', 9), (E'back\\slash', 10), ('\N', 11), ('\.', 12), (E'\x01', 13),
    ('😀', 14), (E'a\u0301', 15), ('á', 16), (E'carriage\rreturn', 17), (E'\x7f', 18), ('"', 19), ('''', 20),
    (repeat('long ', 500), 21), ('a' || chr(160), 22);
CREATE TABLE torture.key_varchar (k varchar(40) COLLATE "C", v int, PRIMARY KEY (k));
INSERT INTO torture.key_varchar SELECT md5(g::text), g FROM generate_series(1, 50) AS g;
CREATE TABLE torture.key_bpchar (k char(6) PRIMARY KEY, v int);
INSERT INTO torture.key_bpchar VALUES ('', 1), ('a', 2), ('ab  ', 3), ('abcdef', 4), (E'a\t', 5), ('A', 6);
CREATE TABLE torture.key_bpchar_free (k bpchar, PRIMARY KEY (k));
INSERT INTO torture.key_bpchar_free VALUES ('a  '), ('b'), ('');
CREATE TABLE torture.key_name (k name PRIMARY KEY);
INSERT INTO torture.key_name VALUES ('pg_class'), ('A b'), ('');
CREATE TABLE torture.key_char ("k" "char" PRIMARY KEY, v int);
INSERT INTO torture.key_char VALUES ('', 0), ('a', 1), ('Z', 2), ('\', 3), ('~', 4);
CREATE TABLE torture.key_numeric (k numeric PRIMARY KEY, v text);
INSERT INTO torture.key_numeric VALUES (1.0, 'a'), (2, 'b'), (10, 'c'), (-1.50, 'd'), (0.000, 'e'),
    ('NaN', 'f'), ('Infinity', 'g'), ('-Infinity', 'h'), (1e30, 'i'), (1e-30, 'j');
CREATE TABLE torture.key_float (k double precision PRIMARY KEY, v int);
INSERT INTO torture.key_float VALUES ('-0', 1), ('NaN', 2), ('Infinity', 3), (0.1, 4), (0.30000000000000004, 5), (5e-324, 6);
CREATE TABLE torture.key_money (k money PRIMARY KEY);
INSERT INTO torture.key_money VALUES (1::money), ((-1.5)::numeric::money), (100000::money);
CREATE TABLE torture.key_boolean (k boolean PRIMARY KEY, v int);
INSERT INTO torture.key_boolean VALUES (true, 1), (false, 0);
CREATE TABLE torture.key_date (k date PRIMARY KEY, v int);
INSERT INTO torture.key_date VALUES ('0044-03-15 BC', 1), ('infinity', 2), ('-infinity', 3), ('2024-02-29', 4), ('10000-01-01', 5);
CREATE TABLE torture.key_timestamptz (k timestamptz PRIMARY KEY);
INSERT INTO torture.key_timestamptz VALUES ('2024-03-31 01:59:59.999999+01'), ('2024-10-27 02:30+02'),
    ('2024-10-27 02:30+01'), ('infinity'), ('0001-01-01 00:00:00+00 BC');
CREATE TABLE torture.key_interval (k interval PRIMARY KEY);
INSERT INTO torture.key_interval VALUES ('1 mon'), ('31 days'), ('1 year -1 day'), ('-00:00:01'), ('0');
CREATE TABLE torture.key_bytea (k bytea PRIMARY KEY);
INSERT INTO torture.key_bytea VALUES (''), ('\x00'), ('\x0001'), ('\xff'), ('\x5c'), ('\x0a0d09');
CREATE TABLE torture.key_inet (k inet PRIMARY KEY);
INSERT INTO torture.key_inet VALUES ('10.0.0.1'), ('10.0.0.1/8'), ('::1'), ('0.0.0.0/0');
CREATE TABLE torture.key_enum (k torture.mood PRIMARY KEY);
INSERT INTO torture.key_enum VALUES ('first'), ('sad'), ('back\slash'), ('');
CREATE TABLE torture.key_domain (k torture.even_positive PRIMARY KEY, v int);
INSERT INTO torture.key_domain VALUES (10), (2), (200);
CREATE TABLE torture.key_code (k torture.code PRIMARY KEY);
INSERT INTO torture.key_code VALUES ('b'), ('a'), ('');
CREATE TABLE torture.key_array (k text[] PRIMARY KEY);
INSERT INTO torture.key_array VALUES ('{}'), ('{a,NULL,"NULL",""}'), ('{{a,b},{c,d}}'), ('[0:1]={x,y}');
CREATE TABLE torture.key_composite_type (k torture.point3 PRIMARY KEY);
INSERT INTO torture.key_composite_type VALUES (ROW(1, NULL, 2)), (ROW(1, '', 2)), (ROW(NULL, 'a"b', NULL));
CREATE TABLE torture.key_range (k int4range PRIMARY KEY);
INSERT INTO torture.key_range VALUES ('empty'), ('[1,5)'), ('(,)'), ('[2,)');
CREATE TABLE torture.key_jsonb (k jsonb PRIMARY KEY);
INSERT INTO torture.key_jsonb VALUES ('{"a": 1}'), ('[]'), ('"x"'), ('1.50'), ('null');
CREATE TABLE torture.key_bits (k bit varying PRIMARY KEY);
INSERT INTO torture.key_bits VALUES (''), (B'0'), (B'01'), (B'1');
CREATE TABLE torture.key_tid (k tid PRIMARY KEY);
INSERT INTO torture.key_tid VALUES ('(0,1)'), ('(10,2)'), ('(9,3)');
CREATE TABLE torture.key_regclass (k regclass PRIMARY KEY, v int);
INSERT INTO torture.key_regclass VALUES ('pg_class', 1), ('torture."order"', 2), ('"Sche.ma ""quoted"""."Ta.ble ""x"" ''y'' \ z"', 3);

CREATE TABLE torture.key_composite (a text, b int, c uuid, d text, e char(3), v int, PRIMARY KEY (d, b, a, c, e));
INSERT INTO torture.key_composite
SELECT a, b, md5(a || b)::uuid, d, e, row_number() OVER ()
FROM unnest(ARRAY['', 'a', 'a b', E'a\t', 'b']) AS a, unnest(ARRAY[-1, 0, 256]) AS b,
     unnest(ARRAY['', 'x', E'x\\', 'xy']) AS d, unnest(ARRAY['', 'e']) AS e;
CREATE TABLE torture.key_include (k int, extra text, v text, PRIMARY KEY (k) INCLUDE (extra));
INSERT INTO torture.key_include VALUES (2, 'b', 'x'), (1, 'a', 'y');
CREATE TABLE torture.key_generated (a int, b text, k text GENERATED ALWAYS AS (b || '-' || a::text) STORED PRIMARY KEY);
INSERT INTO torture.key_generated VALUES (2, 'x'), (10, 'x'), (1, E'y\t');
CREATE TABLE torture.key_generated_null (a int, b text, k int GENERATED ALWAYS AS (coalesce(a, -5)) STORED PRIMARY KEY);
INSERT INTO torture.key_generated_null VALUES (NULL, NULL), (7, NULL);
CREATE TABLE torture.key_only_generated (k int GENERATED ALWAYS AS (42) STORED PRIMARY KEY);
INSERT INTO torture.key_only_generated DEFAULT VALUES;
CREATE TABLE torture.key_deferrable (k int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text);
INSERT INTO torture.key_deferrable VALUES (1, 'a'), (2, 'b');
