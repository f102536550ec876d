"""Sealing without chance: equal things look equal, others share neither key nor nonce."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas.errors import InvalidInput
from cas.format.sealing import parse_keys
from cas.ids import IdKey
from cas.limits import SEALED_BLOCK_BYTES
from cas.sealing.blocks import PLAIN_BLOCK_BYTES, Sealer
from cas.sealing.key_ring import Labelled, Unlocked, unlock
from cas.sealing.key_secrets import KeyCommand, KeySecret, Passphrase, SlotMaker, SlotOpener
from cas.sealing.made_once import Seal
from cas.sealing.repeatable import RepeatableSeal
from cas.sealing.repeatable import seal_of as any_seal_of
from tests.sealing.scenes import CHEAP, CONFIG, IDENTITY, KEY_FILE, OTHER_FILE, PASSPHRASE, RECIPIENT

NAME = "versions/0000000001"
AT = "2026-01-31T12:00:00.000000+00:00"


def nonces(sealed: bytes) -> list[bytes]:
    return [sealed[at + 4 : at + 16] for at in range(0, len(sealed), SEALED_BLOCK_BYTES)]


def seal_of(
    *secrets: KeySecret, purpose: bytes = b"purpose", at: str = AT, label: str = "x"
) -> RepeatableSeal:
    return RepeatableSeal(CONFIG, [Labelled(one, label) for one in secrets or (KEY_FILE,)], purpose, at)


def sealer(entropy: None = None) -> Sealer:
    return Sealer(bytes(16), [b"k" * 32], entropy)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_nonces_are_equal_exactly_where_blocks_are(left: bytes, right: bytes) -> None:
    first, second = sealer().seal(NAME, left), sealer().seal(NAME, right)
    assert (first == second) == (left == right)
    assert (nonces(first) == nonces(second)) == (left == right)


def test_equal_blocks_of_one_object_have_nonces_of_their_own() -> None:
    """The number of the block and whether it is the last one are in the nonce, too."""
    sealed = sealer().seal(NAME, bytes(4 * PLAIN_BLOCK_BYTES))
    assert len(set(nonces(sealed))) == 4
    shorter = sealer().seal(NAME, bytes(2 * PLAIN_BLOCK_BYTES))
    assert nonces(shorter)[0] == nonces(sealed)[0]
    assert nonces(shorter)[1] != nonces(sealed)[1], "the head of a last block differs, and is authenticated"
    opened = sealer().open_blocks(NAME, 0, sealed, is_end=True)
    assert (opened.lost, opened.join()) == (0, bytes(4 * PLAIN_BLOCK_BYTES))


def test_objects_of_other_names_share_nothing() -> None:
    first, second = sealer().seal("bundle", b"x" * 50), sealer().seal("config", b"x" * 50)
    assert nonces(first) != nonces(second)
    assert first[16:] != second[16:]


def test_by_default_nonces_are_random() -> None:
    one = Sealer(bytes(16), [b"k" * 32])
    assert one.seal(NAME, b"x") != one.seal(NAME, b"x")


def test_the_same_is_sealed_the_same() -> None:
    first, second = seal_of(PASSPHRASE, KEY_FILE), seal_of(PASSPHRASE, KEY_FILE)
    assert first.keys_object == second.keys_object
    assert first.config_object == second.config_object
    assert first.seal(NAME, b"x") == second.seal(NAME, b"x")
    assert parse_keys(first.keys_object).head.created_at == AT


@pytest.mark.parametrize("secret", [PASSPHRASE, KEY_FILE])
def test_each_secret_opens_it_and_no_other_one(secret: KeySecret) -> None:
    seal = seal_of(PASSPHRASE, KEY_FILE)
    unlocked = unlock(parse_keys(seal.keys_object), [secret])
    assert unlocked.contents.config == CONFIG
    own = Sealer(bytes.fromhex(CONFIG.repository_id), unlocked.contents.data_keys)
    assert own.open_blocks(NAME, 0, seal.seal(NAME, b"x"), is_end=True).join() == b"x"


SETTINGS: Sequence[RepeatableSeal] = [
    seal_of(KEY_FILE),
    seal_of(OTHER_FILE),
    seal_of(KEY_FILE, OTHER_FILE),
    seal_of(OTHER_FILE, KEY_FILE),
    seal_of(PASSPHRASE),
    seal_of(Passphrase(PASSPHRASE.text, replace(CHEAP, passes=2))),
    seal_of(Passphrase(PASSPHRASE.text + "!", CHEAP)),
    seal_of(KEY_FILE, purpose=b"other"),
    seal_of(KEY_FILE, label="y"),
    seal_of(KEY_FILE, at="2026-01-31T12:00:00.000001+00:00"),
    RepeatableSeal(replace(CONFIG, id_key=IdKey(bytes(32))), [Labelled(KEY_FILE, "x")], b"purpose", AT),
]


def test_whatever_differs_gives_other_keys_salts_and_nonces() -> None:
    seen: list[bytes] = []
    for seal in SETTINGS:
        unlocked = unlock(seal.keys, [KEY_FILE, OTHER_FILE, PASSPHRASE, Passphrase(PASSPHRASE.text + "!")])
        seen += [unlocked.master, *unlocked.contents.data_keys, seal.keys.sealed[:12]]
        for slot in seal.keys.head.slots:
            seen += [slot.head.salt, slot.wrapped[:12]]
    assert len(seen) == len(set(seen))


def test_who_has_the_id_key_and_no_secret_has_no_key() -> None:
    """All that is public is the same for both, and nothing that is drawn is."""
    mine, other = seal_of(KEY_FILE), seal_of(OTHER_FILE)
    assert mine.config_object == other.config_object
    (ours,), (theirs,) = mine.keys.head.slots, other.keys.head.slots
    assert ours.head.salt != theirs.head.salt
    assert mine.seal(NAME, b"x") != other.seal(NAME, b"x")


def test_a_command_cannot_be_repeated() -> None:
    with pytest.raises(InvalidInput, match="passphrase or a key file"):
        seal_of(KeyCommand(["true"]))


def for_makers(*makers: SlotMaker) -> Seal:
    return any_seal_of(CONFIG, [Labelled(one, "x") for one in makers], b"purpose", AT)


def test_where_something_public_opens_it_nothing_repeats() -> None:
    """Neither keys, which the id key and the recipient would give to everybody who has these, nor nonces."""
    for makers in ((RECIPIENT,), (KEY_FILE, RECIPIENT)):
        first, second = for_makers(*makers), for_makers(*makers)
        openers: Sequence[SlotOpener] = (IDENTITY, KEY_FILE)[: len(makers)]
        keys: list[Unlocked] = []
        for seal in (first, second):
            parsed = parse_keys(seal.keys_object)
            keys += [unlock(parsed, [opener]) for opener in openers]
            assert parsed.head.created_at == AT
            assert seal.seal(NAME, b"x") != seal.seal(NAME, b"x")
        assert len({one.master for one in keys}) == len({one.contents.data_keys for one in keys}) == 2
        for one, other in zip(first.keys.head.slots, second.keys.head.slots, strict=True):
            assert one.head.salt != other.head.salt
            assert one.wrapped[:12] != other.wrapped[:12]
        assert first.keys.sealed[:12] != second.keys.sealed[:12]


def test_where_only_secrets_open_it_everything_repeats() -> None:
    assert (
        for_makers(KEY_FILE).keys_object == for_makers(KEY_FILE).keys_object == seal_of(KEY_FILE).keys_object
    )
    with pytest.raises(InvalidInput, match="kind age seals nothing twice"):
        RepeatableSeal(CONFIG, [Labelled(KEY_FILE, "x"), Labelled(RECIPIENT, "x")], b"purpose", AT)
    with pytest.raises(ValueError, match="something must open it"):
        for_makers()
