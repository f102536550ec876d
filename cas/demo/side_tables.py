"""The rows around the products: suppliers, categories, custom fields and their values, old prices."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cas.demo.products import OPENED, TODAY, timestamp
from cas.demo.sentences import Draw
from cas.demo.taxonomy import Node
from cas.demo.words import (
    BRAND_ENDINGS,
    BRAND_STEMS,
    COLOURS,
    COUNTRIES,
    PRICE_REASONS,
    SERIES,
    SUPPLIER_FORMS,
    SUPPLIER_TRADES,
)

PRODUCTS_PER_SUPPLIER = 500
FEWEST_SUPPLIERS = 12
PRODUCTS_WITH_CUSTOM_VALUES = 0.05
"""Share of the products that carry values of custom fields, one to three each."""
PRODUCTS_WITH_PRICE_HISTORY = 0.05
"""Share of the products whose price changed in `PRICE_YEAR`, one to three times."""
PRICE_YEAR = 2025

SUPPLIER_COLUMNS = (
    "id", "code", "name", "email", "country", "rating", "lead_time_days", "active", "created_at",
)  # fmt: skip
NODE_COLUMNS = ("id", "parent_id", "name", "slug", "path", "position", "created_at", "updated_at")
CUSTOM_FIELD_COLUMNS = ("id", "key", "label", "kind", "options", "required", "created_at")
CUSTOM_VALUE_COLUMNS = ("product_id", "field_id", "value", "updated_at")
PRICE_COLUMNS = ("product_id", "changed_at", "price", "reason")

NULL = r"\N"


@dataclass(frozen=True, slots=True)
class CustomField:
    """A field that the platform's users defined. `options` is empty unless `kind` is 'choice'."""

    key: str
    label: str
    kind: str
    options: tuple[str, ...] = ()


CUSTOM_FIELDS = (
    CustomField("shelf", "Shelf in the warehouse", "text"),
    CustomField("customs_code", "Customs code", "text"),
    CustomField("buyer_note", "Note of the buyer", "text"),
    CustomField("pack_size", "Pieces per carton", "number"),
    CustomField("pallet_height", "Height of a pallet, cm", "number"),
    CustomField("margin_target", "Target margin, %", "number"),
    CustomField("energy_class", "Energy class", "choice", ("A", "B", "C", "D", "E")),
    CustomField("fit", "Fit", "choice", ("narrow", "regular", "wide")),
    CustomField("season", "Season", "choice", ("spring", "summer", "autumn", "winter", "all year")),
    CustomField("packaging", "Packaging", "choice", ("carton", "paper bag", "none", "returnable box")),
    CustomField("reviewed_on", "Text reviewed on", "date"),
    CustomField("listed_until", "Listed until", "date"),
    CustomField("fragile", "Fragile", "flag"),
    CustomField("age_check", "Sold to adults only", "flag"),
)


