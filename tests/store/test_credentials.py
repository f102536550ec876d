"""Credentials of one store: what people may copy, and that nothing of the environment is used beside them."""

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cas.errors import InvalidInput
from cas.store.credential_texts import MAX_TEXT_BYTES, read_credentials
from cas.store.credentials import AzureCredentials, Credentials, GoogleCredentials, S3Credentials
from cas.store.interface import FaultKind, ObjectMissing, StoreFault
from cas.store.opening import StoreOptions, open_bare
from cas.store.urls import settled
from tests.servers.azure import ACCOUNT, KEY, AzureServer

SECRET = "hunter2hunter2"
ACCOUNT_KEY = base64.b64encode(bytes(range(64))).decode()


@pytest.fixture(scope="module")
def rsa() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def pem(rsa: RSAPrivateKey) -> str:
    return rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_file(pem: str, **other: object) -> bytes:
    told = {"type": "service_account", "client_email": "cas@p", "private_key_id": "7", "private_key": pem}
    return json.dumps({**told, "project_id": "p", **other}).encode()


@pytest.mark.parametrize(
    "text",
    [
        "aws_access_key_id = AKIA\naws_secret_access_key = hunter2hunter2\n",
        "[offsite]\r\n# mine\r\naws_secret_access_key=hunter2hunter2\r\naws_access_key_id=AKIA\r\n",
        "export AWS_ACCESS_KEY_ID='AKIA'\nexport AWS_SECRET_ACCESS_KEY=\"hunter2hunter2\"",
        "\ufeffaws_access_key_id=AKIA\naws_secret_access_key=hunter2hunter2",
    ],
)
def test_a_pair_of_keys_as_it_is_copied(text: str) -> None:
    assert read_credentials("s3", text.encode(), "x") == S3Credentials("AKIA", SECRET)


def test_a_pair_that_ends_by_itself() -> None:
    text = b"aws_access_key_id=A\naws_secret_access_key=B\naws_session_token=C=="
    assert read_credentials("s3", text, "x") == S3Credentials("A", "B", "C==")


def test_a_key_file_of_google(pem: str) -> None:
    assert read_credentials("gs", key_file(pem), "x") == GoogleCredentials("cas@p", "7", pem)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ACCOUNT_KEY + "\n", AzureCredentials(key=ACCOUNT_KEY)),
        ("?sv=2021&sig=a%2Bb", AzureCredentials(sas="sv=2021&sig=a%2Bb")),
        (
            f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={ACCOUNT_KEY};"
            "EndpointSuffix=core.windows.net",
            AzureCredentials("shop", "https://shop.blob.core.windows.net", ACCOUNT_KEY),
        ),
    ],
)
def test_what_azures_portal_gives_out(text: str, found: Credentials) -> None:
    assert read_credentials("az", text.encode(), "x") == found


