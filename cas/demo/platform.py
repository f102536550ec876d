"""The demo platform as a whole: build it, change a share of it, tell the story of a busy day.

Everything is deterministic: the same count and seed give the same rows, and the same changes of the
same rows give the same rows again.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files

from cas.demo import products, side_tables
from cas.demo.products import TODAY, Assortment, timestamp
from cas.demo.taxonomy import slug, taxonomy
from cas.errors import InvalidInput
from cas.postgres.demo_platform import DemoDatabase, demo_database, vacuum

DEFAULT_RECORDS = 50_000
MAX_RECORDS = 100_000_000
"""Far more than a disk of today wants to hold, and far below what article numbers can tell apart."""

_BUFFER_LINES = 250
"""Lines sent at once: about 120 KiB of products."""
_LISTED_AT = timestamp(TODAY)


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """`done` rows of this step; `total` is None where the step does not count rows."""

    step: str
    done: int
    total: int | None


Progress = Callable[[BuildProgress], None]


@dataclass(frozen=True, slots=True)
class PlatformReceipt:
    """What was built: rows of each table."""

    seed: int
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class StoryReceipt:
    """What happened to the platform, for people and for checks."""

    category: str
    renamed_to: str
    paths_changed: int
    products_deleted: int
    products_added: int


def build(
    url: str, *, records: int = DEFAULT_RECORDS, seed: int = 1, progress: Progress | None = None
) -> PlatformReceipt:
    """Build the platform with `records` products in an empty database, in one transaction.

    Takes about 30 s and little memory for a million. Raises InvalidInput for a count out of range,
    Conflict where the database is not empty, and what `demo_database` raises.
    """
    if not 1 <= records <= MAX_RECORDS:
        raise InvalidInput(f"a demo platform has 1 to {MAX_RECORDS:,} products, not {records:,}")
    tell = progress or _silent
    with demo_database(url) as database:
        database.require_empty()
        database.run(_script("schema.sql"))
        for partition in side_tables.price_partitions():
            database.run(partition)
        for table, columns, lines in _tables(records, seed):
            total = records if table == "products" else None
            database.copy_in(table, columns, _buffers(lines, table, total, tell))
        for table in ("tree_nodes", "products", "custom_fields"):
            database.advance_ids(table)
        tell(BuildProgress("indexes and references", 0, None))
        database.run(_script("constraints.sql"))
        counts = database.counts()
    tell(BuildProgress("statistics", 0, None))
    vacuum(url)
    return PlatformReceipt(seed, counts)


def mutate(url: str, *, fraction: float, seed: int) -> int:
    """Update this share of the products, scattered uniformly. Returns how many that are.

    Exactly `round(fraction * count)` rows differ afterwards: each gets a later `updated_at`, and
    most a new price, stock or rating. The materialized view is refreshed.
    """
    if not 0 <= fraction <= 1:
        raise InvalidInput(f"a share lies between 0 and 1, not at {fraction}")
    with demo_database(url) as database:
        count = database.count("products")
        wanted = round(fraction * count)
        lines = _changes(count, wanted, seed)
        changed = database.change_products(_joined(lines), not_before=_LISTED_AT)
        assert changed == wanted, (changed, wanted)
        _refresh(database)
    return changed


def busy_day(url: str, *, seed: int, deleted: int = 20, added: int = 150) -> StoryReceipt:
    """A category is renamed, some products are deleted by accident, and new ones are added.

    The deleted ones are neighbours in a category (fewer where there are fewer); the new ones get
    the next numbers. Custom values and old prices go with their products.
    """
    draw = random.Random(f"{seed} busy day").random
    with demo_database(url) as database:
        groups = database.texts("SELECT path FROM tree_nodes WHERE depth = 2 ORDER BY path")
        path = groups[int(draw() * len(groups))]
        category = database.texts("SELECT name FROM tree_nodes WHERE path = %s", path)[0]
        name = f"{category} and Accessories"
        changed = database.rename_category(path, name=name, slug=slug(name), at=_LISTED_AT)
        largest = database.largest_id("products")
        room = database.count("products") - deleted
        gone = database.delete_products(int(draw() * (max(room, 0) + 1)), deleted)
        suppliers = database.texts("SELECT id FROM suppliers ORDER BY id")
        assortment = Assortment(taxonomy().leaves, suppliers, largest)
        lines = products.product_lines(assortment, seed=seed, first=largest + 1, last=largest + added)
        new = database.copy_in("products", products.COLUMNS, _joined(lines))
        database.advance_ids("products")
        _refresh(database)
    return StoryReceipt(category, name, changed, gone, new)


def json_bytes(url: str) -> int:
    """Bytes of all records as JSON, one compact document a record: what a plain export would take."""
    with demo_database(url) as database:
        return database.json_bytes()


def _tables(records: int, seed: int) -> Iterator[tuple[str, tuple[str, ...], Iterable[bytes]]]:
    tree = taxonomy()
    suppliers = side_tables.supplier_ids(records, seed=seed)
    assortment = Assortment(tree.leaves, suppliers, records)
    yield "suppliers", side_tables.SUPPLIER_COLUMNS, side_tables.supplier_lines(suppliers, seed=seed)
    yield "tree_nodes", side_tables.NODE_COLUMNS, side_tables.node_lines(tree.nodes)
    yield "products", products.COLUMNS, products.product_lines(assortment, seed=seed)
    yield "custom_fields", side_tables.CUSTOM_FIELD_COLUMNS, side_tables.custom_field_lines()
    values = side_tables.custom_value_lines(records, seed=seed)
    yield "product_custom_values", side_tables.CUSTOM_VALUE_COLUMNS, values
    yield "price_history", side_tables.PRICE_COLUMNS, side_tables.price_lines(records, seed=seed)


def _changes(count: int, wanted: int, seed: int) -> Iterator[bytes]:
    """A uniform choice of `wanted` positions out of 1..count, ascending, each with its change.

    Selection sampling: every position is taken with the probability that is still needed, so that
    every subset is as likely and nothing is held in memory.
    """
    draw = random.Random(f"{seed} changes").random
    left = wanted
    for position in range(1, count + 1):
        if draw() * (count - position + 1) >= left:
            continue
        left -= 1
        kind = draw()
        factor = f"{0.8 + 0.4 * draw():.4f}" if kind < 0.6 else r"\N"
        stock = str(int(500 * draw() ** 2)) if kind > 0.3 else r"\N"
        rating = f"{1 + 4 * draw():.1f}" if kind > 0.8 else r"\N"
        later = timedelta(microseconds=1 + int(draw() * 8.64e10))
        yield f"{position}\t{factor}\t{stock}\t{rating}\t{later.total_seconds():.6f} s\n".encode()


def _refresh(database: DemoDatabase) -> None:
    database.run("REFRESH MATERIALIZED VIEW category_summary")


def _buffers(lines: Iterable[bytes], step: str, total: int | None, tell: Progress) -> Iterator[bytes]:
    done = 0
    for done, buffer in _gathered(lines):
        tell(BuildProgress(step, done, total))
        yield buffer
    tell(BuildProgress(step, done, done))


def _joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    return (buffer for _, buffer in _gathered(lines))


def _gathered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Buffers of some lines, each with the count of lines up to its end."""
    done = 0
    held: list[bytes] = []
    for line in lines:
        held.append(line)
        if len(held) == _BUFFER_LINES:
            done += len(held)
            yield done, b"".join(held)
            held.clear()
    if held:
        yield done + len(held), b"".join(held)


def _script(name: str) -> str:
    return files("cas.demo").joinpath(name).read_text("utf-8")


def _silent(progress: BuildProgress) -> None:
    """Nobody watches."""
