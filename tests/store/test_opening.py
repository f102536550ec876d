"""Store URLs: what opens what, and what is said about those that open nothing."""

import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from cas.errors import CasError, InvalidInput
from cas.store.cloud import CloudStore
from cas.store.interface import FaultKind, StoreFault
from cas.store.local import LocalStore
from cas.store.memory import MemoryStore
from cas.store.opening import StoreOptions, open_bare, open_store
from cas.store.s3 import S3Store


def test_each_scheme_opens_its_store(tmp_path: Path) -> None:
    assert isinstance(open_bare(tmp_path.as_uri()), LocalStore)
    assert isinstance(open_bare("memory://name"), MemoryStore)
    assert isinstance(open_bare("s3://bucket/prefix?region=eu-central-1"), S3Store)
    assert isinstance(open_bare("gs://bucket/prefix"), CloudStore)
    assert isinstance(open_bare("az://container/prefix?account=name"), CloudStore)


def test_a_memory_store_is_shared_by_name() -> None:
    open_store("memory://shared-name").put("key", b"x")
    assert open_store("memory://shared-name").get("key") == b"x"
    assert list(open_store("memory://other-name").objects()) == []


def test_a_directory_is_made_only_if_asked_for(tmp_path: Path) -> None:
    url = (tmp_path / "new" / "store").as_uri()
    with pytest.raises(StoreFault) as raised:
        open_store(url)
    assert raised.value.fault is FaultKind.UNREACHABLE
    open_store(url, create=True).put("key", b"x")
    assert open_store(url).get("key") == b"x"
    assert open_store(url, create=True).get("key") == b"x"


def test_a_path_with_odd_characters_goes_round(tmp_path: Path) -> None:
    directory = tmp_path / "a b#c?d%20ä@e"
    store = open_store(directory.as_uri(), create=True)
    assert directory.is_dir()
    store.put("key", b"x")
    assert open_store(store.url).get("key") == b"x"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        (
            "s3://bucket/a?region=eu-1&endpoint=https://host:9000/base/",
            "s3://bucket/a?endpoint=https://host:9000/base&region=eu-1",
        ),
        ("s3://bucket/a%20b?addressing=virtual", "s3://bucket/a%20b?addressing=virtual"),
        (
            "s3://bucket/a?endpoint=http%3A%2F%2Fhost&allow_http=true",
            "s3://bucket/a?endpoint=http://host&allow_http=true",
        ),
        ("s3://bucket/a?kms_key=arn:aws:kms:x", "s3://bucket/a?sse=aws:kms&kms_key=arn:aws:kms:x"),
        ("gs://bucket", "gs://bucket"),
        ("gs://my-app.appspot.com/a/b/", "gs://my-app.appspot.com/a/b"),
        (
            "gs://bucket/a?allow_http=true&endpoint=http://host/",
            "gs://bucket/a?endpoint=http://host&allow_http=true",
        ),
        ("az://container/a/?account=name", "az://container/a?account=name"),
        (
            "az://container?account=name&endpoint=https://name.blob.core.chinacloudapi.cn",
            "az://container?endpoint=https://name.blob.core.chinacloudapi.cn&account=name",
        ),
    ],
)
def test_the_url_of_a_store_is_normal_and_opens_it_again(url: str, shown: str) -> None:
    store = open_bare(url)
    assert store.url == shown
    assert open_bare(store.url).url == shown


