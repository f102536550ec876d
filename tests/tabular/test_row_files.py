"""JSON lines and CSV as other programs read them, and where they are written."""

import csv
import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute, rows
from tests.servers.postgres import Databases


@pytest.fixture
def taken(cas: Place) -> Place:
    """Version 1 of the shop."""
    assert cas("snapshot").code == 0
    return cas


def test_json_lines_hold_the_rows_of_the_database(taken: Place, shop: str) -> None:
    ran = taken("export", "1", "--format", "jsonl", "-o", "all", "--json")
    assert ran.code == 0, ran
    directory = taken.directory / "all"
    lines = (directory / "public.products.jsonl").read_text().splitlines()
    assert lines[0] == (
        '{"id": 1, "name": "product 1", "price": "1.00", "attributes": {"size": 1, "colour": "blue"},'
        ' "supplier_id": 2}'
    )
    found = [tuple(json.loads(line).values()) for line in lines]
    query = "SELECT id, name, price::text, attributes, supplier_id FROM products ORDER BY 1"
    assert found == rows(shop, query)
    events = [json.loads(line) for line in (directory / "public.events.jsonl").read_text().splitlines()]
    assert sorted(event["what"] for event in events) == ["bought", "seen", "seen"]
    assert ran.json["records"] == 5 + 200 + 2 + 3 + 1
    assert ran.json["sha256"] is None
    assert {event["event"] for event in ran.events} == {"progress"}
    assert ran.json["bytes"] == sum(file.stat().st_size for file in directory.iterdir())


def test_csv_holds_the_rows_of_the_database(taken: Place, shop: str) -> None:
    execute(shop, "INSERT INTO events VALUES (NULL), (''), ('a,\"b\"\r\nc'), ('\\.')")
    assert taken("snapshot").code == 0
    assert taken("export", "latest", "--format", "csv", "-o", "all").code == 0
    directory = taken.directory / "all"
    with (directory / "public.products.csv").open(newline="") as file:
        head, *found = csv.reader(file, strict=True)
    assert head == ["id", "name", "price", "attributes", "supplier_id"]
    query = (
        "SELECT id::text, name, price::text, attributes::text, supplier_id::text"
        " FROM products ORDER BY products.id"
    )
    assert [tuple(row) for row in found] == rows(shop, query)
    content = (directory / "public.events.csv").read_bytes()
    assert sorted(content.split(b"\r\n")) == sorted(
        [b"what", b"seen", b"seen", b"bought", b"", b'""', b'"a,""b""', b'c"', b'"\\."', b""]
    )


def test_postgresql_takes_the_csv_back(taken: Place, shop: str, database: Databases) -> None:
    execute(shop, "INSERT INTO events VALUES (NULL), (''), ('a,\"b\"\r\nc'), ('\\.')")
    assert taken("snapshot").code == 0
    assert taken("export", "latest", "--format", "csv", "-o", "all").code == 0
    import psycopg

    with psycopg.connect(database(), autocommit=True) as connection:
        connection.execute("CREATE TABLE events (what text)")
        with connection.cursor().copy("COPY events (what) FROM STDIN WITH (FORMAT csv, HEADER)") as copy:
            copy.write((taken.directory / "all" / "public.events.csv").read_bytes())
        found = connection.execute("SELECT what, count(*) FROM events GROUP BY 1 ORDER BY 1").fetchall()
    assert found == rows(shop, "SELECT what, count(*) FROM events GROUP BY 1 ORDER BY 1")
    assert (None, 1) in found


def test_schema_json_says_what_is_what(taken: Place) -> None:
    assert taken("export", "1", "--format", "csv", "-o", "all.zip").code == 0
    with zipfile.ZipFile(taken.directory / "all.zip") as archive:
        schema = json.loads(archive.read("schema.json"))
        by_label = {one["label"]: one for one in schema["entities"]}
        products = by_label["public.products"]
        content = archive.read(products["file"])
        assert archive.testzip() is None
    assert products["sha256"] == hashlib.sha256(content).hexdigest()
    assert (products["bytes"], products["records"]) == (len(content), 200)
    (definition,) = products["definition"]
    assert definition["key"] == [["id", "integer"]]
    assert [column["type"] for column in definition["columns"]] == [
        "integer",
        "text",
        "numeric(10,2)",
        "jsonb",
        "integer",
    ]
    assert schema["source"]["encoding"] == "UTF8"
    assert schema["version"]["number"] == 1
    assert any("CREATE TABLE public.products" in sql for *_, sql in schema["schema"])


def test_the_same_version_gives_the_same_bytes(taken: Place) -> None:
    for name in ("a.zip", "b.zip"):
        ran = taken("export", "1", "--format", "jsonl", "-o", name, "--json")
        content = (taken.directory / name).read_bytes()
        assert ran.json["sha256"] == hashlib.sha256(content).hexdigest()
    assert (taken.directory / "a.zip").read_bytes() == content
    with zipfile.ZipFile(taken.directory / "a.zip") as archive:
        names = archive.namelist()
    assert names[-2:] == ["README.txt", "schema.json"]
    assert names[:-2] == sorted(names[:-2])


