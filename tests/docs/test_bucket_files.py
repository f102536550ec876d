"""The README's uploads in a bucket, command by command, against a real S3 server."""

import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

from tests.cli.running import SHOP, Place, execute
from tests.docs.test_worst_day import is_told
from tests.servers.postgres import Databases, temporary_directory
from tests.servers.s3 import S3Server, client

README = (Path(__file__).parents[2] / "README.md").read_text()
PAGE = README.split("\n## Files beside the rows\n", 1)[1].split("\n## ", 1)[0]
BUCKET, REGION = "s3://media/", "region=eu-central-1"
CONTENTS = {"note.txt": b"a note\n", "2026/photo.jpg": bytes(5000)}


def test_what_the_page_says_is_what_happens(seaweedfs_server: S3Server, database: Databases) -> None:
    (block,) = re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = block.splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    assert len(commands) == 6
    server, above = seaweedfs_server, uuid4().hex
    script = "set -eu\n" + "\n".join(commands).replace(BUCKET, f"s3://{server.bucket}/{above}/")
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
        s3 = client(server)
        for key, content in CONTENTS.items():
            s3.put_object(Bucket=server.bucket, Key=f"{above}/uploads/{key}", Body=content)
        done = subprocess.run(
            ["bash", "-c", script], env=cas.full_environment(), cwd=directory, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert (directory / "note.txt").read_bytes() == CONTENTS["note.txt"]
        here = directory / "here"
        assert {key: (here / key).read_bytes() for key in CONTENTS} == CONTENTS
        for key, content in CONTENTS.items():
            copied = s3.get_object(Bucket=server.bucket, Key=f"{above}/a-copy/{key}")
            assert copied["Body"].read() == content
    for line in lines:
        if not line.startswith("$ "):
            assert is_told(line, done.stdout), line
