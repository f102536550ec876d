"""The reference reader on whole repositories: restored exactly, or refused; never anything else."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from cas.engine.repository import Repository as EngineRepository
from cas.format.document import ValueRef
from cas.ids import ChunkKind
from cas.records.payload import pad_with_nulls
from cas.store.local import LocalStore
from cas.tree.reading import entries
from tests.format.tiny_contents import LABEL, NOTHING, PAPER, PRODUCT, Content, contents
from tests.format.tiny_repository import build_tiny_repository
from tests.reference_reader import Refused, Repository, main, restore
from tests.servers.postgres import Cluster, Databases
from tests.vectors.documents import CONFIG
from tests.vectors.model import HOME
from tests.vectors.primitives import canonical, envelope

GOLDEN = HOME / "repository"
"""Written once, by build_tiny_repository at format 1. It must stay readable for ever."""

VERSIONS = (1, 2, 3)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    build_tiny_repository(root)
    return root


@pytest.fixture
def own(tiny: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(tiny, tmp_path / "own"))


def expected_lines(content: Content) -> list[bytes]:
    rows = content.records
    columns = len(content.entity.columns)
    return [pad_with_nulls(rows[key], columns) + b"\n" for key in sorted(rows)]


def file_of(content: Content) -> str:
    entity = content.entity
    names = [entity.schema, entity.name] if entity.schema else [entity.name]
    return ".".join(name.replace('"', "%22").replace(".", "%2E") for name in names) + ".copy"


def restored(root: Path, version: int, directory: Path) -> dict[str, bytes]:
    """All files of a restored version."""
    list(restore(Repository(root), version, directory))
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def require_contents(files: Mapping[str, bytes], version: int) -> None:
    for content in contents(version):
        data, lines = files[file_of(content)], expected_lines(content)
        if content.entity.is_bag:
            assert sorted(data.splitlines(keepends=True)) == sorted(lines)
        else:
            assert data == b"".join(lines)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("which", ["tiny", "golden"])
def test_every_version_is_restored_to_the_byte(which: str, version: int, tiny: Path, tmp_path: Path) -> None:
    root = tiny if which == "tiny" else GOLDEN
    require_contents(restored(root, version, tmp_path), version)


def test_what_is_written_today_has_the_ids_of_the_golden_repository(tiny: Path) -> None:
    """Stored bytes may change with a compressor; ids, trees and checksums never do."""
    ours, golden = Repository(tiny), Repository(GOLDEN)
    assert (tiny / "config").read_bytes() == (GOLDEN / "config").read_bytes()
    for version in VERSIONS:
        mine, theirs = ours.document(version), golden.document(version)
        assert mine["checksum"] == theirs["checksum"]
        assert mine["schema"] == theirs["schema"]
        roots = [
            [(d["name"], r["definition"], r["root"]) for d, r in r.entities(d)]
            for r, d in ((ours, mine), (golden, theirs))
        ]
        assert roots[0] == roots[1]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_engine_reads_what_was_written_by_hand(tiny: Path, version: int) -> None:
    store = LocalStore(tiny)
    repository = EngineRepository(store, None)
    reader = repository.reader()
    found = repository.entities(repository.document(version), reader)
    by_name = {content.entity.name: content for content in contents(version)}
    assert len(found) == len(by_name)
    for entry in found:
        assert entry.root is not None
        content = by_name[entry.entity.name]
        payloads = [
            reader.value(ValueRef(leaf.id, leaf.is_large), ChunkKind.RECORD)
            for _, leaf in entries(reader, entry.root)
            for _ in range(leaf.count)
        ]
        assert sorted(payloads) == sorted(content.records.values())


def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(own: Path, tmp_path: Path) -> None:
    good = {version: restored(own, version, tmp_path / f"good{version}") for version in VERSIONS}
    refusals = 0
    for path in sorted(path for path in own.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for at in {0, len(whole) - 1, *range(7, len(whole), max(len(whole) // 9, 1))}:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
            for version in (1, 3):
                try:
                    assert restored(own, version, tmp_path / "out") == good[version]
                except Refused:
                    refusals += 1
                shutil.rmtree(tmp_path / "out", ignore_errors=True)
        path.write_bytes(whole)
    assert refusals > 20


def test_a_lost_pack_is_named_by_a_missing_chunk(own: Path, tmp_path: Path) -> None:
    for path in sorted(own.glob("packs/*/*")):
        kept = path.read_bytes()
        path.unlink()
        with pytest.raises(Refused) as caught:
            list(_all_restored(own, tmp_path / "out"))
        assert caught.value.kind == "missing"
        path.write_bytes(kept)


def _all_restored(root: Path, directory: Path) -> Iterator[dict[str, bytes]]:
    return (restored(root, version, directory) for version in VERSIONS)


def test_a_damaged_dictionary_is_read_from_its_second_copy(own: Path, tmp_path: Path) -> None:
    (copy,) = own.glob("dictionaries/*")
    repository, plain = Repository(own), copy.read_bytes()
    ((number, index, _, _),) = repository.places[bytes.fromhex(copy.name)[:16]]
    key, frames = repository.packs[number]
    pack = own / key
    at = frames[index][1] + 20
    data = pack.read_bytes()
    pack.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    require_contents(restored(own, 1, tmp_path / "out"), 1)
    copy.write_bytes(plain[:-1] + b"\0")
    with pytest.raises(Refused):
        restored(own, 1, tmp_path / "out")


def test_a_tree_that_is_cut_otherwise_is_refused(own: Path, tmp_path: Path) -> None:
    """Equal records must have one root, so a node that ends where the rule ends none is no node."""
    changed = {**CONFIG, "node_bits": 2}
    (own / "config").write_bytes(envelope(canonical(changed)))
    with pytest.raises(Refused, match="ends elsewhere"):
        restored(own, 1, tmp_path)


def test_a_document_under_another_number_is_refused(own: Path, tmp_path: Path) -> None:
    shutil.copy(own / "versions" / "0000000001", own / "versions" / "0000000004")
    with pytest.raises(Refused, match="another version's"):
        restored(own, 4, tmp_path)


def test_the_command_lists_versions_and_damage(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own / "versions" / "0000000002").write_bytes(b"{}")
    assert main([str(own)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert "complete" in lines[0]
    assert "truncated" in lines[1]
    assert main([str(own), "2", str(own / "out")]) == 1
    assert "truncated" in capsys.readouterr().err


@pytest.mark.parametrize("version", [1, 3])
def test_restore_sql_fills_a_database_with_psql(
    version: int, cluster: Cluster, database: Databases, tiny: Path, tmp_path: Path
) -> None:
    files = restored(tiny, version, tmp_path)
    url = database()
    command = [str(cluster.bin_directory / "psql"), "-X", "-q", "-d", url, "-f", "restore.sql"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(url) as connection:
        for entity in (PRODUCT, LABEL, PAPER, NOTHING):
            table = sql.Identifier(entity.schema, entity.name)
            order = sql.SQL(", ").join([sql.Identifier(name) for name, _ in entity.key])
            query = sql.SQL("COPY (SELECT * FROM {} ORDER BY {}) TO STDOUT").format(table, order)
            with connection.cursor().copy(query) as copy:
                assert b"".join(bytes(part) for part in copy) == files[f"public.{entity.name}.copy"]
        row = connection.execute(
            "SELECT (SELECT count(*) FROM public.void), (SELECT last_value FROM public.product_id_seq),"
            " length(lo_get(16400)), lo_get(16400, 262144, 3),"
            " (SELECT count(*) FROM public.log WHERE line IS NULL)"
        ).fetchone()
    assert row == (3, 350 + version, 262_150, b"\1\2\3", 1)
