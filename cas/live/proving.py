"""The proof before COMMIT: what was written is read again, and nothing else can have moved.

Writers have been locked out since everything was compared, so all that remains is what this transaction
wrote: the records under every key that it touched, and how many the table has.
"""

from collections import Counter
from collections.abc import Iterator

from cas.errors import VerificationFailed
from cas.live.column_map import split_fields
from cas.live.planned_table import PlannedTable
from cas.records.live import Change, LiveTransaction


def prove(transaction: LiveTransaction, table: PlannedTable) -> None:
    """VerificationFailed where the live table is not what the plan said."""
    live, planned = table.pair.live, table.plan()
    count = transaction.count(live)
    if count != planned.after_records:
        raise _wrong(table, f"it has {count} records, and {planned.after_records} belong there")
    if live.is_bag:
        _prove_bag(transaction, table)
    else:
        _prove_keyed(transaction, table)


def _prove_keyed(transaction: LiveTransaction, table: PlannedTable) -> None:
    found = (
        pair
        for batch in transaction.read_back(table.pair.live)
        for pair in zip(batch.keys, batch.payloads, strict=True)
    )
    for change in table.changes:
        if change.after is None:
            continue
        key, payload = next(found, (None, b""))
        if key != change.key or not _is_after(table, change, payload):
            for _ in found:  # the COPY must end before anything else can be asked
                pass
            raise _wrong(table, "a record differs from what was to be written")
    if sum(1 for _ in found):
        raise _wrong(table, "records are there that were to go")


def _is_after(table: PlannedTable, change: Change, payload: bytes) -> bool:
    """A created record may have more columns than were given: those took their defaults."""
    if payload == change.after:
        return True
    created = table.created_columns
    columns = [column.name for column in table.pair.live.columns]
    if change.before is not None or len(created) == len(columns) or change.after is None:
        return False
    there = dict(zip(columns, split_fields(payload, len(columns)), strict=True))
    return [there[name] for name in created] == split_fields(change.after, len(created))


def _prove_bag(transaction: LiveTransaction, table: PlannedTable) -> None:
    found = Counter(_payloads(transaction, table))
    for change in table.changes:
        payload = change.before if change.after is None else change.after
        assert payload is not None, "a change of a bag is a record that comes or goes"
        if found.pop(payload, 0) != change.left:
            raise _wrong(table, "a record is there too often or too seldom")
    if found:
        raise _wrong(table, "records are there that were not to be written")


def _payloads(transaction: LiveTransaction, table: PlannedTable) -> Iterator[bytes]:
    for batch in transaction.read_back(table.pair.live):
        yield from batch.payloads


def _wrong(table: PlannedTable, what: str) -> VerificationFailed:
    return VerificationFailed(
        f"{table.pair.live.label}: {what}",
        where="inside of the restore's transaction",
        hint="Nothing was changed: it is rolled back. A trigger, a rule or a type may have altered what was"
        " written",
    )
