-- Types of one's own: the text of a row depends on all of them.
CREATE TYPE torture.mood AS ENUM ('sad', 'ok', 'it''s, "fine"', 'back\slash', '');
ALTER TYPE torture.mood ADD VALUE 'first' BEFORE 'sad';
CREATE TYPE torture.point3 AS (x double precision, "Y y" text, z numeric(6,2));
CREATE TYPE torture.nested AS (p torture.point3, moods torture.mood[], n int);
ALTER TYPE torture.nested ADD ATTRIBUTE later text;
ALTER TYPE torture.nested DROP ATTRIBUTE n;
CREATE DOMAIN torture.positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN torture.even_positive AS torture.positive CHECK (VALUE % 2 = 0);
CREATE DOMAIN torture.code AS varchar(8) COLLATE "C" NOT NULL DEFAULT 'none' CONSTRAINT no_blank CHECK (VALUE !~ ' ');
CREATE DOMAIN torture.int_list AS integer[] CHECK (array_length(VALUE, 1) < 10);
CREATE DOMAIN torture.place AS torture.point3;
COMMENT ON DOMAIN torture.code IS 'a domain';
COMMENT ON TYPE torture.mood IS 'an enum';
CREATE TYPE torture.float_range AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TYPE torture.text_range AS RANGE (subtype = text, collation = "C", multirange_type_name = torture.text_ranges);
CREATE TYPE torture.shell_only;

CREATE TABLE torture.own_types (
    id int PRIMARY KEY,
    m torture.mood,
    ms torture.mood[],
    p torture.point3,
    ps torture.point3[],
    n torture.nested,
    d torture.positive,
    e torture.even_positive,
    c torture.code,
    l torture.int_list,
    pl torture.place,
    fr torture.float_range,
    tr torture.text_range,
    tm torture.text_ranges,
    whole torture."order"
);
INSERT INTO torture.own_types VALUES
(1, 'it''s, "fine"', ARRAY['sad', '', NULL, 'back\slash']::torture.mood[],
 ROW('NaN', 'a "quoted", (text) \ with everything', 1.5),
 ARRAY[ROW(1, NULL, NULL)::torture.point3, ROW(NULL, '', 2)::torture.point3, NULL],
 ROW(ROW(1, 'in''ner', 2)::torture.point3, ARRAY['ok', 'sad']::torture.mood[], 'later'),
 1, 2, 'abc', '{1,2,3}', ROW(1, 'p', 3), '[1.5,2.5)', '[a,"b,c""d\\"]', '{[a,b),[x,y]}', ROW(1, 'u')),
(2, '', '{}', ROW(NULL, NULL, NULL), '{}', ROW(NULL, NULL, NULL), NULL, NULL, 'x', NULL, NULL,
 'empty', 'empty', '{}', NULL),
(3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'none', '[2:4]={7,8,9}', NULL, '(,)', '(,)', '{(,)}',
 ROW(NULL, NULL));
INSERT INTO torture.own_types (id, c) VALUES (4, '\N'), (5, '\.');
