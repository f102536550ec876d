"""What happens to real databases: accidents, by SQL, and the ways in which people ask for what was lost."""

from collections.abc import Sequence
from dataclasses import dataclass

from cas.live.request import LiveRequest


@dataclass(frozen=True, slots=True)
class Damage:
    """Statements that run without foreign keys and triggers; what refers to what is gone goes too.

    `narrow`: requests that bring everything back as well, each by itself.
    """

    database: str
    what: str
    statements: tuple[str, ...]
    narrow: tuple[LiveRequest, ...] = ()


def of(*tables: str) -> LiveRequest:
    return LiveRequest(tables=tables)


def columns(table: str, *names: str) -> LiveRequest:
    return LiveRequest(tables=(table,), columns=names)


def with_children(table: str, *key: str) -> LiveRequest:
    return LiveRequest(keys=((table, key),), with_children=True)


def tree(table: str, *key: str) -> LiveRequest:
    return LiveRequest(subtrees=((table, key),), with_children=True)


NORTHWIND = (
    Damage(
        "northwind",
        "a supplier goes with its products and their order lines",
        ("DELETE FROM suppliers WHERE supplier_id = 2",),
        (with_children("suppliers", "2"), of("suppliers", "products", "order_details")),
    ),
    Damage(
        "northwind",
        "a manager goes with all below and their orders",
        ("DELETE FROM employees WHERE employee_id = 5",),
        (tree("employees", "5"),),
    ),
    Damage(
        "northwind",
        "two tables are empty",
        ("TRUNCATE order_details, employee_territories",),
        (of("order_details", "employee_territories"),),
    ),
    Damage(
        "northwind",
        "customers are empty and all that refers to them",
        ("TRUNCATE customers CASCADE",),
        (of("customers", "order*"),),
    ),
    Damage(
        "northwind",
        "all prices are others",
        ("UPDATE products SET unit_price = unit_price * 1.1 + 1",),
        (columns("products", "unit_price"),),
    ),
    Damage(
        "northwind",
        "keys are others, where something refers to them and where nothing does",
        (
            "UPDATE suppliers SET supplier_id = supplier_id + 500 WHERE supplier_id < 5",
            "UPDATE products SET supplier_id = supplier_id + 500 WHERE supplier_id < 5",
            "UPDATE us_states SET state_id = state_id + 100",
        ),
        (of("suppliers", "products", "us_states"),),
    ),
    Damage(
        "northwind",
        "keys are swapped",
        (
            "UPDATE shippers SET shipper_id = -shipper_id WHERE shipper_id IN (1, 2)",
            "UPDATE shippers SET shipper_id = 3 + shipper_id WHERE shipper_id < 0",
        ),
        (of("shippers"), columns("shippers", "company_name", "phone")),
    ),
    Damage(
        "northwind",
        "there is more than there was",
        (
            "INSERT INTO suppliers (supplier_id, company_name) VALUES (900, 'Nobody')",
            "INSERT INTO products (product_id, product_name, supplier_id, category_id, discontinued)"
            " SELECT n, 'Nothing', 900, 1, 0 FROM generate_series(900, 910) n",
            "INSERT INTO order_details SELECT order_id, 900, 1, 1, 0 FROM orders WHERE order_id % 7 = 0",
            "INSERT INTO customer_demographics VALUES ('new', 'first of its kind')",
            "INSERT INTO customer_customer_demo SELECT customer_id, 'new' FROM customers",
        ),
    ),
    Damage(
        "northwind",
        "a supplier that nobody wanted has products and order lines",
        (
            "INSERT INTO suppliers (supplier_id, company_name) VALUES (900, 'Nobody')",
            "INSERT INTO products (product_id, product_name, supplier_id, discontinued)"
            " VALUES (900, 'Nothing', 900, 0)",
            "INSERT INTO order_details SELECT order_id, 900, 1, 1, 0 FROM orders WHERE order_id % 7 = 0",
        ),
        (with_children("suppliers", "900"),),
    ),
)

BESTBUY = (
    Damage(
        "bestbuy",
        "a category goes with all below it",
        ("DELETE FROM category WHERE id = 'abcat0500000'",),
        (tree("category", "abcat0500000"),),
    ),
    Damage(
        "bestbuy",
        "a branch hangs elsewhere",
        ("UPDATE category SET parent_id = 'abcat0900000' WHERE parent_id = 'abcat0500000'",),
        (tree("category", "abcat0500000"), columns("category", "parent_id")),
    ),
    Damage("bestbuy", "the stores are gone", ("TRUNCATE store",), (of("store"),)),
    Damage(
        "bestbuy",
        "all stores have moved, and closed",
        ("UPDATE store SET lat = lat + 1, lon = -lon, hours = NULL, services = '{none}'",),
        (columns("store", "lat", "lon", "hours", "services"),),
    ),
    Damage(
        "bestbuy",
        "unique names went round",
        (
            "UPDATE manufacturer SET name = '#' || name",
            "UPDATE manufacturer m SET name = substr(n.name, 2) FROM manufacturer n"
            " WHERE n.id = m.id % 15 + 1",
        ),
        (of("manufacturer"), columns("manufacturer", "name")),
    ),
    Damage(
        "bestbuy",
        "keys are others",
        (
            "UPDATE manufacturer SET id = id + 100",
            "UPDATE product SET manufacturer_id = manufacturer_id + 100",
        ),
        (of("manufacturer", "product"),),
    ),
    Damage(
        "bestbuy",
        "there is more than there was",
        (
            "INSERT INTO manufacturer (name) SELECT 'maker ' || n FROM generate_series(1, 9) n",
            "INSERT INTO product (sku, name, manufacturer_id, category_path)"
            " SELECT -id, name, id, '{}' FROM manufacturer",
            "INSERT INTO product_category SELECT sku, 'abcat0500000', 0 FROM product WHERE sku < 0",
        ),
        (of("manufacturer", "product", "product_category"),),
    ),
)

