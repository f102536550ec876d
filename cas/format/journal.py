"""The journal of a deletion: which packs are about to go, said before any of them goes.

Readers need none of it. Who takes in a store with journals that its catalog does not know leaves their packs
alone: somebody may still be deleting them.
"""

import itertools
from dataclasses import dataclass

from cas.format.canonical import Fields, encode_json, open_envelope, parse_json, seal_envelope
from cas.format.config import FORMAT, REPOSITORY_ID_BYTES
from cas.format.malformed import malformed, newer
from cas.format.names import is_pack_name
from cas.ids import PackName
from cas.limits import MAX_VERSION_NUMBER


@dataclass(frozen=True, slots=True)
class Journal:
    """One object. `packs` ascend. `token`: whose journal it is, of several catalogs of one store."""

    repository_id: str
    number: int
    token: str
    packs: tuple[PackName, ...]


def encode_journal(journal: Journal) -> bytes:
    """The one encoding. Raises what `parse_journal` would raise for it."""
    data = seal_envelope(
        encode_json(
            {
                "format": FORMAT,
                "number": journal.number,
                "packs": journal.packs,
                "repository_id": journal.repository_id,
                "token": journal.token,
                "type": "gc",
            }
        )
    )
    parse_journal(data)
    return data


def parse_journal(data: bytes, where: str = "") -> Journal:
    """The journal. Newer formats are Unsupported; every deviation from the one encoding is CorruptData."""
    fields = Fields(parse_json(open_envelope(data, where), where), where)
    if fields.text("type") != "gc":
        raise malformed("not a journal", where)
    version = fields.integer("format")
    if version != FORMAT:
        raise newer(f"journal format {version}", where)
    journal = Journal(
        repository_id=fields.binary("repository_id", REPOSITORY_ID_BYTES).hex(),
        number=fields.integer("number"),
        token=fields.text("token"),
        packs=tuple(PackName(name) for name in fields.texts("packs")),
    )
    fields.finish()
    if not 1 <= journal.number <= MAX_VERSION_NUMBER:
        raise malformed(f"journal number {journal.number}", where)
    if not all(map(is_pack_name, journal.packs)):
        raise malformed("name of a pack in a journal", where)
    if any(left >= right for left, right in itertools.pairwise(journal.packs)):
        raise malformed("packs of a journal do not ascend", where)
    return journal
