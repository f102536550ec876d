-- What comes after the rows: keys, indexes, references, the views.

ALTER TABLE suppliers ADD CONSTRAINT suppliers_pkey PRIMARY KEY (id);
ALTER TABLE suppliers ADD CONSTRAINT suppliers_code_key UNIQUE (code);

ALTER TABLE tree_nodes ADD CONSTRAINT tree_nodes_pkey PRIMARY KEY (id);
ALTER TABLE tree_nodes ADD CONSTRAINT tree_nodes_path_key UNIQUE (path);
ALTER TABLE tree_nodes ADD CONSTRAINT tree_nodes_parent_id_fkey
    FOREIGN KEY (parent_id) REFERENCES tree_nodes (id);
CREATE INDEX tree_nodes_parent_id_idx ON tree_nodes (parent_id);

ALTER TABLE products ADD CONSTRAINT products_pkey PRIMARY KEY (id);
ALTER TABLE products ADD CONSTRAINT products_sku_key UNIQUE (sku);
ALTER TABLE products ADD CONSTRAINT products_price_check CHECK (price >= 0);
ALTER TABLE products ADD CONSTRAINT products_category_id_fkey
    FOREIGN KEY (category_id) REFERENCES tree_nodes (id);
ALTER TABLE products ADD CONSTRAINT products_supplier_id_fkey
    FOREIGN KEY (supplier_id) REFERENCES suppliers (id);
CREATE INDEX products_category_id_idx ON products (category_id);
CREATE INDEX products_supplier_id_idx ON products (supplier_id);

ALTER TABLE custom_fields ADD CONSTRAINT custom_fields_pkey PRIMARY KEY (id);
ALTER TABLE custom_fields ADD CONSTRAINT custom_fields_key_key UNIQUE (key);

ALTER TABLE product_custom_values ADD CONSTRAINT product_custom_values_pkey PRIMARY KEY (product_id, field_id);
ALTER TABLE product_custom_values ADD CONSTRAINT product_custom_values_product_id_fkey
    FOREIGN KEY (product_id) REFERENCES products (id) ON DELETE CASCADE;
ALTER TABLE product_custom_values ADD CONSTRAINT product_custom_values_field_id_fkey
    FOREIGN KEY (field_id) REFERENCES custom_fields (id);

ALTER TABLE price_history ADD CONSTRAINT price_history_pkey PRIMARY KEY (product_id, changed_at);
ALTER TABLE price_history ADD CONSTRAINT price_history_product_id_fkey
    FOREIGN KEY (product_id) REFERENCES products (id) ON DELETE CASCADE;

CREATE VIEW product_listing AS
    SELECT p.id, p.sku, p.name, p.brand, n.path AS category, s.name AS supplier, p.price, p.stock, p.status
    FROM products p
    JOIN tree_nodes n ON n.id = p.category_id
    JOIN suppliers s ON s.id = p.supplier_id;

CREATE MATERIALIZED VIEW category_summary AS
    SELECT category_id, count(*) AS products, sum(stock) AS stock, round(avg(price), 2) AS average_price
    FROM products
    GROUP BY category_id;
CREATE UNIQUE INDEX category_summary_category_id_idx ON category_summary (category_id);
