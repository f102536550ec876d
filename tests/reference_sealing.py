r"""Reads sealed stores from FORMAT.md alone (section 23), in front of reference_reader.py.

    python -m tests.reference_sealing REPOSITORY WAY                    lists the versions
    python -m tests.reference_sealing REPOSITORY WAY VERSION OUTDIR     restores one

WAY is `passphrase` or `recovery` (one line on the standard input), `file:PATH`, `command:WORDS`, or
`age:PATH` of a file with identities `AGE-SECRET-KEY-1...`. Three files in a folder `tests`
(reference_age.py is one), to be carried anywhere: nothing of the product is imported; beyond what
the reader of repositories needs, only cryptography.
"""

import base64
import binascii
import shlex
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tests.reference_age import age_identity, opened_age_file, parse_age_file
from tests.reference_reader import (
    CONFIG,
    MIB,
    Object,
    Objects,
    Refused,
    Repository,
    ascend,
    canonical,
    fits,
    form_of,
    in_envelope,
    lines,
    open_envelope,
    parse_config,
    parse_json,
    require,
)

BLOCK, ROOM = 32_768, 32_736  # bytes of a block: stored, and plain

SEALED_CONFIG = form_of("format:natural repository_id:hex16 sealing:text type:text")
SLOT = form_of(
    "created_at:time kept:hex kind:=passphrase|file|command|recovery|age label:text number:natural salt:hex16"
    " wrapped:hex60",
    costs=(None, ("natural", "natural", "natural")),
)
KEYS = form_of(
    "created_at:time format:natural last_slot:natural number:natural repository_id:hex16 sealed:hex"
    " type:text",
    slots=[SLOT],
)
CONTENTS = form_of("", config=CONFIG, data_keys=["hex32"])


def parse_sealed_config(data: bytes) -> Object:
    value = open_envelope(data, "config", sealing="blocks-1")
    require(fits(value, SEALED_CONFIG), "config")
    return value


def parse_keys(data: bytes) -> Object:
    value = open_envelope(data, "keys")
    slots = value.get("slots")
    require(isinstance(slots, list) and all(isinstance(slot, dict) for slot in slots), "slots")
    assert isinstance(slots, list)
    require(len(slots) <= 64, "slots", "limit")
    for slot in slots:
        require("kind" in slot and fits(slot["kind"], SLOT["kind"]), "kind of a slot")
    require(fits(value, KEYS) and 1 <= value["number"] <= 9_999_999_999, "keys")
    numbers = [slot["number"] for slot in slots]
    require(len(slots) >= 1 and ascend([0, *numbers, value["last_slot"] + 1]), "numbers of slots")
    require(len(value["sealed"]) >= 2 * 28, "no room for nonce and tag")
    for slot in slots:
        require_slot(slot)
    costs = [slot["costs"] for slot in slots if slot["costs"] is not None]
    require(sum(memory * passes for memory, passes, _ in costs) <= 67_108_864, "costs of all", "limit")
    return value


def require_slot(slot: Object) -> None:
    kind, costs, kept = slot["kind"], slot["costs"], slot["kept"]
    require(len(slot["label"]) <= 200, "label", "limit")
    require((costs is not None) == (kind == "passphrase"), "costs")
    if costs is not None:
        memory, passes, lanes = costs
        require(memory <= MIB and passes <= 64 and lanes <= 64, "costs", "limit")
        require(passes >= 1 and lanes >= 1 and memory >= 8 * lanes, "costs")
    require(len(kept) <= 2 * 16_384, "kept", "limit")
    require((kept != "") == (kind in ("command", "age")), "kept")
    if kind == "age":
        parse_age_file(bytes.fromhex(kept))


def parse_contents(plain: bytes) -> Object:
    """What lies sealed in the keys: the config, and the data keys."""
    value: Object = parse_json(plain)
    require(isinstance(value, dict) and "config" in value, "contents of the keys")
    parse_config(in_envelope(value["config"]))
    require(fits(value, CONTENTS), "contents of the keys")
    require(len(value["data_keys"]) <= 1000, "data keys", "limit")
    require(len(value["data_keys"]) >= 1, "no data key")
    return value


# --- Secrets ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Secret:
    """What opens the slots of one kind: `slot_key` makes the key of a slot, or None for one of another."""

    kind: str
    slot_key: Callable[[Object], bytes | None]