def supplier_ids(count: int, *, seed: int) -> Sequence[str]:
    """The keys of the suppliers of a platform with so many products."""
    draw = random.Random(f"{seed} supplier ids").random
    many = max(FEWEST_SUPPLIERS, count // PRODUCTS_PER_SUPPLIER)
    return [str(UUID(int=_bits(draw, 128), version=4)) for _ in range(many)]


def supplier_lines(ids: Sequence[str], *, seed: int) -> Iterator[bytes]:
    """COPY lines of SUPPLIER_COLUMNS."""
    draw = random.Random(f"{seed} suppliers").random
    for number, key in enumerate(ids, 1):
        stem = _pick(BRAND_STEMS, draw) + _pick(BRAND_ENDINGS, draw)
        name = f"{stem} {_pick(SUPPLIER_TRADES, draw)} {_pick(SUPPLIER_FORMS, draw)}"
        yield _line(
            key,
            f"S{number:05d}",
            name,
            f"orders{number}@{stem.lower().replace('ö', 'oe')}.example",
            _pick(COUNTRIES, draw),
            f"{2 + int(draw() * 300) / 100:.2f}" if draw() < 0.8 else NULL,
            str(2 + int(draw() ** 2 * 80)),
            "t" if draw() < 0.93 else "f",
            timestamp(OPENED + timedelta(seconds=int(draw() * 90 * 86400))),
        )


def node_lines(nodes: Sequence[Node]) -> Iterator[bytes]:
    """COPY lines of NODE_COLUMNS."""
    for node in nodes:
        parent = NULL if node.parent_id is None else str(node.parent_id)
        made = timestamp(OPENED + timedelta(minutes=node.id))
        yield _line(str(node.id), parent, node.name, node.slug, node.path, str(node.position), made, made)


def custom_field_lines() -> Iterator[bytes]:
    """COPY lines of CUSTOM_FIELD_COLUMNS."""
    for number, field in enumerate(CUSTOM_FIELDS, 1):
        options = "{" + ",".join(f'"{option}"' if " " in option else option for option in field.options) + "}"
        made = timestamp(OPENED + timedelta(days=number))
        yield _line(str(number), field.key, field.label, field.kind, options, "f", made)


def custom_value_lines(count: int, *, seed: int) -> Iterator[bytes]:
    """COPY lines of CUSTOM_VALUE_COLUMNS, ascending by the primary key."""
    draw = random.Random(f"{seed} custom values").random
    for product in range(1, count + 1):
        if draw() >= PRODUCTS_WITH_CUSTOM_VALUES:
            continue
        first = int(draw() * len(CUSTOM_FIELDS))
        fields = {first, int(draw() * len(CUSTOM_FIELDS)), int(draw() * len(CUSTOM_FIELDS))}
        for place in sorted(fields):
            made = timestamp(TODAY - timedelta(microseconds=int(draw() * 3e13)))
            yield _line(str(product), str(place + 1), _value(CUSTOM_FIELDS[place], draw), made)


def price_lines(count: int, *, seed: int) -> Iterator[bytes]:
    """COPY lines of PRICE_COLUMNS, ascending by the primary key."""
    draw = random.Random(f"{seed} prices").random
    year = datetime(PRICE_YEAR, 1, 1, tzinfo=UTC)
    for product in range(1, count + 1):
        if draw() >= PRODUCTS_WITH_PRICE_HISTORY:
            continue
        moments = sorted({int(draw() * 364 * 86400) for _ in range(1 + int(draw() * 3))})
        for moment in moments:
            reason = _pick(PRICE_REASONS, draw) if draw() < 0.9 else NULL
            price = f"{3 + 400 * draw() ** 3:.2f}"
            yield _line(str(product), timestamp(year + timedelta(seconds=moment)), price, reason)


def price_partitions() -> Iterator[str]:
    """The DDL of the months of `PRICE_YEAR`."""
    for month in range(1, 13):
        start = f"{PRICE_YEAR}-{month:02d}-01 00:00:00+00"
        end = f"{PRICE_YEAR + month // 12}-{month % 12 + 1:02d}-01 00:00:00+00"
        yield (
            f"CREATE TABLE price_history_{PRICE_YEAR}_{month:02d} PARTITION OF price_history"
            f" FOR VALUES FROM ('{start}') TO ('{end}')"
        )


def _value(field: CustomField, draw: Draw) -> str:
    if field.kind == "choice":
        return _pick(field.options, draw)
    if field.kind == "number":
        return str(1 + int(draw() * 240))
    if field.kind == "flag":
        return "true" if draw() < 0.3 else "false"
    if field.kind == "date":
        return (TODAY - timedelta(days=int(draw() * 700))).date().isoformat()
    return f"{_pick(SERIES, draw)} {int(draw() * 1000):03d}, {_pick(COLOURS, draw)}"


def _bits(draw: Draw, count: int) -> int:
    value = 0
    for _ in range(count // 32):
        value = value << 32 | int(draw() * 2**32)
    return value


def _pick(words: Sequence[str], draw: Draw) -> str:
    return words[int(draw() * len(words))]


def _line(*fields: str) -> bytes:
    return ("\t".join(fields) + "\n").encode()
