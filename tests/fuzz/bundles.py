"""Bundles: the tar as a store, the whole of one on its way in, and blocks of sealed objects."""

import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

from cas.errors import CasError, Conflict, CorruptData, InvalidInput, PermissionDenied, Unsupported
from cas.format.bundle import BLOCK_BYTES, encode_head, parse_head
from cas.format.document import encode_document, parse_document
from cas.format.names import PACKS, pack_key, version_key
from cas.ids import pack_name
from cas.sealing.blocks import Sealer, newest_key, plain_size, sealed_size
from cas.store.bundle import BundleStore
from tests.bundles.scenes import archive, everything, exported, members, taken_in, world_of
from tests.engine.scenes import World, changed, records_of, shop
from tests.fuzz.changing import changed_envelope
from tests.fuzz.chunks import changed_end
from tests.fuzz.model import Blind, Refusals, Target

SMALL = shop(products=12, suppliers=3, notes=5)
OF_BUNDLES: Refusals = (CorruptData, Unsupported, Conflict, PermissionDenied, InvalidInput)
_KEY = bytes(range(32))
_NAME = "packs/5f/" + "5f" * 32
_SEALER = Sealer(bytes(16), [_KEY, _KEY[::-1]], Random(3).randbytes)

Members = list[tuple[str, bytes]]


@cache
def good() -> bytes:
    return exported(world_of(SMALL, changed(SMALL, 1, numbers=(3,))), 2)


def _tar(data: bytes) -> bytes:
    """What is read has one encoding: its objects, archived again in their order, are the same bytes."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory, "x.casb")
        place.write_bytes(data)
        store = BundleStore(place)
        try:
            offsets = {info.key: data.index(info.key.encode() + b"\0") for info in store.objects()}
            return archive([(key, store.get(key)) for key in sorted(offsets, key=lambda key: offsets[key])])
        finally:
            store.close()


def _whole(data: bytes) -> None:
    """An import into a repository of the same id key, and one of another: refused, and then nothing has
    changed, or there is a version that can be read."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory, "x.casb")
        place.write_bytes(data)
        for seed in (7, 8):
            world = World(seed=seed)
            before = everything(world)
            try:
                found = taken_in(world, place)
            except CasError:
                assert everything(world) == before
                raise
            assert found.version is not None
            repository = world.open()
            assert sum(map(len, records_of(repository, found.version.number).values())) <= found.records
            repository.close()


def _changed_tar(data: bytes, random: Random, blind: Blind) -> bytes:
    """A header with a checksum that fits, a member moved, doubled or left out, or blindly."""
    try:
        found = members(data)
    except (ValueError, IndexError, UnicodeDecodeError):
        return blind(data)
    if not found or random.random() < 0.3:
        return blind(data)
    at = random.randrange(len(found))
    match random.randrange(4):
        case 0:
            return _archived([*found[:at], *found[at + 1 :]])
        case 1:
            found.insert(random.randint(0, len(found)), found[at])
        case 2:
            found[at] = (random.choice([name for name, _ in found] + ["keys/0000000001"]), found[at][1])
        case _:
            return _with_header(data, found, at, blind)
    return _archived(found)


def _archived(found: Members) -> bytes:
    """Names of members may be any."""
    return archive([(name, data) for name, data in found if name and name.isascii() and len(name) <= 100])


