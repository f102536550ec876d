r"""Reads a repository from FORMAT.md alone: the proof of the document, and the tool for the worst day.

    python reference_reader.py REPOSITORY                    lists the versions
    python reference_reader.py REPOSITORY VERSION OUTDIR     restores one: a COPY file for each
        entity, schema.sql, and restore.sql that puts all together (cd OUTDIR; psql -f restore.sql); and files
        beside the rows in a directory for each tree of them

REPOSITORY is a directory: a local store, or a copy of a bucket. One file, to be carried anywhere; nothing
of the product is imported, only blake3, zstandard and xxhash. Every byte is proven before it is written.
A sealed store is read by reference_sealing.py, which opens what this file then reads.
restore.sql runs the SQL of the repository, through psql: trust it as far as those who can write there.
"""

import json
import os
import re
import struct
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import xxhash
import zstandard
from blake3 import blake3

MIB = 1 << 20
KINDS = ("record", "node", "dictionary", "definition", "piece", "large", "entities")
RECORD, NODE, DICTIONARY, DEFINITION, PIECE, LARGE, ENTITIES = range(1, 8)
RAW, ZSTD, WITH_DICTIONARY, DELTA = range(4)
Object: TypeAlias = dict[str, Any]  # what JSON or a table holds: of known form once it was checked


class Refused(Exception):
    """kind: malformed, hash-mismatch, truncated, missing, unsupported, limit; or locked: a wrong secret."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind = kind


def require(condition: bool, what: str, kind: str = "malformed") -> None:
    if not condition:
        raise Refused(kind, what)


def ascend(values: Iterable[Any]) -> bool:
    return all(a < b for a, b in pairwise(values))


# --- Canonical JSON --------------------------------------------------------------------------------

TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([01][0-9]|2[0-3])(:[0-5][0-9]){2}\.[0-9]{6}\+00:00")


def form_of(text: str, **more: Any) -> Object:
    """Fields with the form of each, as `name:form`."""
    return {**dict(pair.split(":") for pair in text.split()), **more}


REFERENCE = form_of("id:hex32 large:flag")
CONFIG = form_of(
    "created_at:time format:natural generation:natural id_key:hex32 node_bits:natural repository_id:hex16"
    " sealing:null type:text"
)
SOURCE = form_of(
    "database:text encoding:text locale:text server_version:text system_identifier:text url:text",
    extensions=[("text", "text")],
    roles=["text"],
)
DOCUMENT = form_of(
    "added_bytes:natural checksum:hex32 created_at:time created_by:text description:text finished_at:time"
    " format:natural kind:=full|schema-only|data-only|selected metadata:texts name:text number:natural"
    " original_bytes:natural parent:?natural previous:?hex32 protected:flag reason:text records:natural"
    " repository_id:hex16 state:=complete|incomplete trigger:=AUTO|MANUAL|SYSTEM type:text",
    entities=REFERENCE,
    excluded=["text"],
    included=["text"],
    included_schemas=["text"],
    omissions=[("text", "text")],
    packs=[("hex32", "natural", "natural", "flag")],
    read=[("text", "text", "text", "natural", "natural")],
    schema=(None, REFERENCE),
    source=SOURCE,
    tags=["text"],
)
NOTES = form_of(
    "at:time by:text format:natural number:natural repository_id:hex16 type:text", notes=["object"]
)
NOTE_VALUES = {"protected": "flag", "hold": "text", "expires_at": "?time", "forgotten": "text"}
JOURNAL = form_of("format:natural number:natural repository_id:hex16 token:text type:text", packs=["hex32"])
ENTITY_ROWS = [
    form_of("definition:hex32 dictionary:?hex32 payload_bytes:natural records:natural root:?hex32")
]
COLUMN = form_of("collation:?text default:?text name:text not_null:flag type:text")
COLUMN["identity"] = "?=always|by default"
DEFINITION_FORM = form_of(
    "fingerprint:text kind:=table|partitioned|sequences|large_objects|files|file_content name:text"
    " schema:text",
    columns=[COLUMN],
    key=[("text", "=integer|uuid|text")],
)
STATEMENTS = [("=pre-data|post-data", "text", "text", "text", "text")]


def fits(value: Any, form: Any) -> bool:
    """Whether a JSON value has this form; a word that is not known is of a newer release."""
    if isinstance(form, dict):
        require(isinstance(value, dict) and value.keys() == form.keys(), "fields")
        return all(fits(value[name], one) for name, one in form.items())
    if isinstance(form, list):
        return isinstance(value, list) and all(fits(one, form[0]) for one in value)
    if isinstance(form, tuple):
        if form[0] is None:
            return value is None or fits(value, form[1])
        return isinstance(value, list) and len(value) == len(form) and all(map(fits, value, form))
    if form[0] == "?":
        return value is None or fits(value, form[1:])
    if form[0] == "=":
        require(
            not isinstance(value, str) or value in form[1:].split("|"), f"the word {value}", "unsupported"
        )
        return isinstance(value, str)
    match form:
        case "null":
            return value is None
        case "flag":
            return isinstance(value, bool)
        case "natural":
            return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63
        case "texts":
            return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
        case "object":
            return isinstance(value, dict)
        case "time":
            return isinstance(value, str) and is_time(value)
        case "hex" | "hex16" | "hex32" | "hex60":
            times = f"{{{form[3:]}}}" if form[3:] else "*"
            return isinstance(value, str) and bool(re.fullmatch(f"([0-9a-f]{{2}}){times}", value))
        case _:
            return isinstance(value, str)


def is_time(text: str) -> bool:
    match = TIME.fullmatch(text)
    year, month, day = map(int, match.groups()[:3]) if match else (0, 0, 0)
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = (31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return year >= 1 and 1 <= month <= 12 and 1 <= day <= days[month - 1]


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def parse_json(data: bytes) -> Any:
    require(len(data) <= 128 * MIB, "JSON", "limit")

    def integer(text: str) -> int:
        require(len(text) <= 19 and fits(int(text), "natural"), "number")
        return int(text)

    def refuse(text: str) -> None:
        raise Refused("malformed", text[:20])

    try:
        value = json.loads(data.decode("ascii"), parse_int=integer, parse_float=refuse, parse_constant=refuse)
        require(canonical(value) == data, "not canonical")
        require_texts(value)
    except (ValueError, RecursionError) as error:
        raise Refused("malformed", str(error)[:80]) from None
    return value


def require_texts(value: Any) -> None:
    """No lone surrogate but those that stand for a byte, and no U+0000."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            require(0 not in one.encode("utf-8", "surrogateescape"), "U+0000")
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one


