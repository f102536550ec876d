"""What change capture costs the platform: a bulk update, and the median of single-row updates.

    python -m tests.bench.capture_cost [rounds]

Two equal databases on one server, one of them captured. Each round does both works in both, and begins with
the other one than the round before; figures are medians over the rounds. The noise is how far the uncaptured
rounds lie from each other.

Measured on two cores that others used too, medians of 4 rounds, the same trigger again and again: bulk 1.11
to 1.28 times, single 1.15 to 1.25 times. Of the 70 us beside a commit of 370 a PL/pgSQL trigger that does
nothing takes 30, its transition table 20: where a commit is that fast, no statement trigger holds 1.10.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psycopg

from cas.postgres.capture.installing import install
from tests.bench.server import BenchServer

RECORDS = 100_000
SECONDS = 2
"""Of single-row updates, each round and database."""

BULK_LIMIT = 1.20
SINGLE_LIMIT = 1.10

_TABLE = """
CREATE TABLE products (id bigint PRIMARY KEY, sku text NOT NULL, name text, price numeric(10, 2),
                       attributes jsonb, updated_at timestamptz);
INSERT INTO products
SELECT n, 'SKU-' || n, 'Product number ' || n, n %% 1000, jsonb_build_object('colour', 'blue', 'text',
       repeat(md5(n::text), 8)), now() FROM generate_series(1, %d) n
"""

_BULK = "UPDATE products SET price = price + 1, updated_at = now()"

_SINGLE = """\\set id random(1, %d)
UPDATE products SET price = price + 1, updated_at = now() WHERE id = :id;
"""


@dataclass(frozen=True, slots=True)
class CaptureCost:
    """Medians over all rounds: bulk in seconds, single in microseconds. noise: of the uncaptured, (greatest -
    least) / median."""

    bulk_plain: float
    bulk_captured: float
    single_plain: float
    single_captured: float
    bulk_noise: float
    single_noise: float
    rounds: int

    @property
    def bulk_ratio(self) -> float:
        return self.bulk_captured / self.bulk_plain

    @property
    def single_ratio(self) -> float:
        return self.single_captured / self.single_plain


def capture_cost(server: BenchServer, directory: Path, rounds: int = 7) -> CaptureCost:
    """Measure on a server that does nothing else."""
    urls = {name: server.fresh(f"bench_{name}") for name in ("plain", "captured")}
    for url in urls.values():
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute((_TABLE % RECORDS).encode())
    install(urls["captured"])
    bulk: dict[str, list[float]] = {name: [] for name in urls}
    single: dict[str, list[float]] = {name: [] for name in urls}
    for number in range(rounds + 1):
        names = sorted(urls, reverse=number % 2 == 0)
        for name in names:
            _settled(server, urls[name])
            seconds = _bulk(urls[name])
            _settled(server, urls[name])
            micros = _single(server, urls[name], directory / f"{name}_{number}")
            if number:  # the first warms up
                bulk[name].append(seconds)
                single[name].append(micros)
    for name in urls:
        server.drop(f"bench_{name}")
    return CaptureCost(
        median(bulk["plain"]),
        median(bulk["captured"]),
        median(single["plain"]),
        median(single["captured"]),
        _noise(bulk["plain"]),
        _noise(single["plain"]),
        rounds,
    )


def _noise(values: Sequence[float]) -> float:
    return (max(values) - min(values)) / median(values)


def _settled(server: BenchServer, url: str) -> None:
    """Dead rows are gone, the log is as small as after a version, and nothing waits to be written."""
    with psycopg.connect(url, autocommit=True) as connection:
        logs = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname = 'cas_capture' AND tablename ~ '^log_'"
        ).fetchall()
        for (log,) in logs:
            connection.execute(f"DELETE FROM {log} WHERE operation <> 'S'".encode())
        connection.execute("VACUUM ANALYZE")
    server.settle()


def _bulk(url: str) -> float:
    with psycopg.connect(url, autocommit=True) as connection:
        began = time.perf_counter()
        connection.execute(_BULK)
        return time.perf_counter() - began


def _single(server: BenchServer, url: str, prefix: Path) -> float:
    """The median latency, in microseconds, of single-row transactions by one client."""
    program = server.programs / "pgbench"
    if not program.exists():
        return _single_by_psycopg(url)
    script = prefix.with_suffix(".sql")
    script.write_text(_SINGLE % RECORDS)
    command = [program, "-n", "-c", "1", "-T", SECONDS, "-f", script, "-l", "--log-prefix", prefix, url]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    lines = [
        line for file in prefix.parent.glob(f"{prefix.name}.[0-9]*") for line in file.read_text().splitlines()
    ]
    return float(median(int(line.split()[2]) for line in lines))


def _single_by_psycopg(url: str) -> float:
    taken = []
    with psycopg.connect(url, autocommit=True) as connection:
        ends = time.perf_counter() + SECONDS
        number = 0
        while time.perf_counter() < ends:
            number = (number * 7919 + 1) % RECORDS
            began = time.perf_counter()
            connection.execute("UPDATE products SET price = price + 1 WHERE id = %s", [number + 1])
            taken.append((time.perf_counter() - began) * 1e6)
    return median(taken)


def told(cost: CaptureCost) -> str:
    """For people."""
    bulk = f"bulk update of {RECORDS:,} rows: {cost.bulk_plain:.2f} s, captured {cost.bulk_captured:.2f} s"
    single = f"single-row update: {cost.single_plain:.0f} us, captured {cost.single_captured:.0f} us"
    return "\n".join(
        (
            f"{bulk}: {cost.bulk_ratio:.3f} (at most {BULK_LIMIT}; noise {cost.bulk_noise:.1%})",
            f"{single}: {cost.single_ratio:.3f} (at most {SINGLE_LIMIT}; noise {cost.single_noise:.1%})",
            f"medians of {cost.rounds} rounds",
        )
    )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with TemporaryDirectory(prefix="cas-", dir="/tmp") as name:
        directory = Path(name)
        server = BenchServer(directory / "server")
        try:
            print(told(capture_cost(server, directory, rounds)))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
