"""Products as COPY lines: one generator, one order, so that a seed gives the same rows everywhere.

Only `Random.random()` is used: Python promises its sequence for a seed, and that of no other method.
The vocabulary holds no character that COPY or JSON would escape.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cas.demo.sentences import Draw, description
from cas.demo.taxonomy import Leaf
from cas.demo.words import BRAND_ENDINGS, BRAND_STEMS, COLOURS, SERIES, TAGS

COLUMNS = (
    "id", "sku", "name", "brand", "category_id", "supplier_id", "price", "stock", "status", "description",
    "attributes", "created_at", "updated_at",
)  # fmt: skip

OPENED = datetime(2022, 3, 1, tzinfo=UTC)
"""The first product's day."""
TODAY = datetime(2025, 12, 15, tzinfo=UTC)
"""The platform's own present: nothing in it is younger before the first change."""

_SKU_DIGITS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_SKU_SPACE = len(_SKU_DIGITS) ** 6
_SKU_STEP = 611_953_141
"""Prime, and no divisor of the space: successive numbers give distinct codes that look shuffled."""
_STATUSES = ("active",) * 16 + ("draft", "paused", "discontinued", "discontinued")
_BRANDS = tuple(stem + ending for ending in BRAND_ENDINGS for stem in BRAND_STEMS)
_ENDINGS = (99, 95, 90, 50, 0, 49)


@dataclass(frozen=True, slots=True)
class Assortment:
    """What products refer to. `count` products are spread over the years since `OPENED`."""

    leaves: Sequence[Leaf]
    supplier_ids: Sequence[str]
    count: int


def sku(number: int, code: str) -> str:
    """The article number of the product with this number: 'GA-7K2M9Q'. Distinct below 34^6 products."""
    rest = number * _SKU_STEP % _SKU_SPACE
    digits = []
    for _ in range(6):
        rest, digit = divmod(rest, len(_SKU_DIGITS))
        digits.append(_SKU_DIGITS[digit])
    return f"{code}-{''.join(digits)}"


def product_lines(
    assortment: Assortment, *, seed: int, first: int = 1, last: int | None = None
) -> Iterator[bytes]:
    """COPY lines, in the order of COLUMNS, of the products `first` to `last` (by default `count`).

    The lines depend on the seed, on `first` and on the assortment.
    """
    draw = random.Random(f"{seed} products from {first}").random
    for number in range(first, (assortment.count if last is None else last) + 1):
        yield _line(number, assortment, draw)


def _line(number: int, assortment: Assortment, draw: Draw) -> bytes:
    # Squares favour the low end: a few categories, suppliers and brands have most of the products.
    leaf = assortment.leaves[int(draw() ** 1.5 * len(assortment.leaves))]
    supplier = int(draw() ** 1.3 * len(assortment.supplier_ids))
    brand = _BRANDS[int(draw() ** 1.3 * len(_BRANDS))]
    colour = COLOURS[int(draw() * len(COLOURS))]
    series = SERIES[int(draw() * len(SERIES))]
    name = f"{brand} {series} {10 * int(draw() * 95) + 50} {leaf.title}"
    if draw() < 0.6:
        name += f", {colour}"
    price = f"{int(3 + 400 * draw() ** 3)}.{_ENDINGS[int(draw() ** 2 * len(_ENDINGS))]:02d}"
    created, updated = _moments(number, assortment.count, draw)
    fields = (
        str(number),
        sku(number, leaf.department.code),
        name,
        brand,
        str(leaf.node_id),
        assortment.supplier_ids[supplier],
        price,
        str(int(500 * draw() ** 2)),
        _STATUSES[int(draw() * len(_STATUSES))],
        description(leaf, draw),
        _attributes(leaf, colour, draw),
        created,
        updated,
    )
    return ("\t".join(fields) + "\n").encode()


def _moments(number: int, count: int, draw: Draw) -> tuple[str, str]:
    """When the product was made, about in the order of ids, and last changed.

    Products beyond `count` were added after `TODAY`, one every 40 seconds or so.
    """
    if number > count:
        made = timestamp(TODAY + timedelta(seconds=40 * (number - count + draw())))
        return made, made
    span = TODAY - OPENED
    created = OPENED + timedelta(microseconds=int(span.total_seconds() * 1e6 * (number - 1 + draw()) / count))
    updated = created + timedelta(microseconds=int((TODAY - created).total_seconds() * 1e6 * draw() ** 2))
    return timestamp(created), timestamp(updated)


def timestamp(moment: datetime) -> str:
    """A moment in UTC as PostgreSQL prints it with TimeZone UTC: no trailing zeros in the fraction."""
    return moment.isoformat(" ", "microseconds")[:26].rstrip("0").rstrip(".") + "+00"


def _attributes(leaf: Leaf, colour: str, draw: Draw) -> str:
    """A JSON document as PostgreSQL prints jsonb: shorter keys first. Not every product has every key."""
    materials = leaf.department.materials
    form = draw()
    parts = []
    if form < 0.9:
        parts.append(f'"ean": "40{int(draw() * 10**11):011d}"')
    parts.append(f'"mpn": "{_SKU_DIGITS[10 + int(draw() * 24)]}{int(draw() * 10**6):06d}"')
    if form > 0.75:
        tag = int(draw() ** 2 * len(TAGS))
        parts.append(f'"tags": ["{TAGS[tag]}", "{TAGS[tag - 1 - int(draw() * 6)]}"]')
    parts.append(f'"color": "{colour}"')
    parts.append(f'"image": "{int(draw() * 2**48):012x}"')
    if form < 0.45:
        parts.append(f'"rating": {3 + int(draw() * 20) / 10}, "reviews": {int(900 * draw() ** 3)}')
    if form < 0.2:
        parts.append(f'"material": "{materials[int(draw() * len(materials))]}"')
    parts.append(f'"weight_g": {int(15 + 4000 * draw() ** 2)}')
    if form > 0.45:
        depth, height, width = (int(20 + 900 * draw()) for _ in range(3))
        parts.append(f'"dimensions": {{"d": {depth}, "h": {height}, "w": {width}}}')
    if form > 0.9:
        parts.append(f'"warranty_months": {12 * (1 + int(draw() * 5))}')
    return "{" + ", ".join(parts) + "}"
