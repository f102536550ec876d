"""The README's worst day, command by command, against a real S3 server with a locked bucket, sealed."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.cli.running import SHOP, Place, execute, rows
from tests.servers.postgres import Databases, temporary_directory
from tests.servers.s3 import S3Server, client, seaweedfs

README = (Path(__file__).parents[2] / "README.md").read_text()
PAGE = README.split("\n## The worst day\n", 1)[1].split("\n## ", 1)[0]
VAULT, FRESH = "vault", "new-bucket"
REGION = "region=eu-central-1"
TARGET = "postgresql://admin@db.internal/shop"


def steps() -> list[tuple[str, list[str]]]:
    """Each command of the page, with the lines that it says will come."""
    lines = "".join(re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)).splitlines()
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def is_told(expected: str, shown: str) -> bool:
    """Whether a line begins so; any number may stand where the page has one."""
    pattern = re.sub(r"\d+", r"\\d+", re.sub(r"([^\w\s])", r"\\\1", expected.strip()))
    return re.search(rf"(?m)^ *{pattern}", shown) is not None


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with seaweedfs() as running:
        client(running).create_bucket(Bucket=VAULT, ObjectLockEnabledForBucket=True)
        client(running).create_bucket(Bucket=FRESH)
        yield running


@pytest.fixture
def place() -> Iterator[Path]:
    with temporary_directory() as directory:
        yield directory


def content(url: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the platform, as the database itself tells them."""
    tables = ("suppliers", "products", "prices", "events")
    return {name: rows(url, f"SELECT t::text FROM {name} t ORDER BY 1") for name in tables}


def three_versions(place: Path, server: S3Server, database: Databases) -> dict[str, list[tuple[object, ...]]]:
    """A platform with a repository and its replica; then all but the replica is lost. What it held."""
    platform, catalog, prefix = database(), database(), uuid4().hex
    execute(platform, *SHOP)
    cas = Place(place / "before", {**server.environment})
    cas.directory.mkdir()
    cas.environment |= {"CAS_HOME": str(cas.home), "CAS_CATALOG": catalog, "CAS_SOURCE": platform}
    cas.environment["CAS_STORE"] = server.url(prefix)
    assert cas("init").code == 0
    for number in range(3):
        execute(platform, f"UPDATE products SET name = name || '{number}' WHERE id = {number + 1}")
        assert cas("snapshot").code == 0
    vault = server.url("shop").replace(server.bucket, VAULT, 1)
    (place / "passphrase").write_text("correct horse battery staple\n")
    cas.environment["CAS_PASSPHRASE_FILE"] = str(place / "passphrase")
    assert cas("replica", "add", "vault", vault, "--object-lock", "30", "--encrypt").code == 0
    assert cas("replicate").code == 0
    held = content(platform)
    s3 = client(server)
    listed = s3.list_objects_v2(Bucket=server.bucket, Prefix=prefix)["Contents"]
    assert len(listed) >= 7
    s3.delete_objects(Bucket=server.bucket, Delete={"Objects": [{"Key": row["Key"]} for row in listed]})
    for url in (platform, catalog):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS cas CASCADE; DROP SCHEMA public CASCADE")
    shutil.rmtree(cas.directory)
    return held


def test_the_page_brings_everything_back_and_goes_on(
    place: Path, server: S3Server, database: Databases
) -> None:
    held, target = three_versions(place, server, database), database()
    names = {
        f"s3://{bucket}/shop?{REGION}": server.url("shop").replace(server.bucket, bucket, 1)
        for bucket in (VAULT, FRESH)
    } | {TARGET: target}
    script = "set -eu\n"
    for number, (command, _) in enumerate(steps()):
        for written, real in names.items():
            command = command.replace(written, real)
        script += f"echo '@@ {number}'\n{command}\n"
    environment = {
        "HOME": str(place),
        "LANG": "C.UTF-8",
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        **server.environment,
    }
    done = subprocess.run(
        ["bash", "-c", script], env=environment, cwd=place, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    shown = re.split(r"@@ \d+\n", done.stdout)[1:]
    assert len(shown) == len(steps()) >= 12
    for (command, expected), output in zip(steps(), shown, strict=True):
        for line in expected:
            assert is_told(line, output), f"{command} should say {line!r}, and says:\n{output}"
    assert content(target) == held, "and the database itself agrees"
    for bucket in (VAULT, FRESH):
        assert is_sealed(server, bucket), "what goes on elsewhere is sealed, too"


def is_sealed(server: S3Server, bucket: str) -> bool:
    """Whether no pack in it has the mark that packs in clear begin with."""
    s3 = client(server)
    keys = [row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"] if "/packs/" in row["Key"]]
    assert keys
    return not any(
        s3.get_object(Bucket=bucket, Key=key)["Body"].read(8).startswith(b"CASPACK") for key in keys
    )


def test_the_page_is_in_the_order_in_which_it_is_needed() -> None:
    assert re.findall(r"^\*\*(\d)\. ", PAGE, re.MULTILINE) == ["1", "2", "3", "4", "5", "6"]
    commands = [command for command, _ in steps()]
    words = ["catalog rebuild", "versions", "check", "restore", "diff", "replica add", "snapshot"]
    at = [next(n for n, command in enumerate(commands) if f"cas {word}" in command) for word in words]
    assert at == sorted(at)
    assert len(PAGE.splitlines()) <= 100, "a frightened person reads it"
