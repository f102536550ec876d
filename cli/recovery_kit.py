"""The recovery kit: one page for a safe."""

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cas.format.sealing import SlotHead
from cli.operating_system import faults_of_files

_KIT = """\
RECOVERY KIT of a sealed repository

  repository  {repository}
  store       {store}
  made        {made}   (key {number})

  {code}

Whoever has this page and can read the store can read everything in it. Keep it
where you keep contracts, and not beside the computer.

To use it, with the program:

  export CAS_STORE={quoted}
  export CAS_RECOVERY_CODE='{code}'
  cas catalog rebuild
  cas versions

Without the program: FORMAT.md, section "Sealed stores", says how each byte is
found, and tests/reference_sealing.py reads everything back.

Is it still good?   cas key list   shows key {number} for as long as it is.
"""


def kit_text(store: str, repository: str, slot: SlotHead, code: str) -> str:
    """The page."""
    made = slot.created_at[:16].replace("T", " ") + " UTC"
    return _KIT.format(
        repository=repository,
        store=store,
        made=made,
        number=slot.number,
        code=code,
        quoted=shlex.quote(store),
    )


@contextmanager
def kit_file(path: Path) -> Iterator[Callable[[str], None]]:
    """What writes a kit into a new file that only its owner can read. A file that is there is left as it is,
    and found out before anything else; one that was not written in the end is removed."""
    with faults_of_files(path, hint="Name a file that is not there yet"):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:

        def write(text: str) -> None:
            with faults_of_files(path):
                file.write(text)
                file.flush()
                os.fsync(file.fileno())

        try:
            yield write
        except BaseException:
            path.unlink(missing_ok=True)
            raise
