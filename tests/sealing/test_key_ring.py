"""Keys and what opens them: wrapped, unwrapped, added, removed, rotated, and changed by others."""

import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cas.errors import CasError, Conflict, CorruptData, InvalidInput, NotFound, PermissionDenied
from cas.format.sealing import Keys, Slot, SlotKind, encode_keys, parse_keys
from cas.limits import MAX_KEY_SLOTS
from cas.sealing.key_ring import (
    Chance,
    Labelled,
    Unlocked,
    _contents,
    make_keys,
    rotated,
    sealed_keys,
    unlock,
    with_slot,
    without_slot,
)
from cas.sealing.key_secrets import KeyCommand, KeyFile, KeySecret, Passphrase, SlotMaker, unwrap
from cas.sealing.recovery import CODE_BYTES, RecoveryCode
from tests.sealing.scenes import (
    CHEAP,
    CONFIG,
    IDENTITY,
    KEY_FILE,
    OTHER_FILE,
    OTHER_IDENTITY,
    PASSPHRASE,
    RECIPIENT,
)

CODE = RecoveryCode(random.Random("code").randbytes(CODE_BYTES))

COMMAND = """
import base64, sys
data = base64.b64decode(sys.stdin.readline())
print(base64.b64encode(bytes(255 - byte for byte in data)).decode())
"""


def command(directory: Path, text: str = COMMAND) -> KeyCommand:
    """A key service that turns every bit."""
    program = directory / "service.py"
    program.write_text(text)
    return KeyCommand((sys.executable, str(program)))


def made(*makers: SlotMaker) -> Unlocked:
    return make_keys(CONFIG, 1, [Labelled(one, f"the {one.kind.value}") for one in makers], Chance())


def stored(unlocked: Unlocked) -> Keys:
    return sealed_keys(unlocked, Chance())


@pytest.fixture
def secrets(tmp_path: Path) -> Sequence[KeySecret]:
    return [PASSPHRASE, KEY_FILE, command(tmp_path), CODE, IDENTITY]


def test_each_secret_alone_opens_all(secrets: Sequence[KeySecret]) -> None:
    unlocked = made(*secrets)
    keys = stored(unlocked)
    assert {one.kind for one in secrets} == set(SlotKind)
    for number, secret in enumerate(secrets, 1):
        opened = unlock(keys, [secret])
        assert (opened.master, opened.contents, opened.slot) == (unlocked.master, unlocked.contents, number)
        assert opened.contents.config == CONFIG


def test_another_secret_opens_nothing(secrets: Sequence[KeySecret]) -> None:
    wrong: list[KeySecret] = [Passphrase("correct horse battery stapler", CHEAP), OTHER_FILE]
    wrong += [RecoveryCode(bytes(CODE_BYTES)), OTHER_IDENTITY]
    with pytest.raises(PermissionDenied, match="no key that was given"):
        unlock(stored(made(*secrets)), wrong)
    with pytest.raises(PermissionDenied, match="no key was given"):
        unlock(stored(made(*secrets)), [])


def test_a_slot_for_a_recipient_is_opened_by_its_identity_and_survives_a_rotation_with_it() -> None:
    before = made(KEY_FILE, RECIPIENT)
    assert unlock(stored(before), [OTHER_IDENTITY, IDENTITY]).slot == 2
    with pytest.raises(InvalidInput, match=r"was not given of: 2 \(the age\)"):
        rotated(before, [KEY_FILE, OTHER_IDENTITY], (), Chance())
    after = rotated(before, [KEY_FILE, IDENTITY], (), Chance())
    assert unlock(stored(after), [IDENTITY]).contents == after.contents
    assert after.head.slots[1].head.kept != before.head.slots[1].head.kept


def test_a_secret_does_not_open_a_slot_of_another_kind() -> None:
    with pytest.raises(PermissionDenied):
        unlock(stored(made(KeyFile(PASSPHRASE.text.encode() * 2))), [PASSPHRASE])


def test_the_form_of_a_passphrase_in_unicode_does_not_matter() -> None:
    composed, decomposed = "Schl\u00fcssel auf Papier", "Schlu\u0308ssel auf Papier"
    assert unlock(stored(made(Passphrase(composed, CHEAP))), [Passphrase(decomposed)]).slot == 1


def test_costs_are_those_of_the_slot_and_not_of_who_opens() -> None:
    assert unlock(stored(made(PASSPHRASE)), [Passphrase(PASSPHRASE.text)]).slot == 1


@pytest.mark.parametrize("secret", [Passphrase("eleven char"), Passphrase("")])
def test_a_short_passphrase_is_refused_where_a_slot_is_made(secret: Passphrase) -> None:
    with pytest.raises(InvalidInput, match="too short"):
        made(secret)


