"""Our own program, driven by its command line as anybody would."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.bench.measure import Pipeline
from tests.bench.repairs import REPAIRED
from tests.bench.tools import Place, Stage


class Cas:
    """`cas init`, `cas snapshot`, `cas restore`: a local store, the catalog on the measured server."""

    name = "cas"
    stages: Mapping[Stage, str] = {
        Stage.FIRST: "cas snapshot",
        Stage.RESTORE: "cas restore",
        Stage.SECOND: "cas snapshot",
        Stage.REPAIR: "cas restore, live",
    }

    def __init__(self) -> None:
        self._cas = str(Path(sys.executable).with_name("cas"))

    def missing(self) -> str:
        try:
            done = subprocess.run([self._cas, "--help"], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return "no program 'cas' beside this Python"
        return "" if done.returncode == 0 else "`cas --help` fails"

    def version(self) -> str:
        words = "import importlib.metadata as m; print('cas', m.version('cas-backup'))"
        return subprocess.run([sys.executable, "-c", words], capture_output=True, text=True).stdout.strip()

    def before(self, stage: Stage, place: Place) -> Pipeline | None:
        if stage is not Stage.FIRST:
            return None
        return self.command(place, "init", place.repository.as_uri())

    def command(self, place: Place, *words: str, to: str = "output") -> Pipeline:
        """Any command of ours; `to`: the file in the scratch directory that gets what it prints."""
        return Pipeline([[self._cas, *words]], self.environment(place), place.scratch / to)

    def pipeline(self, stage: Stage, place: Place) -> Pipeline:
        words = {
            Stage.RESTORE: ("restore", "1", "--into", place.target, "--yes"),
            Stage.REPAIR: ("restore", "latest", "--table", REPAIRED, "--yes"),
        }.get(stage, ("snapshot", "--reason", f"bench, {stage}"))
        return self.command(place, *words, "--json", to=f"{stage}.json")

    def environment(self, place: Place) -> dict[str, str]:
        """What says where everything is."""
        return {
            "CAS_STORE": place.repository.as_uri(),
            "CAS_CATALOG": place.catalog,
            "CAS_SOURCE": place.source,
            "CAS_HOME": str(place.scratch / "home"),
            # Compiled modules are kept, as wherever a program is installed: some machines set this.
            "PYTHONDONTWRITEBYTECODE": "",
        }
