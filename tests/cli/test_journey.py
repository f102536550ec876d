"""From an empty directory to a proven restore, by the commands that a person types."""

import json

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute, rows
from tests.servers.postgres import Databases


def test_a_repository_is_made_once(cas: Place) -> None:
    again = cas("init")
    assert again.code == ExitCode.CONFLICT
    assert "there is a repository already" in again.error


def test_an_interrupted_init_is_finished_by_the_next(bare: Place, database: Databases) -> None:
    catalog = database()
    first = bare("init", bare.store, CAS_CATALOG=catalog).code
    assert first == 0
    other = bare("init", bare.store, "--json", CAS_CATALOG=database())
    assert other.json["created"] is False, "the config was there, and the catalog was new"


def test_init_with_another_catalog_on_a_used_repository_points_to_rebuild(
    cas: Place, database: Databases
) -> None:
    assert cas("snapshot").code == 0
    again = cas("init", CAS_CATALOG=database())
    assert again.code == ExitCode.CONFLICT
    assert "cas catalog rebuild" in again.error


def test_a_version_is_taken_listed_and_shown(cas: Place) -> None:
    taken = cas(
        *("snapshot", "--reason", "before the import", "--name", "first", "--tag", "a", "--tag", "b"),
        *("--protect", "--description", "all of it", "--metadata", "ticket=17", "--json"),
    )
    assert taken.code == 0, taken
    version = taken.json["version"]
    assert version["number"] == 1
    assert version["state"] == "complete"
    assert version["trigger"] == "MANUAL"
    assert version["kind"] == "full"
    assert version["records"] == 200 + 5 + 2 + 3 + 1, "all rows, and one sequence"
    assert version["tags"] == ["a", "b"]
    assert version["metadata"] == {"ticket": "17"}
    assert version["protected"] is True
    assert "@" in version["created_by"]

    listed = cas("versions", "--json").json
    assert [one["number"] for one in listed["versions"]] == [1]
    assert listed["before"] is None

    shown = cas("show", "1", "--json").json
    assert shown["checksum"] == version["checksum"]
    products = next(one for one in shown["entities"] if one["label"] == "public.products")
    assert (products["read_by"], products["rows_read"], products["new_chunks"]) == ("scan", 200, 200)


def test_a_person_sees_in_words_what_a_program_sees_in_json(cas: Place) -> None:
    told = cas("snapshot", "--reason", "by hand").out
    assert "Version 1 is complete" in told
    assert "211 records" in told
    shown = cas("show", "latest").out
    for words in ("by hand", "public.products", "first version", "scan", "200", "checksum", "added"):
        assert words in shown
    listed = cas("versions").out
    for words in ("complete", "MANUAL", "by hand", "211"):
        assert words in listed


def test_versions_are_filtered_and_paged(cas: Place) -> None:
    for name in ("alpha", "beta", "gamma"):
        assert cas("snapshot", "--name", name, "--tag", name[0]).code == 0
    assert cas("snapshot", "--schema-only", "--reason", "only definitions").code == 0
    assert cas("snapshot", CAS_SOURCE="postgresql:///nowhere?host=/nowhere").code == ExitCode.UNREACHABLE

    def numbers(*filters: str) -> list[int]:
        return [one["number"] for one in cas("versions", *filters, "--json").json["versions"]]

    assert numbers() == [5, 4, 3, 2, 1]
    assert numbers("--state", "failed") == [5]
    assert numbers("--state", "complete", "--kind", "full") == [3, 2, 1]
    assert numbers("--kind", "schema-only") == [4]
    assert numbers("--tag", "b") == [2]
    assert numbers("--tag", "b", "--tag", "a") == []
    assert numbers("--text", "GAM") == [3]
    assert numbers("--trigger", "auto") == []
    assert numbers("--trigger", "MANUAL", "--since", "1h") == [5, 4, 3, 2, 1]
    assert numbers("--until", "2020-01-01") == []
    assert numbers("--limit", "2") == [5, 4]
    assert numbers("--limit", "2", "--before", "4") == [3, 2]
    page = cas("versions", "--limit", "2", "--json")
    assert page.json["before"] == 4
    assert "--before 4" in cas("versions", "--limit", "2").err


def test_a_difference_is_told_in_counts_records_and_fields(cas: Place, shop: str) -> None:
    assert cas("snapshot").code == 0
    execute(
        shop,
        "UPDATE products SET price = 99.5, name = NULL WHERE id = 7",
        "DELETE FROM products WHERE id = 8",
        "INSERT INTO products (id, name) VALUES (1000, 'new')",
        "INSERT INTO events VALUES ('seen')",
    )
    assert cas("snapshot").code == 0
    found = cas("diff", "1", "2", "--json").json
    assert (found["old"], found["new"], found["compared"]) == (1, 2, 5)
    by_label = {one["counts"]["entity"]: one for one in found["entities"]}
    assert set(by_label) == {"public.products", "public.events"}
    products = by_label["public.products"]
    counts = products["counts"]
    assert (counts["added"], counts["removed"], counts["changed"]) == (1, 1, 1)
    changed = next(one for one in products["records"] if one["kind"] == "changed")
    assert changed["key"] == ["7"]
    assert {(one["column"], one["old"], one["new"]) for one in changed["fields"]} == {
        ("name", "product 7", None),
        ("price", "7.00", "99.50"),
    }
    told = cas("diff", "1", "2").out
    for words in ("~ 7", "7.00 → 99.50", "NULL", "- 8", "+ 1000", "public.events"):
        assert words in told
    assert "public.suppliers" not in told


