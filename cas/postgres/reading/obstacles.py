"""Why a table, sequence or large object cannot be read, and what exactly would help."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cas.errors import CasError, PermissionDenied, Unsupported
from cas.postgres.quoting import shown
from cas.postgres.reading.shapes import Obstacle
from cas.records.source import Omission

SHOWN = 5
"""Remedies that one error spells out; the rest is counted. `cas doctor` prints all."""


@dataclass(frozen=True, slots=True)
class Access:
    """What the connected role may do with one relation.

    filtered: row-level security would hide rows from it. only_on_primary: an unlogged relation, seen
    from a standby, which has no rows of it.
    """

    schema: str
    name: str
    may_enter: bool
    may_read: bool
    filtered: bool = False
    only_on_primary: bool = False
    kind: str = "TABLE"


def obstacle_of(access: Access, role: str) -> Obstacle | None:
    """The first reason why the relation cannot be read by the role; None where it can."""
    to = shown(role)
    grants = []
    if not access.may_enter:
        grants.append(f"GRANT USAGE ON SCHEMA {shown(access.schema)} TO {to};")
    if not access.may_read:
        grants.append(f"GRANT SELECT ON {access.kind} {shown(access.schema, access.name)} TO {to};")
    if grants:
        return Obstacle(f"role {role} may not read it", " ".join(grants))
    if access.filtered:
        return Obstacle(f"row-level security would hide rows from role {role}", f"ALTER ROLE {to} BYPASSRLS;")
    if access.only_on_primary:
        return Obstacle(
            "it is unlogged, and this server is a standby, which has no rows of it",
            "Read from the primary, or leave it out by name",
            is_privilege=False,
        )
    return None


def obstacle_of_members(members: Iterable[tuple[Access, bool]], role: str) -> Obstacle | None:
    """The first reason why a partitioned table cannot be read because of its partitions.

    Rows need only the root's privilege, but pg_dump locks every partition. `half_detached`: a DETACH
    CONCURRENTLY was interrupted; the root no longer shows the partition's rows, and nobody else does.
    """
    for access, half_detached in members:
        name = shown(access.schema, access.name)
        if half_detached:
            return Obstacle(
                f"its partition {name} is half detached",
                f"ALTER TABLE ... DETACH PARTITION {name} FINALIZE;",
                is_privilege=False,
            )
        found = obstacle_of(access, role)
        if found is not None and access.filtered and access.may_enter and access.may_read:
            continue  # a partition's own policies do not apply to what is read through the root
        if found is not None:
            return Obstacle(f"its partition {name}: {found.reason}", found.remedy, found.is_privilege)
    return None


def refusal(obstacles: Sequence[tuple[str, Obstacle]]) -> CasError:
    """The error for everything that cannot be read: the names, and what helps."""
    names = [name for name, _ in obstacles]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    what = (
        obstacles[0][1].reason
        if len(names) == 1
        else f"{len(names)} tables cannot be read: {obstacles[0][1].reason}"
    )
    remedies = dict.fromkeys(obstacle.remedy for _, obstacle in obstacles)
    hint = " ".join(list(remedies)[:SHOWN]) + more
    kind = PermissionDenied if any(obstacle.is_privilege for _, obstacle in obstacles) else Unsupported
    return kind(what, where=", ".join(names[:SHOWN]) + more, hint=hint)


def as_omission(name: str, obstacle: Obstacle) -> Omission:
    """What should have been read and was not, because the caller allowed it."""
    return Omission(name, f"{obstacle.reason}. {obstacle.remedy}", is_failure=True)
