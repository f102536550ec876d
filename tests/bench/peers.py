"""The peers: the bare read, PostgreSQL's own programs, zstd, restic and borg, as people use them."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.measure import Pipeline
from tests.bench.repairs import REPAIRED
from tests.bench.tools import Place, Stage

ZSTD_BY_PYTHON = """
import sys, zstandard
zstandard.ZstdCompressor(level=3, threads=2).copy_stream(sys.stdin.buffer, open(sys.argv[1], "wb"))
"""


def words_of(*command: str) -> str:
    """The first line that a program says about its version."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().splitlines()[0]


def absent(program: str) -> str:
    return "" if shutil.which(program) else f"no program {program!r} on this machine"


class BareCopy:
    """Every table by COPY in the order of its key, to nowhere: the floor under whoever reads all rows."""

    name = "copy"
    stages: Mapping[Stage, str] = {Stage.FIRST: "bare COPY in key order"}

    def __init__(self, programs: Path, queries: Sequence[str]) -> None:
        self._psql = str(programs / "psql")
        self._queries = queries

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        return words_of(self._psql, "--version")

    def before(self, stage: Stage, place: Place) -> None:
        return None

    def pipeline(self, stage: Stage, place: Place) -> Pipeline:
        copies = [word for query in self._queries for word in ("-c", f"COPY ({query}) TO STDOUT")]
        return Pipeline([[self._psql, "-Xq", "-v", "ON_ERROR_STOP=1", "-d", place.source, *copies]])


class CustomDump:
    """`pg_dump -Fc`, and `pg_restore -j2` of it."""

    name = "dump"
    stages: Mapping[Stage, str] = {
        Stage.FIRST: "pg_dump -Fc",
        Stage.RESTORE: "pg_restore -j2",
        Stage.REPAIR: "pg_restore --clean",
    }

    def __init__(self, programs: Path) -> None:
        self._programs = programs

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        return words_of(str(self._programs / "pg_dump"), "--version")

    def before(self, stage: Stage, place: Place) -> Pipeline | None:
        """For a repair: the table as the first version has it, in a database of its own, since foreign keys
        of other tables would not let it be dropped."""
        return Pipeline([self._one_table(place)]) if stage is Stage.REPAIR else None

    def _one_table(self, place: Place, *options: str) -> list[str]:
        """pg_restore of the table with its key and indexes, and nothing else."""
        file, chosen = str(place.repository / "first.dump"), place.scratch / "one-table.list"
        program = str(self._programs / "pg_restore")
        every = subprocess.run([program, "-l", file], capture_output=True, text=True, check=True).stdout
        wanted = [
            line
            for line in every.splitlines()
            if any(f" {kind} " in line for kind in ("TYPE", "FUNCTION"))
            or (f"public {REPAIRED}" in line and "FK CONSTRAINT" not in line)
        ]
        chosen.write_text("\n".join(wanted) + "\n")
        return [program, *options, "-L", str(chosen), "-d", place.target, file]

    def pipeline(self, stage: Stage, place: Place) -> Pipeline:
        file = str(place.repository / "first.dump")
        if stage is Stage.REPAIR:
            return Pipeline([self._one_table(place, "--clean", "--if-exists")])
        if stage is Stage.RESTORE:
            return Pipeline([[str(self._programs / "pg_restore"), "-j2", "-d", place.target, file]])
        return Pipeline([[str(self._programs / "pg_dump"), "-Fc", "-f", file, "-d", place.source]])


class CompressedDump:
    """`pg_dump | zstd -3 -T2`; by Python's zstandard with two threads where there is no zstd."""

    name = "zstd"

    def __init__(self, programs: Path) -> None:
        self._dump = str(programs / "pg_dump")
        self._zstd = shutil.which("zstd")
        by = "" if self._zstd else " (Python's zstandard)"
        self.stages: Mapping[Stage, str] = {Stage.FIRST: f"pg_dump | zstd -3 -T2{by}"}

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        if self._zstd:
            return words_of(self._zstd, "--version")
        return words_of(sys.executable, "-c", "import zstandard; print('zstandard', zstandard.__version__)")

    def before(self, stage: Stage, place: Place) -> None:
        return None

    def pipeline(self, stage: Stage, place: Place) -> Pipeline:
        file = str(place.repository / "first.sql.zst")
        if self._zstd:
            compress = [self._zstd, "-3", "-T2", "-q", "-o", file]
        else:
            compress = [sys.executable, "-c", ZSTD_BY_PYTHON, file]
        return Pipeline([[self._dump, "-d", place.source], compress])


class Restic:
    """`pg_dump | restic backup --stdin`; restic always compresses (zstd) and encrypts."""

    name = "restic"
    stages: Mapping[Stage, str] = dict.fromkeys((Stage.FIRST, Stage.SECOND), "pg_dump | restic")

    def __init__(self, programs: Path) -> None:
        self._dump = str(programs / "pg_dump")

    def missing(self) -> str:
        return absent("restic")

    def version(self) -> str:
        return words_of("restic", "version")

    def before(self, stage: Stage, place: Place) -> Pipeline | None:
        if stage is not Stage.FIRST:
            return None
        return Pipeline([["restic", "init", "--quiet"]], self._environment(place))

    def pipeline(self, stage: Stage, place: Place) -> Pipeline:
        backup = ["restic", "backup", "--quiet", "--stdin", "--stdin-filename", "platform.sql"]
        return Pipeline([[self._dump, "-d", place.source], backup], self._environment(place))

    def _environment(self, place: Place) -> dict[str, str]:
        return {
            "RESTIC_REPOSITORY": str(place.repository),
            "RESTIC_PASSWORD": "bench",
            "RESTIC_CACHE_DIR": str(place.scratch / "cache"),
        }


class Borg:
    """`pg_dump | borg create -`, with zstd as its compression and without encryption."""

    name = "borg"
    stages: Mapping[Stage, str] = dict.fromkeys((Stage.FIRST, Stage.SECOND), "pg_dump | borg")

    def __init__(self, programs: Path) -> None:
        self._dump = str(programs / "pg_dump")

    def missing(self) -> str:
        return absent("borg")

    def version(self) -> str:
        return words_of("borg", "--version")

    def before(self, stage: Stage, place: Place) -> Pipeline | None:
        if stage is not Stage.FIRST:
            return None
        init = ["borg", "init", "--encryption=none", str(place.repository)]
        return Pipeline([init], self._environment(place))

    def pipeline(self, stage: Stage, place: Place) -> Pipeline:
        create = ["borg", "create", "--compression", "zstd,3", "--stdin-name", "platform.sql"]
        create += [f"{place.repository}::{stage}", "-"]
        return Pipeline([[self._dump, "-d", place.source], create], self._environment(place))

    def _environment(self, place: Place) -> dict[str, str]:
        return {
            "BORG_BASE_DIR": str(place.scratch),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }
