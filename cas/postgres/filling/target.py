"""An empty PostgreSQL database that a version fills: the Target of a restore.

Privileges come after everything that runs as an object's owner, materialized views after
privileges, and event triggers with the very last transaction, since they would fire for our own
statements: pg_restore does the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import psycopg

from cas.errors import Conflict
from cas.postgres.connecting import ConnectionOptions, server_encoding, shown_url
from cas.postgres.dumping.schema import ROLE
from cas.postgres.faults import faults_of
from cas.postgres.filling.checks import check_constraints
from cas.postgres.filling.compatibility import findings
from cas.postgres.filling.connections import Connections
from cas.postgres.filling.emptiness import require_empty
from cas.postgres.filling.existing import ExistingPlan, plan_existing
from cas.postgres.filling.faults import refusal
from cas.postgres.filling.filled_views import REFRESH
from cas.postgres.filling.large_objects import write_large_objects
from cas.postgres.filling.loading import load
from cas.postgres.filling.marker import remove_marker, require_unmarked, set_marker
from cas.postgres.filling.schema_filter import wanted
from cas.postgres.filling.schema_restore import SchemaRunner, Skipped
from cas.postgres.filling.schema_steps import Name, Step, steps
from cas.postgres.filling.sequences import set_sequences
from cas.postgres.filling.step_order import PRIVILEGES, is_after_data, is_event_trigger, is_held
from cas.postgres.reading.identity import identity_of
from cas.records.model import Entity, EntityKind
from cas.records.source import SchemaItem, SourceIdentity
from cas.records.target import Finding, SchemaParts

_SIZES = """
SELECT n.nspname::text, c.relname::text, pg_table_size(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.oid >= 16384
"""


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """How a target is filled.

    jobs: connections that build indexes and check foreign keys at the same time.
    maintenance_mib: memory of each for building indexes, where the server's own setting is smaller.
    """

    connection: ConnectionOptions = field(default_factory=ConnectionOptions)
    jobs: int = 2
    maintenance_mib: int = 256


class PostgresTarget:
    """The database of one URL, to be filled once."""

    def __init__(self, url: str, options: TargetOptions | None = None) -> None:
        """InvalidInput for a malformed URL. Nothing is connected yet."""
        self._shown = shown_url(url)
        self._options = options or TargetOptions()
        self._connections = Connections(url, self._options.connection, self._options.maintenance_mib)
        self._control_connection: psycopg.Connection | None = None
        self._parts = SchemaParts()
        self._steps: list[Step] = []
        self._existing: ExistingPlan | None = None
        self._runner = SchemaRunner(self._connections.open, self._options.jobs)

    @property
    def url(self) -> str:
        return self._shown

    def identity(self) -> SourceIdentity:
        return identity_of(self._control)

    def require_empty(self) -> None:
        require_unmarked(self._control, self._shown)
        require_empty(self._control, self._shown)

    def findings(
        self,
        source: SourceIdentity,
        items: Sequence[SchemaItem],
        parts: SchemaParts,
        entities: Sequence[Entity],
        roles: Sequence[str] = (),
    ) -> Sequence[Finding]:
        named = [item.name for item in items if item.type == ROLE]
        return findings(self._control, source, wanted(steps(items), parts), entities, [*named, *roles])

    def begin(
        self,
        encoding: str,
        items: Sequence[SchemaItem],
        parts: SchemaParts,
        entities: Sequence[Entity] = (),
        *,
        what: str = "a restore",
    ) -> Sequence[Sequence[Entity]]:
        """See `cas.records.target`. The mark is durable when this returns."""
        self._require_encoding(encoding)
        self._parts, self._steps = parts, wanted(steps(items), parts)
        mark = f"{what}. What is here is incomplete."
        if items:
            self.require_empty()
            set_marker(self._control, mark, self._shown)
            return (tuple(e for e in entities if e.kind in (EntityKind.TABLE, EntityKind.PARTITIONED)),)
        require_unmarked(self._control, self._shown)
        plan = plan_existing(self._control, entities)
        undo = f" To undo, empty the tables; {'; '.join(plan.undo)}" if plan.undo else ""
        set_marker(self._control, mark + undo, self._shown)
        self._existing = plan
        self._connections.replica = plan.replica
        self._execute(plan.disable, "switching off triggers")
        return plan.waves

    def build_before_data(self) -> None:
        """See `cas.records.target`. Raises Conflict, Unsupported, PermissionDenied, ..."""
        self._runner.run([step for step in self._steps if not is_after_data(step)])

    def copy_in(self, entity: Entity, lines: Iterable[bytes], *, whole: bool = False) -> int:
        """See `cas.records.target`. Raises Conflict with the server's words where a record does not fit."""
        with self._connections.borrowed() as connection:
            is_new = whole and self._existing is None
            encoding, is_at_work = server_encoding(connection), self._connections.is_at_work
            return load(connection, entity, lines, encoding, is_new=is_new, is_at_work=is_at_work)

    def set_sequences(self, payloads: Iterable[bytes]) -> None:
        """See `cas.records.target`. Conflict for one that is not there, unless tables were left out."""
        missing = set_sequences(self._control, payloads)
        if missing and self._parts.tables is None:
            raise Conflict(
                f"the target has no sequence {', '.join(missing[:5])}",
                where=self._shown,
                hint="The schema that was restored is not the one of these records",
            )
        self._runner.skipped += [Skipped(f"SEQUENCE {name}", "its table was left out") for name in missing]

    def write_large_objects(self, payloads: Iterable[bytes]) -> None:
        write_large_objects(self._control, payloads, self._parts)

    def build_after_data(self) -> None:
        """See `cas.records.target`. Raises Conflict, Unsupported, PermissionDenied, ..."""
        after = [step for step in self._steps if is_after_data(step)]
        self._runner.run_after_data([s for s in after if not is_held(s)], self._sizes())
        self._runner.run([step for step in after if step.item.type in PRIVILEGES])
        if self._parts.data:
            self._runner.run([step for step in after if step.item.type == REFRESH])

    def analyze(self) -> None:
        """Statistics for the planner, of everything that the role may analyze."""
        self._execute(["ANALYZE"], "gathering statistics")

    def finish(self) -> Sequence[str]:
        """See `cas.records.target`. Where tables were there already, their triggers are what they were
        again, and constraints that did not fire are checked first: Conflict for what breaks one."""
        if self._existing is not None:
            if self._existing.replica:
                self._check_constraints(self._existing)
            self._execute(self._existing.undo, "switching on triggers")
        last = [step for step in self._steps if is_event_trigger(step)]
        remove_marker(self._control, lambda: self._runner.run_within(self._control, last), self._shown)
        return [f"{skipped.name}: {skipped.reason}" for skipped in self._runner.skipped]

    def cancel(self) -> None:
        self._connections.cancel()

    def close(self) -> None:
        self._connections.close()
        if self._control_connection is not None:
            self._control_connection.close()
            self._control_connection = None

    @property
    def _control(self) -> psycopg.Connection:
        """The connection that holds the lock of a running restore."""
        if self._control_connection is None:
            self._control_connection = self._connections.open()
        return self._control_connection

    def _require_encoding(self, encoding: str) -> None:
        have = server_encoding(self._control)
        if have != encoding:
            raise Conflict(
                f"the version's encoding is {encoding}, the target's {have}: records would change",
                where=self._shown,
                hint=f"createdb --template=template0 --encoding={encoding} NAME",
            )

    def _sizes(self) -> dict[Name, int]:
        with faults_of(self._shown):
            rows = self._control.execute(_SIZES).fetchall()
        return {(schema, name): size for schema, name, size in rows}

    def _check_constraints(self, plan: ExistingPlan) -> None:
        unchecked = check_constraints(self._control, [entity for wave in plan.waves for entity in wave])
        reason = "deferrable exclusion constraints are not checked"
        self._runner.skipped += [Skipped(f"CONSTRAINT {name}", reason) for name in unchecked]

    def _execute(self, statements: Iterable[str], doing: str) -> None:
        for statement in statements:
            try:
                self._control.execute(statement.encode("utf-8", "surrogateescape"))
            except psycopg.Error as error:
                raise refusal(error, doing=doing, where=statement) from error
