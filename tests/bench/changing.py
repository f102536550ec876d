"""Changes of some products, scattered at random, at no more cost than what changes."""

import random

import psycopg

_UPDATE = """
UPDATE products p
SET price = round(p.price * c.factor, 2), stock = c.stock,
    updated_at = p.updated_at + c.later * interval '1 s'
FROM unnest(%s::bigint[], %s::numeric[], %s::integer[], %s::integer[]) AS c (id, factor, stock, later)
WHERE p.id = c.id
"""


def change(url: str, count: int, seed: int) -> int:
    """Give so many products, or all there are, a later time, a new stock and most a new price; how many."""
    rng = random.Random(f"{seed} hour")
    with psycopg.connect(url, autocommit=True) as connection:
        (highest,) = connection.execute("SELECT max(id) FROM products").fetchall()[0]
        chosen = rng.sample(range(1, highest + 1), min(count, highest))
        factors = [f"{0.8 + 0.4 * rng.random():.4f}" for _ in chosen]
        stocks = [rng.randrange(500) for _ in chosen]
        later = [rng.randrange(1, 3600) for _ in chosen]
        return connection.execute(_UPDATE, [chosen, factors, stocks, later]).rowcount
