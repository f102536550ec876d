"""`cas export`, `cas import` and `cas bundle`, as a person types them."""

import hashlib
import os
import signal
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import COMMAND, Place, execute, rows
from tests.postgres.target.moving import DATA, TOOLS, differences
from tests.sealing.scenes import IDENTITY_FILE, OTHER_IDENTITY, RECIPIENT
from tests.servers.postgres import Cluster, Databases


@pytest.fixture
def one(cas: Place) -> Place:
    """A repository with one version."""
    assert cas("snapshot", "--reason", "the first one", "--tag", "kept").code == 0
    return cas


def elsewhere(cas: Place, database: Databases, *words: str) -> Place:
    """Another repository, on another machine."""
    other = Place(cas.directory / uuid4().hex)
    other.directory.mkdir()
    other.environment |= {
        "CAS_HOME": str(other.home),
        "CAS_STORE": str(other.store),
        "CAS_CATALOG": database(),
        "CAS_SOURCE": cas.environment["CAS_SOURCE"],
    }
    ran = other("init", *words)
    assert ran.code == 0, ran
    return other


def bundle_in(place: Place, *words: str, **more: str) -> Path:
    ran = place("export", "latest", "--json", *words, **more)
    assert ran.code == 0, ran
    return Path(ran.json["path"])


def files(directory: Path) -> dict[str, bytes]:
    found = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


def test_from_one_repository_to_a_restore_in_another(one: Place, database: Databases) -> None:
    ran = one("export", "latest")
    assert ran.code == 0, ran
    (path,) = one.directory.glob("*.casb")
    assert path.name.endswith("-v1.casb")
    assert f"Version 1 is in {path}" in ran.out
    line = path.with_name(f"{path.name}.sha256").read_text()
    assert line == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
    shown = one("bundle", "show", path)
    assert shown.code == 0, shown
    assert "public.products" in shown.out
    assert "the first one" in shown.out
    checked = one("bundle", "check", path)
    assert (checked.code, "Nothing is wrong" in checked.out) == (0, True), checked

    other = elsewhere(one, database)
    ran = other("import", path, "--yes")
    assert ran.code == 0, ran
    assert "Version 1 is complete: version 1 of" in ran.out
    assert "of another repository" in ran.out
    target = database()
    assert other("restore", "1", "--into", target, "--yes").code == 0
    query = "SELECT * FROM products ORDER BY id"
    assert rows(target, query) == rows(one.environment["CAS_SOURCE"], query)
    assert rows(target, "SELECT what, count(*) FROM events GROUP BY 1 ORDER BY 1") == [
        ("bought", 1),
        ("seen", 2),
    ]
    again = other("import", path, "--yes", "--json")
    assert again.code == 0, again
    assert (again.json["imported"]["version"], again.json["imported"]["equal"]) == (None, 1)


def test_into_the_same_repository_it_costs_a_document(one: Place) -> None:
    path = bundle_in(one)
    before = files(one.store)
    ran = one("import", path, "--yes")
    assert (ran.code, "Version 1 holds what is in" in ran.out) == (0, True), ran
    assert files(one.store) == before
    ran = one("import", path, "--yes", "--again", "--json")
    assert ran.code == 0, ran
    assert ran.json["imported"]["new_records"] == 0
    assert {name.split("/")[0] for name in files(one.store).keys() - before.keys()} == {"versions"}
    version = one("show", "2", "--json").json
    assert version["reason"] == f"imported from {path.name}"
    assert version["metadata"]["bundle.reason"] == "the first one"
    assert version["metadata"]["bundle.tags"] == '["kept"]'
    assert one("diff", "1", "2", "--json").json["entities"] is not None
    assert one("check", "--level", "bytes").code == 0


