"""Files that a person edited become a version that differs in just that; what is wrong is refused before."""

import json
import random
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute, packs, rows

Edit = Callable[[list[str]], list[str]]


@pytest.fixture(params=["jsonl", "csv"])
def files(request: pytest.FixtureRequest, cas: Place) -> Path:
    """The files of version 1, in a directory."""
    assert cas("snapshot").code == 0
    assert cas("export", "1", "--format", request.param, "-o", "files").code == 0
    return cas.directory / "files"


def edit(files: Path, table: str, change: Edit) -> None:
    """Change the lines of a table's records."""
    (file,) = files.glob(f"public.{table}.*")
    lines = file.read_bytes().decode().splitlines(keepends=True)
    head = 1 if file.suffix == ".csv" else 0
    file.write_bytes("".join([*lines[:head], *change(lines[head:])]).encode())


def line_of(files: Path, record: int) -> int:
    """The line of a record."""
    return record + (1 if list(files.glob("*.csv")) else 0)


def refused(cas: Place, path: str = "files", *options: str) -> str:
    """The one line that says why; nothing was registered."""
    before = packs(cas)
    ran = cas("import", path, *options)
    assert ran.code == ExitCode.INVALID, ran
    assert packs(cas) == before
    assert [version["number"] for version in cas("versions", "--json").json["versions"]] == [1]
    return ran.error


def test_edited_rows_are_just_what_differs(cas: Place, files: Path) -> None:
    def change(lines: list[str]) -> list[str]:
        changed = [re.sub(r"\bproduct 7\b", "chair 7", line) for line in lines]
        added = changed[0].replace("product 1", "new one", 1)
        added = added.replace('"id": 1', '"id": 901') if added.startswith("{") else "901" + added[1:]
        mixed = [added, *changed[:4], *changed[5:]]
        random.Random(3).shuffle(mixed)
        return mixed

    edit(files, "products", change)
    assert "--edited" in refused(cas)
    ran = cas("import", "files", "--edited", "--json")
    assert ran.code == 0, ran
    assert ran.json["edited"] == ["public.products"]
    assert ran.json["is_same"] is False
    found = cas("diff", "1", "2", "--json").json
    told = {one["counts"]["entity"]: one["counts"] for one in found["entities"]}
    counts = {label: (one["added"], one["changed"], one["removed"]) for label, one in told.items()}
    assert {label: count for label, count in counts.items() if any(count)} == {"public.products": (1, 1, 1)}
    assert cas("get", "2", "products", "7", "--json").json["fields"][1]["text"] == "chair 7"
    assert cas("get", "2", "products", "901").code == 0
    assert cas("get", "2", "products", "5").code == ExitCode.NOT_FOUND


def test_reordered_rows_are_the_same_version(cas: Place, files: Path) -> None:
    for table in ("products", "suppliers", "prices", "events"):
        edit(files, table, lambda lines: lines[::-1])
    ran = cas("import", "files", "--edited", "--json")
    assert ran.code == 0, ran
    assert ran.json["is_same"] is True


def test_an_edited_version_makes_a_database(cas: Place, files: Path, database: Callable[[], str]) -> None:
    edit(files, "products", lambda lines: [line.replace("9.00", "9.5", 1) for line in lines])
    assert cas("import", "files", "--edited").code == 0
    target = database()
    ran = cas("restore", "2", "--into", target, "--yes")
    assert ran.code == 0, ran
    assert rows(target, "SELECT price::text FROM products WHERE id = 9") == [("9.50",)]


