"""Recipients and identities of age: what is taken, what is refused in one clear line, and that nothing
hostile is ever tried."""

import base64
import os
import struct
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from cas.errors import CasError, CorruptData, InvalidInput, PermissionDenied
from cas.format.age_file import check_age_file
from cas.format.canonical import encode_json, seal_envelope
from cas.format.sealing import Keys, _keys_fields, encode_keys, parse_keys
from cas.limits import MIB
from cas.sealing.age import AgeIdentity, AgeRecipient, identities_of, recipients_of
from cas.sealing.key_ring import Chance, Labelled, Unlocked, make_keys, sealed_keys, unlock
from cas.sealing.key_secrets import SlotMaker
from tests import reference_age as reference
from tests.sealing.scenes import CONFIG, IDENTITY, IDENTITY_FILE, OTHER_IDENTITY, RECIPIENT
from tests.vectors.age import age_file, for_recipient, stanza

SECRET = IDENTITY_FILE.decode().splitlines()[1]


def keys_for(maker: SlotMaker) -> Keys:
    return sealed_keys(make_keys(CONFIG, 1, [Labelled(maker, "")], Chance()), Chance())


def ssh_key(directory: Path, *words: str, passphrase: str = "") -> Path:
    path = directory / "id"
    made = ["ssh-keygen", "-q", "-N", passphrase, "-C", "ada@laptop", "-f", str(path)]
    subprocess.run([*made, *words], check=True)
    return path


def ssh_identity(path: Path) -> AgeIdentity:
    (identity,) = identities_of(path.read_bytes(), "tests")
    return identity


def test_the_recipient_of_an_identity_is_told() -> None:
    assert IDENTITY.recipient == RECIPIENT
    assert OTHER_IDENTITY.recipient != RECIPIENT


@pytest.mark.parametrize(
    "words", [("-t", "ed25519"), ("-t", "rsa", "-b", "2048"), ("-t", "rsa", "-b", "4096")]
)
def test_ssh_keys_open_what_was_made_for_them(words: tuple[str, ...], tmp_path: Path) -> None:
    path = ssh_key(tmp_path, *words)
    recipient = AgeRecipient.read(path.with_suffix(".pub").read_text(), "here")
    identity = ssh_identity(path)
    assert identity.recipient == recipient, "without the comment"
    keys = keys_for(recipient)
    assert unlock(keys, [IDENTITY, identity]).contents.config == CONFIG
    with pytest.raises(PermissionDenied):
        unlock(keys, [IDENTITY])
    assert unlock(keys_for(identity), [identity]).slot == 1


@pytest.mark.parametrize(
    ("words", "passphrase", "said"),
    [
        (("-t", "ed25519"), "locked", "locked by a passphrase"),
        (("-t", "ecdsa"), "", "no SSH key that age takes"),
        (("-t", "rsa", "-b", "1024"), "", "no SSH key that age takes"),
    ],
)
def test_ssh_keys_that_are_refused(
    words: tuple[str, ...], passphrase: str, said: str, tmp_path: Path
) -> None:
    path = ssh_key(tmp_path, *words, passphrase=passphrase)
    with pytest.raises(InvalidInput, match=said) as caught:
        ssh_identity(path)
    assert caught.value.where == "tests"


def test_a_slot_is_never_twice_the_same_and_its_key_is_not_what_age_kept() -> None:
    first, second = keys_for(RECIPIENT).head.slots[0].head, keys_for(RECIPIENT).head.slots[0].head
    assert first.kept != second.kept
    assert OTHER_IDENTITY.slot_key(first) is None
    key = IDENTITY.slot_key(first)
    assert key is not None
    assert key not in first.kept
    assert pyrage.decrypt(first.kept, [pyrage.x25519.Identity.from_str(SECRET)]) == key