def test_a_bundle_is_only_a_file_that_a_person_names(one: Place) -> None:
    path = bundle_in(one, "--output", str(one.directory / "x.casb"))
    before = path.read_bytes()
    ran = one("export", "1", "-o", path)
    assert (ran.code, "is there already" in ran.error) == (ExitCode.CONFLICT, True), ran
    assert path.read_bytes() == before
    assert one("export", "1", "-o", path, "--force").code == 0
    assert path.read_bytes() == before, "the same version makes the same bytes"
    directory = one.directory / "into"
    directory.mkdir()
    assert bundle_in(one, "-o", str(directory)).parent == directory
    ran = one("export", "1", "-o", one.directory / "no" / "x.casb")
    assert ran.code == ExitCode.NOT_FOUND
    assert "no/x.casb" in ran.error
    assert not list(one.directory.rglob("*.part"))
    for words, code in (
        (["export", "7"], ExitCode.NOT_FOUND),
        (["export", "1", "--entity", "nothing"], ExitCode.NOT_FOUND),
        (["export", "1", "--since", "1"], ExitCode.INVALID),
        (["import", path], ExitCode.INVALID),
        (["import", one.directory / "missing", "--yes"], ExitCode.NOT_FOUND),
        (["bundle", "show", one.directory], ExitCode.INVALID),
        (["bundle", "check", "/dev/null"], ExitCode.INVALID),
    ):
        ran = one(*words)
        assert ran.code == code, (words, ran)
        assert ran.error