@pytest.mark.parametrize(
    ("table", "change", "what"),
    [
        ("events", lambda lines: lines[:-1], "2 records, and schema.json says 3"),
        (
            "events",
            lambda lines: [line.replace("bought", "sold") for line in lines],
            "its SHA-256 is another",
        ),
        ("products", lambda lines: [*lines, lines[2]], "line {201}: the same key as in line {3}"),
        ("products", lambda lines: [lines[0], lines[1].replace("2.00", "two"), *lines[2:]], "line {2}"),
        ("suppliers", lambda lines: [*lines[:3], lines[3].replace("4", "4x", 1), *lines[4:]], "line {4}"),
        (
            "suppliers",
            lambda lines: [*lines, "1,2,3\r\n" if "," in lines[0][:2] else '{"id": 9}\n'],
            "line {6}",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_line(
    cas: Place, files: Path, table: str, change: Edit, what: str
) -> None:
    edit(files, table, change)
    for number in (201, 6, 4, 3, 2):
        what = what.replace(f"{{{number}}}", str(line_of(files, number)))
    error = refused(cas)
    assert f"public.{table}." in error
    place, _, words = what.partition(": ")
    assert place in error
    assert words in error


def test_null_where_it_may_not_be_is_refused(cas: Place, files: Path) -> None:
    empty = {"jsonl": ("supplier 3", "null"), "csv": ("supplier 3", "")}[
        next(files.glob("public.suppliers.*")).suffix[1:]
    ]
    edit(
        files,
        "suppliers",
        lambda lines: [line.replace(f'"{empty[0]}"', empty[1]).replace(*empty) for line in lines],
    )
    assert "column name: NULL, and it is NOT NULL" in refused(cas, "files", "--edited")


def test_files_that_are_missing_or_elsewhere_are_refused(cas: Place, files: Path) -> None:
    (file,) = files.glob("public.events.*")
    file.rename(cas.directory / file.name)
    assert f"{file.name} is not in it" in refused(cas)
    file.symlink_to(cas.directory / file.name)
    assert f"{file.name} is not in it" in refused(cas)
    (files / "schema.json").unlink()
    assert "schema.json is not in it" in refused(cas)
    assert cas("import", "nowhere").code == ExitCode.NOT_FOUND
    (cas.directory / "no.zip").write_text("no zip")
    assert "not a bundle (no.zip)" in cas("import", "no.zip").err.replace(f"{cas.directory}/", "")


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        (("entities", 0, "file"), "../secret.csv", "a name that is not safe"),
        (("entities", 0, "file"), "/etc/passwd", "a name that is not safe"),
        (("entities", 0, "records"), -1, "records is not a natural number"),
        (("entities", 0, "definition", 0, "key"), [["nothing", "integer"]], "contradicts itself"),
        (("format",), 2, "not a format of files that this program reads"),
        (("entities", 0, "extra"), 1, "unknown field extra"),
        (("version", "state"), "lost", "the version's state"),
    ],
)
def test_a_schema_file_that_is_none_is_refused(
    cas: Place, files: Path, path: tuple[str | int, ...], value: object, what: str
) -> None:
    schema = json.loads((files / "schema.json").read_text())
    place = schema
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    (files / "schema.json").write_text(json.dumps(schema))
    assert what in refused(cas)


class TestZips:
    """Zips that are more than they seem."""

    @pytest.fixture
    def zipped(self, cas: Place) -> Path:
        assert cas("snapshot").code == 0
        assert cas("export", "1", "--format", "jsonl", "-o", "all.zip").code == 0
        return cas.directory / "all.zip"

    def test_a_member_of_another_directory_is_refused(self, cas: Place, zipped: Path) -> None:
        for name in ("../../x", "/x", "a/x", "a\\x", ".hidden"):
            shutil.copy(zipped, cas.directory / "bad.zip")
            with zipfile.ZipFile(cas.directory / "bad.zip", "a") as archive:
                archive.writestr(name, "x")
            assert "has the name" in refused(cas, "bad.zip")

    def test_a_member_that_stands_twice_is_refused(self, cas: Place, zipped: Path) -> None:
        with zipfile.ZipFile(zipped, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("schema.json", "{}")
        assert "schema.json is in it 2 times" in refused(cas, "all.zip")

    def test_a_bomb_is_refused(self, cas: Place, zipped: Path) -> None:
        with zipfile.ZipFile(zipped, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb", "w") as file:
            for _ in range(80):
                file.write(bytes(1 << 20))
        assert "bomb is said to be 83886080 bytes" in refused(cas, "all.zip")

    def test_a_way_of_compression_that_we_do_not_write_is_refused(self, cas: Place, zipped: Path) -> None:
        with zipfile.ZipFile(zipped, "a", zipfile.ZIP_BZIP2) as archive:
            archive.writestr("other", "x")
        assert "compressed in a way that is not read" in refused(cas, "all.zip")

    def test_damage_is_found(self, cas: Place, zipped: Path) -> None:
        with zipfile.ZipFile(zipped) as archive:
            info = archive.getinfo("public.products.jsonl")
        data = bytearray(zipped.read_bytes())
        middle = info.header_offset + info.compress_size // 2
        data[middle : middle + 8] = bytes(8)
        zipped.write_bytes(bytes(data))
        assert "public.products.jsonl" in refused(cas, "all.zip")

    def test_a_zip_that_somebody_made_of_the_files_is_read(self, cas: Place, zipped: Path) -> None:
        with zipfile.ZipFile(zipped) as archive, zipfile.ZipFile(cas.directory / "own.zip", "w") as own:
            for name in reversed(archive.namelist()):
                own.writestr(name, archive.read(name))
        assert cas("import", "own.zip", "--json").json["is_same"] is True


def test_the_running_database_is_not_built_upon_what_was_imported(cas: Place, files: Path, shop: str) -> None:
    edit(files, "products", lambda lines: lines[:50])
    assert cas("import", "files", "--edited").code == 0
    execute(shop, "UPDATE suppliers SET name = 'another' WHERE id = 1")
    version = cas("snapshot", "--json").json["version"]
    assert version["records"] == 5 + 200 + 2 + 3 + 1
    whole = cas("snapshot", "--scan", "--json").json["version"]
    assert whole["checksum"] == version["checksum"]
