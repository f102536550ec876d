CREATE COLLATION torture.case_insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE torture.key_nondeterministic (k text COLLATE torture.case_insensitive PRIMARY KEY, v int);
INSERT INTO torture.key_nondeterministic VALUES ('b', 1), ('A', 2), ('C', 3), ('é', 4);
CREATE TABLE torture.key_german (k text COLLATE "de-x-icu" PRIMARY KEY);
INSERT INTO torture.key_german VALUES ('z'), ('ä'), ('a'), ('Z');
