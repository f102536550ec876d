"""What opens sealed bundles. They have passphrases, key files and age identities of their own: who is given a
bundle is not given the repository's."""

import os
from collections.abc import Iterator, Sequence
from getpass import getpass
from itertools import chain

from cas.errors import InvalidInput
from cas.format.sealing import SlotKind
from cas.sealing.key_ring import Labelled
from cas.sealing.key_secrets import KeySecret, Passphrase, SlotOpener
from cli.key_secrets import TRIES, read_identities, read_key_file, read_passphrase
from cli.paths import expanded
from cli.settings import Settings
from cli.terminal import Terminal

LABEL = "bundle"
OPEN_HINT = (
    "Set CAS_BUNDLE_PASSPHRASE_FILE, CAS_BUNDLE_KEY_FILE or CAS_BUNDLE_AGE_IDENTITY; nothing else opens it"
)


class BundleSecrets:
    """Those of one run of a command: see `cas.sealing.held_keys.Secrets`."""

    def __init__(self, settings: Settings, terminal: Terminal) -> None:
        self._settings = settings
        self._terminal = terminal

    def __call__(self, kinds: frozenset[SlotKind]) -> Iterator[SlotOpener]:
        were_given = False
        for secret in chain(self._settled(), self._identities(kinds)):
            if secret.kind in kinds:
                were_given = True
                yield secret
        if were_given or SlotKind.PASSPHRASE not in kinds or not self._terminal.is_interactive:
            return
        for attempt in range(TRIES):
            yield Passphrase(
                getpass("Passphrase of the bundle: " if not attempt else "That was not it. Passphrase: ")
            )

    def new(self) -> Sequence[Labelled]:
        """For the slots of a new bundle, which is sealed for somebody else by his recipient and not by an
        identity of this machine. InvalidInput where there is none, and nobody can be asked."""
        found = [Labelled(secret, LABEL) for secret in self._settled()]
        if found:
            return found
        if not self._terminal.is_interactive:
            raise InvalidInput(
                "a sealed bundle wants a passphrase, and nobody can be asked for one",
                where="--encrypt",
                hint="Set CAS_BUNDLE_PASSPHRASE_FILE or CAS_BUNDLE_KEY_FILE, or name a --recipient",
            )
        typed = getpass("Passphrase of the bundle: ")
        if getpass("Once more: ") != typed:
            raise InvalidInput("the two passphrases differ", hint="Try again")
        return [Labelled(Passphrase(typed), LABEL)]

    def _identities(self, kinds: frozenset[SlotKind]) -> Iterator[SlotOpener]:
        if SlotKind.AGE in kinds:
            for path in filter(None, self._settings.bundle_age_identity.split(os.pathsep)):
                yield from read_identities(expanded(path))

    def _settled(self) -> Iterator[KeySecret]:
        for path in filter(None, self._settings.bundle_key_file.split(os.pathsep)):
            yield read_key_file(expanded(path))
        if self._settings.bundle_passphrase_file:
            yield read_passphrase(expanded(self._settings.bundle_passphrase_file))
