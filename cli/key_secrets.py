"""The secrets that open sealed stores, from settings, files, and a person who is asked.

Nothing of them is ever printed, and no flag takes one: command lines are seen by everybody on the machine.
"""

import os
import shlex
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from getpass import getpass
from pathlib import Path
from secrets import token_hex

from cas.errors import CasError, InvalidInput
from cas.format.sealing import SlotKind
from cas.sealing.age import AgeIdentity, AgeRecipient, identities_of, recipients_of
from cas.sealing.key_secrets import KeyCommand, KeyFile, KeySecret, Passphrase
from cas.sealing.recovery import RecoveryCode
from cli.operating_system import faults_of_files
from cli.paths import expanded
from cli.settings import Settings
from cli.terminal import Terminal

TRIES = 3
"""How often a person may mistype a passphrase."""

KEY_FILE_BYTES = 32


class GivenSecrets:
    """Those of one run of a command: see `cas.sealing.held_keys.Secrets`."""

    def __init__(self, settings: Settings, terminal: Terminal) -> None:
        self._settings = settings
        self._terminal = terminal
        self.typed: list[Passphrase] = []
        """Passphrases that a person has typed."""
        self._asked: Passphrase | None = None

    def __call__(self, kinds: frozenset[SlotKind]) -> Iterator[KeySecret]:
        """What costs little first; a person is asked last, where a passphrase would open something."""
        were_given = False
        faults: list[CasError] = []
        for secret in self.settled(kinds, faults):
            were_given = True
            yield secret
        yield from self.typed
        if faults:
            raise faults[0]  # nothing else has opened it
        if SlotKind.PASSPHRASE not in kinds or were_given or not self._terminal.is_interactive:
            return
        for attempt in range(TRIES):
            typed = Passphrase(getpass("Passphrase: " if not attempt else "That was not it. Passphrase: "))
            self.typed.append(typed)
            yield typed

    def settled(
        self, kinds: frozenset[SlotKind] = frozenset(SlotKind), faults: list[CasError] | None = None
    ) -> Iterator[KeySecret]:
        """Those of the settings. `faults`: takes why some of them cannot be had, as a key file on a disk that
        is not there: another one may open the store."""
        for kind, read in self._readings():
            if kind not in kinds:
                continue
            try:
                secrets = read()
            except CasError as error:
                if faults is None:
                    raise
                faults.append(error)
            else:
                yield from secrets

    @property
    def are_set(self) -> bool:
        """Whether the settings name any, be it to be had or not."""
        return next(self._readings(), None) is not None

    def _readings(self) -> Iterator[tuple[SlotKind, Callable[[], Sequence[KeySecret]]]]:
        settings = self._settings
        for path in filter(None, settings.key_file.split(os.pathsep)):
            yield SlotKind.FILE, _alone(partial(read_key_file, expanded(path)))
        for path in filter(None, settings.age_identity.split(os.pathsep)):
            yield SlotKind.AGE, partial(read_identities, expanded(path))
        if code := settings.recovery_code.get_secret_value():
            yield SlotKind.RECOVERY, _alone(partial(RecoveryCode.read, code))
        if settings.key_command:
            yield SlotKind.COMMAND, _alone(partial(key_command, settings.key_command, "CAS_KEY_COMMAND"))
        if passphrase := settings.passphrase.get_secret_value():
            yield SlotKind.PASSPHRASE, _alone(partial(Passphrase, passphrase))
        if settings.passphrase_file:
            path = settings.passphrase_file
            yield SlotKind.PASSPHRASE, _alone(partial(read_passphrase, expanded(path)))

    def new(
        self, *, ask: bool = True, kinds: frozenset[SlotKind] = frozenset(SlotKind)
    ) -> Sequence[KeySecret]:
        """For the slots of a new store: those of the settings of these kinds, whose key file is made where it
        is not there; without any, a person is asked for a passphrase, once in a run."""
        for path in filter(None, self._settings.key_file.split(os.pathsep)):
            make_key_file(expanded(path))
        found = list(self.settled(kinds - {SlotKind.RECOVERY}))
        if found or not ask:
            return found
        if self._asked is None:
            self._asked = self.new_passphrase(kinds)
        return [self._asked]

    def new_passphrase(self, kinds: frozenset[SlotKind] = frozenset(SlotKind)) -> Passphrase:
        """Typed twice. InvalidInput where nobody can be asked, which tells of settings of these kinds."""
        if not self._terminal.is_interactive:
            others = (
                "CAS_KEY_FILE, CAS_KEY_COMMAND or CAS_AGE_IDENTITY"
                if SlotKind.AGE in kinds
                else "CAS_KEY_FILE or CAS_KEY_COMMAND"
            )
            raise InvalidInput(
                "a sealed store wants a key, and nobody can be asked for a passphrase",
                hint=f"Set CAS_PASSPHRASE_FILE, {others}",
            )
        typed = getpass("New passphrase: ")
        if getpass("Once more: ") != typed:
            raise InvalidInput("the two passphrases differ", hint="Try again")
        self.typed.append(Passphrase(typed))
        return self.typed[-1]

    def ask_for(self, what: str) -> Passphrase | None:
        """The passphrase of one slot; None where nobody can be asked."""
        return Passphrase(getpass(f"Passphrase of {what}: ")) if self._terminal.is_interactive else None


