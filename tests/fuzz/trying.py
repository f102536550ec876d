"""One group of parsers under atheris, for a span of its own processor time.

An input is the number of a parser in its group, and what that is fed with. What breaks a promise is kept,
once for each way of breaking it, and the run goes on.
"""

import hashlib
import os
import resource
import signal
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import atheris

from tests.fuzz.model import Target

ROOM_BYTES = 768 * 1024 * 1024
"""Address space beyond what the process has when it begins: an input is a few thousand bytes."""

_WATCHED = ["cas", "cli", "zipfile", "json"]
_HANG_SECONDS = 60
"""Of one input, by the clock: then libFuzzer ends the process and keeps the input."""


@dataclass(slots=True)
class _Tally:
    """Of one parser."""

    tried: int = 0
    read: int = 0
    seconds: float = 0.0
    longest: float = 0.0


@dataclass(slots=True)
class Trial:
    """A run. `home`: takes corpus/<group>/, found/<parser>-<way>."""

    group: str
    home: Path
    seconds: float
    targets: tuple[Target, ...] = ()
    broken: set[str] = field(default_factory=set)
    tallies: dict[str, _Tally] = field(default_factory=dict)

    def run(self) -> None:
        """Never returns: the process ends with 1 where something was found, else with 0."""
        with atheris.instrument_imports(include=_WATCHED):
            from tests.fuzz.groups import targets_of  # late, so that it is watched

            self.targets = targets_of(self.group)
        corpus = self.home / "corpus" / self.group
        corpus.mkdir(parents=True, exist_ok=True)
        (self.home / "found").mkdir(exist_ok=True)
        self.tallies = {target.name: _Tally() for target in self.targets}
        for number, target in enumerate(self.targets):
            for seed in target.seeds():
                data = bytes((number,)) + seed
                (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)
        options = [f"-max_len={max(target.most for target in self.targets) + 1}", "-len_control=0"]
        options += [f"-timeout={_HANG_SECONDS}", f"-artifact_prefix={self.home}/found/", "-rss_limit_mb=3000"]
        options.append("-handle_term=0")
        atheris.Setup(
            [sys.argv[0], *options, str(corpus)],
            self.one,
            custom_mutator=self.change,
            internal_libfuzzer=True,
        )
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM_BYTES, resource.RLIM_INFINITY))
        signal.signal(signal.SIGTERM, lambda *_: self._end())
        atheris.Fuzz()

    def one(self, data: bytes) -> None:
        from tests.fuzz.judging import Broken, judge  # late, as above

        if not data:
            return
        target = self.targets[data[0] % len(self.targets)]
        tally = self.tallies[target.name]
        began = time.process_time()
        try:
            tally.read += judge(target, data[1:])
        except Broken as error:
            self._keep(target, data[1:], error)
        spent = time.process_time() - began
        tally.tried += 1
        tally.seconds += spent
        tally.longest = max(tally.longest, spent)
        if began > self.seconds:
            self._end()

    def change(self, data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        number = data[0] % len(self.targets) if data else random.randrange(len(self.targets))
        target = self.targets[number]
        room = min(most - 1, target.most)
        changed = target.change(data[1:], random, lambda some: bytes(atheris.Mutate(some, max(room, 1))))
        return bytes((number,)) + changed[:room]

    def _keep(self, target: Target, data: bytes, error: Exception) -> None:
        cause = error.__cause__ or error
        frames = traceback.extract_tb(cause.__traceback__)
        ours = [frame for frame in frames if "/tests/fuzz/" not in frame.filename] or frames
        way = f"{type(cause).__name__} {ours[-1].filename} {ours[-1].lineno}"
        name = f"{target.name}-{hashlib.sha1(way.encode()).hexdigest()[:8]}"
        if name in self.broken:
            return
        self.broken.add(name)
        (self.home / "found" / name).write_bytes(data)
        told = "".join(traceback.format_exception(error))
        (self.home / "found" / f"{name}.txt").write_text(told[-8000:], errors="backslashreplace")
        print(f"FOUND {name}: {error}".encode("ascii", "backslashreplace").decode()[:400], flush=True)

    def _end(self) -> None:
        for name, tally in self.tallies.items():
            print(
                f"TRIED {name}: {tally.tried} inputs, {tally.read} read, {tally.seconds:.0f} s,"
                f" the longest {tally.longest:.2f} s"
            )
        print(f"ENDED {self.group}: {time.process_time():.0f} s, {len(self.broken)} found", flush=True)
        os._exit(1 if self.broken else 0)
