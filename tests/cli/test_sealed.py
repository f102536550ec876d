"""`cas init --encrypt`, `cas key` and sealed replicas, as a person types them."""

import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from math import log2
from pathlib import Path

import pytest

from cas.catalog.replicating_postgres import PostgresReplicating
from cas.errors import CasError
from cas.format.sealing import encode_keys
from cli.exit_codes import ExitCode
from tests.cli.running import SHOP, Place, execute, rows
from tests.cli.test_terminal import Screen
from tests.postgres.target.moving import DATA
from tests.sealing.scenes import IDENTITY_FILE, KEYS, RECIPIENT
from tests.servers.postgres import Databases

LOST = {"CAS_KEY_FILE": ""}
"""As if no key were at hand."""


@pytest.fixture
def key(bare: Place) -> Path:
    return bare.directory / "shop.key"


@pytest.fixture
def sealed(bare: Place, database: Databases, shop: str, key: Path) -> Place:
    """A sealed repository that a key file opens, without versions."""
    bare.environment |= {
        "CAS_STORE": str(bare.store),
        "CAS_CATALOG": database(),
        "CAS_SOURCE": shop,
        "CAS_KEY_FILE": str(key),
    }
    ran = bare("init", "--encrypt")
    assert ran.code == 0, ran
    return bare


