"""What age makes of the key of a slot: a binary file of age-encryption.org/v1 whose content is that key.

    age-encryption.org/v1          who may open it: a stanza for each recipient
    -> X25519 ...
    ...
    --- ...                        a code of authentication of all above
    64 bytes                       a nonce of 16 bytes, the encrypted key of 32, a tag of 16

Only the form is looked at here, before anybody tries an identity: what a hostile store holds must not cost
more than its bytes. Whether it opens only an identity tells.
"""

import re

from cas.format.malformed import malformed, newer, over_limit
from cas.limits import MAX_AGE_STANZAS

PAYLOAD_BYTES = 16 + 32 + 16
"""Nonce, encrypted key, tag."""

_FAMILY = b"age-encryption.org/"
_VERSION = b"age-encryption.org/v1\n"
_STANZA = re.compile(rb"-> ([!-~]+)(?: [!-~]+)*\n(?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{0,63}\n")
_CODE = re.compile(rb"--- [A-Za-z0-9+/]{43}\n")
_PASSPHRASE = b"scrypt"


def check_age_file(data: bytes, where: str = "") -> None:
    """CorruptData for what is no such file, or one that a passphrase opens: trying it costs what its writer
    likes. Unsupported for another version of age."""
    if not data.startswith(_VERSION):
        if data.startswith(_FAMILY):
            raise newer("another version of age", where)
        raise malformed("what is kept of an age recipient is no age file", where)
    at = len(_VERSION)
    stanzas = 0
    while stanza := _STANZA.match(data, at):
        if stanza[1] == _PASSPHRASE:
            raise malformed("an age file for a passphrase where one for a recipient belongs", where)
        stanzas += 1
        if stanzas > MAX_AGE_STANZAS:
            raise over_limit(f"an age file of more than {MAX_AGE_STANZAS} recipients", where)
        at = stanza.end()
    code = _CODE.match(data, at)
    if not stanzas or code is None or len(data) - code.end() != PAYLOAD_BYTES:
        raise malformed("what is kept of an age recipient is no age file with a key in it", where)
