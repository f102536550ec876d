"""Vectors of the keys of sealed stores, with secrets and salts that are declared, and at low costs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from blake3 import blake3
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tests.vectors.age import IDENTITY, VERSION, age_file, for_recipient, stanza
from tests.vectors.documents import CONFIG
from tests.vectors.model import Json, Vector, parts_of, stated
from tests.vectors.primitives import canonical, envelope
from tests.vectors.sealing import DATA_KEYS, OTHER_REPOSITORY, REPOSITORY, declared_bytes, gcm

TIME = "2026-01-31T12:00:00.000000+00:00"
CHEAP = [32, 1, 4]
MASTER = declared_bytes("master key", 32)
PASSPHRASE = "cafe\u0301 correct horse"
"""Not in the normal form C, in which the first word has four characters."""
FILE = declared_bytes("key file", 32)
CODE = declared_bytes("recovery code", 20)
COMMAND_KEY = declared_bytes("key of a command", 32)
AGE_KEY = declared_bytes("key of an age slot", 32)
AGE_FILE = age_file(AGE_KEY, [for_recipient()])
DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

CONTENTS: Mapping[str, Json] = {"config": CONFIG, "data_keys": [key.hex() for key in DATA_KEYS]}

Slot = dict[str, Json]


def printed(code: bytes) -> str:
    """A recovery code as it is printed, its hyphens and all."""
    bits = "".join(f"{byte:08b}" for byte in code)
    bits += "".join(f"{byte:08b}" for byte in blake3(code).digest())[:20]
    digits = "".join(DIGITS[int(bits[at : at + 5], 2)] for at in range(0, 180, 5))
    return "-".join(digits[at : at + 4] for at in range(0, 36, 4))


def head(number: int, kind: str, **changes: Json) -> Slot:
    """The readable part of a slot."""
    return {
        "costs": CHEAP if kind == "passphrase" else None,
        "created_at": TIME,
        "kept": {"command": "6b657074", "age": AGE_FILE.hex()}.get(kind, ""),
        "kind": kind,
        "label": f"the {kind}",
        "number": number,
        "salt": declared_bytes(f"salt {number}", 16).hex(),
        **changes,
    }


def slot_key(slot: Slot) -> bytes:
    salt = bytes.fromhex(cast(str, slot["salt"]))
    match slot["kind"]:
        case "passphrase":
            memory, passes, lanes = cast(Sequence[int], slot["costs"])
            argon = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory)
            return argon.derive("caf\u00e9 correct horse".encode())
        case "file":
            return _salted("cas 1 key file", FILE, salt)
        case "recovery":
            return _salted("cas 1 recovery code", CODE, salt)
        case "age":
            return AGE_KEY
        case _:
            return COMMAND_KEY


def _salted(purpose: str, material: bytes, salt: bytes) -> bytes:
    return blake3(salt, key=blake3(material, derive_key_context=purpose).digest()).digest()


def wrapped(slot: Slot) -> Slot:
    """The slot, with the master key in it."""
    bound = canonical({"repository_id": REPOSITORY, "slot": slot})
    nonce = declared_bytes(f"nonce of slot {slot['number']}", 12)
    return {**slot, "wrapped": gcm(slot_key(slot), nonce, MASTER, bound).hex()}


def keys(slots: Sequence[Slot], plain: bytes = canonical(CONTENTS), /, **changes: Json) -> Mapping[str, Json]:
    """The keys with these slots, sealed with the master key as they stand here."""
    readable: dict[str, Json] = {
        "created_at": TIME,
        "format": 1,
        "last_slot": max([cast(int, slot["number"]) for slot in slots], default=0),
        "number": 1,
        "repository_id": REPOSITORY,
        "slots": slots,
        "type": "keys",
        **changes,
    }
    sealed = gcm(MASTER, declared_bytes("nonce of the keys", 12), plain, canonical(readable))
    return {**readable, "sealed": sealed.hex()}


BY_FILE = wrapped(head(3, "file"))
SECRETS: Mapping[str, Json] = {"3": FILE.hex()}


def vectors() -> Iterator[Vector]:
    yield from _opened()
    yield from _contents()
    yield from _slots()
    yield from _age()
    yield from _others()


def _vector(
    name: str, expect: str, about: str, data: bytes, secrets: Mapping[str, Json] | None = None
) -> Vector:
    value = stated(CONTENTS) if secrets and expect == "success" else None
    return Vector("keys", name, expect, about, parts_of(data), value, {"secrets": secrets} if secrets else {})


def _one(name: str, expect: str, about: str, slot: Slot) -> Vector:
    """Keys with one slot, which is not opened."""
    return _vector(name, expect, about, envelope(canonical(keys([slot]))))


def _opened() -> Iterator[Vector]:
    kinds = ("passphrase", "file", "recovery", "command")
    slots = [wrapped(head(number, kind)) for number, kind in enumerate(kinds, 1)]
    secrets: dict[str, Json] = {
        "1": PASSPHRASE,
        "2": FILE.hex(),
        "3": printed(CODE),
        "4": COMMAND_KEY.hex(),
    }
    data = envelope(canonical(keys(slots)))
    yield _vector("example", "success", "a slot of each kind but age", data, secrets)
    slip = printed(CODE).lower().replace("-", "  ").replace("1", "l").replace("0", "o")
    assert {"l", "o"} & {*slip}
    yield _vector("typed", "success", "a recovery code as somebody types it", data, {"3": slip})
    yield _vector(
        "one-slot",
        "success",
        "a slot that is not the first one",
        envelope(canonical(keys([BY_FILE]))),
        SECRETS,
    )
    many = [wrapped(head(number, "file")) for number in range(2, 66)]
    at_most = keys(many, last_slot=9_999, number=9_999_999_999)
    yield _vector(
        "slots-max", "success", "64 slots", envelope(canonical(at_most)), {"2": FILE.hex(), "65": FILE.hex()}
    )
    more = keys([*many, wrapped(head(66, "file"))])
    yield _vector("slots-max-1", "limit", "65 slots", envelope(canonical(more)))
    exchanged = {**keys([BY_FILE]), "created_at": TIME.replace("2026", "2027")}
    yield _vector(
        "changed-beside",
        "hash-mismatch",
        "another time beside what is sealed",
        envelope(canonical(exchanged)),
        SECRETS,
    )


def _contents() -> Iterator[Vector]:
    def one(name: str, expect: str, about: str, plain: bytes) -> Vector:
        return _vector(name, expect, about, envelope(canonical(keys([BY_FILE], plain))), SECRETS)

    def changed(name: str, expect: str, about: str, **changes: Json) -> Vector:
        return one(f"contents-{name}", expect, about, canonical({**CONTENTS, **changes}))

    other = {**CONFIG, "repository_id": OTHER_REPOSITORY}
    text = canonical(CONTENTS)
    yield changed("other-repository", "malformed", "another repository's config", config=other)
    yield changed("config-sealed", "unsupported", "a sealed config", config={**CONFIG, "sealing": "blocks-1"})
    yield changed("config-field", "malformed", "a field too many", config={**CONFIG, "colour": "red"})
    yield changed("no-key", "malformed", "no data key", data_keys=[])
    yield changed("key-31", "malformed", "a data key of 31 bytes", data_keys=["00" * 31])
    yield changed("keys-max-1", "limit", "1,001 data keys", data_keys=["00" * 32] * 1001)
    yield changed("unknown-field", "malformed", "a field that there is not", colour="red")
    yield one("contents-spaced", "malformed", "not canonical", text.replace(b'":', b'": ', 1))
    yield one("contents-envelope", "malformed", "an envelope where there is none", envelope(text))
    yield one("contents-empty", "malformed", "nothing", b"")


def _slots() -> Iterator[Vector]:
    def costs(name: str, expect: str, about: str, costs: Json) -> Vector:
        slot = {**head(1, "passphrase", costs=costs), "wrapped": "00" * 60}
        return _one(f"costs-{name}", expect, about, slot)

    yield costs("least", "success", "as little as Argon2 takes", [8, 1, 1])
    yield costs("most", "success", "as much as a reader bears", [1_048_576, 64, 64])

    def together(name: str, expect: str, about: str, *numbers: Json) -> Vector:
        heads = [head(at, "passphrase", costs=one) for at, one in enumerate(numbers, 1)]
        slots: list[Slot] = [{**one, "wrapped": "00" * 60} for one in heads]
        return _vector(f"costs-{name}", expect, about, envelope(canonical(keys(slots))))

    most: Json = [1_048_576, 32, 64]
    yield together("sum", "success", "two that cost together what a reader bears", most, most)
    yield together("sum-1", "limit", "and a third one, however cheap", most, most, [8, 1, 1])
    yield costs("memory-1", "limit", "a KiB more than 1 GiB", [1_048_577, 1, 1])
    yield costs("passes-1", "limit", "65 passes", [32, 65, 1])
    yield costs("lanes-1", "limit", "65 lanes", [1024, 1, 65])
    yield costs("memory-low", "malformed", "31 KiB for four lanes", [31, 1, 4])
    yield costs("no-pass", "malformed", "no pass", [32, 0, 4])
    yield costs("no-lane", "malformed", "no lane", [32, 1, 0])
    yield costs("two", "malformed", "two numbers where three are", [32, 1])
    yield costs("text", "malformed", "a text where a number is", [32, 1, "4"])
    yield costs("true", "malformed", "true where a number is", [32, True, 4])
    yield costs("null", "malformed", "a passphrase that costs nothing", None)

    def changed(name: str, expect: str, about: str, kind: str, /, **changes: Json) -> Vector:
        return _one(name, expect, about, wrapped(head(1, kind, **changes)))

    yield changed("costs-of-file", "malformed", "costs of a file", "file", costs=CHEAP)
    yield changed(
        "label-200", "success", "a label of 200 characters", "file", label="\u00e9" * 199 + "\U0001f600"
    )
    yield changed("label-201", "limit", "one more", "file", label="x" * 201)
    yield changed("label-empty", "success", "no label", "file", label="")
    yield changed("kept-max", "success", "a command that kept 16 KiB", "command", kept="ab" * 16_384)
    yield changed("kept-max-1", "limit", "a byte more", "command", kept="ab" * 16_385)
    yield changed("kept-empty", "malformed", "a command that kept nothing", "command", kept="")
    yield changed("kept-of-file", "malformed", "a file that kept something", "file", kept="00")
    yield changed("kept-odd", "malformed", "half a byte", "command", kept="abc")
    yield changed("kept-spaced", "malformed", "hex with a space", "command", kept="ab cd")
    yield changed("salt-15", "malformed", "a salt of 15 bytes", "file", salt="00" * 15)
    yield changed(
        "time-z", "malformed", "another form of the time", "file", created_at="2026-01-31T12:00:00Z"
    )
    yield _one("kind-unknown", "unsupported", "a kind that came later", wrapped(head(1, "quorum")))
    later = wrapped(head(1, "quorum", shares=3))
    yield _one("kind-of-other-fields", "unsupported", "a kind that came later, with more in it", later)
    yield _one("kind-missing", "malformed", "no kind", {n: v for n, v in BY_FILE.items() if n != "kind"})
    yield _one("unknown-field", "malformed", "a field too many in a slot", {**BY_FILE, "colour": "red"})
    yield _one("wrapped-59", "malformed", "a tag cut short", {**BY_FILE, "wrapped": "00" * 59})


def _age() -> Iterator[Vector]:
    """`scrypt` with a work factor of 2^30 would take a terabyte to try."""
    mine = for_recipient()
    other = stanza(b"colour", b"red", b"!", body=bytes(200))
    dear = stanza(b"scrypt", b"AAAAAAAAAAAAAAAAAAAAAA", b"30", body=bytes(32))

    def kept(
        name: str, expect: str, about: str, file: bytes, secrets: Mapping[str, Json] | None = None
    ) -> Vector:
        slot = wrapped(head(1, "age", kept=file.hex()))
        return _vector(f"age-{name}", expect, about, envelope(canonical(keys([slot]))), secrets)

    opens = {"1": IDENTITY}
    yield kept("recipient", "success", "an age recipient", AGE_FILE, opens)
    both = envelope(canonical(keys([BY_FILE, wrapped(head(4, "age"))])))
    yield _vector("age-beside-file", "success", "beside a key file", both, {**SECRETS, "4": IDENTITY})
    beside = age_file(AGE_KEY, [other, mine])
    yield kept("other-stanza", "success", "behind a stanza that means nothing", beside, opens)
    full = stanza(b"colour", body=bytes(48))
    yield kept(
        "full-line", "success", "a stanza whose last line is empty", age_file(AGE_KEY, [full, mine]), opens
    )
    yield kept("stanzas-8", "success", "8 stanzas", age_file(AGE_KEY, [*[other] * 7, mine]), opens)
    yield kept("stanzas-9", "limit", "9 stanzas", age_file(AGE_KEY, [*[other] * 8, mine]))
    yield kept("no-stanza", "malformed", "for nobody", age_file(AGE_KEY, []))
    yield kept("scrypt", "malformed", "for a passphrase, dear to try", age_file(AGE_KEY, [dear]))
    yield kept("scrypt-beside", "malformed", "for a passphrase, too", age_file(AGE_KEY, [mine, dear]))
    yield kept(
        "version-2", "unsupported", "a later age", age_file(AGE_KEY, [mine], VERSION.replace(b"1", b"2"))
    )
    yield kept("no-file", "malformed", "no age file", b"kept")
    yield kept("empty", "malformed", "nothing kept", b"")
    yield kept("armored", "malformed", "in letters", b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n")
    yield kept("cut", "malformed", "the last byte is missing", AGE_FILE[:-1])
    yield kept("half", "malformed", "the second half is missing", AGE_FILE[: len(AGE_FILE) // 2])
    yield kept("trailing-byte", "malformed", "a byte behind the end", AGE_FILE + b"x")
    yield kept("key-31", "malformed", "a key of 31 bytes", age_file(AGE_KEY[:-1], [mine]))
    yield kept(
        "long-line", "malformed", "a line of 65 letters", AGE_FILE.replace(mine, full[:-2] + b"AA\n" + mine)
    )
    yield kept("no-word", "malformed", "a stanza without a word", AGE_FILE.replace(b"-> X25519", b"-> "))
    yield kept(
        "carriage-return",
        "malformed",
        "lines of Windows",
        AGE_FILE.replace(mine, mine.replace(b"\n", b"\r\n")),
    )
    large = age_file(AGE_KEY, [stanza(b"colour", body=bytes(11_000)), mine])
    yield kept("bytes-max-1", "limit", "a byte more than 16 KiB", large + bytes(16_385 - len(large)))
    yield kept("huge", "limit", "a mebibyte", VERSION + bytes(1 << 20))
    of_file = wrapped(head(1, "file", kept=AGE_FILE.hex()))
    yield _one("age-of-file", "malformed", "an age file in a slot of another kind", of_file)


def _others() -> Iterator[Vector]:
    def one(name: str, expect: str, about: str, /, *slots: Slot, **changes: Json) -> Vector:
        return _vector(name, expect, about, envelope(canonical(keys(slots or [BY_FILE], **changes))))

    def with_sealed(name: str, expect: str, about: str, sealed: str) -> Vector:
        return _vector(name, expect, about, envelope(canonical({**keys([BY_FILE]), "sealed": sealed})))

    second = wrapped(head(5, "file"))
    yield one("descending", "malformed", "slots not ascending", second, BY_FILE)
    yield one("slot-twice", "malformed", "a number twice", BY_FILE, BY_FILE)
    yield one("slot-0", "malformed", "slots count from 1", wrapped(head(0, "file")))
    yield one("above-last-slot", "malformed", "a number above last_slot", BY_FILE, last_slot=2)
    yield one("no-slot", "malformed", "no slot", slots=[])
    yield one("not-a-slot", "malformed", "a text where a slot is", slots=["file"])
    yield one("slots-object", "malformed", "an object where a list is", slots={})
    yield one("number-0", "malformed", "keys count from 1", number=0)
    yield one("number-11-digits", "malformed", "a number without a key", number=10_000_000_000)
    yield one("id-15", "malformed", "an id of 15 bytes", repository_id="00" * 15)
    yield one("format-2", "unsupported", "a later format", format=2)
    yield one("type", "malformed", "a document of another type", type="config")
    yield one("field", "malformed", "a field too many", colour="red")
    yield with_sealed("sealed-27", "malformed", "shorter than nonce and tag", "00" * 27)
    yield with_sealed("sealed-28", "success", "nothing sealed: it is seen when it is opened", "00" * 28)
    yield with_sealed("sealed-upper", "malformed", "hex in upper case", "AB" * 28)
    without = {name: value for name, value in keys([BY_FILE]).items() if name != "last_slot"}
    yield _vector("missing-field", "malformed", "no last_slot", envelope(canonical(without)))
    body = canonical(keys([BY_FILE]))
    whole = envelope(body)
    twins = (
        ("white-space", "a space after a colon", body.replace(b'":', b'": ', 1)),
        ("escape", "a letter written as an escape", body.replace(b'"file"', b'"\\u0066ile"')),
        (
            "key-order",
            "type before everything else",
            b'{"type":"keys",' + body[1:].replace(b',"type":"keys"', b""),
        ),
        ("float", "1.0 for 1", body.replace(b'"format":1', b'"format":1.0')),
        ("field-twice", "a field twice", body.replace(b'"number":1', b'"number":1,"number":1')),
    )
    for name, about, twin in twins:
        assert twin != body
        yield _vector(f"json-{name}", "malformed", f"canonical JSON: {about}", envelope(twin))
    yield _vector("empty", "truncated", "an empty object", b"")
    yield _vector("cut", "truncated", "the last byte is missing", whole[:-1])
    yield _vector("half", "truncated", "the second half is missing", whole[: len(whole) // 2])
    yield _vector("trailing-byte", "truncated", "a byte behind the end", whole + b"x")
    flipped = whole[:20] + bytes([whole[20] ^ 1]) + whole[21:]
    yield _vector("flipped", "hash-mismatch", "a bit flipped in the body", flipped)
