"""`cas store credentials`, on a server where each store has an owner, and nothing in the environment."""

import base64
import json
import logging
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import COMMAND, Place, execute, rows
from tests.cli.test_sealed import asked
from tests.servers.azure import AzureServer
from tests.servers.postgres import Cluster, Databases
from tests.servers.s3 import REGION, S3Server, Tenant, seaweedfs

HOUSE = Tenant("HOUSEKEYID", "the-secret-of-the-house", "cas-house")
OFFSITE = Tenant("OFFSITEKEYID", "the-secret-of-offsite", "cas-offsite")
LATER = Tenant("LATERKEYID", "the-later-secret-of-offsite", "cas-offsite")
SECRETS = (HOUSE.secret_key, OFFSITE.secret_key, LATER.secret_key)

NO_KEY = {"CAS_KEY_FILE": ""}


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with seaweedfs(HOUSE, OFFSITE, LATER) as running:
        yield running


def text_of(tenant: Tenant) -> str:
    return f"aws_access_key_id = {tenant.access_key}\naws_secret_access_key = {tenant.secret_key}\n"


@dataclass(slots=True)
class Scene:
    """A repository in the bucket of the house; `offsite` is the URL for a replica. There are no credentials
    anywhere but in files that are named."""

    cas: Place
    offsite: str
    catalog: str

    def file(self, tenant: Tenant) -> Path:
        path = self.cas.directory / tenant.access_key
        path.write_text(text_of(tenant))
        return path


@pytest.fixture
def scene(bare: Place, server: S3Server, database: Databases, shop: str) -> Scene:
    """Made with the credentials of the house in the catalog, and an empty environment."""
    prefix, catalog = uuid4().hex, database()
    key = bare.directory / "shop.key"
    bare.environment |= {
        **{name: value for name, value in server.environment.items() if "ACCESS_KEY" not in name},
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "CAS_STORE": f"s3://{HOUSE.bucket}/{prefix}?endpoint={server.endpoint}&region={REGION}",
        "CAS_CATALOG": catalog,
        "CAS_SOURCE": shop,
        "CAS_KEY_FILE": str(key),
        "CAS_STORE_ATTEMPTS": "1",
    }
    made = Scene(bare, f"s3://{OFFSITE.bucket}/{prefix}?endpoint={server.endpoint}&region={REGION}", catalog)
    ran = bare("init", "--credentials", made.file(HOUSE))
    assert ran.code == ExitCode.OK, ran
    return made


def test_a_replica_from_nothing_to_a_restore_with_an_empty_environment(
    scene: Scene, database: Databases
) -> None:
    cas = scene.cas
    added = cas("replica", "add", "offsite", scene.offsite, "--mirror", "--credentials", scene.file(OFFSITE))
    assert added.code == ExitCode.OK, added
    for tenant in (HOUSE, OFFSITE):
        scene.file(tenant).unlink()
    taken = cas("snapshot")
    assert taken.code == ExitCode.OK, taken
    assert "offsite: copied" in taken.out
    for words in (
        ["replicate"],
        ["replica", "verify", "offsite", "--level", "bytes"],
        ["repair"],
        ["check", "--level", "bytes"],
        ["gc"],
        ["store", "test"],
    ):
        ran = cas(*words)
        assert ran.code == ExitCode.OK, ran
    target = database()
    assert cas("restore", "1", "--into", target, "--yes").code == ExitCode.OK
    assert rows(target, "SELECT count(*) FROM products") == [(200,)]
    seen = {one["name"]: one["health"] for one in cas("doctor", "--json").json["observations"]}
    assert (seen["create-only"], seen["attached"]) == ("ok", "ok")


def test_without_them_neither_store_opens(scene: Scene) -> None:
    """So it is they, and nothing else on this machine, that opened both."""
    cas = scene.cas
    without = cas("replica", "add", "offsite", scene.offsite)
    assert without.code == ExitCode.DENIED, without
    wrong = cas("replica", "add", "offsite", scene.offsite, "--credentials", scene.file(HOUSE))
    assert wrong.code == ExitCode.DENIED, wrong
    assert cas("store", "credentials", "list", "--json").json["credentials"][0]["replica"] is None
    assert len(cas("store", "credentials", "list", "--json").json["credentials"]) == 1
    execute(scene.catalog, "DELETE FROM cas.entrusted")
    assert cas("versions").code == ExitCode.DENIED


