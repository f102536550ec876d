"""The rows of a version, as texts."""

from collections import Counter
from collections.abc import Iterable

from cas.contents import open_contents
from cas.engine.repository import Repository
from cas.live.tables import TABLES
from cas.record_stream import read_records
from cas.records.payload import fields
from tests.live.looking import Rows


def held_rows(repository: Repository, number: int) -> dict[str, Rows]:
    """By label, of all tables of the platform's shape."""
    contents = open_contents(repository, number)
    found: dict[str, Rows] = {}
    for entry in contents.entries:
        if entry.entity.label == "public.echo" or entry.entity.kind not in TABLES:
            continue
        rows: Rows = Counter()
        width = len(entry.entity.columns)
        for batch in read_records(contents.reader, entry):
            counts: Iterable[int] = batch.counts or [1] * len(batch.payloads)
            for payload, count in zip(batch.payloads, counts, strict=True):
                texts = fields(payload, width)
                rows[tuple(None if text is None else text.decode() for text in texts)] += count
        found[entry.entity.label] = rows
    return found
