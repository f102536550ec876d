"""Files beside the rows, by the commands that people type."""

import os
import subprocess
from pathlib import Path

import pytest
from blake3 import blake3

from tests import reference_reader
from tests.cli.running import COMMAND, Place, rows
from tests.files.scene import faces
from tests.servers.postgres import Databases


@pytest.fixture
def uploads(cas: Place) -> Path:
    """A directory of three files, and a link."""
    place = cas.directory / "uploads"
    (place / "2026").mkdir(parents=True)
    (place / "2026" / "photo.jpg").write_bytes(bytes(range(256)) * 20)
    (place / "notes.txt").write_bytes(b"first\n")
    (place / "empty").touch()
    (place / "newest").symlink_to("2026/photo.jpg")
    return place


def test_a_version_with_rows_and_files_comes_back_both_ways(
    cas: Place, uploads: Path, database: Databases, shop: str
) -> None:
    taken = cas("snapshot", "--files", f"uploads={uploads}", "--json")
    assert taken.code == 0, taken
    before = faces(uploads)
    shown = cas("show", "1")
    assert "files.uploads" in shown.out
    assert "files.uploads.content" in shown.out
    assert "after the rows" in shown.out

    (uploads / "notes.txt").write_bytes(b"second\n")
    (uploads / "empty").unlink()
    assert cas("snapshot", CAS_FILES=f"uploads={uploads}").code == 0
    differing = cas("diff", "1", "2", "--json").json
    (files,) = differing["entities"]
    assert files["counts"]["entity"] == "files.uploads"
    assert {record["key"][0]: record["kind"] for record in files["records"]} == {
        "empty": "removed",
        "notes.txt": "changed",
    }
    history = cas("history", "files.uploads", "notes.txt", "--json").json
    assert [state["version"] for state in history["states"]] == [2, 1]

    target = cas.directory / "again"
    shown = cas("restore", "1", "--files", f"uploads={target}")
    assert shown.code == 0, shown
    assert not target.exists()
    assert "Add --yes" in shown.err
    done = cas("restore", "1", "--files", f"uploads={target}", "--yes", "--json")
    assert done.code == 0, done
    assert done.json["receipts"][0]["written"] == 3
    assert faces(target) == before
    assert cas("restore", "2", "--files", f"uploads={target}", "--yes").code == 0
    assert (target / "empty").exists(), "nothing is taken away unasked"
    assert cas("restore", "2", "--files", f"uploads={target}", "--yes", "--delete").code == 0
    assert faces(target).keys() == faces(uploads).keys()

    into = database()
    restored = cas("restore", "1", "--into", into, "--yes")
    assert restored.code == 0, restored
    assert "the files of the version (uploads) do not go into a database" in restored.err
    query = "SELECT count(*) FROM products"
    assert rows(into, query) == rows(shop, query)
    planned = cas("plan", "1")
    assert planned.code == 0, planned
    assert "the files of the version (uploads) do not go into a database" in planned.out


def test_one_file_is_handed_over(cas: Place, uploads: Path) -> None:
    assert cas("snapshot", "--files", f"uploads={uploads}").code == 0
    photo = (uploads / "2026" / "photo.jpg").read_bytes()
    asked = [*COMMAND, "get", "1", "uploads", "2026/photo.jpg"]
    environment = cas.full_environment()
    handed = subprocess.run(asked, cwd=cas.directory, env=environment, capture_output=True, check=True)
    assert handed.stdout == photo
    out = cas.directory / "out.jpg"
    assert cas("get", "1", "files.uploads", "2026/photo.jpg", "-o", out).code == 0
    assert out.read_bytes() == photo
    assert cas("get", "1", "uploads", "notes.txt", "-o", out).code != 0
    assert out.read_bytes() == photo, "what is there stays"
    record = cas("get", "1", "uploads", "notes.txt", "--json").json
    fields = {field["column"]: field["text"] for field in record["fields"]}
    assert fields["content"] == blake3(b"first\n").hexdigest()
    assert cas("get", "1", "uploads", "absent").code == cas("get", "1", "products", "99999").code != 0
    assert "symlink" in cas("get", "1", "uploads", "newest").out
    assert cas("get", "1", "products", "1", "-o", out).code != 0


