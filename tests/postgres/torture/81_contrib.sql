CREATE SCHEMA ext;
CREATE EXTENSION hstore SCHEMA ext;
CREATE EXTENSION citext SCHEMA ext;
CREATE EXTENSION ltree SCHEMA ext;
CREATE EXTENSION btree_gist SCHEMA ext;
CREATE EXTENSION isn SCHEMA ext;
CREATE TABLE torture.contrib (k ext.citext PRIMARY KEY, h ext.hstore, l ext.ltree, ls ext.ltree[], q ext.lquery, i ext.isbn13);
INSERT INTO torture.contrib VALUES ('Abc', '"a b"=>"c\"d", e=>NULL', 'Top.Science.Astronomy', '{a,a.b}', '*.b{1,2}', '978-0-393-04002-9'),
    ('abd', '', '', '{}', NULL, NULL), ('ABE', NULL, NULL, NULL, NULL, NULL);
CREATE TABLE torture.rooms (room int, during tsrange, EXCLUDE USING gist (room WITH =, during WITH &&));
INSERT INTO torture.rooms VALUES (1, '[2024-01-01,2024-01-02)'), (2, '[2024-01-01,2024-01-02)');