def test_what_the_environment_says_is_not_used_beside_them(scene: Scene) -> None:
    cas = scene.cas
    environment = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}
    assert cas("versions", **environment).code == ExitCode.OK
    good = {"AWS_ACCESS_KEY_ID": HOUSE.access_key, "AWS_SECRET_ACCESS_KEY": HOUSE.secret_key}
    refused = cas("versions", **good, **NO_KEY)
    assert refused.code == ExitCode.DENIED, "what is sealed is not passed over for what is at hand"
    assert "no key was given" in refused.error


def test_they_are_exchanged_and_taken_away(scene: Scene) -> None:
    cas = scene.cas
    assert cas("replica", "add", "offsite", scene.offsite, "--credentials", scene.file(OFFSITE)).code == 0
    before = rows(scene.catalog, "SELECT sealed FROM cas.entrusted WHERE place = 'offsite'")
    for tenant in (LATER, LATER):
        done = cas("store", "credentials", "set", scene.file(tenant), "--replica", "offsite")
        assert done.code == ExitCode.OK, done
        after = rows(scene.catalog, "SELECT sealed FROM cas.entrusted WHERE place = 'offsite'")
        assert after != before
        assert cas("replicate").code == ExitCode.OK
    refused = cas("store", "credentials", "set", scene.file(HOUSE), "--replica", "offsite")
    assert refused.code == ExitCode.DENIED
    assert rows(scene.catalog, "SELECT sealed FROM cas.entrusted WHERE place = 'offsite'") == after
    assert cas("store", "credentials", "set", scene.file(HOUSE)).code == ExitCode.OK
    forced = cas("store", "credentials", "set", scene.file(HOUSE), "--replica", "offsite", "--untried")
    assert forced.code == ExitCode.OK
    assert cas("replicate").code == ExitCode.DENIED
    assert cas("store", "credentials", "remove", "--replica", "offsite").code == ExitCode.OK
    again = cas("store", "credentials", "remove", "--replica", "offsite")
    assert again.code == ExitCode.NOT_FOUND
    assert cas("store", "credentials", "remove").code == ExitCode.OK
    assert cas("store", "credentials", "list", "--json").json["credentials"] == []
    assert cas("versions").code == ExitCode.DENIED


def test_what_does_not_open_any_more_can_be_replaced_and_removed(scene: Scene) -> None:
    cas = scene.cas
    other = scene.cas.directory / "other.key"
    other.write_text("0f" * 32)
    assert cas("versions", CAS_KEY_FILE=str(other)).code == ExitCode.DENIED
    set_anew = cas("store", "credentials", "set", scene.file(HOUSE), CAS_KEY_FILE=str(other))
    assert set_anew.code == ExitCode.OK, set_anew
    assert cas("versions", CAS_KEY_FILE=str(other)).code == ExitCode.OK
    assert cas("versions").code == ExitCode.DENIED
    environment = {"AWS_ACCESS_KEY_ID": HOUSE.access_key, "AWS_SECRET_ACCESS_KEY": HOUSE.secret_key}
    assert cas("store", "credentials", "remove", **environment, **NO_KEY).code == ExitCode.OK
    assert cas("versions", **environment, **NO_KEY).code == ExitCode.OK


def test_a_row_that_is_moved_or_whose_store_is_elsewhere_now_opens_nothing(
    scene: Scene, server: S3Server
) -> None:
    cas = scene.cas
    assert cas("replica", "add", "offsite", scene.offsite, "--credentials", scene.file(OFFSITE)).code == 0
    evil = scene.offsite.replace(server.endpoint, "http://127.0.0.1:9")
    execute(scene.catalog, f"UPDATE cas.replicas SET url = replace(url, '{scene.offsite}', '{evil}')")
    assert rows(scene.catalog, "SELECT url FROM cas.replicas WHERE url LIKE '%127.0.0.1:9%'")
    refused = cas("replicate", "offsite", "--json")
    (one,) = refused.json["replicas"]
    assert one["error"]["code"] == "CONFLICT"
    assert "not of this store" in one["error"]["what"]
    execute(
        scene.catalog,
        f"UPDATE cas.replicas SET url = replace(url, '{evil}', '{scene.offsite}')",
        "UPDATE cas.entrusted a SET sealed = b.sealed FROM cas.entrusted b WHERE a.place <> b.place",
    )
    moved = cas("replicate", "offsite")
    assert moved.code == ExitCode.CONFLICT, moved
    assert "not of this store" in moved.error
    elsewhere = cas("versions", CAS_STORE=cas.environment["CAS_STORE"] + "x")
    assert elsewhere.code == ExitCode.CONFLICT