def test_to_standard_output(one: Place) -> None:
    path = bundle_in(one)
    environment = one.full_environment()
    done = subprocess.run(
        [*COMMAND, "export", "1", "--output", "-"], capture_output=True, env=environment, cwd=one.directory
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == path.read_bytes()
    ran = one("export", "1", "-o", "-", "--json")
    assert ran.code == ExitCode.INVALID


def test_sealed_for_somebody_else(one: Place, database: Databases) -> None:
    word = one.directory / "word"
    word.write_text("correct horse battery staple\n")
    secret = {"CAS_BUNDLE_PASSPHRASE_FILE": str(word)}
    ran = one("export", "1", "--encrypt")
    assert (ran.code, "CAS_BUNDLE_PASSPHRASE_FILE" in ran.error) == (ExitCode.INVALID, True)
    path = bundle_in(one, "--encrypt", **secret)
    assert b"supplier" not in path.read_bytes()
    assert one.environment["CAS_SOURCE"].encode() not in path.read_bytes()
    for words in (["bundle", "show"], ["bundle", "check"], ["import", "--yes"]):
        ran = one(*words, path)
        assert (ran.code, "CAS_BUNDLE_PASSPHRASE_FILE" in ran.error) == (ExitCode.DENIED, True), ran
    wrong = one.directory / "wrong"
    wrong.write_text("wrong horse battery staple\n")
    assert one("bundle", "check", path, CAS_BUNDLE_PASSPHRASE_FILE=str(wrong)).code == ExitCode.DENIED
    assert "sealed" in one("bundle", "show", path, **secret).out
    assert one("bundle", "check", path, **secret).code == 0
    other = elsewhere(one, database)
    assert other("import", path, "--yes", **secret).code == 0
    first = path.read_bytes()
    assert bundle_in(one, "--encrypt", "--force", **secret).read_bytes() == first


def test_sealed_for_whoever_has_an_identity(one: Place, database: Databases) -> None:
    identity, other = one.directory / "identity", one.directory / "other"
    identity.write_bytes(b"\n".join(IDENTITY_FILE.splitlines()[:2]))
    other.write_bytes(IDENTITY_FILE.splitlines()[-1])
    word = one.directory / "word"
    word.write_text("correct horse battery staple\n")
    opens, passphrase = {"CAS_BUNDLE_AGE_IDENTITY": str(identity)}, {"CAS_BUNDLE_PASSPHRASE_FILE": str(word)}
    path = bundle_in(one, "--recipient", RECIPIENT.text)
    assert b"supplier" not in path.read_bytes()
    for words in (["bundle", "show"], ["bundle", "check"], ["import", "--yes"]):
        for given in ({}, passphrase, {"CAS_BUNDLE_AGE_IDENTITY": str(other)}):
            ran = one(*words, path, **given)
            assert (ran.code, "CAS_BUNDLE_AGE_IDENTITY" in ran.error) == (ExitCode.DENIED, True), ran
    assert "sealed" in one("bundle", "show", path, **opens).out
    several = {"CAS_BUNDLE_AGE_IDENTITY": f"{other}{os.pathsep}{identity}"}
    assert one("bundle", "check", path, **several).code == 0
    assert elsewhere(one, database)("import", path, "--yes", **opens).code == 0
    first = path.read_bytes()
    assert bundle_in(one, "--recipient", RECIPIENT.text, "--force").read_bytes() != first
    both = bundle_in(one, "--encrypt", "--recipient", RECIPIENT.text, "--force", **passphrase)
    for way in (opens, passphrase):
        assert one("bundle", "check", both, **way).code == 0
    assert (
        bundle_in(one, "--encrypt", "--force", **passphrase, **opens).read_bytes()
        == bundle_in(one, "--encrypt", "--force", **passphrase).read_bytes()
    ), "an identity of this machine makes no slot"


def test_sealed_for_a_file_of_recipients(one: Place) -> None:
    listed = one.directory / "recipients"
    listed.write_text(f"# ada\n{RECIPIENT.text}\n\n{OTHER_IDENTITY.recipient.text}\n{RECIPIENT.text}\n")
    path = bundle_in(one, "--recipients-file", str(listed), "--recipient", RECIPIENT.text)
    for at, line in enumerate(IDENTITY_FILE.splitlines()[1::2]):
        identity = one.directory / f"identity{at}"
        identity.write_bytes(line)
        assert one("bundle", "check", path, CAS_BUNDLE_AGE_IDENTITY=str(identity)).code == 0
    assert path.read_bytes().count(b'"kind":"age"') == 2, "each once"
    listed.write_text(f"{RECIPIENT.text}\nage1yubikey1qwerty\n")
    for words, said in (
        (["--recipients-file", listed], f"{listed}, line 2"),
        (["--recipients-file", listed], "of a plugin"),
        (["--recipients-file", one.directory / "missing"], "no such file"),
        (["--recipient", "ada"], "no recipient of age"),
        (["--recipient", RECIPIENT.text[:-1] + "q"], "a slip in it"),
        (["--recipient", IDENTITY_FILE.decode().splitlines()[-1]], "that is an identity"),
        (["--recipient", RECIPIENT.text, "--format", "csv"], "--recipient"),
    ):
        ran = one("export", "1", "-o", "bad.casb", *words)
        assert (ran.code, said in ran.error) == (ExitCode.INVALID, True), ran
        assert IDENTITY_FILE.decode().splitlines()[-1][20:] not in ran.err
    assert not (one.directory / "bad.casb").exists()


def test_out_of_a_sealed_repository_and_into_another_one(cas: Place, database: Databases) -> None:
    keys = {"CAS_KEY_FILE": str(cas.directory / "shop.key")}
    ours = elsewhere(cas, database)
    sealed = Place(cas.directory / "sealed")
    sealed.directory.mkdir()
    sealed.environment |= {
        **ours.environment,
        **keys,
        "CAS_HOME": str(sealed.home),
        "CAS_STORE": str(sealed.store),
        "CAS_CATALOG": database(),
    }
    assert sealed("init", "--encrypt").code == 0
    assert sealed("snapshot").code == 0
    ran = sealed("export", "latest", "-o", "in-clear.casb")
    assert "the repository is sealed, and this bundle is not" in ran.err
    path = sealed.directory / "in-clear.casb"
    assert ours("import", path, "--yes").code == 0
    assert sealed("import", path, "--yes", "--again").code == 0
    assert sealed("check", "--level", "bytes").code == 0


def test_a_selection_and_what_changed_since(one: Place, shop: str, database: Databases) -> None:
    execute(
        shop, "UPDATE products SET name = 'changed' WHERE id = 7", "INSERT INTO suppliers VALUES (6, 'new')"
    )
    assert one("snapshot").code == 0
    selected = bundle_in(one, "--entity", "suppliers", "-o", str(one.directory / "some.casb"))
    shown = one("bundle", "show", selected, "--json").json
    assert [entity["label"] for entity in shown["entities"]] == ["public.suppliers"]
    assert shown["records"] == 6
    assert b"product 8" not in selected.read_bytes()
    less = bundle_in(one, "--since", "1", "-o", str(one.directory / "less.casb"))
    assert less.stat().st_size < 40_000
    assert "version 1 has" in one("bundle", "check", less).out
    other = elsewhere(one, database)
    before = files(other.store)
    ran = other("import", less, "--yes")
    assert (ran.code, "version 1, on which" in ran.error) == (ExitCode.CONFLICT, True), ran
    assert files(other.store) == before
    assert other("import", selected, "--yes").code == 0
    target = database()
    assert other("restore", "1", "--into", target, "--table", "suppliers", "--yes").code == 0
    assert rows(target, "SELECT count(*) FROM suppliers") == [(6,)]
    assert one("import", less, "--yes", "--again").code == 0
    assert one("check", "3", "--level", "bytes").code == 0


def test_damage_is_one_clear_line_and_changes_nothing(one: Place, database: Databases) -> None:
    path = bundle_in(one)
    good = path.read_bytes()
    other = elsewhere(one, database)
    before = files(other.store)
    bad = other.directory / "bad.casb"
    for data in (
        good[:-1],
        good[:5000],
        good[:700] + b"!" + good[701:],
        b"",
        good + b"\0",
        b"no bundle" * 99,
    ):
        bad.write_bytes(data)
        ran = other("import", bad, "--yes")
        assert ran.code == ExitCode.CORRUPT, ran
        assert "bad.casb" in ran.error
        assert other("bundle", "check", bad).code == ExitCode.CORRUPT
    assert files(other.store) == before
    assert other("versions", "--json").json["versions"] == []


def test_killed_while_it_is_written(one: Place) -> None:
    """As soon as something of it is there: under the name lies nothing, and the next try makes all of it."""
    good = bundle_in(one, "-o", str(one.directory / "good.casb")).read_bytes()
    path = one.directory / "killed.casb"
    process = one.start("export", "1", "-o", path)
    while not list(one.directory.glob(".killed.casb.*.part")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not path.exists()
    assert not path.with_name("killed.casb.sha256").exists()
    assert one("export", "1", "-o", path).code == 0
    assert path.read_bytes() == good


def test_stopped_while_it_is_written_leaves_nothing(one: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cli.bundle_file.os.fsync", fails)
    ran = one("export", "1", "-o", "full.casb")
    assert (ran.code, "disk is full" in ran.error) == (ExitCode.NO_SPACE, True), ran
    assert not [path for path in one.directory.iterdir() if "full" in path.name]


@pytest.mark.skipif(
    not (DATA.exists() and TOOLS.exists()), reason="real databases and their judge are not on this machine"
)
@pytest.mark.parametrize("name", ["northwind", "pagila"])
def test_known_databases_come_back_the_same(
    name: str, cas: Place, database: Databases, cluster: Cluster
) -> None:
    source, target = database(), database()
    subprocess.run([DATA / name / "load.sh", source], check=True, capture_output=True)
    cas.environment["CAS_SOURCE"] = source
    assert cas("snapshot").code == 0
    other = elsewhere(cas, database)
    assert other("import", bundle_in(cas), "--yes").code == 0
    ran = other("restore", "1", "--into", target, "--yes")
    assert ran.code == 0, ran
    assert differences(cluster.bin_directory / "pg_dump", source, target) == ""
