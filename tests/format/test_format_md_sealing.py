"""What FORMAT.md says of sealed stores is what the product does: sizes, limits, words, fields, contexts."""

import json
import random
import re
from collections.abc import Callable

import pytest
from blake3 import blake3

from cas import limits
from cas.errors import CorruptData, InvalidInput
from cas.format import age_file
from cas.format.names import notes_key
from cas.format.sealing import (
    DATA_KEY_BYTES,
    LEAST_MEMORY_KIB,
    MASTER_KEY_BYTES,
    METHOD,
    SALT_BYTES,
    WRAPPED_BYTES,
    SlotHead,
    SlotKind,
)
from cas.sealing.blocks import (
    NONCE_BYTES,
    OVERHEAD_BYTES,
    PLAIN_BLOCK_BYTES,
    TAG_BYTES,
    VERSION,
    Sealer,
    plain_size,
    sealed_size,
)
from cas.sealing.key_secrets import KeyFile
from cas.sealing.recovery import ALPHABET, CODE_BYTES, RecoveryCode
from tests.format.format_text import code, section, table
from tests.vectors.model import all_vectors

SEALED = section("23 Sealed stores")
OBJECTS = section("Sealed objects", SEALED)
CONFIG = section("The config of a sealed store", SEALED)
KEYS = section("Keys", SEALED)
VECTORS = {f"{vector.of}/{vector.name}": vector for vector in all_vectors()}
HEAD = SlotHead(1, SlotKind.FILE, "", "2026-01-31T12:00:00.000000+00:00", bytes(range(SALT_BYTES)))