def bytes_of(directory: Path) -> bytes:
    """All that lies there, names included."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return b"".join(str(path.relative_to(directory)).encode() + path.read_bytes() for path in files)


def test_from_nothing_to_a_restore(sealed: Place, key: Path, database: Databases) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert sealed("snapshot").code == 0
    execute(sealed.environment["CAS_SOURCE"], "UPDATE products SET name = 'changed' WHERE id = 7")
    assert sealed("snapshot").code == 0
    assert "product 7 → changed" in sealed("diff", "1", "2").out
    assert sealed("check", "--level", "bytes").code == 0
    target = database()
    assert sealed("restore", "1", "--into", target, "--yes").code == 0
    assert rows(target, "SELECT name FROM products WHERE id = 7") == [("product 7",)]
    assert rows(target, "SELECT count(*) FROM events") == [(3,)]


def test_what_init_says(bare: Place, database: Databases, key: Path) -> None:
    bare.environment |= {"CAS_STORE": str(bare.store), "CAS_CATALOG": database(), "CAS_KEY_FILE": str(key)}
    ran = bare("init", "--encrypt")
    assert ran.code == 0
    assert "Made sealed repository" in ran.out
    assert "nothing and nobody" in ran.err, "said beforehand that nothing helps who loses all keys"
    assert "cas key export" in ran.err
    again = bare("init", "--encrypt")
    assert again.code == ExitCode.CONFLICT
    assert "already" in again.err


def test_without_a_key_nothing_is_made(bare: Place, database: Databases) -> None:
    bare.environment |= {"CAS_STORE": str(bare.store), "CAS_CATALOG": database()}
    ran = bare("init", "--encrypt")
    assert ran.code == ExitCode.INVALID
    assert "wants a key" in ran.err
    assert bytes_of(bare.store) == b""


def test_a_wrong_key_is_one_clear_line(sealed: Place) -> None:
    sealed("snapshot")
    other = sealed.directory / "other.key"
    other.write_text("0f" * 32)
    missing = sealed.directory / "missing.key"
    short = sealed.directory / "short.key"
    short.write_text("too short")
    for given, code, said in (
        ("", ExitCode.DENIED, "it is sealed, and no key was given"),
        (str(other), ExitCode.DENIED, "no key that was given opens it"),
        (str(short), ExitCode.INVALID, "a key file holds 32 bytes"),
        (str(missing), ExitCode.INVALID, "missing.key"),
    ):
        for words in (["versions"], ["show", "1"], ["check"], ["snapshot"]):
            ran = sealed(*words, CAS_KEY_FILE=given)
            assert (ran.code, said in ran.error) == (code, True), ran
            assert "0f0f" not in ran.err


def test_keys_come_and_go(sealed: Place) -> None:
    sealed("snapshot")
    word = sealed.directory / "word"
    word.write_text("correct horse battery staple\n")
    program = sealed.directory / "service.py"
    program.write_text(
        "import base64, sys\n"
        "data = base64.b64decode(sys.stdin.readline())\n"
        "print(base64.b64encode(bytes(255 - byte for byte in data)).decode())\n"
    )
    line = f"{sys.executable} {program}"
    assert sealed("key", "add", "passphrase", str(word), "--label", "on paper").code == 0
    assert sealed("key", "add", "command", line).code == 0
    second = sealed.directory / "second.key"
    added = sealed("key", "add", "file", str(second))
    assert (added.code, second.exists()) == (0, True)
    assert "is new" in added.out
    listed = sealed("key", "list", "--json", **LOST).json
    assert [(one["number"], one["kind"], one["label"]) for one in listed["keys"]] == [
        (1, "file", ""),
        (2, "passphrase", "on paper"),
        (3, "command", ""),
        (4, "file", ""),
    ]
    ways = {
        2: {"CAS_KEY_FILE": "", "CAS_PASSPHRASE_FILE": str(word)},
        3: {"CAS_KEY_FILE": "", "CAS_KEY_COMMAND": line},
        4: {"CAS_KEY_FILE": str(second)},
    }
    for way in (*ways.values(), {"CAS_KEY_FILE": "", "CAS_PASSPHRASE": "correct horse battery staple"}):
        assert sealed("versions", **way).code == 0, way
    assert sealed("key", "remove", "2").code == ExitCode.INVALID, "nobody can be asked"
    removed = sealed("key", "remove", "2", "--yes")
    assert removed.code == 0
    assert sealed("versions", **ways[2]).code == ExitCode.DENIED
    assert sealed("versions", **ways[3]).code == 0
    assert sealed("key", "remove", "1", "--yes").code == 0
    assert sealed("versions").code == ExitCode.DENIED
    sealed.environment |= {"CAS_KEY_FILE": str(second)}
    assert sealed("key", "remove", "3", "--yes").code == 0
    last = sealed("key", "remove", "4", "--yes")
    assert (last.code, "last key" in last.err) == (ExitCode.CONFLICT, True)
    assert sealed("check", "--level", "bytes").code == 0


def test_whoever_has_the_identity_of_a_recipient_opens_all(sealed: Place) -> None:
    sealed("snapshot")
    identity = sealed.directory / "identity"
    identity.write_bytes(IDENTITY_FILE)
    alone = {"CAS_KEY_FILE": "", "CAS_AGE_IDENTITY": str(identity)}
    assert sealed("versions", **alone).code == ExitCode.DENIED
    added = sealed("key", "add", "age", RECIPIENT.text, "--label", "ada")
    assert added.code == 0, added
    listed = sealed("key", "list", "--json", **LOST).json
    assert [(one["number"], one["kind"], one["label"]) for one in listed["keys"]] == [
        (1, "file", ""),
        (2, "age", "ada"),
    ]
    assert sealed("check", "--level", "bytes", **alone).code == 0
    lacking = sealed("key", "rotate")
    assert (lacking.code, "2 (ada)" in lacking.err) == (ExitCode.INVALID, True), lacking
    assert sealed("key", "rotate", CAS_AGE_IDENTITY=str(identity)).code == 0
    assert sealed("versions", **alone).code == 0
    assert sealed("key", "remove", "2", "--yes").code == 0
    assert sealed("versions", **alone).code == ExitCode.DENIED
    for value, said in (
        ([], "which age?"),
        (["age1yubikey1qwerty"], "of a plugin"),
        (["ssh-ed25519 AAAA"], "no recipient of age"),
    ):
        ran = sealed("key", "add", "age", *value)
        assert (ran.code, said in ran.error, "key add" in ran.error) == (ExitCode.INVALID, True, True), ran
    for content, said in (
        (b"", "no identity in the file"),
        (b"# only words\nAGE-PLUGIN-YUBIKEY-1QWERTY", "line 2"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", "age --decrypt"),
    ):
        identity.write_bytes(content)
        ran = sealed("versions", CAS_AGE_IDENTITY=str(identity))
        assert ran.code == 0, "no slot is left that wants it"
        assert sealed("key", "add", "age", RECIPIENT.text).code == 0
        ran = sealed("versions", **alone)
        assert (ran.code, said in ran.error) == (ExitCode.INVALID, True), ran
        assert (
            sealed(
                "key", "remove", str(sealed("key", "list", "--json").json["keys"][-1]["number"]), "--yes"
            ).code
            == 0
        )


def test_an_ssh_key_opens_a_store_that_was_made_with_it(bare: Place, database: Databases) -> None:
    path = bare.directory / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    bare.environment |= {
        "CAS_STORE": str(bare.store),
        "CAS_CATALOG": database(),
        "CAS_AGE_IDENTITY": str(path),
    }
    assert bare("init", "--encrypt").code == 0
    assert [one["kind"] for one in bare("key", "list", "--json").json["keys"]] == ["age"]
    assert bare("versions").code == 0
    assert bare("versions", CAS_AGE_IDENTITY="").code == ExitCode.DENIED


def test_a_rotation_leaves_what_is_stored_as_it_is(sealed: Place) -> None:
    sealed("snapshot")
    word = sealed.directory / "word"
    word.write_text("correct horse battery staple")
    sealed("key", "add", "passphrase", str(word))
    before = {path: path.read_bytes() for path in (sealed.store / "packs").rglob("*") if path.is_file()}
    lacking = sealed("key", "rotate")
    assert (lacking.code, "2 (passphrase)" in lacking.err) == (ExitCode.INVALID, True), lacking
    assert sealed("key", "rotate", CAS_PASSPHRASE_FILE=str(word)).code == 0
    execute(sealed.environment["CAS_SOURCE"], "UPDATE products SET name = 'changed' WHERE id = 7")
    assert sealed("snapshot").code == 0
    assert {path: path.read_bytes() for path in before} == before
    dropped = sealed("key", "rotate", "--drop", "2", "--json").json
    assert (dropped["data_keys"], [one["number"] for one in dropped["keys"]["keys"]]) == (3, [1])
    assert sealed("check", "--level", "bytes").code == 0
    assert sealed("versions", CAS_KEY_FILE="", CAS_PASSPHRASE_FILE=str(word)).code == ExitCode.DENIED


def test_a_recovery_kit_opens_all_when_all_else_is_lost(sealed: Place, database: Databases) -> None:
    sealed("snapshot")
    path = sealed.directory / "kit.txt"
    made = sealed("key", "export", "--output", str(path))
    assert made.code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    code = re.search(r"CAS_RECOVERY_CODE='([-0-9A-Z]+)'", path.read_text())
    assert code is not None
    assert code[1] not in made.out
    alone = {
        "CAS_KEY_FILE": "",
        "CAS_RECOVERY_CODE": code[1],
        "CAS_CATALOG": database(),
        "CAS_HOME": str(sealed.directory / "elsewhere"),
    }
    assert sealed("catalog", "rebuild", **alone).code == 0
    target = database()
    assert sealed("restore", "latest", "--into", target, "--yes", **alone).code == 0
    assert rows(target, "SELECT count(*) FROM products") == [(200,)]
    slip = code[1][:-1] + ("0" if code[1][-1] != "0" else "1")
    assert "slip" in sealed("versions", **{**alone, "CAS_RECOVERY_CODE": slip}).error
    printed = sealed("key", "export").out
    assert re.search(r"(?:[0-9A-Z]{4}-){8}[0-9A-Z]{4}", printed), "without --output it is printed"
    assert code[1] not in printed, "each kit has a code of its own"
    assert sealed("key", "export", "--output", str(path)).code != 0, "a kit is not written over"


# What somebody does who can write to the bucket.


def test_older_keys_are_noticed_and_the_newer_ones_put_back(sealed: Place) -> None:
    word = sealed.directory / "word"
    word.write_text("correct horse battery staple")
    sealed("key", "add", "passphrase", str(word))
    older = sealed.directory / "older"
    shutil.copytree(sealed.store / "keys", older)
    sealed("key", "remove", "2", "--yes")
    newer = bytes_of(sealed.store / "keys")
    shutil.rmtree(sealed.store / "keys")
    shutil.copytree(older, sealed.store / "keys")
    for words in (["snapshot"], ["versions"], ["key", "add", "passphrase", str(word)]):
        ran = sealed(*words)
        assert ran.code == ExitCode.CONFLICT
        assert "keys 3 were there already" in ran.error
    assert sealed("key", "restore").code == 0
    assert newer in bytes_of(sealed.store / "keys")
    assert sealed("snapshot").code == 0
    assert sealed("versions", CAS_KEY_FILE="", CAS_PASSPHRASE_FILE=str(word)).code == ExitCode.DENIED


def test_keys_that_were_deleted_come_back_from_the_catalog(sealed: Place) -> None:
    sealed("snapshot")
    shutil.rmtree(sealed.store / "keys")
    ran = sealed("versions")
    assert (ran.code, "are gone" in ran.error) == (ExitCode.CORRUPT, True)
    assert sealed("key", "restore", **LOST).code == 0
    assert sealed("check", "--level", "bytes").code == 0


def test_keys_come_back_where_the_config_is_gone_too(sealed: Place) -> None:
    sealed("snapshot")
    (home,) = (sealed.home / "cache").iterdir()
    shutil.rmtree(sealed.store / "keys")
    (sealed.store / "config").unlink()
    ran = sealed("key", "restore")
    assert (ran.code, "--repository" in ran.error) == (ExitCode.NOT_FOUND, True), ran
    assert sealed("key", "restore", "--repository", home.name).code == 0
    assert sealed("check").code == 0


def somebody(sealed: Place, database: Databases) -> tuple[Place, bytes]:
    """Who can write to the bucket, with a place of his own; and the id that everybody can read."""
    found = re.search(rb'"repository_id":"(\w+)"', (sealed.store / "config").read_bytes())
    assert found is not None
    place = Place(sealed.directory / "plain", {"CAS_HOME": str(sealed.directory / "other home")})
    place.directory.mkdir()
    place.environment |= {"CAS_STORE": str(place.store), "CAS_CATALOG": database()}
    return place, found[1]


def test_a_config_in_clear_does_not_open_the_way_for_data_in_clear(
    sealed: Place, bare: Place, database: Databases
) -> None:
    sealed("snapshot")
    plain, repository_id = somebody(sealed, database)
    assert plain("init").code == 0
    forged = reforged((plain.store / "config").read_bytes(), repository_id)
    whole = bytes_of(sealed.store / "packs")
    (sealed.store / "config").write_bytes(forged)
    shutil.rmtree(sealed.store / "keys")
    for words in (["snapshot"], ["versions"]):
        ran = sealed(*words)
        assert (ran.code, "says that it is not" in ran.error) == (ExitCode.CONFLICT, True), ran
    assert bytes_of(sealed.store / "packs") == whole
    assert sealed("key", "restore").code == 0
    assert sealed("check", "--level", "bytes").code == 0


def test_a_first_contact_with_what_is_not_sealed_is_told_to_who_has_a_key(
    sealed: Place, database: Databases, key: Path
) -> None:
    """A catalog that remembers nothing cannot know that the store was sealed."""
    assert sealed("snapshot").code == 0
    sealed.environment["CAS_CATALOG"] = database()
    assert "not sealed" not in sealed("catalog", "rebuild").err
    plain, _ = somebody(sealed, database)
    assert plain("init").code == 0
    plain.environment |= {"CAS_CATALOG": database(), "CAS_KEY_FILE": ""}
    assert "not sealed" not in plain("catalog", "rebuild").err
    plain.environment |= {"CAS_CATALOG": database(), "CAS_KEY_FILE": str(key)}
    ran = plain("catalog", "rebuild")
    assert (ran.code, "the store is not sealed, though a key is set" in ran.err) == (0, True), ran


def reforged(config: bytes, repository_id: bytes) -> bytes:
    """A config in clear with the id of the sealed repository, which everybody can read."""
    from blake3 import blake3

    body = re.sub(rb'"repository_id":"\w+"', b'"repository_id":"%s"' % repository_id, config.split(b"\n")[0])
    return body + b"\n" + blake3(body).hexdigest().encode() + b"\n"


def test_a_catalog_that_is_rebuilt_remembers_what_was_seen(
    sealed: Place, bare: Place, database: Databases
) -> None:
    """Somebody puts a whole repository in clear into the place of a sealed one, under the same id."""
    sealed("snapshot")
    plain, repository_id = somebody(sealed, database)
    plain.environment["CAS_SOURCE"] = sealed.environment["CAS_SOURCE"]
    assert plain("init").code == 0
    config = plain.store / "config"
    config.write_bytes(reforged(config.read_bytes(), repository_id))
    plain.environment["CAS_CATALOG"] = database()
    assert plain("catalog", "rebuild").code == 0
    for _ in range(2):
        assert plain("snapshot").code == 0
    shutil.rmtree(sealed.store)
    shutil.copytree(plain.store, sealed.store)
    for words in (["catalog", "rebuild"], ["replica", "add", "copy", str(sealed.directory / "copy")]):
        ran = sealed(*words)
        assert (ran.code, "says that it is not" in ran.error) == (ExitCode.CONFLICT, True), ran
    copies = (sealed.directory / "copy", sealed.directory / "sealed copy")
    assert sealed("replica", "add", "copy", str(copies[1]), "--encrypt").code == ExitCode.CONFLICT
    assert [bytes_of(copy) for copy in copies] == [b"", b""]


def test_one_of_several_keys_is_enough(sealed: Place, key: Path) -> None:
    missing = sealed.directory / "not mounted" / "stick.key"
    several = f"{missing}{os.pathsep}{key}"
    assert sealed("versions", CAS_KEY_FILE=several).code == 0
    word = sealed.directory / "word"
    word.write_bytes(b"\xef\xbb\xbfcorrect horse battery staple\r\n")
    assert sealed("key", "add", "passphrase", str(word)).code == 0
    given = {"CAS_KEY_FILE": str(missing), "CAS_PASSPHRASE": "correct horse battery staple"}
    assert sealed("versions", **given).code == 0, "the mark of an editor is no part of it"
    wrong = {**given, "CAS_PASSPHRASE": "incorrect horse battery"}
    ran = sealed("versions", **wrong)
    assert (ran.code, "stick.key" in ran.error) == (ExitCode.INVALID, True), ran
    assert sealed("key", "rotate", CAS_KEY_FILE=several).code == ExitCode.INVALID, "all are needed"
    word.write_bytes("correct horse battery staple".encode("utf-16"))
    assert sealed("key", "add", "passphrase", str(word)).code == ExitCode.INVALID


def test_keys_of_another_repository_are_not_shown(sealed: Place) -> None:
    """Left over from an `init` that lost a race."""
    left_over = encode_keys(replace(KEYS, head=replace(KEYS.head, number=2)))
    (sealed.store / "keys" / "0000000002").write_bytes(left_over)
    assert sealed("key", "list", "--json").json["number"] == 1
    second = sealed.directory / "second.key"
    assert sealed("key", "add", "file", str(second)).code == 0
    assert sealed("versions", CAS_KEY_FILE=str(second)).code == 0


def test_a_kit_that_cannot_be_written_makes_no_key(sealed: Place) -> None:
    there = sealed.directory / "kit.txt"
    there.write_text("mine")
    for path in (there, sealed.directory / "absent" / "kit.txt"):
        assert sealed("key", "export", "--output", str(path)).code != 0
    assert len(sealed("key", "list", "--json").json["keys"]) == 1
    assert there.read_text() == "mine"
    kit = sealed.directory / "new.txt"
    assert sealed("key", "export", "--output", str(kit)).code == 0
    assert stat.S_IMODE(kit.stat().st_mode) == 0o600
    assert "CAS_RECOVERY_CODE" in kit.read_text()


# Replicas.


@pytest.mark.parametrize("primary", ["sealed", "in clear"])
def test_a_sealed_copy_at_another_provider(
    primary: str, bare: Place, database: Databases, shop: str, key: Path
) -> None:
    offsite = bare.directory / "offsite"
    bare.environment |= {"CAS_STORE": str(bare.store), "CAS_CATALOG": database(), "CAS_SOURCE": shop}
    bare.environment["CAS_KEY_FILE"] = str(key)
    bare("init", *(["--encrypt"] if primary == "sealed" else []))
    bare("snapshot")
    added = bare("replica", "add", "offsite", str(offsite), *([] if primary == "sealed" else ["--encrypt"]))
    assert (added.code, "sealed replica" in added.out) == (0, True), added
    assert bare("replicate").code == 0
    execute(shop, "UPDATE products SET name = 'changed' WHERE id = 7")
    assert bare("snapshot").code == 0
    assert bare("replicate").code == 0
    assert bare("replica", "verify", "offsite", "--level", "bytes").code == 0
    assert shows(offsite) == []
    assert bool(shows(bare.store)) == (primary == "in clear")
    shutil.rmtree(bare.store)
    alone = {
        "CAS_STORE": str(offsite),
        "CAS_CATALOG": database(),
        "CAS_HOME": str(bare.directory / "elsewhere"),
    }
    assert bare("versions", **{**alone, "CAS_KEY_FILE": ""}).code == ExitCode.DENIED
    assert bare("catalog", "rebuild", **alone).code == 0
    target = database()
    assert bare("restore", "2", "--into", target, "--yes", **alone).code == 0
    assert rows(target, "SELECT name FROM products WHERE id = 7") == [("changed",)]


def test_nothing_sealed_is_copied_in_clear_by_accident(sealed: Place) -> None:
    sealed("snapshot")
    offsite = sealed.directory / "offsite"
    assert sealed("replica", "add", "offsite", str(offsite)).code == 0
    assert sealed("replicate").code == 0
    shutil.rmtree(offsite)
    offsite.mkdir()
    ran = sealed("replicate")
    assert (ran.code, "says that it is not" in ran.out) == (ExitCode.CONFLICT, True), ran
    assert bytes_of(offsite) == b""
    clear = sealed.directory / "in clear"
    assert sealed("replica", "add", "open", str(clear), "--in-clear").code == 0
    sealed("replicate", "open")
    assert shows(clear) != []


def test_a_name_that_is_taken_leaves_no_trace_elsewhere(sealed: Place) -> None:
    sealed("snapshot")
    assert sealed("replica", "add", "offsite", str(sealed.directory / "offsite")).code == 0
    other = sealed.directory / "other"
    ran = sealed("replica", "add", "offsite", str(other), "--encrypt")
    assert (ran.code, bytes_of(other)) == (ExitCode.CONFLICT, b""), ran
    assert sealed("replicate").code == 0


def test_what_died_before_it_was_a_replica_is_begun_anew(
    sealed: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is known to be sealed from before it counts as a replica."""
    sealed("snapshot")
    offsite = sealed.directory / "offsite"
    words = ("replica", "add", "offsite", str(offsite), "--encrypt")
    with monkeypatch.context() as patch:
        patch.setattr(PostgresReplicating, "add", dies)
        assert sealed(*words).code != 0
    shutil.rmtree(offsite)
    url = sealed.environment["CAS_CATALOG"]
    assert rows(url, "SELECT place FROM cas.sealing ORDER BY 1") == [("",), ("offsite",)]
    assert sealed(*words).code == 0
    assert sealed("replicate").code == 0


