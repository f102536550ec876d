"""The README's bundle in a bucket and the link to it, command by command, against a real S3 server."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import SHOP, Place, execute
from tests.docs.test_worst_day import is_told
from tests.servers.postgres import Databases, temporary_directory
from tests.servers.s3 import S3Server

README = (Path(__file__).parents[2] / "README.md").read_text()
PAGE = README.split("\n## A version in one file\n", 1)[1].split("\n## ", 1)[0]
BUCKET, REGION = "s3://exports/", "region=eu-central-1"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page downloads with curl")
def test_what_the_page_says_is_what_happens(seaweedfs_server: S3Server, database: Databases) -> None:
    (block,) = re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = block.splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    assert len(commands) == 6
    server = seaweedfs_server
    script = "set -eu\n" + "\n".join(commands).replace(BUCKET, f"s3://{server.bucket}/")
    script = script.replace(f"?{REGION}", f"?endpoint={server.endpoint}&region=us-east-1")
    with temporary_directory() as directory:
        cas = Place(directory, {**server.environment})
        cas.environment |= {
            "CAS_HOME": str(cas.home),
            "CAS_STORE": str(cas.store),
            "CAS_CATALOG": database(),
            "CAS_SOURCE": database(),
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        }
        execute(cas.environment["CAS_SOURCE"], *SHOP)
        assert cas("init").code == 0
        assert cas("snapshot").code == 0
        done = subprocess.run(
            ["bash", "-c", script], env=cas.full_environment(), cwd=directory, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout + done.stderr
    for line in lines:
        if not line.startswith("$ "):
            assert is_told(line.replace(BUCKET, f"s3://{server.bucket}/"), done.stdout), line