def in_envelope(value: Any) -> bytes:
    body = canonical(value)
    return body + b"\n" + blake3(body).hexdigest().encode() + b"\n"


def open_envelope(data: bytes, kind: str, sealing: str | None = None) -> Object:
    require(len(data) <= 32 * MIB, "document", "limit")
    require(len(data) >= 66 and data[-66:-65] == b"\n" == data[-1:], "no hash line", "truncated")
    require(blake3(data[:-66]).hexdigest().encode() == data[-65:-1], "document", "hash-mismatch")
    value = parse_json(data[:-66])
    require(
        isinstance(value, dict) and value.get("type") == kind and fits(value.get("format"), "natural"), kind
    )
    require(value["format"] == 1 and value.get("sealing") == sealing, "format or sealing", "unsupported")
    assert isinstance(value, dict)
    return value


def parse_config(data: bytes) -> Object:
    value = open_envelope(data, "config")
    require(fits(value, CONFIG) and value["generation"] >= 1 and 1 <= value["node_bits"] <= 7, "config")
    return value


def parse_document(data: bytes) -> Object:
    value = open_envelope(data, "version")
    require(fits(value, DOCUMENT), "document")
    number, parent, packs = value["number"], value["parent"], value["packs"]
    require(1 <= number <= 9_999_999_999 and (parent is None or 1 <= parent < number), "number or parent")
    require(parent is not None or value["previous"] is None, "previous")
    require(ascend(row[0] for row in packs) and all(row[2] >= 1 for row in packs), "packs")
    require(all(row[1] <= 64 * MIB and row[2] <= MIB for row in packs), "pack", "limit")
    return value