def test_hostile_names_of_tables_lead_nowhere(cas: Place, database: Databases) -> None:
    source = database()
    names = ("../x", "a/b", "a\\b", "A", "a", "con", "..", "\n", "ä", "x" * 63)
    made = [f'CREATE TABLE "{name}" (id int PRIMARY KEY)' for name in names]
    execute(source, *made, *(f'INSERT INTO "{name}" VALUES ({place})' for place, name in enumerate(names)))
    ran = cas("snapshot", "--source", source, "--json")
    assert cas("export", "1", "--format", "jsonl", "-o", "all").code == 0
    directory = cas.directory / "all"
    schema = json.loads((directory / "schema.json").read_text())
    files = {one["label"]: one["file"] for one in schema["entities"]}
    assert {path.name for path in directory.iterdir()} == {*files.values(), "README.txt", "schema.json"}
    for place, name in enumerate(names):
        assert json.loads((directory / files[f"public.{name}"]).read_text()) == {"id": place}
    again = cas("import", "all", "--json")
    assert again.json["version"]["checksum"] == ran.json["version"]["checksum"]


@pytest.mark.parametrize(("kind", "name"), [("jsonl", "x"), ("csv", "x.zip"), ("sql", "x"), ("sqlite", "x")])
def test_what_is_there_is_replaced_only_by_force(taken: Place, kind: str, name: str) -> None:
    place = taken.directory / name
    place.write_text("mine")
    ran = taken("export", "1", "--format", kind, "-o", name)
    assert ran.code == ExitCode.CONFLICT
    assert "it is there already" in ran.error
    assert place.read_text() == "mine"
    ran = taken("export", "1", "--format", kind, "-o", name, "--force")
    assert (ran.code == 0) is (kind != "jsonl"), "a directory takes no file's place"
    assert (place.read_bytes() == b"mine") is (kind == "jsonl")
    assert not list(taken.directory.glob(".*.part"))


def test_an_earlier_export_is_replaced_and_another_directory_is_not(taken: Place) -> None:
    assert taken("export", "1", "--format", "jsonl", "-o", "all").code == 0
    assert taken("export", "1", "--format", "csv", "-o", "all", "--force").code == 0
    assert (taken.directory / "all" / "public.events.csv").exists()
    assert not (taken.directory / "all" / "public.events.jsonl").exists()
    (taken.directory / "mine").mkdir()
    ran = taken("export", "1", "--format", "csv", "-o", "mine", "--force")
    assert ran.code == ExitCode.CONFLICT
    assert "it is no export" in ran.error
    assert not list(taken.directory.glob(".*"))


def test_without_a_place_it_lies_here(taken: Place) -> None:
    ran = taken("export", "1", "--format", "csv", "--entity", "suppliers")
    assert ran.code == 0
    assert "Version 1 is in " in ran.out
    with zipfile.ZipFile(taken.directory / "version-1.csv.zip") as archive:
        assert archive.namelist() == ["public.suppliers.csv", "README.txt", "schema.json"]


def test_a_large_record_is_written_and_read_back(taken: Place, shop: str) -> None:
    execute(shop, "INSERT INTO events SELECT repeat('abc', 7000000) FROM generate_series(1, 2)")
    checksum = taken("snapshot", "--json").json["version"]["checksum"]
    assert taken("export", "latest", "--format", "csv", "-o", "all.zip").code == 0
    ran = taken("import", "all.zip", "--json")
    assert ran.code == 0, ran
    assert ran.json["version"]["checksum"] == checksum


def test_files_of_some_tables_become_a_version_of_some_tables(taken: Place) -> None:
    assert (
        taken(
            "export", "1", "--format", "jsonl", "-o", "two", "--entity", "prices", "--entity", "events"
        ).code
        == 0
    )
    ran = taken("import", "two", "--json")
    assert ran.code == 0, ran
    assert ran.json["version"]["kind"] == "selected"
    assert [one["label"] for one in ran.json["version"]["entities"]] == ["public.events", "public.prices"]


def test_a_version_without_records_comes_back_without(taken: Place) -> None:
    version = taken("snapshot", "--schema-only", "--json").json["version"]
    assert taken("export", str(version["number"]), "--format", "jsonl", "-o", "none").code == 0
    assert sorted(path.name for path in Path(taken.directory / "none").iterdir()) == [
        "README.txt",
        "schema.json",
    ]
    ran = taken("import", "none", "--json")
    assert ran.json["version"]["checksum"] == version["checksum"]
    assert ran.json["version"]["kind"] == "schema-only"
