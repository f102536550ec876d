"""Sealed credentials: who opens them, and what nobody can do who writes where they are kept."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cas.catalog.sealing import PRIMARY
from cas.errors import CasError, Conflict, CorruptData, InvalidInput, PermissionDenied, Unsupported
from cas.format.sealing import SlotKind, encode_keys, parse_keys
from cas.sealing import store_credentials
from cas.sealing.key_ring import Chance
from cas.sealing.key_secrets import KeyCommand, KeySecret, Passphrase
from cas.sealing.store_credentials import StorePlace, credentials_head, open_credentials, seal_credentials
from cas.store.credentials import (
    AzureCredentials,
    Credentials,
    GoogleCredentials,
    S3Credentials,
    encode_credentials,
    parse_credentials,
)
from tests.sealing.scenes import (
    CHEAP,
    IDENTITY,
    KEY_FILE,
    KEYS,
    OTHER_FILE,
    PASSPHRASE,
    RECIPIENT,
    Given,
)

PLACE = StorePlace("5e" * 16, "offsite", "s3://theirs/shop?")
PAIR = S3Credentials("AKIATHEIRS", "the secret of theirs", "a token")
ALL: Sequence[Credentials] = (
    PAIR,
    S3Credentials("AKIA", "secret"),
    GoogleCredentials("cas@project.iam", "7", "-----BEGIN PRIVATE KEY-----\nx\n"),
    AzureCredentials(key="a2V5"),
    AzureCredentials("shop", "https://shop.blob.core.windows.net", sas="sv=1&sig=2"),
)


def sealed(*secrets: KeySecret, store: StorePlace = PLACE, credentials: Credentials = PAIR) -> bytes:
    return seal_credentials(credentials, store, secrets or (KEY_FILE,), Chance())


@pytest.mark.parametrize("credentials", ALL, ids=lambda one: type(one).__name__)
def test_what_was_sealed_is_opened(credentials: Credentials) -> None:
    data = sealed(credentials=credentials)
    assert open_credentials(data, PLACE, Given(KEY_FILE)) == credentials
    assert parse_credentials(encode_credentials(credentials)) == credentials


def test_nothing_of_them_is_readable_or_shown() -> None:
    data = sealed(KEY_FILE, PASSPHRASE)
    for secret in ("AKIATHEIRS", "the secret of theirs", "a token"):
        assert secret.encode() not in data
        assert secret.encode().hex().encode() not in data
        assert secret not in repr(PAIR) + str(PAIR)
    for credentials in ALL:
        assert "secret" not in repr(credentials) + repr([credentials])
        assert "=" not in repr(credentials)
    head = credentials_head(data, "x")
    assert [slot.head.kind.value for slot in head.slots] == ["file", "passphrase"]


def test_any_of_its_keys_opens_it_and_no_other(tmp_path: Path) -> None:
    program = tmp_path / "service.py"
    program.write_text(
        "import base64, sys\n"
        "data = base64.b64decode(sys.stdin.readline())\n"
        "print(base64.b64encode(bytes(255 - byte for byte in data)).decode())\n"
    )
    service = KeyCommand([sys.executable, str(program)])
    data = sealed(KEY_FILE, PASSPHRASE, service)
    for secret in (KEY_FILE, PASSPHRASE, service):
        assert open_credentials(data, PLACE, Given(secret)) == PAIR
    for wrong in ((), (OTHER_FILE,), (Passphrase("another horse battery", CHEAP),)):
        with pytest.raises(PermissionDenied) as caught:
            open_credentials(data, PLACE, Given(*wrong))
        assert caught.value.where == PLACE.url
        assert "CAS_KEY_FILE" in caught.value.hint


def test_equal_credentials_are_never_sealed_alike() -> None:
    assert sealed() != sealed()


@pytest.mark.parametrize(
    "other",
    [
        replace(PLACE, place="other"),
        replace(PLACE, place=PRIMARY),
        replace(PLACE, url="s3://theirs/shop?endpoint=https%3A%2F%2Fevil.example"),
        replace(PLACE, url="s3://theirs/other?"),
    ],
)
def test_in_the_place_of_another_store_they_do_not_open(other: StorePlace) -> None:
    with pytest.raises(Conflict) as caught:
        open_credentials(sealed(), other, Given(KEY_FILE))
    assert "not of this store" in caught.value.what


def test_of_another_repository_they_do_not_open() -> None:
    other = replace(PLACE, repository_id="6f" * 16)
    with pytest.raises(CorruptData):
        open_credentials(sealed(), other, Given(KEY_FILE))
    moved = parse_keys(sealed())
    moved = replace(moved, head=replace(moved.head, repository_id=other.repository_id))
    with pytest.raises(PermissionDenied):
        open_credentials(encode_keys(moved), other, Given(KEY_FILE))


def test_keys_of_a_sealed_store_are_no_credentials_and_the_other_way_round() -> None:
    with pytest.raises(Conflict):
        open_credentials(encode_keys(KEYS), PLACE, Given(KEY_FILE))


def test_slots_of_somebody_else_open_nothing() -> None:
    """Who has a key of his own seals what he likes; nobody without that key takes it."""
    theirs = sealed(OTHER_FILE, credentials=S3Credentials("EVIL", "evil"))
    with pytest.raises(PermissionDenied):
        open_credentials(theirs, PLACE, Given(KEY_FILE))
    mixed = parse_keys(sealed())
    mixed = replace(mixed, sealed=parse_keys(theirs).sealed)
    with pytest.raises(Conflict):
        open_credentials(encode_keys(mixed), PLACE, Given(KEY_FILE))
    ours = parse_keys(sealed())
    later = replace(ours.head, created_at="2027-01-01T00:00:00.000000+00:00")
    with pytest.raises(Conflict):
        open_credentials(encode_keys(replace(ours, head=later)), PLACE, Given(KEY_FILE))


def test_for_a_recipient_of_age_nobody_seals_his_own() -> None:
    """A recipient is public: that an identity opens something says nothing of who sealed it."""

    class Public:
        """What anybody makes of a recipient; it opens what he has just sealed to himself."""

        kind = SlotKind.AGE
        fitted = RECIPIENT.fitted
        slot_key = IDENTITY.slot_key

    evil = AzureCredentials("evil", "https://blobs.evil.example", key="a2V5")
    with pytest.raises(InvalidInput, match="age identity"):
        sealed(Public(), credentials=evil)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_credentials, "OPENING_KINDS", frozenset(SlotKind))
        theirs = sealed(Public(), credentials=evil)
    for secrets in ((IDENTITY,), (KEY_FILE, IDENTITY)):
        with pytest.raises(PermissionDenied):
            open_credentials(theirs, PLACE, Given(*secrets))


@settings(max_examples=150)
@given(st.data())
def test_whatever_bytes_lie_there_only_our_errors_come_of_it(data: st.DataObject) -> None:
    whole = sealed()
    kind = data.draw(st.sampled_from(["noise", "flipped", "cut"]))
    if kind == "noise":
        hostile = data.draw(st.binary(max_size=300))
    else:
        at = data.draw(st.integers(0, len(whole) - 1))
        flipped = bytes([whole[at] ^ data.draw(st.integers(1, 255))])
        hostile = whole[:at] if kind == "cut" else whole[:at] + flipped + whole[at + 1 :]
    with pytest.raises(CasError):
        open_credentials(hostile, PLACE, Given(KEY_FILE))


def test_a_kind_of_store_that_is_not_known_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "cas.sealing.store_credentials.encode_credentials", lambda _: b'{"scheme":"ftp","user":"x"}'
    )
    with pytest.raises(Unsupported):
        sealed()


def test_a_passphrase_that_is_too_short_seals_nothing() -> None:
    with pytest.raises(InvalidInput):
        sealed(Passphrase("short", CHEAP))