def parse_notes(data: bytes) -> Object:
    value = open_envelope(data, "notes")
    require(fits(value, NOTES) and 1 <= value["number"] <= 9_999_999_999 and value["notes"], "notes")
    require(len(value["notes"]) <= 10_000, "notes", "limit")
    for note in value["notes"]:
        if "setting" in note:
            require(fits(note, {"setting": "text", "values": (None, ["text"])}), "setting")
            require(1 <= len(note["setting"]) <= 400, "name")
            require(all(len(value) <= 10_000 for value in note["values"] or ()), "value", "limit")
            continue
        word = note.get("field")
        require(isinstance(word, str), "note")
        require(word in NOTE_VALUES, f"the word {word}", "unsupported")
        require(fits(note, form_of("field:text version:natural", value=NOTE_VALUES[word])), "note")
        require(1 <= note["version"] <= 9_999_999_999, "version")
        require(word != "forgotten" or note["value"], "reason")
        require(not isinstance(note["value"], str) or len(note["value"]) <= 10_000, "value", "limit")
    return value


def parse_journal(data: bytes) -> Object:
    value = open_envelope(data, "gc")
    require(fits(value, JOURNAL) and 1 <= value["number"] <= 9_999_999_999, "journal")
    require(ascend(value["packs"]), "packs")
    return value


def parse_entities(data: bytes) -> list[Object]:
    rows: list[Object] = parse_json(data)
    require(not isinstance(rows, list) or len(rows) <= 100_000, "entities", "limit")
    require(fits(rows, ENTITY_ROWS), "entities")
    require(all(row["root"] or row["records"] == row["payload_bytes"] == 0 for row in rows), "no root")
    require(len({row["definition"] for row in rows}) == len(rows), "entity twice")
    return rows


def parse_definition(data: bytes) -> Object:
    value: Object = parse_json(data)
    require(fits(value, DEFINITION_FORM), "definition")
    for names in ([column["name"] for column in value["columns"]], [name for name, _ in value["key"]]):
        require(len(set(names)) == len(names), "column twice")
    return value


def parse_schema(data: bytes) -> list[list[str]]:
    rows: list[list[str]] = parse_json(data)
    require(fits(rows, STATEMENTS), "schema")
    return rows


# --- Binary structures -----------------------------------------------------------------------------


