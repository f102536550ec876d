"""pg_dump of the same database, as the measure that everybody knows."""

import subprocess
from pathlib import Path
from time import monotonic

from cas.errors import CasError, TimedOut

LONGEST_SECONDS = 3600


def dump(program: Path, url: str, file: Path) -> tuple[int, float]:
    """`pg_dump -Fc` into a file: its bytes, and the seconds that it took. The file is removed again."""
    began = monotonic()
    try:
        done = subprocess.run(
            [str(program), "--format=custom", f"--file={file}", f"--dbname={url}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimedOut("pg_dump took too long", where=str(program)) from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise CasError(f"pg_dump failed: {last}", where=str(program))
    seconds = monotonic() - began
    stored = file.stat().st_size
    file.unlink()
    return stored, seconds
