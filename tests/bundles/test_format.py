"""The one encoding of bundles: headers as tar's, an order, an end; and everything else is refused."""

import io
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas.errors import CasError, CorruptData, Unsupported
from cas.format.bundle import (
    BundleHead,
    Member,
    MemberOrder,
    Since,
    encode_head,
    encode_header,
    parse_head,
    parse_header,
)
from cas.format.canonical import Json, encode_json, open_envelope, parse_json, seal_envelope
from cas.format.names import pack_key
from cas.ids import PackName
from cas.limits import MAX_BUNDLE_MEMBERS, MAX_MEMBER_BYTES
from cas.store.bundle import BundleStore
from cas.store.interface import MAX_OBJECT_BYTES
from tests.bundles.scenes import archive, kept, members

PACK = pack_key(PackName("5f" * 32))
OTHER_PACK = pack_key(PackName("60" * 32))
VERSION = "versions/0000000012"
GOOD = [("bundle", b"what"), ("config", b"c"), (PACK, b"p" * 600), (VERSION, b"")]
HEAD = BundleHead(
    "5e" * 16, 12, "2026-01-31T12:00:00.000000+00:00", bytes(32), "why", "", "shop", ("public.a",), None, 7
)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, MAX_MEMBER_BYTES])
@pytest.mark.parametrize("name", ["bundle", "config", "keys/0000000001", PACK, VERSION])
def test_a_header_is_the_one_that_tar_writes(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    header = encode_header(Member(name, size))
    assert header == info.tobuf(tarfile.USTAR_FORMAT)
    assert parse_header(header) == Member(name, size)


def test_limits_are_those_of_stores() -> None:
    assert MAX_MEMBER_BYTES == MAX_OBJECT_BYTES


@pytest.mark.parametrize(
    "name",
    [
        "../config",
        "/config",
        "config/",
        "./config",
        "packs/../../x",
        "packs/5f/../" + "5f" * 32,
        "config\0x",
        "Config",
        "packs/60/" + "5f" * 32,
        "versions/12",
        "versions/0000000000",
        "dictionaries/" + "5f" * 32,
        "notes/0000000001",
        "gc/0000000001",
        "x" * 100,
        "",
    ],
)
def test_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    header = bytearray(encode_header(Member("config", 1)))
    header[:100] = name.encode().ljust(100, b"\0")[:100]
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(CorruptData, match="not a member of a bundle") as caught:
        parse_header(bytes(header))
    assert caught.value.kind == "malformed"
    assert "\n" not in str(caught.value)
    data = archive(GOOD[:1]).removesuffix(bytes(1024)) + bytes(header) + bytes(512) + bytes(1024)
    with pytest.raises(CorruptData, match="not a member"):
        BundleStore(kept(tmp_path, data))
    assert [path.name for path in tmp_path.iterdir()] == ["shop.casb"]


@pytest.mark.parametrize("at", [*range(100, 148), *range(148, 512, 7), 156, 257, 263, 345, 511])
def test_no_other_header_is_taken(at: int) -> None:
    """With a checksum that fits."""
    header = bytearray(encode_header(Member("config", 0o1234567)))
    header[at] ^= 1
    if not 148 <= at < 156:
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
    if 126 <= at < 135:
        assert parse_header(bytes(header)).size != 0o1234567, "it is the header of another size"
    else:
        with pytest.raises(CorruptData):
            parse_header(bytes(header))


def test_a_size_above_the_limit_is_refused_before_anything_else() -> None:
    info = tarfile.TarInfo("config")
    info.size, info.mode = MAX_MEMBER_BYTES + 1, 0o644
    with pytest.raises(CorruptData) as caught:
        parse_header(info.tobuf(tarfile.USTAR_FORMAT))
    assert caught.value.kind == "limit"
    info.size = 1 << 40  # in binary, as GNU tar does it
    with pytest.raises(CorruptData) as caught:
        parse_header(info.tobuf(tarfile.GNU_FORMAT))
    assert caught.value.kind == "malformed"


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ([], "malformed"),
        (GOOD[1:], "malformed"),
        ([GOOD[1], GOOD[0], *GOOD[2:]], "malformed"),
        ([GOOD[0], *GOOD[2:]], "malformed"),
        ([*GOOD[:2], GOOD[3], GOOD[2]], "malformed"),
        ([*GOOD[:3], GOOD[2], GOOD[3]], "malformed"),
        ([GOOD[0], *GOOD], "malformed"),
        ([*GOOD, ("versions/0000000013", b"")], "malformed"),
        ([*GOOD[:2], ("keys/0000000001", b""), ("keys/0000000002", b""), GOOD[3]], "malformed"),
        (GOOD[:3], "truncated"),
        (GOOD[:1], "truncated"),
    ],
)
def test_members_that_are_missing_twice_or_elsewhere(
    members: list[tuple[str, bytes]], kind: str, tmp_path: Path
) -> None:
    with pytest.raises(CorruptData) as caught:
        BundleStore(kept(tmp_path, archive(members)))
    assert caught.value.kind == kind


