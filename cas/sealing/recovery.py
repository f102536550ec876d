"""Recovery codes: a key for paper, that people can type and that shows a slip of the hand.

160 random bits in base32 without the letters I, L, O and U (which read as 1, 1, 0 and V), in groups of four;
the ninth group is a check.
"""

from dataclasses import dataclass

from blake3 import blake3

from cas.errors import InvalidInput
from cas.format.sealing import SlotHead, SlotKind
from cas.sealing.key_secrets import Entropy, salted_key

CODE_BYTES = 20
GROUP = 4
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base32."""

_CHECK_BITS = 20
_READ_AS = str.maketrans({"I": "1", "L": "1", "O": "0", "U": "V", "-": "", " ": ""})


@dataclass(frozen=True, slots=True, repr=False)
class RecoveryCode:
    """The secret of a recovery kit."""

    material: bytes

    kind = SlotKind.RECOVERY

    def fitted(self, head: SlotHead, entropy: Entropy) -> tuple[SlotHead, bytes]:
        return head, self.slot_key(head)

    def slot_key(self, head: SlotHead) -> bytes:
        return salted_key("cas 1 recovery code", self.material, head.salt)

    def text(self) -> str:
        """As it is printed: nine groups of four."""
        digits = _base32(int.from_bytes(self.material), CODE_BYTES * 8) + _base32(
            _check(self.material), _CHECK_BITS
        )
        return "-".join(digits[at : at + GROUP] for at in range(0, len(digits), GROUP))

    @classmethod
    def read(cls, text: str) -> "RecoveryCode":
        """From what a person typed. InvalidInput where it is no code, or one with a slip in it."""
        digits = "".join(text.upper().split()).translate(_READ_AS)
        if len(digits) != CODE_BYTES * 8 // 5 + _CHECK_BITS // 5 or not {*digits} <= {*ALPHABET}:
            raise InvalidInput("a recovery code has nine groups of four letters and digits")
        number = 0
        for digit in digits:
            number = number * 32 + ALPHABET.index(digit)
        material = (number >> _CHECK_BITS).to_bytes(CODE_BYTES)
        if number & ((1 << _CHECK_BITS) - 1) != _check(material):
            raise InvalidInput("the recovery code has a slip in it", hint="Compare it with the paper")
        return cls(material)


def _base32(number: int, bits: int) -> str:
    return "".join(ALPHABET[number >> shift & 31] for shift in range(bits - 5, -1, -5))


def _check(material: bytes) -> int:
    return int.from_bytes(blake3(material).digest()[:3]) >> 4
