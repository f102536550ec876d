"""A throwaway database as the target of a whole restore.

Some things only a server's administrator may make, some would reach another server, and some name roles
that only the platform has. None of them holds a record. They are left out and named; the rest is restored
as everywhere.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import psycopg

from cas.postgres.faults import faults_of
from cas.postgres.filling.schema_roles import roles_named
from cas.postgres.filling.schema_steps import steps
from cas.postgres.filling.target import PostgresTarget, TargetOptions
from cas.postgres.scratch.extensions import EXTENSION, beyond_owner, make_harmless
from cas.records.model import Entity
from cas.records.source import SchemaItem, SourceIdentity
from cas.records.target import Finding, SchemaParts

_ELSEWHERE = frozenset({"SUBSCRIPTION", "SUBSCRIPTION TABLE", "USER MAPPING", "SECURITY LABEL"})
"""Types that reach another server, or need a part of the platform's own."""

_ADMINISTRATORS = frozenset(
    {
        *("EVENT TRIGGER", "PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA"),
        *("FOREIGN DATA WRAPPER", "SERVER", "FOREIGN TABLE"),
    }
)
"""Types that an owner may not make."""

_ABOUT_OTHERS = ("EVENT TRIGGER", "PUBLICATION", "FOREIGN DATA WRAPPER", "SERVER", "FOREIGN TABLE", EXTENSION)
"""What a comment cannot be about where its owner is not ours."""


class ThrowawayTarget(PostgresTarget):
    """A PostgresTarget that passes over what its role cannot, or must not, make."""

    def __init__(
        self,
        url: str,
        options: TargetOptions,
        administrator: Callable[[], psycopg.Connection],
        owner: str,
        *,
        full_rights: bool,
    ) -> None:
        """`administrator` opens the administrator's connection to the same database; `full_rights`: the
        URL is the administrator's, too."""
        super().__init__(url, options)
        self._administrator = administrator
        self._owner = owner
        self._full_rights = full_rights
        self._left_out: list[str] = []

    def findings(
        self,
        source: SourceIdentity,
        items: Sequence[SchemaItem],
        parts: SchemaParts,
        entities: Sequence[Entity],
        roles: Sequence[str] = (),
    ) -> Sequence[Finding]:
        kept, parts = self._fitting(items, parts, entities)
        return super().findings(source, kept, parts, entities, roles)

    def begin(
        self,
        encoding: str,
        items: Sequence[SchemaItem],
        parts: SchemaParts,
        entities: Sequence[Entity] = (),
        *,
        what: str = "a restore",
    ) -> Sequence[Sequence[Entity]]:
        kept, parts = self._fitting(items, parts, entities)
        waves = super().begin(encoding, kept, parts, entities, what=what)
        if not self._full_rights:
            with closing(self._administrator()) as admin:
                make_harmless(admin, kept, self._owner)
        return waves

    def finish(self) -> Sequence[str]:
        """What was passed over, what was left out included."""
        return [*self._left_out, *super().finish()]

    def _fitting(
        self, items: Sequence[SchemaItem], parts: SchemaParts, entities: Sequence[Entity]
    ) -> tuple[list[SchemaItem], SchemaParts]:
        """The items that are built. Where foreign tables are not, what reads them may fail."""
        with closing(self._administrator()) as admin, faults_of("asking for roles and extensions"):
            known = {str(name) for (name,) in admin.execute("SELECT rolname::text FROM pg_roles")}
            beyond = set() if self._full_rights else beyond_owner(admin, items)
        kept, self._left_out = [], []
        lost_tables = False
        for item in items:
            reason = self._reason(item, known, beyond)
            if reason is None:
                kept.append(item)
            elif reason:
                name = f"{item.schema}.{item.name}" if item.schema else item.name
                self._left_out.append(f"{item.type} {name}: {reason}")
                lost_tables = lost_tables or item.type == "FOREIGN TABLE"
        tables = frozenset((e.schema, e.name) for e in entities) if lost_tables else parts.tables
        return kept, replace(parts, tablespaces=False, tables=tables)

    def _reason(self, item: SchemaItem, known: set[str], beyond: set[str]) -> str | None:
        """Why it is left out; "" where that needs no mention, None where it is built."""
        if item.type in _ELSEWHERE:
            return "it belongs to the platform's own surroundings"
        if item.type == EXTENSION and item.name in beyond:
            return "only an administrator may make it"
        missing = sorted(roles_named(steps([item])) - known) if item.type == "POLICY" else []
        if missing:
            return f"there is no role {', '.join(missing)} here"
        if self._full_rights:
            return None
        if item.type in _ADMINISTRATORS:
            return "only an administrator may make it"
        return "" if item.type == "COMMENT" and any(_is_about_others(item)) else None


def _is_about_others(item: SchemaItem) -> Iterator[bool]:
    for step in steps([item]):
        about = " ".join(step.statement[:60].upper().split()).removeprefix("COMMENT ON ")
        yield about.startswith(_ABOUT_OTHERS)
