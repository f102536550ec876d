"""Bundles: one version's objects in one file, which `tar` unpacks to a directory that is a repository.

    header   512 bytes   ustar: name and size, everything else is always the same
    content              of one object, filled up with zeros to 512
    ...
    end      1024 zeros  and nothing behind

The order of members is fixed: what it is, the config, keys where it is sealed, packs, the document. Each name
and size has exactly one header, so a bundle has exactly one encoding. Nothing here reads or writes a file.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cas.format.canonical import Fields, Json, encode_json, open_envelope, parse_json, seal_envelope
from cas.format.config import FORMAT, REPOSITORY_ID_BYTES
from cas.format.malformed import malformed, newer, over_limit, truncated
from cas.format.names import CONFIG, KEYS, VERSIONS, number_of_key, pack_of_key
from cas.format.times import check_time
from cas.limits import MAX_BUNDLE_MEMBERS, MAX_ENTITIES, MAX_MEMBER_BYTES, MAX_VERSION_NUMBER

BLOCK_BYTES = 512
END_BYTES = 2 * BLOCK_BYTES
HEAD = "bundle"
"""The first member: what the bundle is. No object of a repository has this key."""

MAX_NAME_CHARACTERS = 100
_MODE = 0o644
_CHECKSUM_BYTES = 32

_TAR = struct.Struct("<100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12s")
_BLANK = b" " * 8
_ZEROS = bytes(BLOCK_BYTES)
_GZIP = b"\x1f\x8b"
_OTHERS = {_GZIP: "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz", b"BZh": "bzip2"}
_SIZE_OFFSET, _SIZE_DIGITS = 124, 11


@dataclass(frozen=True, slots=True)
class Member:
    """An object in a bundle: its key and its bytes."""

    name: str
    size: int

    @property
    def filled(self) -> int:
        """Bytes of the content with the zeros behind it."""
        return -(-self.size // BLOCK_BYTES) * BLOCK_BYTES


def encode_header(member: Member) -> bytes:
    """The one header of this name and size."""
    name = member.name.encode("ascii")
    if not name or len(name) > MAX_NAME_CHARACTERS or not 0 <= member.size <= MAX_MEMBER_BYTES:
        raise ValueError(f"no member of a bundle: {member}")
    digits = _octal(member.size, _SIZE_DIGITS)
    checksum = sum(_packed(name, digits, _BLANK))
    return _packed(name, digits, b"%06o\0 " % checksum)


def _packed(name: bytes, digits: bytes, checksum: bytes) -> bytes:
    zero, mode = _octal(0, 7), _octal(_MODE, 7)
    time = _octal(0, _SIZE_DIGITS)
    end = (b"", b"ustar\0", b"00", b"", b"", b"", b"", b"", b"")
    return _TAR.pack(name, mode, zero, zero, digits, time, checksum, b"0", *end)


def _octal(number: int, digits: int) -> bytes:
    return b"%0*o\0" % (digits, number)


def parse_header(block: bytes, where: str = "") -> Member:
    """The member whose header this is. Limits are looked at before the rest, so that nothing that is declared
    costs anything."""
    if len(block) < BLOCK_BYTES:
        raise truncated("a bundle ends within a header", where)
    name = block[:MAX_NAME_CHARACTERS].rstrip(b"\0")
    digits = block[_SIZE_OFFSET : _SIZE_OFFSET + _SIZE_DIGITS]
    if not _is_key(name) or not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise malformed(f"not a member of a bundle: {name.decode('ascii', 'backslashreplace')[:60]!r}", where)
    size = int(digits, 8)
    if size > MAX_MEMBER_BYTES:
        raise over_limit(f"a member of {size} bytes", where)
    member = Member(name.decode("ascii"), size)
    if encode_header(member) != block:
        raise malformed(f"the header of {member.name} is not in canonical form", where)
    return member


def _is_key(name: bytes) -> bool:
    """Whether it is the key of an object that a bundle holds; so no name leads anywhere else."""
    try:
        text = name.decode("ascii")
    except UnicodeDecodeError:
        return False
    return _rank(text) is not None


def _rank(name: str) -> int | None:
    """Where a member stands in the order; None for what no bundle holds."""
    if name in (HEAD, CONFIG):
        return _HEAD if name == HEAD else _CONFIG
    if number_of_key(KEYS, name) is not None:
        return _KEYS
    if pack_of_key(name) is not None:
        return _PACKS
    return _LAST if number_of_key(VERSIONS, name) is not None else None


class MemberOrder:
    """Takes the members of a bundle as they come: each once, in their order, none too many."""

    def __init__(self, where: str = "") -> None:
        self._where = where
        self._names: set[str] = set()
        self._rank = -1

    def take(self, member: Member) -> None:
        rank = _rank(member.name)
        assert rank is not None, "its header was parsed"
        if member.name in self._names:
            raise malformed(f"{member.name} is in the bundle twice", self._where)
        follows = rank == self._rank + 1 if self._rank < _CONFIG else rank > self._rank
        if not follows and not rank == self._rank == _PACKS:
            raise malformed(f"{member.name} is not where it belongs in a bundle", self._where)
        if len(self._names) >= MAX_BUNDLE_MEMBERS:
            raise over_limit(f"a bundle of more than {MAX_BUNDLE_MEMBERS} members", self._where)
        self._rank = rank
        self._names.add(member.name)

    def finish(self) -> None:
        if self._rank != _LAST:
            raise truncated("a bundle without the document of its version", self._where)


_HEAD, _CONFIG, _KEYS, _PACKS, _LAST = range(5)
"""The order of members."""


def is_end(block: bytes) -> bool:
    """Whether the end of the members begins with this block."""
    return block == _ZEROS


def check_end(rest: bytes, where: str = "") -> None:
    """`rest`: all that follows the last member, or its first bytes."""
    if len(rest) < END_BYTES:
        raise truncated("a bundle without its end", where)
    if rest[:END_BYTES] != bytes(END_BYTES):
        raise malformed("a bundle does not end with zeros", where)
    if len(rest) > END_BYTES:
        raise malformed("something follows the end of the bundle", where)


def check_filling(filling: bytes, name: str, where: str = "") -> None:
    """The bytes between a content and the next header."""
    if filling.strip(b"\0"):
        raise malformed(f"{name} is not filled up with zeros", where)


def check_beginning(beginning: bytes, where: str = "") -> None:
    """`beginning`: some bytes of a file. What people confuse with a bundle is named."""
    for magic, name in _OTHERS.items():
        if beginning.startswith(magic):
            raise malformed(f"not a bundle, but something compressed by {name}: unpack it first", where)
    if not beginning.startswith(HEAD.encode("ascii") + b"\0"):
        raise malformed("not a bundle", where)


@dataclass(frozen=True, slots=True)
class Since:
    """An earlier version whose chunks are left out."""

    number: int
    checksum: bytes


@dataclass(frozen=True, slots=True)
class BundleHead:
    """What a bundle says of itself. `entities`: labels, ascending as in the version; None for all that the
    version holds. `records`, `checksum`: of what is in it."""

    repository_id: str
    number: int
    created_at: str
    checksum: bytes
    reason: str
    name: str
    database: str
    entities: tuple[str, ...] | None
    since: Since | None
    records: int


def encode_head(head: BundleHead) -> bytes:
    """The one encoding. Raises what `parse_head` would raise for it."""
    since = head.since
    body: dict[str, Json] = {
        "checksum": head.checksum.hex(),
        "created_at": head.created_at,
        "database": head.database,
        "entities": head.entities,
        "format": FORMAT,
        "name": head.name,
        "number": head.number,
        "reason": head.reason,
        "records": head.records,
        "repository_id": head.repository_id,
        "since": {"checksum": since.checksum.hex(), "number": since.number} if since else None,
        "type": HEAD,
    }
    data = seal_envelope(encode_json(body))
    parse_head(data)
    return data


def parse_head(data: bytes, where: str = HEAD) -> BundleHead:
    fields = Fields(parse_json(open_envelope(data, where), where), where)
    if fields.text("type") != HEAD:
        raise malformed("not what a bundle says of itself", where)
    version = fields.integer("format")
    if version != FORMAT:
        raise newer(f"bundle format {version}", where)
    head = BundleHead(
        repository_id=fields.binary("repository_id", REPOSITORY_ID_BYTES).hex(),
        number=fields.integer("number"),
        created_at=check_time(fields.text("created_at"), where),
        checksum=fields.binary("checksum", _CHECKSUM_BYTES),
        reason=fields.text("reason"),
        name=fields.text("name"),
        database=fields.text("database"),
        entities=_labels(fields.optional_sequence("entities"), where),
        since=_since(fields.optional_object("since")),
        records=fields.integer("records"),
    )
    fields.finish()
    if not 1 <= head.number <= MAX_VERSION_NUMBER:
        raise malformed(f"version number {head.number}", where)
    if head.since is not None and not 1 <= head.since.number < head.number:
        raise malformed(f"version {head.number} since version {head.since.number}", where)
    return head


def _labels(rows: Sequence[Json] | None, where: str) -> tuple[str, ...] | None:
    if rows is None:
        return None
    labels = tuple(row for row in rows if isinstance(row, str))
    if len(labels) != len(rows) or len(set(labels)) != len(labels) or not labels:
        raise malformed("labels of entities", where)
    if len(labels) > MAX_ENTITIES:
        raise over_limit(f"{len(labels)} entities", where)
    return labels


def _since(fields: Fields | None) -> Since | None:
    if fields is None:
        return None
    since = Since(fields.integer("number"), fields.binary("checksum", _CHECKSUM_BYTES))
    fields.finish()
    return since
