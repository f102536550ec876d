"""A hot standby of a running cluster."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote, unquote

from psycopg.conninfo import conninfo_to_dict

from cas.postgres.embedded.server_user import server_user
from tests.servers.postgres import TEST_SETTINGS, Cluster, temporary_directory

NEEDED = ("max_connections", "max_prepared_transactions", "max_wal_senders")
"""Settings that a standby must not have lower than its primary."""

Promote = Callable[[], None]


@contextmanager
def standby_of(cluster: Cluster, url: str) -> Iterator[tuple[str, Promote]]:
    """The URL of the same database on a standby; and how that becomes a primary of its own."""
    host = unquote(str(conninfo_to_dict(url)["host"]))
    port = str(conninfo_to_dict(url)["port"])
    with temporary_directory() as directory:
        data = directory / "data"
        data.mkdir(mode=0o700)
        user = server_user(data).admitted(directory)
        user.own(data)

        def run(program: str, *words: str) -> None:
            code, output = user.run([cluster.bin_directory / program, *words], seconds=60)
            assert code == 0, output + ((data / "log").read_text() if (data / "log").exists() else "")

        run("pg_basebackup", "-h", host, "-p", port, "-U", "postgres", "-D", str(data), "-R", "-c", "fast")
        for left in data.glob(".s.PGSQL.*"):  # of the primary, whose socket lies in its data directory
            left.unlink()
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(data),
            "port": port,
            **{name: TEST_SETTINGS[name] for name in NEEDED},
        }
        words = " ".join(f"--{name}={shlex.quote(value)}" for name, value in options.items())
        run("pg_ctl", "-D", str(data), "start", "-w", "-l", str(data / "log"), "-o", words)
        try:
            yield (
                url.replace(quote(host, safe=""), quote(str(data), safe="")),
                lambda: run("pg_ctl", "-D", str(data), "promote", "-w"),
            )
        finally:
            run("pg_ctl", "-D", str(data), "stop", "-w", "-m", "immediate")