@pytest.mark.parametrize(
    ("scheme", "text"),
    [
        ("s3", ""),
        ("s3", f"aws_secret_access_key={SECRET}"),
        ("s3", f"aws_access_key_id={SECRET}\naws_secret_access_key="),
        ("s3", f"aws_access_key_id=A\naws_access_key_id=B\naws_secret_access_key={SECRET}"),
        ("s3", f"aws_access_key_id=A\naws_secret_access_key={SECRET}\nregion=x"),
        ("s3", f"aws_access_key_id=A\naws_secret_access_key={SECRET}é"),
        ("s3", f"A\x1bB={SECRET}"),
        ("s3", f"{SECRET}\udcff"),
        ("s3", f"{'#' * MAX_TEXT_BYTES}\naws_access_key_id=A\naws_secret_access_key={SECRET}"),
        ("gs", SECRET),
        ("gs", "[" * 5000),
        ("gs", json.dumps({"type": "authorized_user", "refresh_token": SECRET})),
        ("gs", json.dumps({"type": "service_account", "client_email": "a", "private_key": SECRET})),
        ("gs", json.dumps({"type": "service_account", "client_email": 7, "private_key": [SECRET]})),
        ("az", SECRET),
        ("az", f"AccountName=shop;AccountKey={SECRET}"),
        ("az", f"AccountKey={ACCOUNT_KEY};{SECRET}"),
        ("az", f"AccountName=shop;Password={SECRET}"),
        ("az", f"sv=2021&sig=&x={SECRET}"),
        ("az", f"{SECRET} {SECRET}"),
        ("file", SECRET),
        ("memory", SECRET),
    ],
)
def test_what_is_none_is_refused_at_once_and_not_repeated(scheme: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_credentials(scheme, text.encode("utf-8", "surrogateescape"), "a file")
    error: BaseException | None = caught.value
    assert caught.value.hint
    while error is not None:
        assert SECRET not in f"{error} {error.args}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_options_do_not_show_them() -> None:
    assert SECRET not in repr(StoreOptions(credentials=S3Credentials("AKIA", SECRET)))


def test_credentials_of_another_kind_of_store(tmp_path: Path) -> None:
    options = StoreOptions(credentials=AzureCredentials(key=ACCOUNT_KEY))
    for url in ("s3://bucket/x", "gs://bucket/x", tmp_path.as_uri()):
        with pytest.raises(InvalidInput):
            open_bare(url, options)


def test_one_spelling_of_a_url() -> None:
    one = settled("s3://b/a/p?region=x&endpoint=https://h:1")
    assert settled("s3://b/a/p/?endpoint=https://h:1&region=x") == one
    for other in ("s3://b/a/p?region=x&endpoint=https://h:2", "s3://b/a?region=x&endpoint=https://h:1"):
        assert settled(other) != one


class Listener:
    """A server that has nothing, and remembers how it was asked."""

    def __init__(self) -> None:
        heard: list[tuple[str, Mapping[str, str]]] = []

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                heard.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
                pass

        self.heard = heard
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener()
    yield listening
    listening.server.shutdown()
    listening.server.server_close()


def asked_with(listener: Listener, url: str, credentials: Credentials) -> tuple[str, Mapping[str, str]]:
    """Path and headers of one request."""
    store = open_bare(url, StoreOptions(credentials=credentials))
    with pytest.raises((ObjectMissing, StoreFault)):
        store.get("x")
    store.close()
    return listener.heard[-1]


def test_a_pair_of_keys_wins_over_the_environment(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-the-environment")
    url = f"s3://bucket/x?endpoint={listener.endpoint}"
    _, headers = asked_with(listener, url, S3Credentials("AKIATHEIRS", SECRET))
    assert "Credential=AKIATHEIRS/" in headers["authorization"]
    assert "x-amz-security-token" not in headers
    _, headers = asked_with(listener, url, S3Credentials("AKIATHEIRS", SECRET, "their-token"))
    assert headers["x-amz-security-token"] == "their-token"


@pytest.mark.parametrize(
    "variable", ["GOOGLE_BEARER_TOKEN", "GOOGLE_SKIP_SIGNATURE", "GOOGLE_APPLICATION_CREDENTIALS"]
)
def test_a_service_account_wins_over_the_environment(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, rsa: RSAPrivateKey, pem: str, variable: str
) -> None:
    monkeypatch.setenv(variable, "true")
    url = f"gs://bucket/x?endpoint={listener.endpoint}&credentials=/nowhere"
    _, headers = asked_with(listener, url, GoogleCredentials("cas@p", "7", pem))
    kind, token = headers["authorization"].split(" ")
    head, claims, signature = token.split(".")
    padded = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in (head, claims, signature)]
    rsa.public_key().verify(padded[2], f"{head}.{claims}".encode(), PKCS1v15(), SHA256())
    told = json.loads(padded[1])
    assert (kind, json.loads(padded[0])["kid"], told["iss"]) == ("Bearer", "7", "cas@p")
    assert told["exp"] - told["iat"] == 3600


def test_a_shared_access_signature_wins_over_the_environment(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("AZURE_STORAGE_TOKEN", "token"),
        ("AZURE_STORAGE_ACCOUNT_KEY", ACCOUNT_KEY),
        ("AZURE_SKIP_SIGNATURE", "true"),
        ("AZURE_STORAGE_CONNECTION_STRING", "AccountName=other;AccountKey=x"),
    ):
        monkeypatch.setenv(name, value)
    url = f"az://container/x?account=shop&endpoint={listener.endpoint}/shop"
    path, headers = asked_with(listener, url, AzureCredentials(sas="sv=2021&sig=a%2Bb"))
    assert path.endswith("?sv=2021&sig=a%2Bb")
    assert "authorization" not in headers


def test_a_key_of_an_account_wins_over_the_environment(
    azurite_server: AzureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two keys the server takes one only."""
    url = azurite_server.url(uuid4().hex)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", ACCOUNT_KEY)
    said = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={azurite_server.endpoint}/{ACCOUNT}"
    for text in (KEY, said):
        store = open_bare(url, StoreOptions(credentials=read_credentials("az", text.encode(), "x")))
        store.put("x", b"1")
        assert store.get("x") == b"1"
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    wrong = open_bare(url, StoreOptions(credentials=AzureCredentials(key=ACCOUNT_KEY)))
    with pytest.raises(StoreFault) as caught:
        wrong.get("x")
    assert caught.value.fault is FaultKind.DENIED
