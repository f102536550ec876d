CREATE TABLE torture.nulls_not_distinct (id int PRIMARY KEY, a int, UNIQUE NULLS NOT DISTINCT (a));
INSERT INTO torture.nulls_not_distinct VALUES (1, NULL), (2, 5);
CREATE TABLE torture.set_null_columns (id int PRIMARY KEY, a int, b text,
    FOREIGN KEY (a, b) REFERENCES torture.by_list (id, country) ON DELETE SET NULL (a));
CREATE VIEW torture.view_of_invoker WITH (security_invoker) AS SELECT * FROM torture.no_key;
CREATE TABLE torture.numeric_scales (id int PRIMARY KEY, a numeric(3, -2), b numeric(2, 5));
INSERT INTO torture.numeric_scales VALUES (1, 12345, 0.00012), (2, -99900, -0.00099);
CREATE PUBLICATION torture_filtered FOR TABLE torture.tree (id, parent) WHERE (id > 2);
CREATE PUBLICATION torture_schema FOR TABLES IN SCHEMA empty_schema;
GRANT SET ON PARAMETER work_mem TO torture_reader;