def test_a_long_difference_is_limited_and_says_so(cas: Place, shop: str) -> None:
    assert cas("snapshot").code == 0
    execute(shop, "UPDATE products SET price = price + 1")
    assert cas("snapshot").code == 0
    limited = cas("diff", "1", "2", "--limit", "3")
    assert limited.out.count("~ ") == 3
    assert "197 more records" in limited.out
    everything = cas("diff", "1", "latest", "--limit", "0", "--entity", "products", "--json").json
    assert len(everything["entities"][0]["records"]) == 200
    assert everything["entities"][0]["left_out"] == 0


def test_equal_versions_have_no_difference(cas: Place) -> None:
    for _ in range(2):
        assert cas("snapshot").code == 0
    assert "They hold the same records" in cas("diff", "1", "2").out


def test_a_record_is_found_by_its_key(cas: Place) -> None:
    assert cas("snapshot").code == 0
    record = cas("get", "1", "products", "7", "--json").json
    assert record["entity"] == "public.products"
    values = {field["column"]: field["text"] for field in record["fields"]}
    assert values["name"] == "product 7"
    assert json.loads(values["attributes"]) == {"size": 7, "colour": "blue"}
    composite = cas("get", "latest", "prices", "EUR", "2026-03-01")
    assert composite.code == 0
    assert "1.5" in composite.out


def test_a_version_comes_back_in_an_empty_database(cas: Place, shop: str, database: Databases) -> None:
    assert cas("snapshot").code == 0
    target = database()
    preview = cas("restore", "1", "--into", target, "--dry-run", "--json").json
    assert preview["records"] == 211
    assert preview["target_server"]["encoding"] == "UTF8"
    assert not any(finding["blocks"] for finding in preview["findings"])
    assert rows(target, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]

    done = cas("restore", "1", "--into", target, "--yes", "--json")
    assert done.code == 0, done
    assert done.json["verified"] is True
    assert done.json["records"] == 211
    query = "SELECT * FROM products ORDER BY id"
    assert rows(target, query) == rows(shop, query)
    assert cas("snapshot", "--source", target).code == 0
    first, second = (cas("show", number, "--json").json["checksum"] for number in ("1", "2"))
    assert first == second


@pytest.mark.parametrize(
    ("flags", "tables", "records"),
    [
        (["--schema-only"], 4, 0),
        (["--table", "products", "--no-constraints"], 1, 200),
        (["--exclude", "events"], 3, 207),
    ],
)
def test_a_part_of_a_version_comes_back(
    cas: Place, database: Databases, flags: list[str], tables: int, records: int
) -> None:
    assert cas("snapshot").code == 0
    target = database()
    done = cas("restore", "latest", "--into", target, "--yes", *flags)
    assert done.code == 0, done
    assert rows(target, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(tables,)]
    if tables > 1:
        found = sum(
            rows(target, f"SELECT count(*) FROM {name}")[0][0] for name in ("products", "prices", "suppliers")
        )
        assert found == records
    else:
        assert rows(target, "SELECT count(*) FROM products") == [(records,)]


def test_data_only_fills_tables_that_are_there(cas: Place, database: Databases) -> None:
    assert cas("snapshot").code == 0
    target = database()
    assert cas("restore", "1", "--into", target, "--yes", "--schema-only").code == 0
    assert cas("restore", "1", "--into", target, "--yes", "--data-only").code == 0
    assert rows(target, "SELECT count(*) FROM products") == [(200,)]


def test_without_a_catalog_an_embedded_one_is_used(bare: Place, shop: str) -> None:
    bare.environment |= {"CAS_STORE": str(bare.store), "CAS_SOURCE": shop}
    assert bare.process("init").code == 0
    assert bare.process("snapshot").code == 0
    assert [one["number"] for one in bare.process("versions", "--json").json["versions"]] == [1]
    cluster = bare.home / "postgres" / "data"
    assert (cluster / "PG_VERSION").exists()
    assert not (cluster / "postmaster.pid").exists(), "the last command stopped the server"


def test_everything_can_be_set_in_a_file(bare: Place, shop: str, database: Databases) -> None:
    settings = f'store = "repository"\nsource = "{shop}"\ncatalog = "{database()}"\ncompression = 1\n'
    (bare.directory / "cas.toml").write_text(settings)
    assert bare("init").code == 0
    assert bare("snapshot").code == 0
    assert (bare.directory / "repository" / "config").exists()


def test_a_store_may_be_named_by_url_path_or_flag(bare: Place, database: Databases) -> None:
    catalog, place = database(), bare.directory / "by url"
    made = bare("init", bare.directory.as_uri() + "/by%20url", "--catalog", catalog, "--json").json
    assert made["store"] == place.as_uri()
    assert bare("versions", "--store", "by url", "--catalog", catalog).code == 0
    assert bare("versions", "--store", str(place), "--catalog", catalog).code == 0
