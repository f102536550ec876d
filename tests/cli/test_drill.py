"""`cas drill`: a restore tried, its report kept, its exit code honest."""

import json
from pathlib import Path

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute
from tests.operations.scratching import left_behind
from tests.servers.postgres import Cluster, Databases


@pytest.fixture
def drilled(cas: Place, cluster: Cluster) -> Place:
    """A version; throwaway databases are made on the session's cluster."""
    cas.environment["CAS_SCRATCH"] = cluster.url()
    assert cas("snapshot", "--name", "before <the> sale").code == 0
    return cas


def test_a_drill_keeps_its_report_for_people_and_for_programs(drilled: Place, cluster: Cluster) -> None:
    ran = drilled("drill")
    assert ran.code == 0, ran
    assert "PASSED" in ran.out
    assert left_behind(cluster) == []
    directory = drilled.home / "drills"
    page, data = sorted(directory.iterdir())
    assert (page.suffix, data.suffix) == (".html", ".json")
    assert str(page) in "".join(ran.out.split())
    assert page.stat().st_mode & 0o777 == 0o600
    report = json.loads(data.read_text())
    assert report["result"] == "PASSED"
    assert report["expected_checksum"] == report["found_checksum"]
    text = page.read_text(encoding="utf-8")
    assert "before &lt;the&gt; sale" in text
    assert report["expected_checksum"] in text
    assert "public.products" in text


def test_json_is_the_report_and_where_it_lies(drilled: Place, tmp_path: Path) -> None:
    ran = drilled("drill", "1", "--json", "--report", tmp_path / "audit")
    assert ran.code == 0, ran
    kept = ran.json
    assert json.loads(Path(kept["json_file"]).read_text()) == kept["report"]
    assert Path(kept["page"]).parent == tmp_path / "audit"
    assert {one["label"] for one in kept["report"]["entities"]} >= {"public.products", "public.events"}
    again = drilled("drill", "1", "--json", "--report", tmp_path / "audit").json
    assert again["page"] != kept["page"], "no report is written over another"


def test_a_failed_drill_has_its_code_and_a_report(drilled: Place, cluster: Cluster) -> None:
    for pack in [path for path in (drilled.store / "packs").rglob("*") if path.is_file()]:
        spoiled = bytearray(pack.read_bytes())
        for at in range(0, len(spoiled) // 2, 50):
            spoiled[at] ^= 1
        pack.write_bytes(spoiled)
    ran = drilled("drill", "--json")
    assert ran.code == ExitCode.CORRUPT, ran
    report = ran.json["report"]
    assert (report["result"], report["error_code"]) == ("FAILED", "FILE_CORRUPTION")
    assert "FAILED" in Path(ran.json["page"]).read_text(encoding="utf-8")
    assert "FAILED" in drilled("drill").out
    assert left_behind(cluster) == []


def test_what_cannot_begin_is_refused_without_a_report(drilled: Place, tmp_path: Path) -> None:
    assert drilled("drill", "7").code == ExitCode.NOT_FOUND
    (tmp_path / "file").write_text("")
    assert drilled("drill", "--report", tmp_path / "file" / "deeper").code != 0
    assert list((drilled.home / "drills").iterdir()) == []


def test_a_drill_says_what_the_embedded_server_lacks(
    drilled: Place, cluster15: Cluster, database: Databases
) -> None:
    url = database(cluster15)
    execute(
        url, "CREATE EXTENSION citext", "CREATE TABLE t (id citext PRIMARY KEY)", "INSERT INTO t VALUES ('a')"
    )
    assert drilled("snapshot", "--source", url).code == 0
    ran = drilled("drill", "2", CAS_SCRATCH="")
    assert ran.code == ExitCode.UNSUPPORTED, ran
    assert "citext" in ran.out
    assert "--scratch" in " ".join(ran.out.split())
    ran = drilled("drill", "2", "--scratch", cluster15.url())
    assert ran.code == 0, ran
    assert left_behind(cluster15) == []