def test_settings_name_directories_too(cas: Place, uploads: Path) -> None:
    (cas.directory / "cas.toml").write_text('files = ["uploads=uploads", "more=uploads/2026"]\n')
    assert cas("snapshot").code == 0
    labels = {entity["label"] for entity in cas("show", "1", "--json").json["entities"]}
    assert {"files.uploads", "files.uploads.content", "files.more", "files.more.content"} <= labels
    assert cas("event", "import-finished").code == 0
    labels = {entity["label"] for entity in cas("show", "2", "--json").json["entities"]}
    assert "files.more" in labels


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["snapshot", "--files", "uploads"], "NAME=DIRECTORY"),
        (["snapshot", "--files", "Uploads=/tmp"], "no name for files"),
        (["snapshot", "--files", "uploads=."], "files would be mixed with versions"),
        (["snapshot", "--files", "uploads=/nowhere-at-all"], "there is no such directory"),
        (["snapshot", "--files", "uploads=/tmp", "--schema-only"], "files are data"),
        (["restore", "1", "--delete"], "--delete is for files"),
        (["restore", "1", "--files", "uploads=x", "--into", "postgresql://x"], "for rows, not for files"),
    ],
)
def test_what_is_refused(cas: Place, arguments: list[str], says: str) -> None:
    ran = cas(*arguments)
    assert ran.code != 0
    assert says in ran.err


def test_nothing_is_taken_from_or_written_into_what_is_ours(cas: Place, uploads: Path) -> None:
    """By whatever name: a restore that deletes would take the repository with it."""
    assert cas("snapshot", "--files", f"uploads={uploads}").code == 0
    home = Path(cas.environment["CAS_HOME"])
    (cas.directory / "link").symlink_to(cas.directory)
    everything = faces(cas.store)
    for place in (cas.directory, cas.directory / "link", cas.store, cas.store / "packs", home / "x"):
        for environment in ({}, {"CAS_STORE": cas.store.as_uri()}):
            for words in (["snapshot"], ["restore", "1", "--delete", "--yes"]):
                ran = cas(*words, "--files", f"uploads={place}", **environment)
                assert (ran.code, "files would be mixed with versions" in ran.err) == (2, True), (words, ran)
    assert faces(cas.store) == everything


def test_a_version_that_lacks_files_says_so(cas: Place, uploads: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (uploads / "notes.txt").chmod(0)
    assert "files.uploads/notes.txt" in cas("snapshot", "--files", f"uploads={uploads}").err
    ran = cas("snapshot", "--files", f"uploads={uploads}", "--allow-incomplete")
    assert ran.code == 20


def test_the_reader_that_knows_the_document_alone_brings_files_back(cas: Place, uploads: Path) -> None:
    big = bytes(3 << 20) + b"end"
    (uploads / "big").write_bytes(big)
    (uploads / "line\nfeed").write_bytes(b"x")
    assert cas("snapshot", "--files", f"uploads={uploads}").code == 0
    out = cas.directory / "out"
    assert reference_reader.main([str(cas.store), "1", str(out)]) == 0
    tree = out / "files.uploads"
    found = {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    expected = {
        str(path.relative_to(uploads)): path.read_bytes()
        for path in uploads.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    assert found == expected
    script = (out / "restore.sql").read_text()
    assert "files" not in script, "nothing of it goes into a database"


def test_a_drill_of_the_rows_goes_on(cas: Place, uploads: Path) -> None:
    assert cas("snapshot", "--files", f"uploads={uploads}").code == 0
    ran = cas("drill", "1")
    assert ran.code == 0, ran
    assert cas("check", "--level", "bytes").code == 0
    assert cas("query", "1", "SELECT count(*) FROM products").code == 0
