"""One table of a plan: its differences, what is decided of them, and the counts that the plan shows."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace

from blake3 import blake3

from cas.diff import ChangeKind, FieldChange, RecordChange
from cas.differences import Difference, DifferenceSpool
from cas.engine.chunk_reader import ChunkReader
from cas.entity_changes import ChangeReading, Miscounted
from cas.live.column_map import split_fields
from cas.live.comparing import Batches, Counts, compare
from cas.live.deciding import Conflict, Rules, decide
from cas.live.plan import Drift, EntityPlan
from cas.live.recasting import Recasting
from cas.live.spool import ChangeSpool
from cas.live.tables import Name, Pair
from cas.progress import Progress
from cas.record_ids import RecordIds
from cas.records.encodings import decode_text
from cas.records.keys import decode_stored_key
from cas.records.live import Change, LiveSnapshot
from cas.records.model import RecordBatch
from cas.records.payload import NULL, TAB, strip_trailing_nulls, unescape
from cas.records.source import Changed

EXAMPLES = 3
"""Records of each kind that a plan shows."""

Values = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Patch:
    """Records that refer to one of these values through these live columns: they stay away (`skips`), or
    refer to nothing."""

    columns: tuple[str, ...]
    values: Container[Values]
    skips: bool


class PlannedTable:
    """Differences are found once; deciding may happen again, with more keys or patches."""

    def __init__(self, pair: Pair, encoding: str) -> None:
        self.pair = pair
        self.differences = DifferenceSpool()
        self.changes = ChangeSpool()
        self.counts = Counts()
        self.keys: set[bytes] | None = None
        """Those in scope; None for all."""
        self.patches: list[Patch] = []
        self.sets_sequence = False
        """Whether a sequence that it draws from is set."""
        self.recasting: Recasting | None = None
        self.read_by = "scan"
        self.read_reason = ""
        self.rows_read = 0
        """How its differences were found; see EntityPlan."""
        self.doubt = ""
        """Why what was written since is not believed, where it was told."""
        self._known_places: dict[tuple[tuple[str, ...], bool], tuple[int, ...] | None] = {}
        self.conflicts = 0
        self._encoding = encoding
        self._numbers = dict.fromkeys(ChangeKind, 0)
        self._bytes = 0
        self._digest = b""
        self._examples: list[RecordChange] = []

    def close(self) -> None:
        """The temporary files are gone."""
        self.differences.close()
        self.changes.close()

    @property
    def name(self) -> Name:
        return self.pair.name

    @property
    def is_meant(self) -> bool:
        """Whether any of its records are in scope; else it was only looked at for relations."""
        return self.keys is None or bool(self.keys)

    @property
    def is_touched(self) -> bool:
        """Whether its writers must be kept out, and an undo must know what it was."""
        return self.changes.length > 0 or self.sets_sequence

    @property
    def created_columns(self) -> tuple[str, ...]:
        """The live columns that a new record gives."""
        columns = self.pair.live.columns
        if self.pair.columns.is_alike:
            return tuple(column.name for column in columns)
        return tuple(columns[at].name for at in self.pair.columns.taken)

    def compare(
        self, reader: ChunkReader, batches: Batches, ids: RecordIds, progress: Progress, why: str
    ) -> None:
        """Find all differences, in scope or not, by every row; `why`: for what reason."""
        label = self.pair.live.label
        progress.entity(label, self.pair.entry.records, self.pair.entry.payload_bytes)

        def counted() -> Iterator[RecordBatch]:
            for batch in batches():
                yield batch
                progress.advance(label, len(batch.payloads), sum(map(len, batch.payloads)))

        alike = self.pair.columns.keeps_places
        for one in compare(self.pair.entry, reader, counted, ids, self.counts, alike=alike):
            self.differences.add(one)
        self.read_reason, self.rows_read = why, self.counts.live_records

    def compare_written(
        self, reading: ChangeReading, look: LiveSnapshot, changed: Changed, version: int
    ) -> None:
        """As `compare`, of what was written since the version was read. Miscounted where these cannot be all:
        then every row has to be read."""
        entry = self.pair.entry
        try:
            for one in reading.differences(changed, look, with_payloads=True):
                self.differences.add(one)
        except Miscounted as error:
            self.doubt = f"{changed.read_by}: {error.what}"
            self.differences.close()
            self.differences = DifferenceSpool()
            raise
        found = reading.counts
        self.counts.live_records = entry.records + found.inserted - found.deleted
        self.counts.live_bytes = entry.payload_bytes + found.payload_bytes
        self.read_by, self.rows_read = changed.read_by, found.rows
        self.read_reason = reading.told(changed, version)

    def decide(self, reader: ChunkReader, rules: Rules) -> None:
        """Make the changes anew."""
        self.changes.close()
        self.changes = ChangeSpool()
        self._numbers = dict.fromkeys(ChangeKind, 0)
        self._bytes = self.conflicts = 0
        self._examples = []
        shown = dict.fromkeys(ChangeKind, 0)
        digest = blake3()
        for found in decide(
            self.differences, reader, replace(rules, keys=self.keys, recasting=self.recasting)
        ):
            if isinstance(found, Conflict):
                self.conflicts += 1
                continue
            change = self._patched(found)
            if change is None:
                continue
            self.changes.add(change)
            kind = kind_of(change)
            self._numbers[kind] += change.count
            self._bytes += change.count * len(change.after or b"")
            digest.update(_told(change))
            if shown[kind] < EXAMPLES:
                shown[kind] += 1
                self._examples.append(self._example(change, kind))
        self._digest = digest.digest()

    def _patched(self, change: Change) -> Change | None:
        """As the patches want it; None where nothing is left to do."""
        for patch in self.patches:
            if change.after is None or self.values(change, patch.columns, after=True) not in patch.values:
                continue
            if patch.skips:
                return None
            names = self._layout(change, after=True)
            made = split_fields(change.after, len(names))
            for name in patch.columns:
                made[names.index(name)] = NULL
            change = replace(change, after=strip_trailing_nulls(TAB.join(made)))
        return None if change.after == change.before else change

    def values(self, change: Change, columns: tuple[str, ...], *, after: bool) -> Values | None:
        """The texts of these columns on one side of a change; None where there is no record there, or where
        one of them is NULL or takes its default."""
        payload = change.after if after else change.before
        if payload is None:
            return None
        places = self._places(columns, created=after and change.before is None)
        return None if places is None else texts_at(payload, places)

    def _places(self, columns: tuple[str, ...], *, created: bool) -> tuple[int, ...] | None:
        """Where these columns stand in a live record, or in one that is created; None where one does not."""
        asked = (columns, created)
        if asked not in self._known_places:
            live = tuple(column.name for column in self.pair.live.columns)
            names = self.created_columns if created else live
            is_there = all(name in names for name in columns)
            self._known_places[asked] = tuple(map(names.index, columns)) if is_there else None
        return self._known_places[asked]

    def _layout(self, change: Change, *, after: bool) -> tuple[str, ...]:
        if after and change.before is None:
            return self.created_columns
        return tuple(column.name for column in self.pair.live.columns)

    def version_values(self, payload: bytes, columns: Sequence[str]) -> Values | None:
        """The texts of these live columns in a record of the version; None as in `values`."""
        sources = {
            column.name: source
            for column, source in zip(self.pair.live.columns, self.pair.columns.sources, strict=True)
        }
        places = [sources.get(name) for name in columns]
        if any(place is None for place in places):
            return None
        return texts_at(payload, [place for place in places if place is not None])

    def live_values(self, one: Difference, columns: tuple[str, ...]) -> Values | None:
        """As `values`, of the live side of a difference."""
        return self.values(Change(one.key, one.payload, None), columns, after=False)

    def plan(self) -> EntityPlan:
        """What the plan says of this table."""
        entry, columns = self.pair.entry, self.pair.columns
        inserts, deletes = self._numbers[ChangeKind.ADDED], self._numbers[ChangeKind.REMOVED]
        return EntityPlan(
            label=self.pair.live.label,
            from_label=entry.entity.label,
            version_records=entry.records,
            live_records=self.counts.live_records,
            after_records=self.counts.live_records + inserts - deletes,
            inserts=inserts,
            updates=self._numbers[ChangeKind.CHANGED],
            deletes=deletes,
            conflicts=self.conflicts,
            differing=self.differences.length,
            changed_bytes=self._bytes,
            digest=self._digest.hex(),
            read_by=self.read_by,
            read_reason=self.read_reason,
            rows_read=self.rows_read,
            drift=Drift(columns.dropped, columns.added, columns.retyped, columns.renamed),
            examples=tuple(self._examples),
        )

    def _example(self, change: Change, kind: ChangeKind) -> RecordChange:
        old, new = self._texts(change, after=False), self._texts(change, after=True)
        names = list(dict.fromkeys((*old, *new)))
        fields = tuple(
            FieldChange(name, old.get(name), new.get(name))
            for name in names
            if kind is not ChangeKind.CHANGED or old.get(name) != new.get(name)
        )
        live = self.pair.live
        key = () if live.is_bag else decode_stored_key(live, change.key)
        texts = tuple(decode_text(text, self._encoding) for text in key)
        return RecordChange(live.label, kind, texts, fields, change.count)

    def _texts(self, change: Change, *, after: bool) -> dict[str, str | None]:
        payload = change.after if after else change.before
        if payload is None:
            return {}
        names = self._layout(change, after=after)
        texts = map(unescape, split_fields(payload, len(names)))
        return {
            name: None if text is None else decode_text(text, self._encoding)
            for name, text in zip(names, texts, strict=True)
        }


def texts_at(payload: bytes, places: Sequence[int]) -> Values | None:
    """The texts of the fields at these places; None where one is NULL."""
    found = payload.split(TAB, max(places, default=-1) + 1)
    texts = []
    for place in places:
        text = unescape(found[place]) if place < len(found) else None
        if text is None:
            return None
        texts.append(text)
    return tuple(texts)


def kind_of(change: Change) -> ChangeKind:
    """What happens to the live table."""
    if change.before is None:
        return ChangeKind.ADDED
    return ChangeKind.REMOVED if change.after is None else ChangeKind.CHANGED


def _told(change: Change) -> bytes:
    """One change as bytes, of which no two different ones are equal."""
    parts = [change.key, change.before, change.after, b"%d" % change.count]
    return b"".join(b"-" if part is None else b"%d:%b" % (len(part), part) for part in parts)