def dies(*_: object) -> None:
    raise CasError("it died")


def test_keys_of_a_replica_are_its_own(sealed: Place) -> None:
    sealed("snapshot")
    sealed("replica", "add", "offsite", str(sealed.directory / "offsite"))
    sealed("replicate")
    second = sealed.directory / "second.key"
    assert sealed("key", "add", "file", str(second), "--replica", "offsite").code == 0
    assert len(sealed("key", "list", "--json").json["keys"]) == 1
    assert len(sealed("key", "list", "--replica", "offsite", "--json").json["keys"]) == 2
    assert sealed("key", "remove", "1", "--yes", "--replica", "offsite").code == 0
    assert sealed("replicate").code == ExitCode.DENIED
    both = f"{sealed.environment['CAS_KEY_FILE']}{os.pathsep}{second}"
    assert sealed("replicate", CAS_KEY_FILE=both).code == 0
    shutil.rmtree(sealed.directory / "offsite" / "keys")
    assert sealed("key", "restore", "--replica", "offsite").code == 0
    assert sealed("replicate", CAS_KEY_FILE=both).code == 0
    assert sealed("versions").code == 0


def test_a_copy_with_keys_of_its_own_takes_the_place_of_the_primary(sealed: Place) -> None:
    sealed("snapshot")
    second = sealed.directory / "second.key"
    offsite = sealed.directory / "offsite"
    both = f"{sealed.environment['CAS_KEY_FILE']}{os.pathsep}{second}"
    assert sealed("replica", "add", "offsite", str(offsite), "--encrypt", CAS_KEY_FILE=both).code == 0
    assert sealed("replicate", CAS_KEY_FILE=both).code == 0
    assert sealed("replica", "remove", "offsite").code == 0
    shutil.rmtree(sealed.store)
    moved = {"CAS_STORE": str(offsite), "CAS_KEY_FILE": str(second)}
    ran = sealed("versions", **moved)
    assert (ran.code, "cas key accept" in ran.error) == (ExitCode.CONFLICT, True), ran
    assert sealed("key", "accept", **moved).code == ExitCode.INVALID, "nobody can be asked"
    assert sealed("key", "accept", "--yes", "--json", **moved).json["number"] == 1
    assert sealed("snapshot", **moved).code == 0
    assert sealed("check", "--level", "bytes", **moved).code == 0