PAGILA = (
    Damage(
        "pagila",
        "a film goes with its copies, rentals and payments",
        ("DELETE FROM film WHERE film_id = 103",),
        (with_children("film", "103"),),
    ),
    Damage(
        "pagila",
        "one partition is empty",
        ("TRUNCATE payment_p2022_03",),
        (of("payment"),),
    ),
    Damage("pagila", "all partitions are empty", ("TRUNCATE payment",), (of("pay*"),)),
    Damage(
        "pagila",
        "payments of one month were made in another",
        (
            "UPDATE payment SET payment_date = payment_date + interval '28 days'"
            " WHERE payment_date < '2022-02-01'",
        ),
        (of("payment"),),
    ),
    Damage(
        "pagila",
        "nobody brought anything back",
        ("UPDATE rental SET return_date = NULL",),
        (columns("rental", "return_date"),),
    ),
    Damage(
        "pagila",
        "unique managers are swapped",
        (
            "UPDATE store SET manager_staff_id = -1 - manager_staff_id",
            "UPDATE store SET manager_staff_id = 500 + manager_staff_id",
        ),
        (of("store"),),
    ),
    Damage(
        "pagila",
        "texts are others, and what is made of them",
        ("UPDATE film SET description = 'gone', fulltext = to_tsvector('gone'), special_features = '{x}'",),
        (columns("film", "description", "fulltext", "special_features"),),
    ),
    Damage(
        "pagila",
        "there is more than there was",
        (
            "INSERT INTO actor (first_name, last_name) SELECT 'A', 'B' FROM generate_series(1, 50)",
            "INSERT INTO film_actor SELECT actor_id, 1, now() FROM actor WHERE last_name = 'B'",
        ),
        (of("actor", "film_actor"),),
    ),
)

TAXONOMY = (
    Damage(
        "shopify-taxonomy",
        "a branch of the taxonomy goes with translations and attributes",
        ("DELETE FROM taxonomy.category WHERE id = 'ha'",),
        (tree("category", "ha"),),
    ),
    Damage(
        "shopify-taxonomy",
        "a table is empty, another has other texts",
        (
            "TRUNCATE taxonomy.attribute_value",
            "UPDATE taxonomy.category_translation SET name = name || '!' WHERE locale = 'el'",
        ),
    ),
    Damage(
        "shopify-taxonomy",
        "unique values are swapped, and keys are others",
        (
            "UPDATE taxonomy.value SET friendly_id = '#' || friendly_id WHERE id <= 2000",
            "UPDATE taxonomy.value v SET friendly_id = substr(w.friendly_id, 2) FROM"
            " (SELECT id, lead(friendly_id, 1, '#color__black') OVER (ORDER BY id) AS friendly_id"
            " FROM taxonomy.value WHERE friendly_id LIKE '#%') w WHERE w.id = v.id",
            "UPDATE taxonomy.integration_category SET id = id || '+' WHERE vendor = 'google'",
        ),
    ),
    Damage(
        "shopify-taxonomy",
        "there is more than there was",
        (
            "INSERT INTO taxonomy.mapping_rule (vendor, version, input, output)"
            " SELECT 'x', '1', '{}', '[]' FROM generate_series(1, 5000)",
        ),
    ),
)

DAMAGES: Sequence[Damage] = (*NORTHWIND, *BESTBUY, *PAGILA, *TAXONOMY)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A column that goes, and comes again with nothing in it."""

    database: str
    table: str
    column: str
    type: str
    is_last: bool = False
    """Then it is where it was when it comes again, and nothing tells the difference."""
    is_needed: bool = False
    """It was NOT NULL."""

    @property
    def what(self) -> str:
        return f"{self.table}.{self.column}"

    @property
    def drop(self) -> str:
        return f"ALTER TABLE {self.table} DROP COLUMN {self.column}"

    @property
    def add(self) -> str:
        return f"ALTER TABLE {self.table} ADD COLUMN {self.column} {self.type}"

    @property
    def require(self) -> str:
        return f"ALTER TABLE {self.table} ALTER COLUMN {self.column} SET NOT NULL"


DROPPED: Sequence[Dropped] = (
    Dropped("northwind", "products", "discontinued", "integer", is_last=True, is_needed=True),
    Dropped("northwind", "suppliers", "homepage", "text", is_last=True),
    Dropped("northwind", "employees", "photo", "bytea"),
    Dropped("bestbuy", "store", "services", "text[]", is_last=True, is_needed=True),
    Dropped("bestbuy", "category", "raw", "jsonb", is_last=True, is_needed=True),
    Dropped("bestbuy", "product", "price", "numeric(12,2)"),
    Dropped("pagila", "customer", "active", "integer", is_last=True),
    Dropped("pagila", "film", "rating", "mpaa_rating"),
    Dropped("shopify-taxonomy", "taxonomy.category", "path", "text[]", is_last=True, is_needed=True),
)