@pytest.mark.parametrize("size", [0, 31, 2**20 + 1])
def test_a_key_file_of_an_odd_size_is_refused(size: int) -> None:
    with pytest.raises(InvalidInput, match="32 bytes"):
        KeyFile(bytes(size))


def test_nothing_shows_a_secret() -> None:
    shown = "".join(map(repr, (PASSPHRASE, KEY_FILE, CODE, made(PASSPHRASE))))
    assert PASSPHRASE.text not in shown
    assert KEY_FILE.content.hex() not in shown
    assert repr(KEY_FILE.content)[2:-1] not in shown
    assert CODE.text() not in shown


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("import sys; sys.exit('no such key')", "code 1"),
        ("print('not base64!')", "base64"),
        ("print()", "0 bytes"),
        ("import sys; sys.stdout.write(sys.stdin.read())", "gives the key back"),
        ("import base64; print(base64.b64encode(b'x' * 20000).decode())", "20000 bytes"),
        ("import base64; print(base64.b64encode(b'x' * 40).decode())", "does not give back"),
    ],
)
def test_a_command_that_keeps_nothing_is_refused(tmp_path: Path, program: str, error: str) -> None:
    with pytest.raises(CasError, match=error) as raised:
        made(command(tmp_path, program))
    assert "service.py" not in str(raised.value), "its words may hold more than its name"


def test_a_command_that_is_not_there_or_hangs_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        made(KeyCommand((str(tmp_path / "absent"),)))
    with pytest.raises(CasError, match="longer than"):
        made(replace(command(tmp_path, "import time; time.sleep(60)"), seconds=0.3))


def test_a_command_that_fails_later_opens_nothing(tmp_path: Path) -> None:
    keys = stored(made(command(tmp_path), KEY_FILE))
    failing = command(tmp_path, "raise SystemExit(3)")
    assert unlock(keys, [failing, KEY_FILE]).slot == 2, "another key is tried"


@pytest.mark.parametrize(
    ("program", "error"),
    [("raise SystemExit('the token has expired')", "code 1"), ("import time; time.sleep(60)", "longer than")],
)
def test_a_key_service_that_does_not_answer_is_told_and_keeps_no_other_key_from_opening(
    tmp_path: Path, program: str, error: str
) -> None:
    keys = stored(made(command(tmp_path), PASSPHRASE))
    failing = replace(command(tmp_path, program), seconds=0.5 if "sleep" in program else 60.0)
    assert unlock(keys, [failing, PASSPHRASE]).slot == 2
    with pytest.raises(CasError, match=error):
        unlock(keys, [failing, OTHER_FILE])


# Recovery codes.


def test_a_code_is_read_however_it_is_typed() -> None:
    text = CODE.text()
    assert len(text) == 44
    for typed in (text, text.lower(), text.replace("-", ""), f"  {text.replace('-', ' ')}\n"):
        assert RecoveryCode.read(typed).material == CODE.material
    sloppy = text.replace("0", "O").replace("1", "l").replace("V", "u")
    assert sloppy != text
    assert RecoveryCode.read(sloppy).material == CODE.material


def test_a_slip_of_the_hand_is_noticed() -> None:
    text = CODE.text()
    found = 0
    for at, digit in enumerate(text):
        for other in "07KZ":
            if digit not in ("-", other):
                with pytest.raises(InvalidInput, match="slip"):
                    RecoveryCode.read(text[:at] + other + text[at + 1 :])
                found += 1
    assert found > 100
    swapped = 0
    for at in range(len(text) - 1):
        if text[at] != text[at + 1] and "-" not in text[at : at + 2]:
            with pytest.raises(InvalidInput, match="slip"):
                RecoveryCode.read(text[:at] + text[at + 1] + text[at] + text[at + 2 :])
            swapped += 1
    assert swapped > 15


@pytest.mark.parametrize("typed", ["", "ABCD", CODE.text()[:-1], CODE.text() + "0", CODE.text()[:-1] + "!"])
def test_what_is_no_code(typed: str) -> None:
    with pytest.raises(InvalidInput, match="nine groups"):
        RecoveryCode.read(typed)


# Changes.


def test_a_slot_more_and_a_slot_less() -> None:
    first = made(KEY_FILE)
    second = with_slot(first, Labelled(PASSPHRASE, "paper"), Chance())
    assert [slot.head.label for slot in second.head.slots] == ["the file", "paper"]
    assert second.head.number == first.head.number + 1
    assert unlock(stored(second), [PASSPHRASE]).master == first.master
    third = without_slot(second, 1, Chance())
    with pytest.raises(PermissionDenied):
        unlock(stored(third), [KEY_FILE])
    fourth = with_slot(third, Labelled(OTHER_FILE, ""), Chance())
    assert [slot.head.number for slot in fourth.head.slots] == [2, 3], "a number is never used twice"


