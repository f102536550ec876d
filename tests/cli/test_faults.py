"""Every fault is one line that says what, where and what to do, and an exit code of its own."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cas.engine.repository import Repository
from cas.format.canonical import encode_json, open_envelope, parse_json, seal_envelope
from cas.store.local import LocalStore
from cli.exit_codes import ExitCode
from tests.cli.running import Place, Ran, execute, rows
from tests.servers.postgres import Databases


def _require(ran: Ran, code: ExitCode, *words: str) -> None:
    """The code, and one line with all these words."""
    assert ran.code == code, ran
    for word in words:
        assert word in ran.error, ran


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["snapshto"], ["snapshto", "snapshot", "cas --help"]),
        (["versions", "--stat", "failed"], ["--stat"]),
        (["versions", "--state", "broken"], ["--state", "broken", "complete"]),
        (["show"], ["V"]),
        (["snapshot", "--compression", "ninety"], ["--compression"]),
        (["get", "1"], ["ENTITY"]),
        (["history", "products"], ["KEY"]),
        (["history", "products", "7", "--limit", "-1"], ["--limit"]),
        (["diff", "1", "2", "--limit", "-3"], ["--limit"]),
        (["restore", "1", "--mode", "sometimes"], ["--mode", "exact", "merge"]),
        (["undo"], ["N"]),
    ],
)
def test_a_mistake_in_the_command_line_is_one_line(
    standing: Place, arguments: list[str], words: list[str]
) -> None:
    _require(standing(*arguments), ExitCode.INVALID, *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "first"], ["first", "latest"]),
        (["show", "0"], ["0 is no version"]),
        (["show", "99999999999"], ["is no version"]),
        (["versions", "--since", "soon"], ["soon", "--since", "2026-03-01"]),
        (["history", "products", "7", "--until", "soon"], ["soon", "--until", "2026-03-01"]),
        (["history", "products", "seven"], ["not a key", "seven"]),
        (["history", "products", "7", "8"], ["1 columns", "id"]),
        (["history", "events", "seen"], ["no primary key"]),
        (["versions", "--limit", "0"], ["1 to"]),
        (["versions", "--before", "0"], ["0 is no number"]),
        (["snapshot", "--schema-only", "--data-only"], ["--schema-only", "Drop one"]),
        (["restore", "1", "--into", "postgresql:///x", "--schema-only", "--data-only"], ["Drop one"]),
        (["snapshot", "--compression", "20"], ["compression", "--compression", "19"]),
        (["snapshot", "--metadata", "nonsense"], ["--metadata", "KEY=VALUE"]),
        (["snapshot", "--metadata", "a=1", "--metadata", "a=2"], ["given twice"]),
        (["snapshot", "--tag", ""], ["empty tag"]),
        (["snapshot", "--name", "x" * 401], ["name", "400"]),
        (["snapshot", "--table", "productz"], ["productz"]),
        (["snapshot", "--schema", "nowhere"], ["nowhere"]),
        (["snapshot", "--exclude", "nothing*"], ["nothing*"]),
    ],
)
def test_an_impossible_wish_is_refused_before_anything_is_done(
    standing: Place, arguments: list[str], words: list[str]
) -> None:
    _require(standing(*arguments), ExitCode.INVALID, *words)
    complete = standing("versions", "--state", "complete", "--json").json["versions"]
    assert [one["number"] for one in complete] == [1]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CAS_STORE", "", ["no repository is named", "CAS_STORE", "--store"]),
        ("CAS_STORE", "ftp://host/x", ["not a store URL", "file:///path"]),
        ("CAS_STORE", "s3://key:hunter2@bucket", ["credentials", "AWS_ACCESS_KEY_ID"]),
        ("CAS_STORE", "memory://x", ["in memory", "directory or a bucket"]),
        ("CAS_SOURCE", "", ["no database is named", "CAS_SOURCE", "--source"]),
        ("CAS_SOURCE", "postgresql://user:hunter2@host/x?hunter2=1", ["connection URL", "CAS_SOURCE"]),
        ("CAS_CATALOG", "host=x passwd=hunter2 =", ["catalog", "CAS_CATALOG"]),
        ("CAS_S3_SSE", "rot13", ["s3_sse", "CAS_S3_SSE"]),
    ],
)
def test_a_wrong_setting_is_named_and_never_repeated(
    standing: Place, name: str, value: str, words: list[str]
) -> None:
    ran = standing("snapshot", **{name: value})
    _require(ran, ExitCode.INVALID, *words)
    assert "hunter2" not in ran.err


def test_no_server_at_the_source(cas: Place) -> None:
    ran = cas("snapshot", CAS_SOURCE="postgresql://reader:hunter2@127.0.0.1:1/shop", CAS_CONNECT_ATTEMPTS="1")
    _require(ran, ExitCode.UNREACHABLE, "127.0.0.1:1/shop", "refused")
    assert "hunter2" not in ran.err
    failed = cas("versions", "--json").json["versions"][0]
    assert (failed["state"], failed["error_code"]) == ("failed", "CONNECTION_FAILED")
    assert "hunter2" not in str(failed)


def test_no_server_at_the_catalog(cas: Place) -> None:
    ran = cas(
        "versions", CAS_CATALOG="postgresql://writer:hunter2@127.0.0.1:1/catalog", CAS_CONNECT_ATTEMPTS="1"
    )
    _require(ran, ExitCode.UNREACHABLE, "catalog", "127.0.0.1:1")
    assert "hunter2" not in ran.err


def test_a_person_is_told_of_every_try(bare: Place) -> None:
    bare.environment |= {
        "CAS_STORE": str(bare.store),
        "CAS_CATALOG": "postgresql://cas:hunter2@127.0.0.1:1/cas",
    }
    ran = bare("init")
    assert ran.code == ExitCode.UNREACHABLE
    assert ran.err.count("next try in") == 2
    assert ran.err.splitlines()[0].startswith("warning: the catalog does not answer")
    assert "hunter2" not in ran.err
    once = bare("init", CAS_CONNECT_ATTEMPTS="1")
    assert "next try" not in once.error
    many = bare("init", "--json", CAS_CONNECT_ATTEMPTS="2")
    assert [one["event"] for one in many.events] == ["warning", "error"]


def test_a_database_that_does_not_exist(cas: Place, shop: str) -> None:
    name = shop.split("@/")[1].split("?")[0]
    _require(cas("snapshot", CAS_SOURCE=shop.replace(name, "nowhere")), ExitCode.UNREACHABLE, "nowhere")


def test_a_directory_that_is_no_repository(cas: Place) -> None:
    (cas.directory / "empty").mkdir()
    _require(cas("versions", "--store", "empty"), ExitCode.NOT_FOUND, "not a repository", "empty", "cas init")


def test_a_directory_that_is_not_there(cas: Place) -> None:
    _require(cas("versions", "--store", "/no/where"), ExitCode.UNREACHABLE, "/no/where")


def test_a_catalog_without_tables(cas: Place, database: Databases) -> None:
    ran = cas("versions", CAS_CATALOG=database())
    _require(ran, ExitCode.NOT_FOUND, "no catalog", "cas catalog rebuild")


def test_a_catalog_of_another_repository(cas: Place, database: Databases) -> None:
    other = Place(cas.directory / "other", {**cas.environment, "CAS_CATALOG": database()})
    other.directory.mkdir()
    assert other("init", "elsewhere").code == 0
    ran = cas("snapshot", CAS_CATALOG=other.environment["CAS_CATALOG"])
    _require(ran, ExitCode.CONFLICT, "another repository", "CAS_CATALOG")


def test_a_repository_of_a_newer_format(cas: Place) -> None:
    config = cas.store / "config"
    fields = parse_json(open_envelope(config.read_bytes(), "config"), "config")
    assert isinstance(fields, dict)
    config.write_bytes(seal_envelope(encode_json({**fields, "format": 2})))
    _require(cas("versions"), ExitCode.UNSUPPORTED, "format 2")


def test_a_config_with_a_flipped_byte(cas: Place) -> None:
    _flip(cas.store / "config", -5)
    _require(cas("versions"), ExitCode.CORRUPT, "config")


def test_no_right_to_one_table(cas: Place, shop: str, cluster_role: str) -> None:
    execute(shop, f"GRANT SELECT ON suppliers, products, prices TO {cluster_role}")
    reader = shop.replace("postgres@", f"{cluster_role}@")
    ran = cas("snapshot", "--source", reader)
    _require(ran, ExitCode.DENIED, "events", "GRANT SELECT", cluster_role)

    partly = cas("snapshot", "--source", reader, "--allow-incomplete")
    assert partly.code == ExitCode.INCOMPLETE, "partial is not success"
    assert "incomplete" in partly.out
    assert "public.events" in partly.out
    shown = cas("show", "2", "--json").json
    assert shown["state"] == "incomplete"
    assert any("events" in name for name, _ in shown["omissions"])


def test_an_incomplete_version_is_not_restored_by_accident(
    cas: Place, shop: str, cluster_role: str, database: Databases
) -> None:
    execute(shop, f"GRANT SELECT ON suppliers, products, prices TO {cluster_role}")
    reader = shop.replace("postgres@", f"{cluster_role}@")
    assert cas("snapshot", "--source", reader, "--allow-incomplete").code == ExitCode.INCOMPLETE
    target = database()
    ran = cas("restore", "1", "--into", target, "--yes")
    _require(ran, ExitCode.CONFLICT, "incomplete", "--allow-incomplete")


def test_a_table_that_somebody_holds(cas: Place, shop: str) -> None:
    import psycopg

    with psycopg.connect(shop) as holder:
        holder.execute("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
        ran = cas("snapshot", CAS_LOCK_TIMEOUT="0.1")
    _require(ran, ExitCode.TIMED_OUT, "products")


def test_a_target_that_is_not_empty(cas: Place, shop: str) -> None:
    assert cas("snapshot").code == 0
    ran = cas("restore", "1", "--into", shop, "--yes")
    _require(ran, ExitCode.CONFLICT, "not empty", "createdb")
    assert rows(shop, "SELECT count(*) FROM products") == [(200,)]


def test_a_target_of_another_encoding(cas: Place, database: Databases) -> None:
    assert cas("snapshot").code == 0
    target = database(options="ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc")
    ran = cas("restore", "1", "--into", target, "--yes")
    assert ran.code == ExitCode.CONFLICT
    last = ran.err.splitlines()[-1]
    assert last.startswith("cas: the target does not fit")
    assert "LATIN1" in last
    assert "createdb" in last
    assert rows(target, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_a_restore_without_yes_and_without_anybody_to_ask(cas: Place, database: Databases) -> None:
    assert cas("snapshot").code == 0
    ran = cas("restore", "1", "--into", database())
    assert ran.code == ExitCode.INVALID
    assert ran.err.splitlines()[-1].startswith("cas: a restore wants to be confirmed")
    assert "would be restored" in ran.err, "the preview comes first"


def test_a_version_that_failed_cannot_be_read(cas: Place) -> None:
    assert cas("snapshot", CAS_SOURCE="postgresql://127.0.0.1:1/x").code == ExitCode.UNREACHABLE
    for arguments in (
        ["get", "1", "products", "1"],
        ["diff", "1", "1"],
        ["restore", "1", "--into", "dbname=x"],
    ):
        _require(cas(*arguments), ExitCode.CONFLICT, "version 1 is failed", "--state complete")


def test_what_does_not_exist_is_named(cas: Place) -> None:
    _require(cas("show", "latest"), ExitCode.NOT_FOUND, "no complete version", "cas snapshot")
    assert cas("snapshot").code == 0
    _require(cas("show", "7"), ExitCode.NOT_FOUND, "version 7")
    _require(cas("get", "1", "nowhere", "1"), ExitCode.NOT_FOUND, "nowhere", "public.products")
    _require(cas("get", "1", "products", "100000"), ExitCode.NOT_FOUND, "100000", "public.products")
    _require(cas("get", "1", "prices", "EUR"), ExitCode.INVALID, "currency", "day")
    _require(cas("get", "1", "products", "seven"), ExitCode.INVALID, "seven")
    _require(cas("get", "1", "events", "x"), ExitCode.INVALID, "no primary key")
    _require(cas("diff", "1", "1", "--entity", "nowhere"), ExitCode.NOT_FOUND, "nowhere")


def test_too_little_room_is_said_before_the_start(cas: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalStore, "free_bytes", lambda _: 1024)
    ran = cas("snapshot")
    _require(ran, ExitCode.NO_SPACE, "are needed", "free", str(cas.store))
    assert not list((cas.store / "packs").rglob("*")) or not any(
        path.is_file() for path in (cas.store / "packs").rglob("*")
    )


def test_a_home_that_cannot_be_written(cas: Place) -> None:
    (cas.directory / "file").write_text("")
    ran = cas("snapshot", CAS_HOME=str(cas.directory / "file" / "home"))
    assert ran.code != 0
    assert "CAS_HOME" in ran.error


@pytest.mark.parametrize("what", ["pack", "document"])
def test_a_flipped_byte_in_the_store_is_never_restored(cas: Place, database: Databases, what: str) -> None:
    assert cas("snapshot").code == 0
    folder = {"pack": "packs", "document": "versions"}[what]
    damaged = max((p for p in (cas.store / folder).rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    _flip(damaged, damaged.stat().st_size // 2)
    target = database()
    ran = cas("restore", "1", "--into", target, "--yes", CAS_HOME=str(cas.directory / "another-home"))
    assert ran.code == ExitCode.CORRUPT, ran
    assert ran.err.splitlines()[-1].startswith("cas: ")


def test_a_store_that_knows_more_than_the_catalog_is_not_written_to(cas: Place, database: Databases) -> None:
    assert cas("snapshot").code == 0
    repository = Repository(LocalStore(cas.store), None)
    document = repository.document(1)
    from cas.format.document import encode_document
    from cas.format.names import version_key

    repository.store.put(version_key(9), encode_document(replace(document, number=9)))
    _require(cas("snapshot"), ExitCode.CONFLICT, "does not know", "cas catalog rebuild")


def test_a_name_that_would_steer_the_terminal_is_shown_as_text(cas: Place, shop: str) -> None:
    execute(shop, 'CREATE TABLE "evil\x1b[2Jname" (id integer PRIMARY KEY)')
    assert cas("snapshot", "--reason", "\x1b]0;title\x07 red").code == 0
    for arguments in (["versions"], ["show", "1"]):
        told = cas(*arguments).out
        assert "\x1b" not in told
        assert "\x07" not in told
    assert r"evil\x1b[2Jname" in cas("show", "1").out


def test_json_tells_an_error_as_its_one_result(cas: Place) -> None:
    ran = cas("show", "7", "--json")
    assert ran.code == ExitCode.NOT_FOUND
    error = ran.json["error"]
    assert error["code"] == "NOT_FOUND"
    assert error["exit_code"] == ExitCode.NOT_FOUND
    assert {"what", "where", "hint", "kind"} <= error.keys()
    assert ran.events[-1]["event"] == "error"
    usage = cas("show", "--json")
    assert usage.json["error"]["code"] == "USAGE"


def test_our_own_mistake_is_one_line_and_a_traceback_in_a_file(
    cas: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(_: object, __: int) -> None:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr("cas.catalog.postgres.PostgresCatalog.version", mistaken)
    ran = cas("show", "1")
    _require(ran, ExitCode.FAILURE, "ZeroDivisionError: by nought", "last-failure.txt", "--debug")
    log = cas.home / "last-failure.txt"
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0
    debugged = cas("show", "1", "--debug")
    assert "Traceback" in debugged.err
    assert debugged.err.splitlines()[-1].startswith("cas: unexpected")


def test_what_the_operating_system_refuses_has_its_own_code(
    cas: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def refuse(number: int) -> Callable[..., None]:
        def raising(*_: object) -> None:
            raise OSError(number, "as the kernel says it", "/some/file")

        return raising

    monkeypatch.setattr("cas.catalog.postgres.PostgresCatalog.version", refuse(errno.ENOSPC))
    _require(cas("show", "1"), ExitCode.NO_SPACE, "disk is full", "/some/file")
    monkeypatch.setattr("cas.catalog.postgres.PostgresCatalog.version", refuse(errno.EACCES))
    _require(cas("show", "1"), ExitCode.DENIED, "/some/file")


def _flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)
