"""The history of a product platform: every version is whole, exact, small, and of one moment."""

import random
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest

from tests.acceptance.conftest import CHANGED, PRODUCTS, History, dump, new_place
from tests.cli.running import Place, execute, rows
from tests.servers.postgres import Cluster, Databases

PARTS = (
    "public.tree_nodes",
    "public.products",
    "public.suppliers",
    "public.custom_fields",
    "public.product_custom_values",
    "public.price_history",
)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_any_version_comes_back_exactly_as_the_platform_was(
    history: History, number: int, cluster: Cluster, database: Databases
) -> None:
    """Records, definitions, indexes, constraints, views, sequences: as pg_dump sees them, nothing is
    missing and nothing is new; also from before a bulk change, a mass delete and a dropped column."""
    target = database()
    done = history.place.process("restore", str(number), "--into", target, "--yes", "--json")
    assert done.code == 0, done
    assert done.json["verified"] is True
    restored = dump(cluster, target)
    assert restored.schema == history.moments[number].schema
    assert restored.data == history.moments[number].data


def test_a_version_says_what_it_holds_of_every_part_of_the_platform(history: History) -> None:
    found = {entity["label"]: entity for entity in history.versions[2]["entities"]}
    assert found.keys() >= set(PARTS)
    lines = history.moments[2].data
    assert found["public.products"]["records"] == PRODUCTS - 20 + 150
    assert all(found[part]["records"] > 0 for part in PARTS)
    assert sum(found[part]["records"] for part in PARTS) < len(lines)
    assert all(len(entity["checksum"]) == 64 and entity["read_reason"] for entity in found.values())
    assert (found["public.products"]["read_by"], found["sequences"]["read_by"]) == ("xmin", "scan")


def test_times_and_custom_values_of_a_record_are_kept_with_it(history: History) -> None:
    query = (
        "SELECT id, attributes::text, created_at::text, updated_at::text FROM products ORDER BY id LIMIT 1"
    )
    with psycopg.connect(history.source, options="-c TimeZone=UTC") as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    fields = history.place("get", "3", "products", str(row[0]), "--json").json["fields"]
    values = {field["column"]: field["text"] for field in fields}
    kept = [values[name] for name in ("id", "attributes", "created_at", "updated_at")]
    assert kept == [str(value) for value in row]


def test_versions_are_seven_tenths_smaller_than_the_same_backups_as_json(history: History) -> None:
    added = sum(version["added_bytes"] for version in history.versions.values())
    as_json = sum(history.json_bytes.values())
    assert added <= 0.3 * as_json, f"{added:,} of {as_json:,}"


def test_already_the_first_version_of_the_demo_is_seven_tenths_smaller(tmp_path: Path) -> None:
    """The main job as it is shown to everybody, with its 50,000 products and its level of compression."""
    place = Place(tmp_path, {"CAS_HOME": str(tmp_path / "home")})
    report = place.process("demo", "--json").json
    costs = {cost["name"]: cost["first_bytes"] for cost in report["costs"]}
    assert costs["cas"] <= 0.3 * costs["the records as JSON"]
    assert report["proof"]["checksum"] == report["proof"]["restored_checksum"]
    assert report["proof"]["rows"] == report["proof"]["restored_rows"]


def test_the_next_version_costs_what_changed(history: History) -> None:
    first, second = history.versions[1], history.versions[2]
    new = next(entity for entity in second["entities"] if entity["label"] == "public.products")["new_chunks"]
    assert new == pytest.approx(PRODUCTS * CHANGED + 150, abs=5)
    assert second["added_bytes"] < 0.15 * first["added_bytes"]
    assert second["stored_bytes"] > 0.9 * first["stored_bytes"], "and it is whole all the same"


def test_sizes_are_those_on_the_disk(history: History) -> None:
    store = history.place.store
    files = [path for folder in ("packs", "versions") for path in (store / folder).rglob("*")]
    stored = sum(path.stat().st_size for path in files if path.is_file())
    listed = history.place("versions", "--json").json["versions"]
    assert sum(version["added_bytes"] for version in listed) == stored
    assert history.versions[1]["stored_bytes"] == history.versions[1]["added_bytes"]


def test_the_platform_is_only_read(
    history: History, role: str, database: Databases, cluster: Cluster
) -> None:
    """Nothing of ours is in it, and a role that can do nothing but read gets the same version."""
    assert history.moments[1] == history.before
    execute(cluster.url(), f"GRANT pg_read_all_data TO {role}")
    reader = history.source.replace("postgres@", f"{role}@")
    place = Place(history.place.directory, {**history.place.environment, "CAS_SOURCE": reader})
    taken = place("snapshot", "--reason", "by a reader", "--json")
    assert taken.code == 0, taken
    assert taken.json["version"]["checksum"] == history.versions[3]["checksum"]
    assert dump(cluster, history.source) == history.moments[3]


def test_a_version_is_of_one_moment_whatever_is_written_meanwhile(
    tmp_path: Path, database: Databases
) -> None:
    """Somebody moves goods from one table to the other all the time; no version sees any on the way."""
    source = database()
    execute(
        source,
        "CREATE TABLE a_here (id integer PRIMARY KEY, goods integer)",
        "CREATE TABLE b_there (id integer PRIMARY KEY, goods integer)",
        "INSERT INTO a_here SELECT n, 1000 FROM generate_series(1, 3000) n",
        "INSERT INTO b_there SELECT n, 0 FROM generate_series(1, 3000) n",
    )
    place = new_place(tmp_path, database, source)
    stop = Event()

    def move() -> None:
        draw = random.Random(1)
        with psycopg.connect(source) as connection:
            while not stop.is_set():
                change = (draw.randint(1, 900), draw.randint(1, 3000))
                connection.execute("UPDATE a_here SET goods = goods - %s WHERE id = %s", change)
                connection.execute("UPDATE b_there SET goods = goods + %s WHERE id = %s", change)
                connection.commit()

    mover = Thread(target=move)
    mover.start()
    try:
        for _ in range(2):
            assert place("snapshot").code == 0
    finally:
        stop.set()
        mover.join()
    first, second = (place("show", number, "--json").json for number in ("1", "2"))
    assert first["checksum"] != second["checksum"], "goods did move"
    target = database()
    assert place("restore", "2", "--into", target, "--yes").code == 0
    total = "SELECT (SELECT sum(goods) FROM a_here), (SELECT sum(goods) FROM b_there)"
    here, there = rows(target, total)[0]
    assert there > 0
    assert here + there == 3_000_000
