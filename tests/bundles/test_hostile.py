"""Bundles that are damaged, cut off, made with malice, or none: refused with one clear line before anything
is registered or put."""

import gzip
import os
import random
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from cas.bundles.exporting import ExportRequest
from cas.errors import CasError, Conflict, CorruptData, PermissionDenied, Unsupported
from cas.format.bundle import END_BYTES, parse_head
from cas.format.canonical import Json, encode_json, open_envelope, parse_json, seal_envelope
from cas.format.document import encode_document, parse_document
from cas.format.frame import Encoding
from cas.format.frame_table import FrameTable
from cas.format.names import PACKS, pack_key
from cas.format.pack import FOOTER_BYTES, HEADER_BYTES, encode_end, parse_end
from cas.ids import pack_name
from cas.limits import MAX_MEMBER_BYTES
from cas.sealing.key_ring import Labelled
from tests.bundles.scenes import archive, everything, exported, kept, members, taken_in, three, world_of
from tests.engine.scenes import World, changed, shop
from tests.sealing.scenes import KEY_FILE, Given

SMALL = shop(products=40, suppliers=4, notes=9)


@pytest.fixture(scope="module")
def good() -> bytes:
    return exported(world_of(SMALL, changed(SMALL, 1, numbers=(3,))), 2)


@pytest.fixture(scope="module")
def target() -> World:
    """A copy of the repository, which every test leaves as it was."""
    return world_of(SMALL)


def refused(target: World, path: Path, given: Given | None = None) -> CasError:
    """The one clear line, and that nothing was changed."""
    before = everything(target)
    with pytest.raises(CasError) as caught:
        taken_in(target, path, given)
    assert everything(target) == before
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, CorruptData | Unsupported | Conflict | PermissionDenied)
    return caught.value


def cuts(good: bytes) -> list[int]:
    draw = random.Random(5)
    return sorted({*range(0, len(good), 512), *draw.sample(range(len(good)), 60), len(good) - 1})


def test_cut_off_anywhere(good: bytes, target: World, tmp_path: Path) -> None:
    for length in cuts(good):
        error = refused(target, kept(tmp_path, good[:length]))
        assert isinstance(error, CorruptData)
        assert error.kind == "truncated" or length < 7, (length, error)


def test_a_flipped_bit_anywhere(good: bytes, target: World, tmp_path: Path) -> None:
    draw = random.Random(6)
    for at in range(3, len(good), 61):
        flipped = bytearray(good)
        flipped[at] ^= 1 << draw.randrange(8)
        refused(target, kept(tmp_path, bytes(flipped)))


def test_a_flipped_bit_of_a_sealed_one(target: World, tmp_path: Path) -> None:
    data = exported(three(), 3, ExportRequest(slots=(Labelled(KEY_FILE, ""),)))
    for at in range(5, len(data), 997):
        flipped = bytearray(data)
        flipped[at] ^= 16
        refused(target, kept(tmp_path, bytes(flipped)), Given(KEY_FILE))
    assert isinstance(refused(target, kept(tmp_path, data)), PermissionDenied)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: gzip.compress(data), "compressed by gzip"),
        (lambda data: zstandard.compress(data), "compressed by zstd"),
        (lambda data: b"", "not a bundle"),
        (lambda data: b"PK\3\4" + data, "not a bundle"),
        (lambda data: data + b"\0", "something follows"),
        (lambda data: data + data, "something follows"),
        (lambda data: data[:-END_BYTES] + bytes(20 * 512), "something follows"),
        (lambda data: data[512:], "not a bundle"),
    ],
)
def test_what_is_no_bundle(
    change: Callable[[bytes], bytes], said: str, good: bytes, target: World, tmp_path: Path
) -> None:
    assert said in str(refused(target, kept(tmp_path, change(good))))