def derived(context: str, secret: bytes) -> bytes:
    return blake3(secret, derive_key_context=context).digest()


def keyed_salt(context: str, secret: bytes) -> Callable[[Object], bytes]:
    key = derived(context, secret)
    return lambda slot: blake3(bytes.fromhex(slot["salt"]), key=key).digest()


def by_passphrase(text: str) -> Secret:
    def slot_key(slot: Object) -> bytes:
        memory, passes, lanes = slot["costs"]
        salt = bytes.fromhex(slot["salt"])
        argon = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory)
        return argon.derive(normalize("NFC", text).encode("utf-8", "surrogateescape"))

    return Secret("passphrase", slot_key)


def by_key_file(file: bytes) -> Secret:
    content = file.rstrip(b"\r\n")
    require(32 <= len(content) <= MIB, "a key file has 32 bytes to 1 MiB")
    return Secret("file", keyed_salt("cas 1 key file", content))


def by_recovery_code(text: str) -> Secret:
    letters = "".join(text.upper().split()).translate(str.maketrans("ILOU", "110V", "-"))
    digits = ["0123456789ABCDEFGHJKMNPQRSTVWXYZ".find(letter) for letter in letters]
    require(len(digits) == 36 and -1 not in digits, "a recovery code has 36 digits")
    bits = "".join(f"{digit:05b}" for digit in digits)
    code = int(bits[:160], 2).to_bytes(20, "big")
    check = f"{int.from_bytes(blake3(code).digest()[:3], 'big'):024b}"[:20]
    require(check == bits[160:], "a digit of the recovery code is wrong")
    return Secret("recovery", keyed_salt("cas 1 recovery code", code))


def by_command(unwrap: Callable[[bytes], bytes]) -> Secret:
    """`unwrap` gives back the key for what the command once made of it."""

    def slot_key(slot: Object) -> bytes:
        key = unwrap(bytes.fromhex(slot["kept"]))
        require(len(key) == 32, "the command gave no key")
        return key

    return Secret("command", slot_key)


def by_age_identity(text: str) -> Secret:
    """Any of the identities in the text of a file of age, which are lines; X25519 alone."""
    lines = [line.strip() for line in text.splitlines()]
    identities = [age_identity(line) for line in lines if line and not line.startswith("#")]

    def slot_key(slot: Object) -> bytes | None:
        file = parse_age_file(bytes.fromhex(slot["kept"]))
        keys = (opened_age_file(file, identity) for identity in identities)
        return next((key for key in keys if key is not None), None)

    return Secret("age", slot_key)


def opened(key: bytes, sealed: bytes, associated: bytes) -> bytes | None:
    """The plain bytes of nonce, ciphertext and tag; None where they do not open."""
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], associated)
    except InvalidTag:
        return None


def without(value: Object, name: str) -> bytes:
    return canonical({one: part for one, part in value.items() if one != name})


def unlock(keys: Object, secret: Secret) -> Object:
    """The contents of the keys, by the first slot that the secret opens."""
    for slot in keys["slots"]:
        if slot["kind"] != secret.kind:
            continue
        bound = {"repository_id": keys["repository_id"], "slot": {**slot}}
        del bound["slot"]["wrapped"]
        key = secret.slot_key(slot)
        master = opened(key, bytes.fromhex(slot["wrapped"]), canonical(bound)) if key else None
        if master is None:
            continue
        plain = opened(master, bytes.fromhex(keys["sealed"]), without(keys, "sealed"))
        if plain is None:
            raise Refused("hash-mismatch", "the sealed part of the keys does not open")
        contents = parse_contents(plain)
        require(contents["config"]["repository_id"] == keys["repository_id"], "another repository's config")
        return contents
    raise Refused("locked", f"no slot of the kind {secret.kind} opens with this secret")


# --- Sealed objects --------------------------------------------------------------------------------