# What the bucket shows.

WORDS = [
    b"product",
    b"supplier",
    b"price",
    b"public",
    b"events",
    b"numeric",
    b"blue",
    b"CREATE TABLE",
    b"pg_dump",
]
ZSTD_MAGIC, PACK_MAGIC = bytes.fromhex("28b52ffd"), b"CASPACK"


def shows(store: Path) -> list[bytes]:
    """Words of the shop, and marks of the format, that lie readable in a store."""
    found = bytes_of(store)
    return [word for word in (*WORDS, PACK_MAGIC) if word.lower() in found.lower()]


def names_in(url: str) -> set[bytes]:
    """Names of tables, columns and constraints of six letters and more."""
    query = (
        "SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = 'public' UNION SELECT attname::text FROM pg_attribute a"
        " JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = 'public' AND attnum > 0"
    )
    return {name.encode() for (name,) in rows(url, query) if len(name) >= 6}


def entropy(data: bytes) -> float:
    """Bits a byte."""
    return -sum(n / len(data) * log2(n / len(data)) for n in Counter(data).values())


def strings(data: bytes) -> list[bytes]:
    """Runs of printable ASCII, as strings(1) finds them."""
    return re.findall(rb"[\x20-\x7e]{24,}", data)


@pytest.mark.parametrize("name", ["shop", "northwind", "pagila"])
def test_a_sealed_store_shows_no_name_and_no_content(name: str, sealed: Place, database: Databases) -> None:
    url = database()
    if name == "shop":
        execute(url, *SHOP)
    elif DATA.exists():
        subprocess.run([DATA / name / "load.sh", url], check=True, capture_output=True)
    else:
        pytest.skip("the real databases are not on this machine (../shared/data)")
    for statement in ("SELECT 1", "CREATE TABLE added_meanwhile (id int PRIMARY KEY, content text)"):
        execute(url, statement)
        ran = sealed("snapshot", "--reason", "before the spring import", CAS_SOURCE=url)
        assert ran.code in (0, ExitCode.INCOMPLETE), ran
    sealed("hold", "1", "--reason", "case 4711")
    found = bytes_of(sealed.store).lower()
    readable = [*names_in(url), b"spring import", b"case 4711", b"added_meanwhile", b"caspack"]
    assert len(readable) > 9
    assert [word for word in readable if word.lower() in found] == []
    for path in sealed.store.rglob("*"):
        key = path.relative_to(sealed.store).as_posix()
        if not path.is_file() or key == "config" or key.startswith("keys/"):
            continue
        data = path.read_bytes()
        assert strings(data) == [], key
        assert ZSTD_MAGIC not in data or len(data) > 2**20, key
        if len(data) >= 4096:
            assert entropy(data) > 7.9, key