LOW_ORDER = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z"
"""The recipient of the point 0, with which everybody shares the same secret."""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no recipient of age"),
        ("ada", "no recipient of age"),
        ("age1", "a slip in it"),
        (RECIPIENT.text[:-1] + "q", "a slip in it"),
        (RECIPIENT.text.upper(), "no recipient of age"),
        ("age1yubikey1qwertyuiop", "a plugin"),
        ("age1tag1qwertyuiop", "a plugin"),
        ("ssh-ed25519 AAAA", "a slip in it"),
        ("ssh-rsa " + "A" * 100_000, "a slip in it"),
        ("ssh-dss AAAA", "no recipient of age"),
        ("age1\n\x1b[0m\udcff", "a slip in it"),
        ("age1\u00e9", "a slip in it"),
        (SECRET, "that is an identity"),
        (SECRET.lower(), "that is an identity"),
    ],
)
def test_what_is_no_recipient(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        AgeRecipient.read(text, "here")
    assert SECRET[20:40] not in str(caught.value).upper()
    assert len(str(caught.value)) < 300
    assert caught.value.where == "here"
    assert str(caught.value).isprintable()


def test_a_recipient_that_would_share_its_secret_with_everybody(capfd: pytest.CaptureFixture[str]) -> None:
    assert pyrage.x25519.Recipient.from_str(LOW_ORDER), "its form is right"
    with pytest.raises(InvalidInput):
        AgeRecipient.read(LOW_ORDER, "here")
    assert capfd.readouterr().err == "", "the library was not tried"


@pytest.mark.parametrize("point", [0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18, 2**255 + 1])
def test_an_ssh_key_that_would_share_its_secret_with_everybody(point: int) -> None:
    parts = [b"ssh-ed25519", point.to_bytes(32, "little")]
    key = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    with pytest.raises(InvalidInput, match="a slip in it"):
        AgeRecipient.read(f"ssh-ed25519 {base64.b64encode(key).decode()}", "here")


@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_an_ssh_key_with_which_nothing_can_be_encrypted(
    exponent: int, capfd: pytest.CaptureFixture[str]
) -> None:
    numbers = [number.to_bytes(number.bit_length() // 8 + 1) for number in (exponent, 2**2047 + 1)]
    parts = [b"ssh-rsa", *numbers]
    key = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    with pytest.raises(InvalidInput, match="a slip in it"):
        AgeRecipient.read(f"ssh-rsa {base64.b64encode(key).decode()}", "here")
    assert capfd.readouterr().err == ""


def test_files_of_recipients() -> None:
    text = f"# ada\r\n  {RECIPIENT.text}\r\n\n{OTHER_IDENTITY.recipient.text}".encode()
    assert recipients_of(text, "file") == [RECIPIENT, OTHER_IDENTITY.recipient]
    for content, said in (
        (b"", "no recipient in the file"),
        (b"# none\n", "no recipient in the file"),
        (b"\n\n\xff\xfe\n", "no recipient of age"),
        (b"\0" * (MIB + 1), "more than 1 MiB"),
    ):
        with pytest.raises(InvalidInput, match=said):
            recipients_of(content, "file")
    with pytest.raises(InvalidInput) as caught:
        recipients_of(b"\n\n" + SECRET.encode(), "file")
    assert caught.value.where == "file, line 3"
    assert SECRET[20:] not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no identity in the file"),
        (b"# AGE-SECRET-KEY-1\n", "no identity in the file"),
        (SECRET[:-1].encode(), "no identity of age"),
        (b"AGE-PLUGIN-YUBIKEY-1QWERTY", "a plugin"),
        (RECIPIENT.text.encode(), "no identity of age"),
        (b"age-encryption.org/v1\n-> scrypt", "sealed itself"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "no SSH key"),
        (b"-----BEGIN RSA PRIVATE KEY-----\n", "no identity of age"),
        (os.urandom(200), "no identity"),
    ],
)
def test_files_that_hold_no_identity(content: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        identities_of(content, "file")
    assert caught.value.where.startswith("file")
    assert SECRET[20:40] not in str(caught.value).upper()


def test_an_identity_never_says_what_it_is(tmp_path: Path) -> None:
    shown = repr(IDENTITY) + repr(ssh_identity(ssh_key(tmp_path, "-t", "ed25519")))
    assert "SECRET" not in shown
    assert "opener" not in shown


# What somebody does who can write to the store.

MINE = for_recipient()
KEY = bytes(32)
CODE = age_file(KEY, [MINE]).split(b"--- ")[1][:43]


def opened_with(kept: bytes) -> Unlocked:
    """What an identity makes of keys whose slot keeps this, read as from a store."""
    keys = keys_for(RECIPIENT)
    slot = keys.head.slots[0]
    head = replace(keys.head, slots=(replace(slot, head=replace(slot.head, kept=kept)),))
    fields = {**_keys_fields(head), "sealed": keys.sealed.hex()}
    return unlock(parse_keys(seal_envelope(encode_json(fields))), [IDENTITY])


def test_a_passphrase_of_age_is_never_tried() -> None:
    """A work factor of 2^30 is a tebibyte and hours."""
    dear = stanza(b"scrypt", b"AAAAAAAAAAAAAAAAAAAAAA", b"30", body=bytes(32))
    started = time.monotonic()
    for stanzas in ([dear], [dear, MINE], [MINE, dear]):
        with pytest.raises(CorruptData, match="for a passphrase") as caught:
            opened_with(age_file(KEY, stanzas))
        assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "kept",
    [
        age_file(KEY, [stanza(b"X25519", b"AAAA", body=bytes(32))]),
        age_file(KEY, [stanza(b"X25519", b"A" * 43, body=bytes(32))]),
        age_file(KEY, [stanza(b"X25519", body=bytes(32))]),
        age_file(KEY, [stanza(b"X25519", b"A" * 43, body=b"")]),
        age_file(KEY, [stanza(b"ssh-ed25519", b"AAAA", b"A" * 43, body=bytes(32))]),
        age_file(KEY, [stanza(b"ssh-rsa", b"AAAAAA", body=bytes(4000))]),
        age_file(KEY, [MINE]).replace(CODE, bytes(reversed(CODE))),
        age_file(KEY, [MINE])[:-64] + bytes(64),
    ],
)
def test_files_of_the_right_form_that_do_not_open(kept: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    check_age_file(kept)
    assert IDENTITY.slot_key(replace(keys_for(RECIPIENT).head.slots[0].head, kept=kept)) is None
    with pytest.raises(PermissionDenied, match="no key that was given opens it"):
        opened_with(kept)
    assert capfd.readouterr().err == ""


def test_the_reference_reader_proves_what_stands_before_the_key_too() -> None:
    file, identity = age_file(KEY, [MINE]), reference.age_identity(SECRET)
    assert reference.opened_age_file(reference.parse_age_file(file), identity) == KEY
    for changed in (file.replace(CODE, bytes(reversed(CODE))), file[:-1] + bytes([file[-1] ^ 1])):
        assert reference.opened_age_file(reference.parse_age_file(changed), identity) is None


def test_a_slot_that_opens_and_is_not_of_these_keys() -> None:
    """Who knows the recipient can put a key of his own there; the master key is not wrapped with it."""
    with pytest.raises(PermissionDenied):
        opened_with(age_file(KEY, [MINE]))


def test_every_flipped_bit_and_every_cut_is_refused_in_one_line() -> None:
    good = keys_for(RECIPIENT).head.slots[0].head.kept
    for at in range(len(good)):
        for kept in (good[:at], good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :]):
            with pytest.raises(CasError) as caught:
                opened_with(kept)
            assert "\n" not in str(caught.value)


def test_what_is_made_here_has_the_form_that_is_read() -> None:
    for _ in range(20):  # rage adds stanzas of random length
        encode_keys(keys_for(RECIPIENT))