class Opener:
    def __init__(self, repository_id: str, data_keys: Sequence[bytes]) -> None:
        self.repository = bytes.fromhex(repository_id)
        self.bases = [derived("cas 1 sealed object", data_key) for data_key in data_keys]

    def block(self, key: str, index: int, block: bytes, is_last: bool) -> bytes:
        """The plain bytes of the block with this number of the object under this key."""
        version, flag, number = struct.unpack("<BBH", block[:4].ljust(4, b"\0"))
        is_known = version == 1 and 1 <= number <= len(self.bases)
        has_size = len(block) > 32 or (len(block) == 32 and index == 0)
        plain = None
        if is_known and has_size and flag == is_last:
            object_key = blake3(key.encode("ascii"), key=self.bases[number - 1]).digest()
            place = struct.pack("<Q", index) + block[:4] + key.encode("ascii")
            plain = opened(object_key, block[4:], b"cas 1 block" + self.repository + place)
        if plain is None:
            raise Refused("hash-mismatch", f"{key}: block {index} does not open")
        return plain

    def whole(self, key: str, sealed: bytes) -> bytes:
        """An object all of whose blocks open."""
        require(len(sealed) <= 65 * MIB, "object", "limit")
        starts = range(0, max(len(sealed), 1), BLOCK)
        return b"".join(
            self.block(key, index, sealed[start : start + BLOCK], index == len(starts) - 1)
            for index, start in enumerate(starts)
        )


class SealedObjects(Objects):
    """What lies in a place, opened. A block that does not open is zeros: what is used of it is proven."""

    def __init__(self, place: Path | Objects, secret: Secret) -> None:
        self.place = place if isinstance(place, Objects) else Objects(place)
        repository_id = parse_sealed_config(self.place.read("config"))["repository_id"]
        contents = unlock(self.newest_keys(repository_id), secret)
        self.config = in_envelope(contents["config"])
        self.opener = Opener(repository_id, [bytes.fromhex(key) for key in contents["data_keys"]])

    def newest_keys(self, repository_id: str) -> Object:
        for key in reversed(self.keys("keys/" + "[0-9]" * 10)):
            keys = parse_keys(self.place.read(key))
            require(int(key[-10:]) == keys["number"], "keys of another number")
            if keys["repository_id"] == repository_id:
                return keys
        raise Refused("missing", "keys of this repository")

    def keys(self, pattern: str) -> list[str]:
        return self.place.keys(pattern)

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        if key == "config":
            return self.config
        stored = self.place.size(key)
        require(stored <= 65 * MIB, key, "limit")
        count = max(1, -(-stored // BLOCK))
        end = count * ROOM if length is None else start + length
        first, behind = start // ROOM, min(count, -(-end // ROOM))
        plain = b"".join(self.blocks(key, range(first, behind), count))
        return plain[start - first * ROOM : end - first * ROOM]

    def blocks(self, key: str, wanted: range, count: int) -> Iterator[bytes]:
        sealed = self.place.read(key, wanted.start * BLOCK, len(wanted) * BLOCK)
        for at, index in enumerate(wanted):
            block = sealed[at * BLOCK : (at + 1) * BLOCK]
            try:
                yield self.opener.block(key, index, block, index == count - 1)
            except Refused:
                yield bytes(max(0, len(block) - 32))


# --- The command -----------------------------------------------------------------------------------


def asked(words: Sequence[str], kept: bytes) -> bytes:
    """What the command answers."""
    line = base64.b64encode(kept) + b"\n"
    answer = subprocess.run([*words, "unwrap"], input=line, stdout=subprocess.PIPE, check=True)
    return base64.b64decode(answer.stdout.removesuffix(b"\n"), validate=True)


def secret_of(way: str) -> Secret:
    kind, _, rest = way.partition(":")
    match kind:
        case "passphrase":
            return by_passphrase(sys.stdin.readline().removesuffix("\n"))
        case "recovery":
            return by_recovery_code(sys.stdin.readline().strip())
        case "file":
            return by_key_file(Path(rest).read_bytes())
        case "age":
            return by_age_identity(Path(rest).read_text())
        case "command":
            words = shlex.split(rest)
            return by_command(lambda kept: asked(words, kept))
        case _:
            raise ValueError(f"{kind} is no way to open a store")


def main(arguments: Sequence[str]) -> int:
    if len(arguments) not in (2, 4):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        repository = Repository(SealedObjects(Path(arguments[0]), secret_of(arguments[1])))
        for line in lines(repository, arguments[2:]):
            print(line)
    except (Refused, OSError, ValueError, binascii.Error, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
