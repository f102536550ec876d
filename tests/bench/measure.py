"""One measured run of a pipeline: wall and CPU seconds, peak memory, bytes and objects stored."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")
LONGEST_SECONDS = 3600.0
"""A step that takes longer hangs."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Programs, each reading what the one before writes. `output` receives the last one's."""

    commands: Sequence[Sequence[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    output: Path = Path(os.devnull)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a pipeline took.

    `cpu_seconds` are those of the pipeline's processes and their children, without the database
    server. `peak_bytes` is the largest resident size of any single process among them.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Stored:
    """Regular files below a directory: their apparent sizes and identities."""

    files: Mapping[str, tuple[int, int, int]]

    @property
    def bytes(self) -> int:
        return sum(size for size, _, _ in self.files.values())

    def written_since(self, earlier: "Stored") -> int:
        """Files that are new or were written again."""
        return sum(1 for name, state in self.files.items() if earlier.files.get(name) != state)


class StepFailed(Exception):
    """A measured program ended with an error. The last words it said are the message."""


def run(pipeline: Pipeline, *, errors: Path) -> Cost:
    """Run it to its end. Raises StepFailed where a program fails; `errors` keeps what they said."""
    spec = {
        "commands": [list(command) for command in pipeline.commands],
        "environment": dict(pipeline.environment),
        "errors": str(errors),
        "output": str(pipeline.output),
    }
    launcher = subprocess.Popen(
        [sys.executable, "-I", "-S", str(LAUNCH)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        told, _ = launcher.communicate(json.dumps(spec).encode(), timeout=LONGEST_SECONDS)
    except BaseException:
        os.killpg(launcher.pid, signal.SIGKILL)
        launcher.wait()
        raise
    if launcher.returncode != 0:
        raise StepFailed(f"{pipeline.commands[0][0]} could not be started")
    result = json.loads(told)
    for command, process in zip(pipeline.commands, result["processes"], strict=True):
        if process["code"] != 0:
            words = errors.read_text(errors="replace").strip().splitlines()[-3:]
            raise StepFailed(f"{Path(command[0]).name} ended with {process['code']}: {' / '.join(words)}")
    return Cost(
        seconds=result["seconds"],
        cpu_seconds=sum(process["cpu"] for process in result["processes"]),
        peak_bytes=max(process["peak"] for process in result["processes"]),
    )


def stored(directory: Path) -> Stored:
    """What lies below a directory now; nothing where it does not exist."""
    files = {}
    for place, _, names in os.walk(directory):
        for name in names:
            status = os.lstat(os.path.join(place, name))
            identity = (status.st_size, status.st_mtime_ns, status.st_ino)
            files[os.path.relpath(os.path.join(place, name), directory)] = identity
    return Stored(files)