def _with_header(data: bytes, found: Members, at: int, blind: Blind) -> bytes:
    begin = sum(BLOCK_BYTES - -len(one) // BLOCK_BYTES * -BLOCK_BYTES for _, one in found[:at])
    block = bytearray(blind(data[begin : begin + BLOCK_BYTES])[:BLOCK_BYTES].ljust(BLOCK_BYTES, b"\0"))
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return data[:begin] + bytes(block) + data[begin + BLOCK_BYTES :]


def _changed_whole(data: bytes, random: Random, blind: Blind) -> bytes:
    """Another content of a member, with hashes, names and sizes that fit as far as that goes."""
    try:
        found = members(data)
    except (ValueError, IndexError, UnicodeDecodeError):
        return _changed_tar(data, random, blind)
    if not found or random.random() < 0.1:
        return _changed_tar(data, random, blind)
    at = random.randrange(len(found))
    name, content = found[at]
    if name.startswith(PACKS):
        return _archived(_repacked(found, at, _changed_pack(content, random, blind)))
    found[at] = (name, changed_envelope(content, random, blind))
    if random.random() < 0.5:
        _agree(found)
    return _archived(found)


def _agree(found: Members) -> None:
    """Let the bundle say of itself what its document says."""
    with suppress(CorruptData, Unsupported, ValueError):
        document = parse_document(found[-1][1])
        head = replace(
            parse_head(found[0][1]),
            repository_id=document.repository_id,
            number=document.number,
            created_at=document.created_at,
            checksum=document.checksum,
            reason=document.reason,
            name=document.name,
            database=document.source.database,
            records=document.records,
        )
        found[0] = (found[0][0], encode_head(head))
        found[-1] = (version_key(document.number), found[-1][1])


def _changed_pack(pack: bytes, random: Random, blind: Blind) -> bytes:
    if random.random() < 0.3:
        return blind(pack)
    if random.random() < 0.6:
        footer = int.from_bytes(pack[-64:-60], "little")
        begin = max(48, len(pack) - 64 - footer)
        return pack[:begin] + changed_end(pack[begin:], random, blind)
    at = random.randrange(48, max(49, len(pack) - 64))
    return pack[:at] + bytes((random.randrange(256),)) + pack[at + 1 :]


def _repacked(found: Members, at: int, pack: bytes) -> Members:
    """With a name of its own bytes, and named so in the document where that can be read."""
    old, new = found[at][0].rsplit("/", 1)[-1], pack_name(pack)
    found = [*found[:at], (pack_key(new), pack), *found[at + 1 :]]
    name, data = found[-1]
    with suppress(CorruptData, Unsupported):
        document = parse_document(data)
        others = [ref for ref in document.packs if ref.name != old]
        named = [replace(ref, name=new, stored_bytes=len(pack)) for ref in document.packs if ref.name == old]
        packs = tuple(sorted([*others, *named], key=lambda ref: ref.name))
        found[-1] = (name, encode_document(replace(document, packs=packs)))
    return found


def _sealed(data: bytes) -> None:
    """No bytes open but those that were sealed; what does not open is as many zeros."""
    opened = _SEALER.open_blocks(_NAME, 0, data, is_end=True)
    assert len(opened.join()) == plain_size(len(data))
    assert opened.lost or data in _sealed_objects()
    assert 0 <= newest_key(data) < 1 << 16
    assert plain_size(sealed_size(len(data))) == len(data)


@cache
def _sealed_objects() -> tuple[bytes, ...]:
    return tuple(_SEALER.seal(_NAME, Random(4).randbytes(size)) for size in (0, 1, 400, 32_737))


def _changed_blocks(data: bytes, random: Random, blind: Blind) -> bytes:
    """Blocks exchanged, or changed and sealed again with a key of somebody else."""
    match random.randrange(3):
        case 0:
            return blind(data)
        case 1:
            return (
                random.choice(_sealed_objects())[: random.randint(0, 800)]
                + data[random.randint(0, len(data)) :]
            )
        case _:
            other = Sealer(bytes(16), [bytes(32)], random.randbytes)
            return other.seal(random.choice((_NAME, "config")), blind(data[:400]))


TARGETS = (
    Target("tar", _tar, lambda: [good(), archive(members(good())[:2])], (CorruptData,), _changed_tar, 65536),
    Target("bundle", _whole, lambda: [good()], OF_BUNDLES, _changed_whole, 65536),
    Target("sealed", _sealed, lambda: list(_sealed_objects()), (), _changed_blocks, 40_000),
)
