CREATE TABLE torture.xmls (id int PRIMARY KEY, x xml, xs xml[]);
INSERT INTO torture.xmls VALUES (1, '<?xml version="1.0"?><a b="c">&lt;é</a>', ARRAY['<a/>'::xml, NULL]), (2, 'content only <b/>', '{}'), (3, '', NULL);