def words(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def numbers(text: str) -> list[int]:
    return [int(digits.replace(",", "")) for digits in re.findall(r"[0-9][0-9,]*", text)]


def plain(text: str) -> str:
    """Without line breaks."""
    return " ".join(text.split())


def test_the_fields_of_a_block() -> None:
    rows = table("offset", "size", "type", "field of a block", text=OBJECTS)
    assert [(offset, size) for offset, size, _, _ in rows] == [
        ("0", "1"),
        ("1", "1"),
        ("2", "2"),
        ("4", str(NONCE_BYTES)),
        (str(OVERHEAD_BYTES - TAG_BYTES), f"0 to {PLAIN_BLOCK_BYTES}"),
        (str(-TAG_BYTES), str(TAG_BYTES)),
    ]
    assert rows[0][3] == f"version: {VERSION}"
    assert f"{limits.SEALED_BLOCK_BYTES // limits.KIB} KiB (`SEALED_BLOCK_BYTES`)" in plain(OBJECTS)
    assert limits.SEALED_BLOCK_BYTES == PLAIN_BLOCK_BYTES + OVERHEAD_BYTES


def test_the_size_of_a_sealed_object() -> None:
    stated = re.search(r"max\((\d+), ⌈n / (\d+)⌉\) blocks, and (\d+) bytes more", plain(OBJECTS))
    assert stated
    least, room, more = map(int, stated.groups())
    for size in (0, 1, room - 1, room, room + 1, 2 * room, 5 * room + 7):
        expected = size + more * max(least, -(-size // room))
        assert sealed_size(size) == expected
        assert len(Sealer(bytes(16), [bytes(32)]).seal("a", bytes(size))) == expected
        assert plain_size(expected) == size


def test_the_example_of_a_block_is_what_the_text_says() -> None:
    example = VECTORS["sealed/example"]
    repository, key = example.given["repository"], bytes(range(0x20, 0x40))
    assert f"`{example.given['key']}`" in OBJECTS
    assert example.given["key"] == notes_key(1)
    assert f"`{repository}`" in OBJECTS
    assert f"`{key[:3].hex()}...{key[-1:].hex()}`" in OBJECTS
    assert example.given["data-keys"] == [key.hex()]
    assert example.value == json.dumps(b"chair".hex())
    assert "`chair`" in OBJECTS


def test_the_fields_of_the_config_and_its_method() -> None:
    body = json.loads(VECTORS["sealed-config/example"].data.split(b"\n")[0])
    (listed,) = re.findall(r"with these fields only: (.*?)\. The config", plain(CONFIG))
    assert words(listed) - {"config"} == body.keys()
    assert f"the text `{METHOD}`" in listed
    assert body["sealing"] == METHOD


def test_the_fields_of_keys_and_slots() -> None:
    keys = json.loads(VECTORS["keys/example"].data.split(b"\n")[0])
    cells = [row[0] for row in table("field", "value", text=KEYS)]
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    of_keys = named[: len(keys)]
    assert sorted(of_keys) == sorted(keys)
    for slot in keys["slots"]:
        assert sorted(named[len(keys) :]) == sorted(slot)


def test_the_kinds_of_slots() -> None:
    value = next(row[1] for row in table("field", "value", text=KEYS) if row[0] == "`kind`")
    assert words(value) == {*SlotKind}
    assert {*re.findall(r"^- `(\w+)`:", KEYS, re.MULTILINE)} == {*SlotKind}


def test_sizes_and_limits_of_keys() -> None:
    values = {code(row[0]): row[1] for row in table("field", "value", text=KEYS) if row[0].count("`") == 2}
    assert numbers(values["number"]) == [1]
    assert numbers(values["slots"]) == [1, limits.MAX_KEY_SLOTS]
    assert numbers(values["label"]) == [limits.MAX_LABEL_CHARACTERS]
    assert numbers(values["salt"]) == [SALT_BYTES]
    assert numbers(values["kept"]) == [1, limits.MAX_COMMAND_KEY_BYTES]
    assert numbers(values["sealed"]) == [NONCE_BYTES, TAG_BYTES, 256]
    assert numbers(values["wrapped"]) == [NONCE_BYTES, MASTER_KEY_BYTES, TAG_BYTES, 256]
    assert sum(numbers(values["wrapped"])[:3]) == WRAPPED_BYTES
    assert f"a list of 1 to {limits.MAX_DATA_KEYS:,} keys of {DATA_KEY_BYTES} bytes" in plain(KEYS)
    assert f"**master key**, {MASTER_KEY_BYTES} random bytes" in plain(KEYS)
    costs = (
        f"at least {LEAST_MEMORY_KIB} KiB for a lane; more than {limits.MAX_KEY_MEMORY_KIB // limits.MIB} GiB"
        f" (`MAX_KEY_MEMORY_KIB`), {limits.MAX_KEY_PASSES} passes or {limits.MAX_KEY_LANES} lanes"
        f" are above the limit, and so are slots whose KiB times passes are more than"
        f" {limits.MAX_KEY_WORK_KIB:,} in sum"
    )
    assert costs in plain(KEYS)


def test_the_parts_of_an_age_file() -> None:
    version, stanzas, code_, payload = table("bytes", "what", text=KEYS)
    assert version[0].startswith(f"`{age_file._VERSION.decode().strip()}` and a line feed")
    assert numbers(stanzas[0]) == [1, limits.MAX_AGE_STANZAS]
    assert code_[0] == "`--- `, 43 letters of base64, a line feed"
    assert numbers(payload[0]) == [age_file.PAYLOAD_BYTES] == [sum(numbers(payload[1]))]
    for words, is_read in (
        (b"a", True),
        (b"!~ ~!", True),
        (b"", False),
        (b" a", False),
        (b"a  b", False),
        (b"\x7f", False),
    ):
        for letters, ends in ((63, True), (64, False), (65, False)):
            file = age_file._VERSION + b"-> " + words + b"\n" + b"A" * letters + b"\n--- " + b"A" * 43 + b"\n"
            if is_read and ends:
                age_file.check_age_file(file + bytes(64))
                continue
            with pytest.raises(CorruptData):
                age_file.check_age_file(file + bytes(64))


def test_key_files_have_the_size_that_is_stated() -> None:
    assert "32 bytes to 1 MiB" in plain(KEYS)
    for size in (32, limits.MIB):
        KeyFile(bytes(size))
    for size in (31, limits.MIB + 1):
        with pytest.raises(InvalidInput):
            KeyFile(bytes(size))


@pytest.mark.parametrize(
    ("what", "material", "key"),
    [
        ("content", bytes(40), lambda: KeyFile(bytes(40)).slot_key(HEAD)),
        ("code", bytes(20), lambda: RecoveryCode(bytes(20)).slot_key(HEAD)),
    ],
    ids=["file", "recovery"],
)
def test_keys_of_slots_are_made_as_the_text_says(
    what: str, material: bytes, key: Callable[[], bytes]
) -> None:
    (context,) = re.findall(rf'keyed with `derive_key\("([^"]*)", {what}\)`', plain(KEYS))
    keyed = blake3(material, derive_key_context=context).digest()
    assert key() == blake3(HEAD.salt, key=keyed).digest()


def test_recovery_codes_are_printed_as_the_text_says() -> None:
    text = plain(KEYS)
    assert f"`{ALPHABET}`" in text
    assert f"The code is {CODE_BYTES} bytes. It is printed as 36 digits" in text
    code_bytes = random.Random(5).randbytes(CODE_BYTES)
    printed = RecoveryCode(code_bytes).text()
    assert len(printed.replace("-", "")) == 36
    (misread,) = re.findall(r"I and L are read as (\w), O as (\w), U as (\w)\.?;", text)
    for letter, digit in zip("ILOU", (misread[0], *misread), strict=True):
        assert RecoveryCode.read(printed.replace(digit, letter).lower()).material == code_bytes


def test_the_text_names_every_context_and_no_other() -> None:
    assert set(re.findall(r"cas 1 [a-z ]+", SEALED)) == {
        "cas 1 block",
        "cas 1 sealed object",
        "cas 1 key file",
        "cas 1 recovery code",
    }