def test_what_the_url_says_wins_over_the_options() -> None:
    options = StoreOptions(region="us-west-2", sse="AES256")
    assert open_bare("s3://bucket/a", options).url == "s3://bucket/a?region=us-west-2&sse=AES256"
    shown = open_bare("s3://bucket/a?region=eu-1&sse=aws:kms", options).url
    assert shown == "s3://bucket/a?region=eu-1&sse=aws:kms"
    own_key = StoreOptions(sse="aws:kms", kms_key="key")
    assert open_bare("s3://bucket/a", own_key).url == "s3://bucket/a?sse=aws:kms&kms_key=key"
    assert open_bare("s3://bucket/a?sse=AES256", own_key).url == "s3://bucket/a?sse=AES256"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "file:///path, s3://bucket"),
        ("/var/backups", "file:///path"),
        ("gopher://host/x", "memory://name"),
        ("file:relative/path", "file:///absolute/path"),
        ("file://relative/path", "file:///absolute/path"),
        ("file:///", "the root of the file system"),
        ("file:///a%00b", "file:///absolute/path"),
        ("file:///a?mode=fast", "mode"),
        ("file:///a#b", "%23"),
        ("memory://", "memory://name"),
        ("memory://a/b", "memory://name"),
        ("memory://a?b=c", "b"),
        ("s3://", "s3://bucket/prefix"),
        ("s3:///prefix", "s3://bucket/prefix"),
        ("s3://b", "s3://bucket/prefix"),
        ("s3://bucket/a//b", "s3://bucket/some/prefix"),
        ("s3://bucket/../b", "s3://bucket/some/prefix"),
        ("s3://bucket/" + "x" * 500, "s3://bucket/some/prefix"),
        ("s3://bucket/a?regoin=eu", "unknown parameters in the store URL: regoin"),
        ("s3://bucket/a?regoin=eu", "addressing, allow_http, ca, endpoint, kms_key, object_lock, profile"),
        ("s3://bucket/a?region", "file:///path"),
        ("s3://bucket/a?region=a&region=b", "twice"),
        ("s3://bucket/a?region=no%20region", "region"),
        ("s3://bucket/a?sse=rot13", "AES256 or aws:kms"),
        ("s3://bucket/a?sse=AES256&kms_key=k", "aws:kms only"),
        ("s3://bucket/a?addressing=both", "path or virtual"),
        ("s3://bucket/a?allow_http=1", "true or false"),
        ("s3://bucket/a?endpoint=host:9000", "endpoint=https://host:port"),
        ("s3://bucket/a?endpoint=ftp://host", "endpoint=https://host:port"),
        ("s3://bucket/a?endpoint=https://host:port", "endpoint=https://host:port"),
        ("s3://bucket/a?endpoint=https://", "endpoint=https://host:port"),
        ("s3://bucket/a?endpoint=https://host?x=y", "endpoint=https://host:port"),
        ("s3://[::1/a", "file:///path"),
        ("gopher://host/x", "gs://bucket/prefix, az://container/prefix"),
        ("gs://", "gs://bucket/prefix"),
        ("gs://Bucket/a", "gs://bucket/prefix"),
        ("gs://bucket/a%20b", "letters without accents"),
        ("gs://bucket/a//b", "gs://bucket/some/prefix"),
        ("gs://bucket/a?region=eu", "allow_http, ca, credentials, endpoint"),
        ("gs://bucket/a?endpoint=http://storage.internal", "allow_http=true"),
        ("gs://bucket/a?allow_http=yes", "true or false"),
        ("gs://bucket/a?credentials=/no/such/file", "no such file of credentials"),
        ("gs://bucket/a?ca=/no/such/file", "PEM"),
        ("az://c", "az://container/prefix"),
        ("az://con--tainer/a?account=name", "az://container/prefix"),
        ("az://container/a", "account=NAME"),
        ("az://container/a?account=No", "small letters and digits"),
        ("az://container/a?account=name&endpoint=http://name.blob.internal", "allow_http=true"),
        ("az://container/a?project=x", "account, allow_http, ca, endpoint"),
    ],
)
def test_a_url_that_opens_nothing_says_what_would(url: str, said: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        open_store(url, create=True)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIASECRET:hunter2secret@bucket/prefix",
        "s3://AKIASECRET@bucket/hunter2secret",
        "s3://bucket/a?access_key=AKIASECRET&secret_key=hunter2secret",
        "s3://bucket/a?AWS_SECRET_ACCESS_KEY=hunter2secret",
        "s3://bucket/a?sessionToken=hunter2secret",
        "s3://bucket/a?endpoint=https://AKIASECRET:hunter2secret@host",
        "file://user:hunter2secret@host/path",
        "s3://bucket/a?regoin=hunter2secret",
        "s3://bucket/a?region=hunter2secret%20",
        "hunter2secret",
        "s3://bucket/a#hunter2secret",
        "s3://bucket/a?endpoint=http://host&hunter2secret",
        "gs://user:hunter2secret@bucket/prefix",
        "gs://bucket/a?token=hunter2secret",
        "gs://bucket/a?endpoint=https://user:hunter2secret@host",
        "az://name:hunter2secret@container/prefix",
        "az://container/a?account=name&sas=hunter2secret",
        "az://container/a?account=name&account_key=hunter2secret",
        "az://container/a?account=name&sig=hunter2secret",
    ],
)
def test_secrets_are_refused_and_never_shown(url: str) -> None:
    with pytest.raises(CasError) as raised:
        open_store(url)
    assert isinstance(raised.value, InvalidInput)
    text = "".join(traceback.format_exception(raised.value)) + f"{raised.value.where} {raised.value.hint}"
    text = text.replace(f"open_store({url!r})", "")
    assert "hunter2secret" not in text
    assert "AKIASECRET" not in text
    if "AKIA" in url or "SECRET" in url or "Token" in url:
        assert "AWS_SECRET_ACCESS_KEY" in raised.value.hint
    if url.startswith("gs:"):
        assert "GOOGLE_APPLICATION_CREDENTIALS" in raised.value.hint
    if url.startswith("az:"):
        assert "AZURE_STORAGE_ACCOUNT_KEY" in raised.value.hint


@pytest.mark.parametrize("library", ["boto3", "obstore"])
def test_local_stores_do_not_load_the_libraries_of_others(library: str) -> None:
    program = (
        f"import sys, cas.store.opening as o; o.open_store('memory://a'); print('{library}' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, library], capture_output=True, text=True, check=True
    )
    assert found.stdout == "False\n"
