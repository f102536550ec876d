"""Making a plan: compare, decide, follow the foreign keys, and say in numbers what would happen.

Nothing is written to the platform. All records of the version that the plan needs are read and proven here,
and lie on the local disk until the plan is executed or dropped.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial

from cas.catalog.restore_model import MeasuredRestore, RestoreMode
from cas.contents import Contents, open_contents
from cas.engine.nodes_at_hand import NodesAtHand, RecentNodes
from cas.engine.repository import Repository
from cas.entity_changes import ChangeReading, Miscounted
from cas.errors import Conflict, InvalidInput, NotFound, Unsupported
from cas.format.entities import EntityEntry
from cas.live.deciding import Rules
from cas.live.findings import blocking_findings, doubted, edited_since, left_out
from cas.live.judging import estimate, impact, judge
from cas.live.keys_in_scope import Predicate, named_keys, subtree_keys, tables_reached
from cas.live.plan import Reference, RestorePlan, SequencePlan, plan_hash
from cas.live.planned_table import PlannedTable
from cas.live.prepared import PreparedPlan, Seen, Undone
from cas.live.recasting import Recasting
from cas.live.relations import Relations
from cas.live.request import LiveRequest
from cas.live.sequences_plan import plan_sequences, stored_sequences, undo_sequences
from cas.live.tables import (
    TABLES,
    Name,
    Pair,
    Renames,
    columns_of,
    in_scope,
    live_label,
    paired,
    renames_of,
    require_columns,
)
from cas.progress import Progress
from cas.read_ahead import read_ahead
from cas.record_ids import RecordIds
from cas.record_stream import read_payload
from cas.records.live import ForeignKey, LivePlatform, LiveSnapshot, Noted, OwnedSequence, SequenceValue
from cas.records.marks import Mark
from cas.records.model import Entity, RecordBatch
from cas.records.source import Changed, Selection
from cas.records.target import Finding
from cas.tree.reading import lookup


def prepare_plan(
    repository: Repository,
    platform: LivePlatform,
    version: int,
    request: LiveRequest,
    progress: Progress,
    *,
    number: int = 0,
    measured: Sequence[MeasuredRestore] = (),
    predicate: Predicate | None = None,
    base: int | None = None,
    undone: Undone | None = None,
    read_at: Mark | None = None,
) -> PreparedPlan:
    """Plan bringing a version back into the platform. `number` is the restore's in the catalog; `base` of a
    merge, the version after which live edits stay; `undone` is what an undo takes back. `read_at`: where the
    platform stood when the version was read, where that is known: then only what was written since is read.

    NotFound, InvalidInput for what the version or the platform lacks; Unsupported where keys differ; Conflict
    for an incomplete version; CorruptData where a needed chunk is missing or damaged.
    """
    contents = open_contents(repository, version)
    _require_whole(contents, request)
    planner = _Planner(repository, platform, contents, request, progress, predicate, base, undone, read_at)
    with ExitStack() as files:
        tables, references, sequences, findings, seen = planner.run(files)
        entities = tuple(table.plan() for table in tables.values() if _is_told(table))
        guess = estimate(entities, measured)
        plan = RestorePlan(
            number=number,
            version=version,
            version_time=contents.document.created_at,
            target=platform.url,
            request=request.as_json(),
            entities=entities,
            sequences=sequences,
            references=references,
            findings=(*blocking_findings(entities, references, request), *findings),
            estimate=guess,
            risk=judge(entities, references, with_safety=request.safety),
            impact=impact(entities, guess, findings),
            hash=plan_hash(
                version,
                contents.document.checksum,
                seen.identity,
                request.as_json(),
                entities,
                sequences,
            ),
        )
        plan = replace(plan, findings=tuple(sorted(plan.findings, key=lambda one: not one.blocks)))
        kept = files.pop_all()
        return PreparedPlan(plan, contents, request, tables, seen, planner.rules, planner.nodes, kept)
    raise AssertionError("files are kept by the plan")


def _is_told(table: PlannedTable) -> bool:
    """Tables that were only looked at for relations, and from which nothing follows, are left out."""
    return table.is_meant or table.changes.length > 0


def _require_whole(contents: Contents, request: LiveRequest) -> None:
    document = contents.document
    if document.state != "complete" and not request.allow_incomplete:
        raise Conflict(
            f"version {document.number} is {document.state}: it lacks "
            + ", ".join(name for name, _ in document.omissions[:5]),
            hint="Restore another version, or accept what is missing with --allow-incomplete",
        )


def _require_encoding(contents: Contents, look: LiveSnapshot) -> None:
    """Records are bytes in the encoding of their server."""
    before, now = contents.document.source.encoding, look.identity.encoding
    if before != now:
        raise Unsupported(
            f"the version's texts are in {before}, and the platform's in {now}",
            where=look.identity.database,
            hint=f"Restore the version with --into, into an empty database in {before}",
        )


class _Planner:
    """One plan in the making."""

    def __init__(
        self,
        repository: Repository,
        platform: LivePlatform,
        contents: Contents,
        request: LiveRequest,
        progress: Progress,
        predicate: Predicate | None,
        base: int | None,
        undone: Undone | None,
        read_at: Mark | None,
    ) -> None:
        self._undone = undone
        self._read_at = read_at
        self._repository = repository
        self._platform = platform
        self._contents = contents
        self._request = request
        self._progress = progress
        self._predicate = predicate
        self._ids = RecordIds(repository.config.id_key)
        self._base = self._base_of(base)
        self.nodes = RecentNodes()

    def _base_of(self, base: int | None) -> Contents | None:
        if self._request.mode is not RestoreMode.MERGE:
            return None
        if base is None:
            raise InvalidInput(
                "a merge needs a version after the one that comes back: what was edited later than it stays",
                where="--base",
                hint="Name it with --base, or use --mode changed",
            )
        return open_contents(self._repository, base)

    def run(
        self, files: ExitStack
    ) -> tuple[
        dict[Name, PlannedTable],
        tuple[Reference, ...],
        tuple[SequencePlan, ...],
        tuple[Finding, ...],
        Seen,
    ]:
        """The tables with their changes, and all else that a plan says."""
        contents, request = self._contents, self._request
        self._progress.phase("connect")
        renames = renames_of(contents, request)
        meant = in_scope(contents, request)
        if not meant:
            raise NotFound(f"version {contents.document.number} holds no records of what is asked for")
        meant_labels = {entry.entity.label for entry in meant}
        entries = self._reached(meant, renames)
        with self._looked(entries, renames) as look:
            _require_encoding(contents, look)
            pairs = self._pairs(entries, renames, look, meant_labels)
            mark, identity = look.mark(), look.identity
            keys = look.foreign_keys()
            tables: dict[Name, PlannedTable] = {}
            for pair in pairs:
                tables[pair.name] = files.enter_context(
                    closing(PlannedTable(pair, contents.document.source.encoding))
                )
                if pair.columns.retyped:
                    tables[pair.name].recasting = Recasting(pair.columns, pair.live, look.cast)
            self._compare(tables, look)
            self._narrow(tables, meant_labels, keys)
            references = self._settle(tables, keys, look)
            self._progress.phase("check")
            owned = look.owned_sequences()
            sequences = self._sequences(tables, owned)
            touched = [table.pair.live for table in tables.values() if table.is_touched]
            findings = [*look.obstacles(touched), *left_out(contents, request), *doubted(tables, contents)]
            if self._undone is not None:
                findings += edited_since(self._undone, tables)
            look.finish()
        for table in tables.values():
            if table.recasting is not None:
                table.recasting.cast = self._platform.cast
        noted = Noted(self._read_at, self._repository.id) if self._read_at else None
        seen = Seen(mark, noted, identity, _values_of(owned, tables))
        return tables, tuple(references), sequences, tuple(findings), seen

    def _sequences(
        self, tables: Mapping[Name, PlannedTable], owned: Sequence[OwnedSequence]
    ) -> tuple[SequencePlan, ...]:
        """Which sequences are set; the tables that draw from them know it then."""
        stored = stored_sequences(self._contents)
        if self._undone is not None:
            planned = undo_sequences(self._undone.sequences, owned, stored)
        else:
            planned = plan_sequences(tables, owned, stored, is_exact=self._is_exact)
        names = {one.name.encode("utf-8", "surrogateescape") for one in planned}
        for one in owned:
            if one.value.name in names and one.table in tables:
                tables[one.table].sets_sequence = True
        return planned

    @property
    def _is_exact(self) -> bool:
        return self._request.mode is RestoreMode.EXACT and not self._request.is_narrowed

    def _reached(self, meant: Sequence[EntityEntry], renames: Renames) -> list[EntityEntry]:
        """The entities meant, and those that foreign keys lead to where they shall be followed."""
        request = self._request
        with_parents = request.with_parents or request.missing_parents.value == "create"
        if not (with_parents or request.with_children):
            return list(meant)
        with self._looked(meant, renames) as look:
            keys = look.foreign_keys()
            start = {(e.schema, e.name) for e in look.entities if e.kind in TABLES}
        reached = tables_reached(start, keys, parents=with_parents, children=request.with_children)
        labels = {f"{schema}.{name}" for schema, name in reached}
        known = {live_label(e, renames): e for e in self._contents.entries if e.root is not None}
        return [entry for label, entry in known.items() if label in labels and entry.entity.kind in TABLES]

    @contextmanager
    def _looked(self, entries: Sequence[EntityEntry], renames: Renames) -> Iterator[LiveSnapshot]:
        """The live tables of these entities. NotFound where one is not there."""
        labels = {live_label(entry, renames): entry for entry in entries}
        with ExitStack() as opened:
            try:
                look = opened.enter_context(self._platform.look(Selection(tables=tuple(labels))))
            except InvalidInput as error:
                missing = next((label for label in labels if repr(label) in error.what), "")
                old = labels[missing].entity.label if missing else ""
                raise NotFound(
                    f"the platform has no table {missing or 'of this name'}",
                    where=self._platform.url,
                    hint=f"If it was renamed: --map {old}=NEW_NAME. If it was dropped, create it first, for"
                    " example from `cas restore --into` with --schema-only",
                ) from error
            yield look

    def _pairs(
        self, entries: Sequence[EntityEntry], renames: Renames, look: LiveSnapshot, meant: set[str]
    ) -> list[Pair]:
        """The tables beside each other; of those that are meant, only those that have a wanted column."""
        request = self._request
        there: dict[str, Entity] = {e.label: e for e in look.entities if e.kind in TABLES}
        pairs, asked = [], []
        for entry in entries:
            label = live_label(entry, renames)
            if label not in there:
                raise NotFound(f"the platform has no table {label}", where=look.identity.database)
            live = there[label]
            only: tuple[str, ...] = ()
            if entry.entity.label in meant and request.columns:
                asked.append(live)
                only = columns_of(live, request)
                if not only:
                    continue
            pairs.append(paired(entry, live, renames, only))
        require_columns(asked, request)
        return pairs

    def _compare(self, tables: Mapping[Name, PlannedTable], look: LiveSnapshot) -> None:
        self._progress.phase("compare")
        nodes = NodesAtHand(self._contents.reader, self._repository.newest_nodes, self.nodes)
        for table in tables.values():
            changed = self._changed(table.pair, look)
            if not isinstance(changed, str):
                changed = self._compare_written(table, look, changed, nodes)
            if changed:
                batches = _Batches(look, table.pair.live)
                table.compare(self._contents.reader, batches, self._ids, self._progress, changed)

    def _changed(self, pair: Pair, look: LiveSnapshot) -> Changed | str:
        """What may have been written since the version was read, where it held just the table's records then;
        else why that cannot be told."""
        mark, version = self._read_at, self._contents.document.number
        if self._request.scan:
            return "asked for"
        if mark is None:
            return f"nothing is known of the moment at which version {version} was read"
        if not look.mark().is_same_database(mark):
            return f"version {version} is of another database"
        if pair.entry.entity != pair.live or not pair.columns.keeps_places or pair.entry.root is None:
            return f"its definition is another one than in version {version}"
        return look.changed(pair.live, mark, self._repository.id)

    def _compare_written(
        self, table: PlannedTable, look: LiveSnapshot, changed: Changed, nodes: NodesAtHand
    ) -> str:
        """By what was written since. Empty, or why every row has to be read."""
        live, entry, version = table.pair.live, table.pair.entry, self._contents.document.number
        self._progress.entity(live.label, 0, 0)
        told = partial(self._progress.advance, live.label)
        reading = ChangeReading(live, entry, self._contents.reader, nodes, self._ids.of, told)
        try:
            table.compare_written(reading, look, changed, version)
        except Miscounted as error:
            return f"what was written since version {version} is in doubt: {error.what}"
        return ""

    def _narrow(
        self, tables: Mapping[Name, PlannedTable], meant: set[str], foreign_keys: Sequence[ForeignKey]
    ) -> None:
        """Say for each table which keys are in scope."""
        request, contents = self._request, self._contents
        named = named_keys(contents, request.keys)
        roots = named_keys(contents, request.subtrees)
        for table in tables.values():
            label = table.pair.entry.entity.label
            if self._undone is not None:
                table.keys = set(self._undone.keys.get(table.pair.live.label, ()))
                continue
            if label not in meant:
                table.keys = set()
                continue
            texts = [text for name, text in request.where if contents.entry(name).entity.label == label]
            if label not in named and label not in roots and not texts:
                continue
            table.keys = set(named.get(label, ()))
            if label in roots:
                spool = table.differences
                table.keys |= subtree_keys(contents, table.pair, roots[label], foreign_keys, spool)
            for text in texts:
                table.keys |= set(self._matching(label, text))

    def _matching(self, entity: str, text: str) -> Sequence[bytes]:
        if self._predicate is None:
            raise InvalidInput("predicates cannot be evaluated here", where="--where")
        self._progress.phase("where")
        return list(self._predicate(self._contents, entity, text))

    def _settle(
        self, tables: Mapping[Name, PlannedTable], keys: Sequence[ForeignKey], look: LiveSnapshot
    ) -> Sequence[Reference]:
        """Decide, follow the foreign keys, and decide again until nothing more follows."""
        self._progress.phase("decide")
        relations = Relations(tables, keys, look, self._contents.reader, self._request)
        waiting = list(tables)
        while True:
            for name in waiting:
                tables[name].decide(self._contents.reader, self.rules(tables[name]))
            found = relations.follow()
            if found.is_settled:
                return found.references
            for name, more in found.keys.items():
                keys_there = tables[name].keys
                assert keys_there is not None, "only narrowed tables get more keys"
                keys_there |= more
            for name, patches in found.patches.items():
                tables[name].patches += patches
            waiting = [*{*found.keys, *found.patches}]

    def rules(self, table: PlannedTable) -> Rules:
        """How the table is decided."""
        request, pair = self._request, table.pair
        return Rules(
            mode=request.mode,
            columns=pair.columns,
            is_bag=pair.live.is_bag,
            prefer=request.prefer,
            base=None if self._base is None else self._base_reader(pair, table.recasting),
            narrow=pair.is_narrow,
        )

    def _base_reader(self, pair: Pair, recasting: Recasting | None) -> Callable[[bytes], bytes | None]:
        """The base's record of a key."""
        base = self._base
        assert base is not None
        old = pair.entry.entity
        if old.is_bag:
            raise InvalidInput(f"{old.label} has no primary key to merge by", where="--mode merge")
        entry = base.entry(old.label)
        if entry.root is None or entry.entity.shape != old.shape:
            raise InvalidInput(
                f"version {base.document.number} holds {old.label} with other columns, or not at all",
                where="--base",
            )
        root = entry.root

        def record(key: bytes) -> bytes | None:
            leaf = lookup(base.reader, root, key)
            payload = None if leaf is None else read_payload(base.reader, leaf)
            return payload if recasting is None else recasting.rewritten([payload])[0]

        return record


def _values_of(
    owned: Sequence[OwnedSequence], tables: Mapping[Name, PlannedTable]
) -> tuple[SequenceValue, ...]:
    """Of the tables that are locked, each once."""
    touched = {name for name, table in tables.items() if table.is_touched}
    return tuple({one.value.name: one.value for one in owned if one.table in touched}.values())


class _Batches:
    """All records of a live table, each time from the start."""

    def __init__(self, look: LiveSnapshot, entity: Entity) -> None:
        self._look = look
        self._entity = entity

    def __call__(self) -> Iterable[RecordBatch]:
        return read_ahead(self._look.batches(self._entity))