def test_the_last_key_stays() -> None:
    with pytest.raises(Conflict, match="last key"):
        without_slot(made(KEY_FILE), 1, Chance())
    with pytest.raises(NotFound, match="no key 7"):
        without_slot(made(KEY_FILE), 7, Chance())


def test_there_is_a_bound_of_slots() -> None:
    full = made(*([KEY_FILE] * MAX_KEY_SLOTS))
    parse_keys_again(stored(full))
    with pytest.raises(Conflict, match="64 keys"):
        with_slot(full, Labelled(KEY_FILE, ""), Chance())


def parse_keys_again(keys: Keys) -> None:
    assert parse_keys(encode_keys(keys)) == keys


def test_a_rotation_has_new_keys_for_all_who_stay(secrets: Sequence[KeySecret]) -> None:
    before = made(*secrets)
    after = rotated(before, secrets, (), Chance())
    assert after.master != before.master
    assert after.contents.data_keys[:1] == before.contents.data_keys
    assert len(after.contents.data_keys) == 2
    for secret in secrets:
        opened = unlock(stored(after), [secret])
        assert opened.contents == after.contents
    assert [slot.head.label for slot in after.head.slots] == [slot.head.label for slot in before.head.slots]


def test_a_rotation_wants_every_secret_or_lets_its_key_go() -> None:
    before = made(KEY_FILE, PASSPHRASE, CODE)
    with pytest.raises(InvalidInput, match=r"2 \(the passphrase\), 3 \(the recovery\)"):
        rotated(before, [KEY_FILE, OTHER_FILE], (), Chance())
    after = rotated(before, [KEY_FILE], (2, 3), Chance())
    assert [slot.head.number for slot in after.head.slots] == [1]
    with pytest.raises(Conflict, match="no key would be left"):
        rotated(before, [], (1, 2, 3), Chance())
    with pytest.raises(NotFound, match="no key 9"):
        rotated(before, [KEY_FILE], (9,), Chance())


def test_what_was_removed_does_not_open_what_is_sealed_after_a_rotation() -> None:
    """Not even with the old master key at hand."""
    before = made(KEY_FILE, PASSPHRASE)
    after = rotated(before, [KEY_FILE], (2,), Chance())
    keys = stored(after)
    for slot in keys.head.slots:
        assert unwrap(PASSPHRASE, slot, CONFIG.repository_id) is None
    with pytest.raises(CorruptData):
        unlock_with_master(keys, before.master)


def unlock_with_master(keys: Keys, master: bytes) -> None:
    _contents(keys, master, "")


# Keys that somebody without any of them has changed.


def test_a_slot_that_was_put_in_from_elsewhere_is_noticed() -> None:
    """Whoever can write to the store adds the slot of a store of his own."""
    ours, his = stored(made(KEY_FILE)), stored(made(OTHER_FILE))
    mixed = replace(ours, head=replace(ours.head, last_slot=2, slots=(*ours.head.slots, _as(his, 2))))
    with pytest.raises(CorruptData, match="changed by somebody"):
        unlock(mixed, [KEY_FILE])
    with pytest.raises(PermissionDenied):
        unlock(mixed, [OTHER_FILE])


def _as(keys: Keys, number: int) -> Slot:
    (slot,) = keys.head.slots
    return replace(slot, head=replace(slot.head, number=number))


@pytest.mark.parametrize(
    "change",
    [
        {"number": 8},
        {"created_at": "2026-02-28T12:00:00.000000+00:00"},
        {"last_slot": 9},
    ],
)
def test_readable_fields_are_bound(change: dict[str, object]) -> None:
    keys = stored(made(KEY_FILE))
    with pytest.raises(CorruptData, match="changed by somebody"):
        unlock(replace(keys, head=replace(keys.head, **change)), [KEY_FILE])  # type: ignore[arg-type]


def test_a_slot_with_another_label_does_not_open() -> None:
    keys = stored(made(KEY_FILE))
    (slot,) = keys.head.slots
    other = replace(slot, head=replace(slot.head, label="nothing to see here"))
    with pytest.raises(PermissionDenied):
        unlock(replace(keys, head=replace(keys.head, slots=(other,))), [KEY_FILE])


def test_cheaper_costs_are_not_taken() -> None:
    """They would make guessing easy for who watches."""
    keys = stored(made(Passphrase(PASSPHRASE.text, replace(CHEAP, passes=2))))
    (slot,) = keys.head.slots
    cheaper = replace(slot, head=replace(slot.head, costs=CHEAP))
    with pytest.raises(PermissionDenied):
        unlock(replace(keys, head=replace(keys.head, slots=(cheaper,))), [PASSPHRASE])
