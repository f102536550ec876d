"""The S3 store on good days: what a stranger's client sees, encryption, trust, prefixes."""

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from minio import Minio

from cas.errors import InvalidInput
from cas.store.interface import FaultKind, StoreFault
from cas.store.opening import StoreOptions, open_bare
from tests.servers.faulty_http import FaultyHttp, faulty_http
from tests.servers.s3 import S3Server, client
from tests.store.conftest import OPTIONS

SMALL, LARGE = b"small object", bytes(range(256)) * (7 * 2**12)


def test_another_client_reads_and_lists_what_we_wrote(seaweedfs_server: S3Server) -> None:
    prefix = f"shared/{uuid4().hex}"
    store = open_bare(seaweedfs_server.url(prefix), OPTIONS)
    store.put("packs/ab/small", SMALL, create_only=True)
    store.put("packs/ab/large", LARGE, create_only=True)
    other = Minio(
        urlsplit(seaweedfs_server.endpoint).netloc,
        access_key=seaweedfs_server.access_key,
        secret_key=seaweedfs_server.secret_key,
        secure=False,
    )
    bucket = seaweedfs_server.bucket
    for name, data in (("small", SMALL), ("large", LARGE)):
        answer = other.get_object(bucket, f"{prefix}/packs/ab/{name}")
        try:
            assert answer.read() == data
        finally:
            answer.close()
            answer.release_conn()
    listed = {row.object_name: row.size for row in other.list_objects(bucket, prefix=prefix, recursive=True)}
    assert listed == {
        f"{prefix}/packs/ab/small": len(SMALL),
        f"{prefix}/packs/ab/large": len(LARGE),
    }


def test_we_read_and_list_what_another_client_wrote(seaweedfs_server: S3Server) -> None:
    prefix = f"shared/{uuid4().hex}"
    client(seaweedfs_server).put_object(Bucket=seaweedfs_server.bucket, Key=f"{prefix}/a/b", Body=LARGE)
    client(seaweedfs_server).put_object(Bucket=seaweedfs_server.bucket, Key=f"{prefix}/A b", Body=b"no key")
    store = open_bare(seaweedfs_server.url(prefix), OPTIONS)
    assert [(info.key, info.size) for info in store.objects()] == [("a/b", len(LARGE))]
    assert store.get("a/b") == LARGE


@pytest.mark.parametrize("server_name", ["moto_server", "seaweedfs_server"])
def test_prefixes_do_not_see_each_other(server_name: str, request: pytest.FixtureRequest) -> None:
    server: S3Server = request.getfixturevalue(server_name)
    base = f"prefixes/{uuid4().hex}"
    one, two = (open_bare(server.url(f"{base}/{name}"), OPTIONS) for name in ("store", "store-2"))
    one.put("key", b"one")
    two.put("key", b"two")
    assert [info.key for info in one.objects()] == ["key"]
    assert one.get("key") == b"one"
    outer = open_bare(server.url(base), OPTIONS)
    assert [info.key for info in outer.objects()] == ["store-2/key", "store/key"]
    one.delete("key")
    assert two.get("key") == b"two"


def test_a_whole_bucket_can_be_a_store(moto_server: S3Server) -> None:
    bucket = f"bucket-{uuid4().hex}"
    client(moto_server).create_bucket(Bucket=bucket)
    store = open_bare(f"s3://{bucket}?endpoint={moto_server.endpoint}", OPTIONS)
    store.put("key", b"x")
    assert client(moto_server).get_object(Bucket=bucket, Key="key")["Body"].read() == b"x"


def test_a_prefix_of_a_person_may_have_other_characters_than_keys(seaweedfs_server: S3Server) -> None:
    store = open_bare(seaweedfs_server.url("Sicherung%20Büro/Ä+B"), OPTIONS)
    store.put("key", b"x")
    assert [info.key for info in store.objects()] == ["key"]
    again = open_bare(store.url, OPTIONS)
    assert again.get("key") == b"x"


# Encryption by the server.


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["whole", "parts"])
@pytest.mark.parametrize(
    ("parameters", "algorithm", "key"),
    [
        ("", None, None),
        ("&sse=AES256", "AES256", None),
        ("&sse=aws:kms", "aws:kms", None),
        ("&sse=aws:kms&kms_key=key-7", "aws:kms", "key-7"),
        ("&kms_key=key-7", "aws:kms", "key-7"),
    ],
)
def test_encryption_is_asked_for_with_every_object(
    moto_server: S3Server, data: bytes, parameters: str, algorithm: str | None, key: str | None
) -> None:
    prefix = f"sse/{uuid4().hex}"
    store = open_bare(moto_server.url(prefix) + parameters, OPTIONS)
    store.put("key", data, create_only=True)
    head = client(moto_server).head_object(Bucket=moto_server.bucket, Key=f"{prefix}/key")
    assert head.get("ServerSideEncryption", None if parameters else algorithm) == algorithm
    if key is not None:
        assert head.get("SSEKMSKeyId") == key
    assert store.get("key") == data