@pytest.mark.parametrize(
    "content", ["'x'", "convert_to(repeat('[', 100000), 'UTF8')", "decode('00ff', 'hex')"]
)
def test_hostile_content_is_one_clear_line(scene: Scene, content: str) -> None:
    execute(scene.catalog, f"UPDATE cas.entrusted SET sealed = {content}")
    ran = scene.cas("versions")
    assert ran.code == ExitCode.CORRUPT, ran
    assert "credentials" in ran.error
    listed = scene.cas("store", "credentials", "list", "--json")
    assert listed.code == ExitCode.OK
    assert listed.json["credentials"][0]["wrong"]


def test_no_secret_is_in_what_is_kept_said_or_shown(
    scene: Scene, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cas = scene.cas
    caplog.set_level(logging.DEBUG)
    ran = [
        cas("replica", "add", "offsite", scene.offsite, "--credentials", scene.file(OFFSITE), "--json"),
        cas("store", "credentials", "set", scene.file(OFFSITE), "--replica", "offsite", "--json"),
        cas("store", "credentials", "set", scene.file(HOUSE), "--json", "--debug"),
        cas("store", "credentials", "set", scene.file(HOUSE), "--replica", "offsite", "--debug"),
        cas("store", "credentials", "list"),
        cas("store", "credentials", "list", "--json"),
        cas("snapshot", "--json"),
        cas("replicate", "--json"),
        cas("replica", "status", "--json"),
        cas("doctor", "--json"),
        cas("versions", "--debug", CAS_KEY_FILE=os.devnull),
    ]
    dumped = subprocess.run(
        [cluster.bin_directory / "pg_dump", scene.catalog], capture_output=True, text=True, check=True
    ).stdout
    assert "entrusted" in dumped
    kept = b"".join(path.read_bytes() for path in cas.home.rglob("*") if path.is_file())
    told = "".join(one.out + one.err for one in ran) + caplog.text
    for secret in SECRETS:
        assert secret not in dumped + told
        assert secret.encode().hex() not in dumped
        assert secret.encode() not in kept


def test_no_secret_is_on_a_command_line(scene: Scene) -> None:
    """Of the command itself, and of whatever it starts, while it takes them from standard input."""
    seen: set[bytes] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(file.read_bytes())
                except OSError:
                    continue
            time.sleep(0.01)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        ran = subprocess.run(
            [*COMMAND, "store", "credentials", "set", "-"],
            input=text_of(HOUSE),
            env=scene.cas.full_environment(),
            cwd=scene.cas.directory,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        done.set()
        watcher.join()
    assert ran.returncode == ExitCode.OK, ran
    assert any(b"credentials" in line for line in seen)
    assert not [line for line in seen if HOUSE.secret_key.encode() in line]


def test_what_is_listed(scene: Scene) -> None:
    cas = scene.cas
    cas("replica", "add", "offsite", scene.offsite, "--credentials", scene.file(OFFSITE))
    found = cas("store", "credentials", "list", "--json", **NO_KEY).json["credentials"]
    assert [(one["replica"], one["kind"], one["opened_by"]) for one in found] == [
        (None, "s3", ["file"]),
        ("offsite", "s3", ["file"]),
    ]
    assert all(one["since"].startswith("20") and not one["wrong"] for one in found)
    shown = cas("store", "credentials", "list").out
    assert "2 stores" in shown
    assert OFFSITE.access_key not in shown + json.dumps(found)
    assert cas("replica", "remove", "offsite").code == ExitCode.OK
    left = cas("store", "credentials", "list", "--json").json["credentials"]
    assert [one["replica"] for one in left] == [None]


def test_a_person_is_asked_and_a_passphrase_once_a_run(scene: Scene) -> None:
    words = "correct horse battery\n"
    code, text = asked(
        scene.cas,
        *("store", "credentials", "set"),
        answers=(
            ("Access key id: ", HOUSE.access_key + "\n"),
            ("Secret access key: ", HOUSE.secret_key + "\n"),
            ("Session token", "\n"),
            ("New passphrase: ", words),
            ("Once more: ", words),
        ),
        **NO_KEY,
    )
    assert code == ExitCode.OK, text
    assert HOUSE.secret_key not in text
    code, text = asked(scene.cas, "snapshot", answers=(("Passphrase: ", words),), **NO_KEY)
    assert code == ExitCode.OK, text
    assert "Passphrase" not in text, "it was asked once"


def test_what_seals_a_replica_and_its_credentials_is_asked_for_once(scene: Scene) -> None:
    cas = scene.cas
    cas.environment |= {"AWS_ACCESS_KEY_ID": HOUSE.access_key, "AWS_SECRET_ACCESS_KEY": HOUSE.secret_key}
    assert cas("store", "credentials", "remove").code == ExitCode.OK
    words = "correct horse battery\n"
    code, text = asked(
        cas,
        *("replica", "add", "offsite", scene.offsite, "--encrypt"),
        *("--credentials", str(scene.file(OFFSITE))),
        answers=(("New passphrase: ", words), ("Once more: ", words)),
        **NO_KEY,
    )
    assert code == ExitCode.OK, text
    assert "sealed replica" in text


def test_the_embedded_catalog_is_found_by_the_store(scene: Scene) -> None:
    refused = scene.cas("store", "credentials", "set", scene.file(HOUSE), CAS_CATALOG="")
    assert refused.code == ExitCode.INVALID
    assert "CAS_CATALOG" in refused.error


def test_what_wants_no_credentials_and_what_is_none(scene: Scene) -> None:
    cas = scene.cas
    local = cas("replica", "add", "disk", cas.directory / "disk", "--credentials", scene.file(HOUSE))
    assert (local.code, "wants no credentials" in local.error) == (ExitCode.INVALID, True)
    nonsense = cas.directory / "nonsense"
    nonsense.write_text(f"password: {HOUSE.secret_key}")
    ran = cas("store", "credentials", "set", nonsense)
    assert ran.code == ExitCode.INVALID
    assert HOUSE.secret_key not in ran.error
    assert cas("store", "credentials", "set", cas.directory / "missing").code == ExitCode.INVALID
    nobody = cas("store", "credentials", "set")
    assert (nobody.code, "standard input" in nobody.error) == (ExitCode.INVALID, True)


def test_a_sealed_replica_with_credentials_of_its_own(scene: Scene) -> None:
    cas = scene.cas
    added = cas("replica", "add", "offsite", scene.offsite, "--encrypt", "--credentials", scene.file(OFFSITE))
    assert added.code == ExitCode.OK, added
    assert cas("snapshot").code == ExitCode.OK
    assert cas("replicate").code == ExitCode.OK
    assert cas("key", "list", "--replica", "offsite").code == ExitCode.OK
    assert cas("key", "export", "--replica", "offsite").code == ExitCode.OK
    asked_for_help = cas("repair", "--dry-run")
    assert (asked_for_help.code, asked_for_help.err) == (ExitCode.OK, ""), "the replica could be asked"


def test_what_a_crash_has_left_is_not_used_for_the_next_replica_of_this_name(scene: Scene) -> None:
    cas = scene.cas
    assert cas("replica", "add", "offsite", scene.offsite, "--credentials", scene.file(OFFSITE)).code == 0
    execute(scene.catalog, "DELETE FROM cas.replicas")  # as if it had died before the replica was added
    left = cas("store", "credentials", "list", "--json").json["credentials"][1]
    assert (left["replica"], left["url"], left["kind"]) == ("offsite", "", "")
    environment = {"AWS_ACCESS_KEY_ID": LATER.access_key, "AWS_SECRET_ACCESS_KEY": LATER.secret_key}
    assert cas("replica", "add", "offsite", scene.offsite, **environment).code == ExitCode.OK
    assert len(cas("store", "credentials", "list", "--json").json["credentials"]) == 1
    assert cas("replicate", **environment).code == ExitCode.OK


def test_a_replica_without_a_name_takes_nothing_of_the_repository_away(scene: Scene) -> None:
    before = rows(scene.catalog, "SELECT * FROM cas.entrusted")
    for name in ("", "none", "Up"):
        ran = scene.cas("replica", "add", name, scene.offsite, "--credentials", scene.file(OFFSITE))
        assert ran.code == ExitCode.INVALID, ran
    assert scene.cas("store", "credentials", "remove", "--replica", "").code == ExitCode.NOT_FOUND
    assert scene.cas("store", "credentials", "set", "-", "--replica", "").code == ExitCode.NOT_FOUND
    assert rows(scene.catalog, "SELECT * FROM cas.entrusted") == before


def test_a_replica_at_azure_with_the_key_of_its_account(scene: Scene, azurite_server: AzureServer) -> None:
    cas = scene.cas
    key = cas.directory / "azure.key"
    key.write_text(f"{azurite_server.secret_key}\n")
    url = azurite_server.url(uuid4().hex)
    cas.environment["AZURE_STORAGE_ACCOUNT_KEY"] = base64.b64encode(bytes(64)).decode()
    assert cas("replica", "add", "azure", url).code == ExitCode.DENIED
    assert cas("replica", "add", "azure", url, "--credentials", key).code == ExitCode.OK
    assert cas("snapshot").code == ExitCode.OK
    assert cas("replicate").code == ExitCode.OK
    assert cas("store", "credentials", "remove", "--replica", "azure").code == ExitCode.OK
    assert cas("replicate").code == ExitCode.DENIED
