"""Settings: flags before environment before files; mistakes are named; secrets are never shown."""

import os
from pathlib import Path

import pytest

from cas.errors import CasError, InvalidInput, PermissionDenied
from cli.settings import PREFIX, Settings, load_settings

SECRET = "hunter2-that-nobody-may-see"
URL = f"postgresql://reader:{SECRET}@db.example/shop"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory and an empty CAS_HOME below it."""
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("CAS_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    return home


def test_flags_win_over_environment_over_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings({}).compression == 3
    (home / "cas.toml").write_text("compression = 4\nparallelism = 2\n")
    assert load_settings({}).compression == 4
    (home.parent / "cas.toml").write_text("compression = 5\n")
    assert load_settings({}).compression == 5, "the current directory is nearer than CAS_HOME"
    assert load_settings({}).parallelism == 2, "what the nearer file does not say, the other one does"
    monkeypatch.setenv("CAS_COMPRESSION", "6")
    assert load_settings({}).compression == 6
    assert load_settings({"compression": 7}).compression == 7
    assert load_settings({"compression": None}).compression == 6, "a flag that was not given says nothing"


def test_an_empty_variable_counts_as_unset(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "cas.toml").write_text('store = "s3://bucket/shop"\n')
    monkeypatch.setenv("CAS_STORE", "")
    assert load_settings({}).store == "s3://bucket/shop"


def test_a_path_in_a_file_is_relative_to_the_file(home: Path) -> None:
    (home / "cas.toml").write_text('store = "backups"\ns3_ca = "ca.pem"\n')
    settings = load_settings({})
    assert settings.store == str(home / "backups")
    assert settings.s3_ca == str(home / "ca.pem")


def test_an_unknown_key_is_an_error_that_lists_the_known_ones(home: Path) -> None:
    (home / "cas.toml").write_text("compresion = 4\n")
    with pytest.raises(InvalidInput) as caught:
        load_settings({})
    assert "compresion" in caught.value.what
    assert caught.value.where == str(home / "cas.toml")
    assert "Did you mean compression?" in caught.value.hint
    for name in Settings.model_fields.keys() - {"home"}:
        assert name in caught.value.hint


def test_home_cannot_be_set_in_a_file(home: Path) -> None:
    (home / "cas.toml").write_text('home = "/elsewhere"\n')
    with pytest.raises(InvalidInput, match="unknown setting home"):
        load_settings({})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"compression = ", "not TOML"),
        (b"\xff\xfe", "not text in UTF-8"),
        (b"a = 1\n" * 20_000, "too large"),
        (b"compression = 20", "compression"),
        (b'compression = "fast"', "compression"),
        (b"[store]\nurl = 1", "store"),
        (b'connect_timeout = "soon"', "connect_timeout"),
        (b's3_sse = "rot13"', "s3_sse"),
    ],
)
def test_a_file_that_makes_no_sense_is_named(home: Path, content: bytes, words: str) -> None:
    (home / "cas.toml").write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        load_settings({})
    assert words in caught.value.what
    assert "cas.toml" in caught.value.where


def test_the_origin_of_a_bad_value_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAS_PARALLELISM", "many")
    with pytest.raises(InvalidInput) as caught:
        load_settings({})
    assert caught.value.where == "CAS_PARALLELISM"
    assert "threads" in caught.value.hint
    with pytest.raises(InvalidInput) as caught:
        load_settings({"compression": 99, "parallelism": 1})
    assert caught.value.where == "--compression"


def test_a_file_that_others_can_write_is_not_obeyed(home: Path) -> None:
    file = home.parent / "cas.toml"
    file.write_text('store = "s3://somebody-elses/bucket"\n')
    file.chmod(0o646)
    with pytest.raises(PermissionDenied, match="everybody may write"):
        load_settings({})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_file_of_another_user_is_not_obeyed(home: Path) -> None:
    file = home.parent / "cas.toml"
    file.write_text('store = "s3://somebody-elses/bucket"\n')
    os.chown(file, 12345, 12345)
    with pytest.raises(PermissionDenied, match="another user"):
        load_settings({})


def test_a_directory_of_that_name_is_an_error_and_no_crash(home: Path) -> None:
    (home / "cas.toml").mkdir()
    with pytest.raises(CasError, match="cannot be read"):
        load_settings({})


@pytest.mark.parametrize("name", ["source", "catalog"])
def test_a_password_is_never_shown(home: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings({name: URL})
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    monkeypatch.setenv("CAS_CATALOG", URL)
    (home / "cas.toml").write_text(f'source = ["{URL}"]\n')
    with pytest.raises(InvalidInput) as caught:
        load_settings({})
    assert SECRET not in f"{caught.value} {caught.value.__cause__!r}"


def test_settings_cannot_be_changed_by_who_uses_them(home: Path) -> None:
    settings = load_settings({})
    assert settings.home == home
    with pytest.raises(ValueError, match="frozen"):
        settings.compression = 9