class Cursor:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, length: int) -> bytes:
        require(self.at + length <= len(self.data), f"{length} bytes wanted", "truncated")
        self.at += length
        return self.data[self.at - length : self.at]

    def unpack(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def varint(self) -> int:
        value = 0
        for index in range(10):
            (byte,) = self.take(1)
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                require((byte > 0 or index == 0) and value < 1 << 64, "varint")
                return value
        raise Refused("malformed", "varint")

    def rows(self, count: int, width: int) -> list[bytes]:
        data = self.take(count * width)
        return [data[at : at + width] for at in range(0, len(data), width)]

    def end(self) -> None:
        require(self.at == len(self.data), "bytes behind the end")


def parse_node(data: bytes) -> Object:
    cursor = Cursor(data)
    version, level, flags, reserved = cursor.unpack("<BBBB")
    require(version == 1 and flags < 4, "node version or flags", "unsupported")
    require(level <= 64 and len(data) <= 16 * MIB, "node", "limit")
    require(reserved == 0, "reserved byte")
    size = cursor.varint()
    require(size <= 256, "entries", "limit")
    width = cursor.varint()
    lengths = [width] * size if width else [cursor.varint() for _ in range(size)]
    require(max(lengths, default=0) <= MIB, "key", "limit")
    require(size > 0 if width else len(set(lengths)) != 1 or lengths[0] == 0, "width of keys")
    keys = [cursor.take(length) for length in lengths]
    ids = cursor.rows(size, 32)
    counts = [cursor.varint() for _ in range(size)] if flags & 1 else []
    number = cursor.varint() if flags & 2 else 0
    require(number <= size and (number > 0 or not flags & 2), "number of large entries")
    large = [cursor.varint() for _ in range(number)]
    cursor.end()
    require(ascend(keys) and ascend(large) and max(large, default=-1) < size, "order of keys or positions")
    require(len(counts) > 0 if flags & 1 else True, "counts of nothing")
    require(0 not in counts and (level == 0 or (len(counts) > 0 and not large)), "counts, or an upper node")
    require(sum(counts) < 1 << 63, "records", "limit")
    return {"level": level, "keys": keys, "ids": ids, "counts": counts, "large": large}


def parse_large(data: bytes) -> Object:
    cursor = Cursor(data)
    count, length = cursor.unpack("<IQ")
    require(count <= 65_536, "pieces", "limit")
    require(length > MIB and count == -(-length // MIB), "pieces do not fit the length")
    pieces = cursor.rows(count, 32)
    cursor.end()
    return {"length": length, "pieces": pieces}


def parse_header(data: bytes) -> Object:
    magic, version, sealing, flags, zeros, salt = Cursor(data).unpack("<8sHBB4s32s")
    require(magic == b"CASPACK\n", "magic")
    require((version, sealing, flags) == (1, 0, 0), "pack", "unsupported")
    require(zeros == bytes(4), "reserved bytes")
    return {"salt": salt}


def unzstd(stored: bytes, length: int, window: int, dictionary: bytes | None = None, form: int = 0) -> bytes:
    """One zstd frame that declares `length` and at most `window`, and decodes to `length` bytes."""
    try:
        declared = zstandard.get_frame_parameters(stored)
        require(declared.content_size == length and declared.window_size <= window, "zstd frame")
        given = None if dictionary is None else zstandard.ZstdCompressionDict(dictionary, dict_type=form)
        decompressor = zstandard.ZstdDecompressor(dict_data=given)
        plain = decompressor.decompress(stored, max_output_size=length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Refused("malformed", f"zstd: {error}") from None
    require(len(plain) == length, "zstd frame")
    return plain


def parse_end(tail: bytes, size: int | None = None) -> Object:
    """The trailer, from the last bytes of a pack; `size` is the whole pack's where it is known."""
    require(len(tail) >= 64 and tail[-8:] == b"CASPEND\n", "no footer", "truncated")
    stored_length, length, *versions, zeros, digest, more = struct.unpack("<IIHBB4s32s8s", tail[-64:-8])
    require(versions == [1, 0, 0], "pack", "unsupported")
    require(zeros + more == bytes(12), "reserved bytes")
    require(length <= 40 * MIB and stored_length <= 64 * MIB, "trailer", "limit")
    require(stored_length + 64 <= len(tail), "trailer", "truncated")
    stored = tail[len(tail) - 64 - stored_length : -64]
    require(blake3(stored + tail[-64:-48]).digest() == digest, "trailer", "hash-mismatch")
    trailer = parse_tables(unzstd(stored, length, 40 * MIB))
    filled = 48 + sum(frame["stored_length"] for frame in trailer["frames"]) + stored_length + 64
    require(filled <= 64 * MIB, "pack", "limit")
    require(size in (None, filled), "the parts do not fill the pack")
    return trailer


def parse_tables(plain: bytes) -> Object:
    cursor = Cursor(plain)
    frame_count, chunk_count, base_count, reference_count = cursor.unpack("<IIII")
    require(chunk_count <= MIB, "chunks", "limit")
    require(1 <= frame_count <= chunk_count, "frames")
    require(reference_count <= 64 * frame_count, "bases", "limit")
    rows = cursor.rows(frame_count, 16)
    references = cursor.unpack(f"<{reference_count}I")
    bases = cursor.rows(base_count, 32)
    short_ids = cursor.rows(chunk_count, 16)
    lengths = cursor.unpack(f"<{chunk_count}I")
    cursor.end()
    require(list(dict.fromkeys(references)) == list(range(base_count)), "order of bases")
    require(len(set(bases)) == base_count, "base twice")
    frames, base_at, chunk_at = [], 0, 0
    for row in rows:
        frame = parse_row(row, [bases[number] for number in references[base_at : base_at + row[3]]])
        own = lengths[chunk_at : chunk_at + frame["chunks"]]
        require(len(own) == frame["chunks"] and sum(own) == frame["plain_length"], "lengths")
        require(frame["kind"] not in (RECORD, PIECE) or max(own) <= MIB, "chunk", "limit")
        frames.append(frame)
        base_at, chunk_at = base_at + row[3], chunk_at + len(own)
    require(base_at == reference_count and chunk_at == chunk_count, "tables do not fit each other")
    return {"frames": frames, "short_ids": short_ids, "lengths": lengths}


def parse_row(row: bytes, bases: Sequence[bytes]) -> Object:
    kind, encoding, depth, base_count, chunks, stored, plain = struct.unpack("<BBBBIII", row)
    require(1 <= kind <= 7 and encoding <= 3, "kind or encoding", "unsupported")
    require(chunks <= 4096 and max(stored, plain) <= 16 * MIB, "frame", "limit")
    require(depth <= 32 and base_count <= 64, "delta", "limit")
    require(chunks >= 1 and len(bases) == base_count == len(set(bases)), "frame")
    require(stored == plain if encoding == RAW else plain > 0, "lengths of a frame")
    require(kind != DICTIONARY or encoding in (RAW, ZSTD), "a dictionary with a base")
    needed = base_count >= 1 and depth >= 1
    others = base_count == (encoding == WITH_DICTIONARY) and depth == 0
    require(needed if encoding == DELTA else others, "bases or depth")
    names = ("kind", "encoding", "depth", "chunks", "stored_length", "plain_length", "bases")
    return dict(zip(names, (kind, encoding, depth, chunks, stored, plain, bases), strict=True))


def decode_frame(frame: Object, stored: bytes, bases: Sequence[bytes]) -> bytes:
    """The plain bytes of a frame. `bases`: the plain bytes of its bases."""
    require(len(stored) == frame["stored_length"], "frame", "truncated")
    if frame["encoding"] == RAW:
        return stored
    require(sum(map(len, bases)) <= 16 * MIB, "bases", "limit")
    form = zstandard.DICT_TYPE_RAWCONTENT if frame["encoding"] == DELTA else zstandard.DICT_TYPE_FULLDICT
    return unzstd(stored, frame["plain_length"], 16 * MIB, b"".join(bases) if bases else None, form)


def chunk_keys(id_key: bytes) -> dict[int, bytes]:
    """The BLAKE3 key of each kind of chunk."""
    return {n: blake3(id_key, derive_key_context=f"cas 1 chunk {k}").digest() for n, k in enumerate(KINDS, 1)}


# --- A repository ----------------------------------------------------------------------------------


class Objects:
    """What lies in a directory, by keys."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def keys(self, pattern: str) -> list[str]:
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.glob(pattern))

    def size(self, key: str) -> int:
        return (self.root / key).stat().st_size

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        with (self.root / key).open("rb") as file:
            file.seek(start)
            return file.read(length)


class Repository:
    def __init__(self, place: Path | Objects) -> None:
        self.objects = place if isinstance(place, Objects) else Objects(place)
        self.config = parse_config(self.objects.read("config"))
        id_key = bytes.fromhex(self.config["id_key"])
        self.keys = chunk_keys(id_key)
        boundary = blake3(id_key, derive_key_context="cas 1 tree boundary").digest()
        self.seed, self.mask = int.from_bytes(boundary[:8], "little"), (1 << self.config["node_bits"]) - 1
        self.packs: list[tuple[str, list[tuple[Object, int]]]] = []
        self.places: dict[bytes, list[tuple[int, int, int, int]]] = {}
        self.damage: list[str] = []
        for key in self.objects.keys("packs/??/" + "?" * 64):
            self.learn(key, self.objects.read(key))
        self.plain_frame = lru_cache(maxsize=256)(self.read_frame)

    def learn(self, key: str, data: bytes) -> None:
        """Where each chunk of a pack lies. Of a damaged pack, what ids still prove is used."""
        name = key[-64:]
        if blake3(data).hexdigest() != name:
            self.damage.append(f"{name}: hash-mismatch: pack and its name")
        try:
            parse_header(data)
            trailer = parse_end(data, len(data))
        except Refused as refused:
            self.damage.append(f"{name}: {refused}: passed over")
            return
        frames: list[tuple[Object, int]] = []
        chunks, offset = zip(trailer["short_ids"], trailer["lengths"], strict=True), 48
        for index, frame in enumerate(trailer["frames"]):
            frames.append((frame, offset))
            offset, start = offset + frame["stored_length"], 0
            for _ in range(frame["chunks"]):
                short, length = next(chunks)
                self.places.setdefault(short, []).append((len(self.packs), index, start, length))
                start += length
        self.packs.append((key, frames))

    def read_frame(self, pack: int, index: int) -> bytes:
        key, frames = self.packs[pack]
        frame, offset = frames[index]
        is_coded = frame["encoding"] == WITH_DICTIONARY
        kind, depth = (DICTIONARY, 1) if is_coded else (frame["kind"], frame["depth"])
        bases = [self.chunk(kind, base, depth) for base in frame["bases"]]
        return decode_frame(frame, self.objects.read(key, offset, frame["stored_length"]), bases)

    def chunk(self, kind: int, chunk_id: bytes, depth: int = 33) -> bytes:
        """The bytes from the first copy that the id proves, in a frame of lesser depth than `depth`."""
        fault = Refused("missing", f"{KINDS[kind - 1]} chunk {chunk_id.hex()}")
        for pack, index, start, length in self.places.get(chunk_id[:16], ()):
            frame = self.packs[pack][1][index][0]
            if frame["kind"] != kind or frame["depth"] >= depth:
                continue
            try:
                plain = self.plain_frame(pack, index)[start : start + length]
                require(self.proves(kind, plain, chunk_id), f"chunk {chunk_id.hex()}", "hash-mismatch")
                return plain
            except Refused as refused:
                fault = refused
        for second_copy in self.objects.keys(f"dictionaries/{chunk_id.hex()}") if kind == DICTIONARY else ():
            plain = self.objects.read(second_copy)
            if self.proves(kind, plain, chunk_id):
                return plain
        raise fault

    def proves(self, kind: int, plain: bytes, chunk_id: bytes) -> bool:
        return blake3(plain, key=self.keys[kind]).digest() == chunk_id

    def value(self, kind: int, chunk_id: bytes, is_large: bool) -> bytes:
        if not is_large:
            return self.chunk(kind, chunk_id)
        large = parse_large(self.chunk(LARGE, chunk_id))
        value = b"".join(self.chunk(PIECE, piece) for piece in large["pieces"])
        require(len(value) == large["length"], "length of a large value")
        return value

    def referred(self, kind: int, reference: Object) -> bytes:
        return self.value(kind, bytes.fromhex(reference["id"]), reference["large"])

    def versions(self) -> Iterator[tuple[int, Object | Refused]]:
        """Each number with its document, or with what is wrong with it; ascending."""
        for key in self.objects.keys("versions/" + "[0-9]" * 10):
            number = int(key[-10:])
            try:
                yield number, self.document(number)
            except Refused as refused:
                yield number, refused

    def document(self, number: int) -> Object:
        key = f"versions/{number:010d}"
        require(self.objects.keys(key) == [key], f"version {number}", "missing")
        document = parse_document(self.objects.read(key))
        require(document["repository_id"] == self.config["repository_id"], "another repository's document")
        require(document["number"] == number, "another version's document")
        return document

    def entities(self, document: Object) -> list[tuple[Object, Object]]:
        """Definition and row of each entity, proven by the version's checksum."""
        found, sums = [], b""
        for row in parse_entities(self.referred(ENTITIES, document["entities"])):
            definition = parse_definition(self.chunk(DEFINITION, bytes.fromhex(row["definition"])))
            covered = {name: definition[name] for name in ("key", "kind", "name", "schema")}
            covered["columns"] = [[column["name"], column["type"]] for column in definition["columns"]]
            covered |= {"records": row["records"], "root": row["root"]}
            sums += blake3(canonical(covered)).digest()
            found.append((definition, row))
        require(ascend((one["kind"], one["schema"], one["name"]) for one, _ in found), "order of entities")
        require(blake3(sums).hexdigest() == document["checksum"], "checksum of the version", "hash-mismatch")
        require(sum(row["records"] for _, row in found) == document["records"], "records of the version")
        return found

    def records(self, definition: Object, row: Object) -> Iterator[bytes]:
        """Payloads in the order of keys, as often as they are there. The tree is proven on the way."""
        return (payload for _, payload in self.keyed_records(definition, row))

    def keyed_records(self, definition: Object, row: Object) -> Iterator[tuple[bytes, bytes]]:
        is_bag, total = not definition["key"], 0
        for key, chunk_id, count, is_large in self.walk(bytes.fromhex(row["root"])):
            require(key == chunk_id and count > 0 if is_bag else count == 0, "bag")
            payload = self.value(RECORD, chunk_id, is_large)
            for _ in range(count or 1):
                total += 1
                yield key, payload
        require(total == row["records"], "number of records")

    def walk(
        self, node_id: bytes, level: int | None = None, is_last: bool = True, after: bytes | None = None
    ) -> Generator[tuple[bytes, bytes, int, bool], None, tuple[bytes, int]]:
        """The entries of the leaves from left to right, count 0 for none; returns last key and records."""
        node = parse_node(self.chunk(NODE, node_id))
        keys, counts = node["keys"], node["counts"] or [0] * len(node["keys"])
        require(level is None or (node["level"] == level and len(keys) > 0), "level")
        require(level is not None or node["level"] == 0 or len(keys) >= 2, "a root of one entry")
        require(after is None or after < keys[0], "keys of siblings")
        self.require_cut(node["level"], keys, is_last)
        for at, (key, chunk_id, count) in enumerate(zip(keys, node["ids"], counts, strict=True)):
            if node["level"] == 0:
                yield key, chunk_id, count, at in node["large"]
                continue
            left = keys[at - 1] if at else after
            below = yield from self.walk(chunk_id, node["level"] - 1, is_last and at == len(keys) - 1, left)
            require(below == (key, count), "upper entry")
        return (keys[-1] if keys else b""), sum(node["counts"]) or len(keys)

    def require_cut(self, level: int, keys: Sequence[bytes], is_last: bool) -> None:
        """The node ends where the rule ends one, and nowhere before; the last of a level ends anywhere."""
        size, seed = 0, (self.seed + level) % (1 << 64)
        for number, key in enumerate(keys, 1):
            size += len(key) + 32
            is_candidate = xxhash.xxh3_64_intdigest(key, seed) & self.mask == 0
            is_end = number >= 2 and (is_candidate or number >= 256 or size >= 65_536)
            is_fit = is_end or is_last if number == len(keys) else not is_end
            require(is_fit, "a node that ends elsewhere")


# --- The command -----------------------------------------------------------------------------------

LARGE_OBJECTS = (
    'SELECT lo_create(oid) FROM "large_objects" WHERE page = -1;\n'
    'SELECT lo_put(oid, page * 262144, data) FROM "large_objects" WHERE page >= 0;\n'
    'BEGIN; SELECT lo_truncate64(lo_open(oid, 131072), size) FROM "large_objects" WHERE page = -1; COMMIT;'
)
ESCAPES = {b"\\": b"\\", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
SEQUENCES = 'SELECT setval(name::regclass, last_value, is_called) FROM "sequences";'


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def restore_content(repository: Repository, definition: Object, row: Object, directory: Path) -> None:
    """The files that have content, as their pieces make them. Refuses paths that lead elsewhere."""
    for key, piece in repository.keyed_records(definition, row):
        path, offset = key[:-9], int.from_bytes(key[-8:], "big") - (1 << 63)
        require(not {b"", b".", b".."} & set(path.split(b"/")), "a path that leads elsewhere")
        place = directory / os.fsdecode(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        require(offset == (place.stat().st_size if place.exists() else 0), "a gap between pieces")
        with place.open("ab") as file:
            file.write(piece)


def prove_files(payloads: Iterable[bytes], directory: Path) -> None:
    """Each file has the content that its record names; those without content are made."""
    for payload in payloads:
        fields = [*payload.split(b"\t"), b"\\N"][:7]
        if fields[1] == b"file":
            place = directory / os.fsdecode(re.sub(rb"\\(.)", lambda one: ESCAPES[one[1]], fields[0]))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
            require(
                blake3(place.read_bytes()).hexdigest().encode() == fields[6],
                f"content of {place}",
                "hash-mismatch",
            )


def restore(repository: Repository, number: int, directory: Path) -> Iterator[str]:
    """Write all files. Yields a line for each entity."""
    directory.mkdir(parents=True, exist_ok=True)
    document = repository.document(number)
    encoding, steps = document["source"]["encoding"], []
    for definition, row in repository.entities(document):
        if row["root"] is None:
            continue
        tree = directory / quote(definition["name"].removesuffix(".content"), safe=" ")
        if definition["kind"] == "file_content":
            restore_content(repository, definition, row, tree)
            yield f"{row['records']:>12} pieces   {tree.name}"
            continue
        columns, label = definition["columns"], [definition["schema"], definition["name"]]
        label = label if label[0] else label[1:]
        parts = [quote(part, safe=" ", errors="surrogateescape").replace(".", "%2E") for part in label]
        name, table = ".".join(parts) + ".copy", ".".join(map(quoted, label))
        with (directory / name).open("wb") as file:
            for payload in repository.records(definition, row):
                lacking = max(len(columns), 1) - 1 - payload.count(b"\t")
                require(lacking >= 0, "more fields than columns")
                file.write(payload + lacking * b"\t\\N" + b"\n")
        if definition["kind"] == "files":
            prove_files(repository.records(definition, row), tree)
            yield f"{row['records']:>12} paths    {name}"
            continue
        names = ", ".join(quoted(column["name"]) for column in columns)
        copy = f"\\copy {table}{f' ({names})' * bool(names)} FROM '{name}' WITH (ENCODING '{encoding}')"
        if definition["schema"]:
            steps.append(copy)
        else:
            types = ", ".join(
                f"{quoted(c['name'])} {c['type'].replace('aclitem[]', 'text')}" for c in columns
            )
            last = SEQUENCES if definition["kind"] == "sequences" else LARGE_OBJECTS
            steps += [f"CREATE TEMP TABLE {table} ({types});", copy, last]
        yield f"{row['records']:>12} records  {name}"
    rows = parse_schema(repository.referred(DEFINITION, document["schema"])) if document["schema"] else []
    client = "SQL_ASCII" if encoding == "SQL_ASCII" else "UTF8"
    head = f"SET client_encoding = '{client}';\nSET check_function_bodies = off;"
    before, after = ([row[4] for row in rows if row[0] == one] for one in ("pre-data", "post-data"))
    for name, texts in (("schema", [*before, *after]), ("restore", [*before, *steps, *after])):
        script = "\n".join(["\\set ON_ERROR_STOP on", head, *texts, ""])
        (directory / f"{name}.sql").write_bytes(script.encode("utf-8", "surrogateescape"))


def lines(repository: Repository, wanted: Sequence[str]) -> Iterator[str]:
    """What the command prints: `wanted` is nothing, or a version and a directory."""
    for damage in repository.damage:
        print(damage, file=sys.stderr)
    if wanted:
        yield from restore(repository, int(wanted[0]), Path(wanted[1]))
        yield f"version {wanted[0]} is whole: every byte was proven"
        return
    for number, found in repository.versions():
        if isinstance(found, Refused):
            yield f"{number:>10}  {found}"
        else:
            facts = (found[name] for name in ("created_at", "state", "kind", "trigger", "records", "reason"))
            yield f"{number:>10}  " + "  ".join(map(str, facts))


def main(arguments: Sequence[str]) -> int:
    if len(arguments) not in (1, 3):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        for line in lines(Repository(Path(arguments[0])), arguments[1:]):
            print(line)
    except (Refused, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
