"""What versions are taken of: few records, some of which change between any two versions."""

import random

from tests.engine.scenes import PRODUCTS, SUPPLIERS, Platform, product

PRODUCTS_EACH = 7


def first_platform(rng: random.Random) -> Platform:
    edition = rng.randrange(1000)
    return {
        PRODUCTS: {number: product(number, edition) for number in range(PRODUCTS_EACH)},
        SUPPLIERS: {number: b"%d\tsupplier %d" % (number, edition) for number in range(2)},
    }


def next_platform(rng: random.Random, before: Platform, earlier: list[Platform]) -> Platform:
    """Some records changed, sometimes to what they were in an earlier version."""
    products, suppliers = dict(before[PRODUCTS]), dict(before[SUPPLIERS])  # type: ignore[arg-type]
    old = rng.choice(earlier)[PRODUCTS] if earlier and rng.random() < 0.5 else {}
    for _ in range(rng.choice((1, 2, 2, 4))):
        number = rng.randrange(PRODUCTS_EACH)
        if isinstance(old, dict) and number in old:
            products[number] = old[number]
        elif rng.random() < 0.2:
            products.pop(number, None)
        else:
            products[number] = product(number, rng.randrange(1000, 2000))
    if rng.random() < 0.2:
        suppliers[rng.randrange(4)] = b"9\tsupplier %d" % rng.randrange(1000)
    return {PRODUCTS: products, SUPPLIERS: suppliers}