def _alone(read: Callable[[], KeySecret]) -> Callable[[], Sequence[KeySecret]]:
    """The same, as a reading of one secret where there may be several."""
    return lambda: [read()]


def read_passphrase(path: Path) -> Passphrase:
    """The first line of a file, without the mark that editors of Windows put before it: nobody types it."""
    content = _content(path, "CAS_PASSPHRASE_FILE names a file with one line").removeprefix(BOM_UTF8)
    lines = content.splitlines()
    if not lines or not lines[0]:
        raise InvalidInput("there is no passphrase in the file", where=str(path))
    if b"\0" in lines[0]:
        raise InvalidInput(
            "the passphrase in the file can be typed by nobody", where=str(path), hint="Save it as UTF-8"
        )
    return Passphrase(lines[0].decode("utf-8", "surrogateescape"))


def read_key_file(path: Path) -> KeyFile:
    """The content without line ends at its end, which editors add and take away."""
    content = _content(path, "CAS_KEY_FILE names the file that `cas key add file` has made")
    try:
        return KeyFile(content.rstrip(b"\r\n"))
    except InvalidInput as error:
        raise InvalidInput(error.what, where=str(path), hint=error.hint) from None


def read_identities(path: Path) -> Sequence[AgeIdentity]:
    """Those of a file of age, or the one of an SSH key."""
    hint = (
        "CAS_AGE_IDENTITY and CAS_BUNDLE_AGE_IDENTITY name a file that `age-keygen` has made, or an SSH key"
    )
    return identities_of(_content(path, hint), str(path))


def read_recipients(path: Path) -> Sequence[AgeRecipient]:
    """Those of a file with one a line."""
    return recipients_of(_content(path, "A file of recipients has one of age on each line"), str(path))


def _content(path: Path, hint: str) -> bytes:
    with faults_of_files(path, hint=hint):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise InvalidInput("there is no such file", where=str(path), hint=hint) from None


def make_key_file(path: Path) -> bool:
    """A new one, readable by its owner only, where there is none; whether it was made."""
    with faults_of_files(path, hint="Choose a place that you can write to"):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return False
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(token_hex(KEY_FILE_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
    return True


def key_command(line: str, origin: str) -> KeyCommand:
    """The words of a command line, as a shell would split them; no shell runs it."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise InvalidInput(f"not a command line: {error}", where=origin) from None
    if not words:
        raise InvalidInput("no command is named", where=origin)
    return KeyCommand(words)