def test_objects_encrypted_by_a_real_server_read_back(seaweedfs_server: S3Server) -> None:
    prefix = f"sse/{uuid4().hex}"
    store = open_bare(seaweedfs_server.url(prefix) + "&sse=AES256", OPTIONS)
    for name, data in (("small", SMALL), ("large", LARGE)):
        store.put(name, data, create_only=True)
        assert store.get(name) == data
        assert store.get_tail(name, 5) == data[-5:]
        assert store.get_range(name, 3, 4) == data[3:7]


# Trust.


def certificate(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """An authority's certificate for 127.0.0.1 that signed itself, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = directory / "ca.pem"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private = directory / "key.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return pem, context


@pytest.fixture
def private_tls(seaweedfs_server: S3Server, tmp_path: Path) -> Iterator[tuple[Path, FaultyHttp]]:
    """A TLS server whose certificate only the returned authority vouches for."""
    pem, context = certificate(tmp_path)
    with faulty_http(seaweedfs_server, tls=context) as proxy:
        yield pem, proxy


def test_a_private_authority_is_trusted_if_it_is_named(private_tls: tuple[Path, FaultyHttp]) -> None:
    pem, proxy = private_tls
    url = proxy.server.url(f"tls/{uuid4().hex}")
    assert "endpoint=https://" in url
    by_url = open_bare(f"{url}&ca={pem}", OPTIONS)
    by_url.put("small", SMALL, create_only=True)
    by_url.put("large", LARGE, create_only=True)
    by_options = open_bare(url, StoreOptions(ca=str(pem)))
    assert by_options.get("large") == LARGE
    assert by_options.get("small") == SMALL


def test_a_private_authority_is_not_trusted_otherwise(private_tls: tuple[Path, FaultyHttp]) -> None:
    _, proxy = private_tls
    with pytest.raises(StoreFault) as raised:
        open_bare(proxy.server.url("tls"), OPTIONS).put("key", SMALL)
    assert raised.value.fault is FaultKind.UNREACHABLE
    assert "certificate" in raised.value.hint
    assert proxy.requests == []


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nx\n"])
def test_an_authority_file_that_is_none_is_refused_at_once(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput) as raised:
        open_bare(f"s3://bucket/prefix?endpoint=https://127.0.0.1:1&ca={path}", OPTIONS)
    assert raised.value.where == str(path)


@pytest.mark.parametrize(
    ("endpoint", "allowed"),
    [
        ("http://127.0.0.1:8333", True),
        ("http://127.8.9.1:8333", True),
        ("http://[::1]:8333", True),
        ("http://localhost:8333", True),
        ("http://192.0.2.7:8333", False),
        ("http://s3.example.com", False),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("https://s3.example.com", True),
    ],
)
def test_plain_http_leaves_the_machine_only_if_it_is_allowed(endpoint: str, allowed: bool) -> None:
    url = f"s3://bucket/prefix?endpoint={endpoint}"
    if allowed:
        open_bare(url, OPTIONS).close()
    else:
        with pytest.raises(InvalidInput, match="plain http"):
            open_bare(url, OPTIONS)
    open_bare(f"{url}&allow_http=true", OPTIONS).close()


def test_plain_http_is_refused_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3.example.com")
    with pytest.raises(InvalidInput, match="plain http"):
        open_bare("s3://bucket/prefix", OPTIONS)


def test_a_profile_gives_credentials_and_region(
    moto_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "config").write_text("[profile backup]\nregion = eu-central-1\n")
    (tmp_path / "credentials").write_text(
        "[backup]\naws_access_key_id = tests-access\naws_secret_access_key = tests-secret-key\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with faulty_http(moto_server) as proxy:
        url = f"s3://{moto_server.bucket}/profile?endpoint={proxy.server.endpoint}&profile=backup"
        store = open_bare(url, OPTIONS)
        store.put("key", b"x")
        assert "/eu-central-1/s3/" in proxy.authorizations[-1]
        assert "tests-access" in proxy.authorizations[-1]
    with pytest.raises(InvalidInput, match="nobody"):
        open_bare(url.replace("profile=backup", "profile=nobody"), OPTIONS)


def test_bodies_carry_their_md5(moto_server: S3Server) -> None:
    """Buckets with Object Lock demand it, and servers find damage on the way with it."""
    with faulty_http(moto_server) as proxy:
        store = open_bare(proxy.server.url("md5"), OPTIONS)
        store.put("small", SMALL)
        store.put("large", LARGE)
        assert [request.split(" ")[0] for request in proxy.with_md5] == ["PUT", "PUT", "PUT"]
