"""Credentials of a store as a person gives them: in a file, on standard input, or asked for.

Nothing of them is ever printed, and no flag takes them: command lines are seen by everybody on the machine.
"""

import sys
from getpass import getpass
from pathlib import Path
from urllib.parse import urlsplit

from cas.errors import InvalidInput
from cas.store.credential_texts import HINTS, MAX_TEXT_BYTES, read_credentials, s3_credentials
from cas.store.credentials import Credentials, wants_credentials
from cli.operating_system import faults_of_files
from cli.paths import expanded
from cli.terminal import Terminal

STANDARD_INPUT = "-"

ASKED = "what was typed"


def given_credentials(terminal: Terminal, url: str, source: str | None) -> Credentials:
    """Those of the store at `url`. `source`: the path of a file, `-`, or None to ask. InvalidInput where
    their form is wrong, where the store wants none, and where nobody can be asked."""
    scheme = urlsplit(url).scheme
    if not wants_credentials(url):
        raise InvalidInput("a store of this kind wants no credentials", where=url)
    if source is None:
        return _asked(terminal, scheme)
    if source == STANDARD_INPUT:
        return read_credentials(scheme, sys.stdin.buffer.read(MAX_TEXT_BYTES + 1), "standard input")
    return _in_file(scheme, expanded(source))


def _in_file(scheme: str, path: Path) -> Credentials:
    with faults_of_files(path, hint=HINTS[scheme]):
        try:
            with path.open("rb") as file:
                data = file.read(MAX_TEXT_BYTES + 1)
        except FileNotFoundError:
            raise InvalidInput("there is no such file", where=str(path), hint=HINTS[scheme]) from None
    return read_credentials(scheme, data, str(path))


def _asked(terminal: Terminal, scheme: str) -> Credentials:
    if not terminal.is_interactive:
        raise InvalidInput(
            "nobody can be asked for credentials",
            where="FILE",
            hint="Name a file, or - for standard input",
        )
    if scheme == "s3":
        values = {
            "access_key_id": terminal.ask("Access key id: ").strip(),
            "secret_access_key": getpass("Secret access key: ").strip(),
            "session_token": getpass("Session token, where there is one: ").strip(),
        }
        return s3_credentials(values, ASKED)
    if scheme == "gs":
        path = terminal.ask("Path of the key file of the service account: ").strip()
        return _in_file(scheme, expanded(path))
    typed = getpass("Connection string, account key or shared access signature: ")
    return read_credentials(scheme, typed.encode("utf-8", "replace"), ASKED)