def test_no_secret_is_in_the_catalog_the_home_or_an_error(sealed: Place, key: Path) -> None:
    word = sealed.directory / "word"
    word.write_text("correct horse battery staple")
    sealed("key", "add", "passphrase", str(word))
    sealed("snapshot", CAS_PASSPHRASE_FILE=str(word))
    secret = key.read_text().strip().encode()
    for path in sealed.home.rglob("*"):
        if path.is_file() and not path.is_socket():
            assert secret not in path.read_bytes(), path
    texts = rows(
        sealed.environment["CAS_CATALOG"],
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'cas'",
    )
    for (table,) in texts:
        for (row,) in rows(sealed.environment["CAS_CATALOG"], f"SELECT t::text FROM cas.{table} t"):
            assert secret.decode() not in row
            assert "correct horse" not in row


# A person at a terminal.

WORDS_OF_ADA = "correct horse battery staple"


def asked(
    place: Place, *arguments: str, answers: tuple[tuple[str, str], ...], **more: str
) -> tuple[int, str]:
    """Exit code, and all that was shown."""
    screen = Screen(place, *arguments, width=120, **more)
    for question, answer in answers:
        screen.read_until(question)
        screen.text = screen.text.replace(question, "asked, ", 1)
        time.sleep(0.2)  # until the echo is off
        screen.type(answer)
    return screen.end(), screen.text