def test_keys_and_several_packs_have_their_places(tmp_path: Path) -> None:
    sealed = [*GOOD[:2], ("keys/0000000001", b"k"), (OTHER_PACK, b"q"), *GOOD[2:]]
    store = BundleStore(kept(tmp_path, archive(sealed)))
    assert [info.key for info in store.objects()] == sorted(name for name, _ in sealed)
    assert all(store.get(name) == data for name, data in sealed)
    store.close()


def test_members_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cas.format.bundle.MAX_BUNDLE_MEMBERS", 3)
    order = MemberOrder()
    for name, data in GOOD[:3]:
        order.take(Member(name, len(data)))
    with pytest.raises(CorruptData) as caught:
        order.take(Member(VERSION, 0))
    assert caught.value.kind == "limit"
    assert MAX_BUNDLE_MEMBERS == 2**18


def test_what_lies_between_and_behind(tmp_path: Path) -> None:
    good = archive(GOOD)
    BundleStore(kept(tmp_path, good)).close()
    between = bytearray(good)
    between[512 + 4] = 1
    for data, kind in (
        (bytes(between), "malformed"),
        (good + b"\0", "malformed"),
        (good + bytes(10240), "malformed"),
        (good + good, "malformed"),
        (good[:-512] + b"x" + bytes(511), "malformed"),
        (good[:-1], "truncated"),
        (good[:-512], "truncated"),
        (good[:-1024], "truncated"),
    ):
        with pytest.raises(CorruptData) as caught:
            BundleStore(kept(tmp_path, data))
        assert caught.value.kind == kind, len(data)


@given(st.data())
def test_any_bytes_are_refused_or_the_one_encoding_of_a_bundle(data: st.DataObject) -> None:
    """Noise; a good one with noise in it, blocks exchanged, or a header that was made for it."""
    blocks = [archive(GOOD)[at : at + 512] for at in range(0, len(archive(GOOD)), 512)]
    noise = st.binary(max_size=600)
    names = st.sampled_from([name for name, _ in GOOD])
    headers = st.builds(lambda name, size: encode_header(Member(name, size)), names, st.integers(0, 2000))
    chosen = st.lists(st.sampled_from(blocks) | headers | noise, max_size=12).map(b"".join)
    at = data.draw(st.integers(0, 9 * 512))
    middle = data.draw(st.just(b"") | chosen)
    good = archive(GOOD)
    made = good[:at] + middle + good[data.draw(st.sampled_from([at, at + len(middle)])) :]
    with tempfile.TemporaryDirectory() as directory:
        path = kept(Path(directory), made)
        try:
            store = BundleStore(path)
        except CorruptData as error:
            assert "\n" not in str(error)  # noqa: PT017 - most are refused
            return
        found = [(name, store.get(name)) for name, _ in members(made)]
        store.close()
    assert archive(found) == made


def test_what_a_bundle_says_of_itself_has_one_encoding() -> None:
    for head in (
        HEAD,
        replace(HEAD, entities=None, since=Since(9, b"\1" * 32), name="n\u00e4me", reason=""),
        replace(HEAD, records=0, number=1),
    ):
        assert parse_head(encode_head(head)) == head


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("format", 2, Unsupported),
        ("type", "config", CorruptData),
        ("number", 0, CorruptData),
        ("number", 10**10, CorruptData),
        ("entities", [], CorruptData),
        ("entities", ["a", "a"], CorruptData),
        ("entities", [1], CorruptData),
        ("since", {"number": 12, "checksum": "00" * 32}, CorruptData),
        ("since", {"number": 3, "checksum": "00"}, CorruptData),
        ("since", {"number": 3, "checksum": "00" * 32, "more": 1}, CorruptData),
        ("checksum", "00", CorruptData),
        ("created_at", "yesterday", CorruptData),
        ("more", 1, CorruptData),
    ],
)
def test_what_a_bundle_may_not_say_of_itself(field: str, value: Json, error: type[CasError]) -> None:
    body = parse_json(open_envelope(encode_head(HEAD)))
    assert isinstance(body, dict)
    body[field] = value
    with pytest.raises(error):
        parse_head(seal_envelope(encode_json(body)))


def test_tar_reads_what_is_written() -> None:
    with tarfile.open(fileobj=io.BytesIO(archive(GOOD))) as tar:
        found = [(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]  # all are files
    assert found == GOOD