def altered(good: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The bundle with another content of one member."""
    return archive([(one, change(data) if one.startswith(name) else data) for one, data in members(good)])


def fields(**values: Json) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        body = parse_json(open_envelope(data))
        assert isinstance(body, dict)
        return seal_envelope(encode_json({**body, **values}))

    return change


@pytest.mark.parametrize(
    ("name", "values", "error", "said"),
    [
        ("bundle", {"format": 2}, Unsupported, "bundle format 2"),
        ("bundle", {"number": 3}, CorruptData, "not in the bundle"),
        ("bundle", {"records": 1}, CorruptData, "something else of itself"),
        ("bundle", {"checksum": "11" * 32}, CorruptData, "something else of itself"),
        ("bundle", {"reason": "another"}, CorruptData, "something else of itself"),
        ("bundle", {"entities": ["public.other"]}, CorruptData, "other entities"),
        ("bundle", {"repository_id": "11" * 16}, CorruptData, "something else of itself"),
        ("config", {"format": 2}, Unsupported, "repository format 2"),
        ("config", {"repository_id": "11" * 16}, Conflict, "another repository"),
        ("config", {"node_bits": 3}, Conflict, "of another one"),
        ("config", {"id_key": "11" * 32}, CorruptData, ""),
        ("versions/", {"format": 2}, Unsupported, "document format 2"),
        ("versions/", {"repository_id": "11" * 16}, Conflict, "another repository"),
        ("versions/", {"number": 3}, CorruptData, "under the name of"),
        ("versions/", {"checksum": "11" * 32}, CorruptData, ""),
        ("versions/", {"records": 7}, CorruptData, ""),
        ("versions/", {"packs": []}, CorruptData, ""),
        ("versions/", {"read": []}, CorruptData, ""),
    ],
)
def test_documents_that_say_something_else(
    name: str,
    values: dict[str, Json],
    error: type[CasError],
    said: str,
    good: bytes,
    target: World,
    tmp_path: Path,
) -> None:
    found = refused(target, kept(tmp_path, altered(good, name, fields(**values))))
    assert isinstance(found, error), found
    assert said in str(found)


def test_counts_and_checksums_that_fit_each_other_and_not_the_records(
    good: bytes, target: World, tmp_path: Path
) -> None:
    document = parse_document(dict(members(good))["versions/0000000002"])
    wrong = encode_document(replace(document, records=document.records + 1))
    head = fields(records=document.records + 1)
    data = altered(altered(good, "versions/", lambda _: wrong), "bundle", head)
    assert parse_head(dict(members(data))["bundle"]).records == document.records + 1
    assert "do not add up" in str(refused(target, kept(tmp_path, data)))


def test_a_pack_less_more_or_exchanged(good: bytes, target: World, tmp_path: Path) -> None:
    found = members(good)
    packs = [at for at, (name, _) in enumerate(found) if name.startswith(PACKS)]
    assert len(packs) == 2
    less = [*found[: packs[0]], *found[packs[0] + 1 :]]
    assert isinstance(refused(target, kept(tmp_path, archive(less))), CorruptData)
    other = members(exported(three(seed=9), 3))
    strange = next(one for one in other if one[0].startswith(PACKS))
    more = [*found[: packs[0]], strange, *found[packs[0] :]]
    assert isinstance(refused(target, kept(tmp_path, archive(more))), CorruptData)
    swapped = list(found)
    swapped[packs[0]], swapped[packs[1]] = (
        (found[packs[0]][0], found[packs[1]][1]),
        (found[packs[1]][0], found[packs[0]][1]),
    )
    assert isinstance(refused(target, kept(tmp_path, archive(swapped))), CorruptData)


def repacked(good: bytes, change: Callable[[bytearray], bytes]) -> bytes:
    """The bundle with another first pack, whose name and document fit it."""
    found = members(good)
    at = next(at for at, (name, _) in enumerate(found) if name.startswith(PACKS))
    pack = change(bytearray(found[at][1]))
    old, new = found[at][0].rsplit("/")[-1], pack_name(pack)
    document = parse_document(found[-1][1])
    refs = [
        replace(ref, name=new, stored_bytes=len(pack)) if ref.name == old else ref for ref in document.packs
    ]
    named = replace(document, packs=tuple(sorted(refs, key=lambda ref: ref.name)))
    found[at] = (pack_key(new), pack)
    found[-1] = (found[-1][0], encode_document(named))
    return archive(found)


def bomb_in_trailer(pack: bytearray) -> bytes:
    """A trailer that says to be 4 GiB."""
    at = len(pack) - FOOTER_BYTES
    pack[at + 4 : at + 8] = struct.pack("<I", 0xFFFFFFFF)
    return bytes(pack)


def bomb_in_frame(pack: bytearray) -> bytes:
    """A frame that unpacks to a gibibyte."""
    bomb = zstandard.ZstdCompressor(level=3).compress(bytes(2**26))
    pack[48 : 48 + min(len(bomb), 200)] = bomb[: min(len(bomb), 200)]
    return bytes(pack)


def another_salt(pack: bytearray) -> bytes:
    pack[16] ^= 1
    return bytes(pack)


def test_a_pack_made_anew_is_still_proven(good: bytes, target: World, tmp_path: Path) -> None:
    for change in (bomb_in_trailer, bomb_in_frame):
        assert isinstance(refused(target, kept(tmp_path, repacked(good, change))), CorruptData)
    again = World(seed=7)
    assert taken_in(again, kept(tmp_path, repacked(good, another_salt))).version is not None


def longer_frames(pack: bytearray) -> bytes:
    """Something follows in every frame that is compressed."""
    trailer = parse_end(bytes(pack))
    stored, rows = pack[:HEADER_BYTES], []
    at = HEADER_BYTES
    for frame in trailer.frames:
        more = b"" if frame.encoding is Encoding.RAW else b"more"
        stored += pack[at : at + frame.stored_length] + more
        rows.append(replace(frame, stored_length=frame.stored_length + len(more)))
        at += frame.stored_length
    return bytes(stored + encode_end(FrameTable.of(rows), trailer.short_ids, trailer.lengths))


@pytest.mark.usefixtures("whole_packs")
def test_what_follows_in_a_frame_is_refused_however_many_frames_are_decoded_together(
    target: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads one of them alone refuses it, too."""
    monkeypatch.setattr("cas.engine.packer.FRAME_TARGET_BYTES", 600)
    good = exported(world_of(SMALL, changed(SMALL, 1, numbers=(3,))), 2)
    data = repacked(good, longer_frames)
    assert data != good
    assert isinstance(refused(target, kept(tmp_path, data)), CorruptData)


def test_sizes_that_are_declared_cost_nothing(good: bytes, target: World, tmp_path: Path) -> None:
    """A sparse file of a terabyte, a member of 65 MiB that is not there."""
    path = kept(tmp_path, good)
    started = time.monotonic()
    os.truncate(path, 2**40)
    assert "something follows" in str(refused(target, path))
    large = bytearray(good)
    head = b"%011o" % MAX_MEMBER_BYTES
    large[124:135] = head
    large[148:156] = b" " * 8
    large[148:156] = b"%06o\0 " % sum(large[:512])
    error = refused(target, kept(tmp_path, bytes(large)))
    assert "ends within bundle" in str(error)
    path = kept(tmp_path, bytes(large))
    os.truncate(path, 2**30)
    refused(target, path)
    assert time.monotonic() - started < 60


def test_more_files_than_one_are_read_as_one(good: bytes, target: World, tmp_path: Path) -> None:
    """After all this, the good one still comes in."""
    assert taken_in(world_of(SMALL), kept(tmp_path, good)).version is not None
    link = tmp_path / "link.casb"
    link.symlink_to(tmp_path / "shop.casb")
    assert taken_in(world_of(SMALL), link).version is not None