def test_a_passphrase_is_asked_for_and_never_shown(bare: Place, database: Databases, shop: str) -> None:
    bare.environment |= {"CAS_STORE": str(bare.store), "CAS_CATALOG": database(), "CAS_SOURCE": shop}
    twice = (("New passphrase: ", f"{WORDS_OF_ADA}\n"), ("Once more: ", f"{WORDS_OF_ADA}\n"))
    differ = (twice[0], ("Once more: ", "correct horse\n"))
    code, text = asked(bare, "init", "--encrypt", answers=differ)
    assert (code, "differ" in text) == (ExitCode.INVALID, True), text
    code, text = asked(bare, "init", "--encrypt", answers=twice)
    assert (code, WORDS_OF_ADA in text) == (0, False), text
    assert "keys     passphrase" in text
    code, text = asked(bare, "versions", answers=(("Passphrase: ", f"{WORDS_OF_ADA}\n"),))
    assert (code, WORDS_OF_ADA in text) == (0, False), text
    slip = (("Passphrase: ", "wrong\n"), ("That was not it. Passphrase: ", f"{WORDS_OF_ADA}\n"))
    assert asked(bare, "versions", answers=slip)[0] == 0
    thrice = (slip[0], (slip[1][0], "wrong\n"), (slip[1][0], "wrong\n"))
    code, text = asked(bare, "versions", answers=thrice)
    assert (code, "no key that was given opens it" in text) == (ExitCode.DENIED, True), text
    code, text = asked(bare, "versions", answers=(("Passphrase: ", "\x03"),))
    assert (code, "stopped by Ctrl-C" in text) == (ExitCode.INTERRUPTED, True), text
    rotated = (("Passphrase: ", f"{WORDS_OF_ADA}\n"),)
    code, text = asked(bare, "key", "rotate", answers=rotated)
    assert code == 0, "what was typed once is not asked for again"
    removing = (("Passphrase: ", f"{WORDS_OF_ADA}\n"), ("type its number: ", "2\n"))
    code, text = asked(bare, "key", "remove", "1", answers=removing)
    assert (code, "Nothing was done" in text) == (ExitCode.DECLINED, True), text
