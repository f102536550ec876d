"""What somebody may have put into a version: payloads, keys, sequences, large objects, paths and links."""

from cas.file_links import stays_inside
from cas.files.names import segments
from cas.records.files import FileRecord, FileType, decode_file, encode_file, offset_of, piece_key
from cas.records.keys import decode_key, decode_stored_key, encode_key, key_texts
from cas.records.large_objects import (
    LargeObjectHead,
    LargeObjectPage,
    decode_large_object,
    encode_large_object,
)
from cas.records.model import Column, Entity, EntityKind, KeyPart
from cas.records.payload import escape, fields, pad_with_nulls, strip_trailing_nulls, unescape
from cas.records.sequences import SequenceState, decode_sequence, encode_sequence
from cas.tabular.sql_script import copy_line
from tests.fuzz.changing import by_words
from tests.fuzz.model import OF_VALUES, Target

_WIDTH = 4
KEYED = Entity(
    EntityKind.TABLE,
    "public",
    "t",
    tuple(Column(name, "text", not_null=True) for name in ("a", "b", "c")),
    (("a", KeyPart.INTEGER), ("b", KeyPart.UUID), ("c", KeyPart.TEXT)),
)
_PATH = b"2026/03/photo.jpg"

WORDS = (
    *(b"\t", b"\\N", b"\\", b"\\\\", b"\\.", b"\n", b"\r", b"\0", b"-1", b"-0", b"+1", b" 1", b"1_0"),
    *(b"\xff", b"9223372036854775808", b"9" * 5000, b"\\\\x", b"t", b"f", b"0644", b"0o644", b"file"),
    *(b"directory", b"0001-01-01T00:00:00.000000+23:59", b"9999-12-31T23:59:59.999999-23:59", b"symlink"),
    *(b"special", b"2026-01-31T12:00:00.000000+00:00", b"/", b"..", b".", b"//", b".cas-restoring-"),
    b"n" * 300,
)


def _payload(data: bytes) -> None:
    """A COPY line: its fields come back from their values."""
    values = fields(data, _WIDTH)
    assert len(values) == _WIDTH
    written = b"\t".join(map(escape, values))
    assert fields(written, _WIDTH) == values
    assert fields(strip_trailing_nulls(written), _WIDTH) == values
    assert pad_with_nulls(data, _WIDTH).count(b"\t") == _WIDTH - 1
    assert all(unescape(escape(value)) == value for value in values)


def _padded(data: bytes) -> None:
    assert pad_with_nulls(data, _WIDTH, "public.t").startswith(data)


def _copy_line(data: bytes) -> None:
    """One line of a block, which never ends the block or begins another one."""
    line = copy_line(data, _WIDTH, "public.t")
    assert line.endswith(b"\n")
    assert b"\n" not in line[:-1]
    assert b"\r" not in line
    assert line != b"\\.\n"


def _key(data: bytes) -> bytes:
    return encode_key(KEYED, decode_key(KEYED, data))


def _stored_key(data: bytes) -> bytes:
    return encode_key(KEYED, decode_stored_key(KEYED, data))


def _key_of_record(data: bytes) -> None:
    texts = key_texts(KEYED, data)
    assert texts is not None
    assert len(texts) == len(KEYED.key)


def _sequence(data: bytes) -> bytes:
    return encode_sequence(decode_sequence(data))


def _large_object(data: bytes) -> bytes:
    return encode_large_object(decode_large_object(data))


def _file(data: bytes) -> bytes:
    return encode_file(decode_file(data))


def _piece(data: bytes) -> bytes:
    return piece_key(_PATH, offset_of(_PATH, data))


def _path(data: bytes) -> bytes:
    names = segments(data)
    assert all(name not in (b"", b".", b"..") for name in names)
    return b"/".join(names)


def _links(data: bytes) -> None:
    """Lines `path target`: where one leads can be told, and links that lead nowhere else stay inside."""
    pairs = [line.partition(b" ") for line in data.split(b"\n")]
    links = {path: target for path, _, target in pairs}
    for path, target in links.items():
        is_inside = stays_inside(path, links)
        assert not (is_inside and target.startswith(b"/"))


def _payloads() -> list[bytes]:
    return [b"1\tname\\twith tab\t\\N\tx", b"\\N", b"", b"a\\\\b\tc\\nd", b"\\.\t1\t2\t3"]


def _sequences() -> list[bytes]:
    return [encode_sequence(SequenceState(b'"public"."s"', 42, True)), b"s\t-5\tf"]


def _large_objects() -> list[bytes]:
    page = LargeObjectPage(16400, 0, b"\x00\xff\x10")
    heads = [LargeObjectHead(16400, 5, b"owner", None, b"a comment"), LargeObjectHead(1, 0, b"o")]
    return [encode_large_object(page), *map(encode_large_object, heads)]


def _files() -> list[bytes]:
    time = 1_770_000_000_000_000
    records = [
        FileRecord(_PATH, FileType.FILE, 3, time, 0o644, None, bytes(32), 1, "5 6 7"),
        FileRecord(b"d", FileType.DIRECTORY, None, time, 0o755),
        FileRecord(b"l", FileType.SYMLINK, None, None, 0o777, b"../x"),
        FileRecord(b"p", FileType.SPECIAL, None, time, 0o600),
    ]
    return list(map(encode_file, records))


_change = by_words(WORDS)

TARGETS = (
    Target("payload", _payload, _payloads, OF_VALUES, _change),
    Target("padded", _padded, _payloads, change=_change),
    Target("copy-line", _copy_line, _payloads, change=_change),
    Target("key", _key, lambda: [bytes(24) + b"text\0", b"\x80" + bytes(23) + b"\0"], OF_VALUES, _change),
    Target("stored-key", _stored_key, lambda: [bytes(24) + b"text\0"], change=_change),
    Target("key-of-record", _key_of_record, _payloads, change=_change),
    Target("sequence", _sequence, _sequences, OF_VALUES, _change),
    Target("large-object", _large_object, _large_objects, OF_VALUES, _change),
    Target("file", _file, _files, OF_VALUES, _change),
    Target(
        "piece", _piece, lambda: [piece_key(_PATH, 0), piece_key(_PATH, 1 << 40)], OF_VALUES, _change, 200
    ),
    Target("path", _path, lambda: [_PATH, b"a/../b", b"/", b".cas-restoring-1/x"], change=_change, most=1000),
    Target("links", _links, lambda: [b"a b\nb ../c\nc a", b"d/l ../d\nx /y"], (), _change, 2000),
)
