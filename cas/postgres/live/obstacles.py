"""What stands in the way of changing tables by the connected role: said before anything starts."""

from collections.abc import Sequence

import psycopg

from cas.postgres.faults import faults_of
from cas.postgres.live.foreign_keys import DatabaseKey
from cas.postgres.live.obstacles_of_keys import dropped_keys, unread_neighbours
from cas.postgres.live.quieting import acting_states, may_replicate
from cas.postgres.live.sequences import foreign_sequences
from cas.postgres.live.views import views_of_others
from cas.postgres.quoting import shown
from cas.postgres.reading.shapes import Table
from cas.records.target import Finding

_SERVER = """
SELECT pg_is_in_recovery(), has_database_privilege(current_database(), 'TEMPORARY'), current_user::text,
       current_database()::text, current_setting('server_version_num')::int4,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
"""

_RIGHTS = """
SELECT c.oid::int8, has_table_privilege(c.oid, 'INSERT'), has_table_privilege(c.oid, 'DELETE'),
       pg_has_role(c.relowner, 'USAGE'), pg_get_userbyid(c.relowner)::text, row_security_active(c.oid)
FROM pg_class c WHERE c.oid = ANY (%s::oid[])
"""

_SPEAKING = """
SELECT t.tgrelid::int8, 'trigger ' || t.tgname, t.tgenabled::text, t.tgisinternal FROM pg_trigger t
WHERE t.tgrelid = ANY (%(oids)s::oid[]) AND t.tgenabled <> 'D'
UNION ALL
SELECT r.ev_class::int8, 'rule ' || r.rulename, r.ev_enabled::text, false FROM pg_rewrite r
WHERE r.ev_class = ANY (%(oids)s::oid[]) AND r.ev_type IN ('2', '3', '4') AND r.ev_enabled <> 'D'
ORDER BY 1, 2
"""

_EVENT_TRIGGERS = """
SELECT evtname::text FROM pg_event_trigger
WHERE evtenabled::text = ANY (%s) AND evtevent <> 'login' ORDER BY 1
"""

_UNPROVEN = """
SELECT k.conrelid::int8, k.conname::text FROM pg_constraint k
WHERE k.conrelid = ANY (%s::oid[]) AND k.contype IN ('c', 'n') AND NOT k.convalidated ORDER BY 1, 2
"""


def obstacles_of(
    connection: psycopg.Connection, tables: Sequence[Table], keys: Sequence[DatabaseKey]
) -> Sequence[Finding]:
    """Those that block come first."""
    with faults_of("looking at the role's rights"):
        standby, may_stage, role, database, version, is_super = connection.execute(_SERVER).fetchall()[0]
        if standby:
            return [
                Finding(
                    True,
                    "the server is a standby, which takes no writes",
                    "Name the primary in CAS_SOURCE",
                )
            ]
        as_replica = may_replicate(connection)
        findings: list[Finding] = []
        if not may_stage:
            grant = f"GRANT TEMPORARY ON DATABASE {shown(database)} TO {shown(role)};"
            findings.append(Finding(True, f"role {role} may not create temporary tables", grant))
        labels = {oid: table.entity.label for table in tables for oid in table.relations}
        findings += _rights(connection, tables, role)
        concerned = [key for key in keys if key.child_oid in labels or key.parent_oid in labels]
        findings += _voices(connection, labels, role, version, as_replica=as_replica, is_super=is_super)
        if not is_super:
            findings += _event_triggers(connection, acting_states(as_replica=as_replica))
            findings += foreign_sequences(connection, list(labels), role)
            findings += views_of_others(connection, list(labels))
        if not as_replica:
            findings += dropped_keys(connection, concerned)
        elif not is_super:
            findings += unread_neighbours(connection, concerned, labels, role)
        for oid, name in connection.execute(_UNPROVEN, [list(labels)]).fetchall():
            findings.append(
                Finding(
                    False,
                    f"constraint {name} of {labels[oid]} is NOT VALID: an old record may not meet it",
                    "Then nothing is changed; drop the constraint first, or leave such records out",
                )
            )
    return sorted(findings, key=lambda one: not one.blocks)


def _rights(connection: psycopg.Connection, tables: Sequence[Table], role: str) -> list[Finding]:
    findings = []
    rows = {row[0]: row[1:] for row in connection.execute(_RIGHTS, [[t.oid for t in tables]]).fetchall()}
    for table in tables:
        may_insert, may_delete, _, _, filtered = rows[table.oid]
        name = shown(table.entity.schema, table.entity.name)
        lacking = [w for w, may in (("INSERT", may_insert), ("DELETE", may_delete)) if not may]
        if lacking:
            grant = f"GRANT {', '.join(lacking)} ON TABLE {name} TO {shown(role)};"
            findings.append(Finding(True, f"role {role} may not write {table.entity.label}", grant))
        if filtered:
            findings.append(
                Finding(
                    True,
                    f"row-level security of {table.entity.label} would hide rows from role {role}",
                    f"ALTER ROLE {shown(role)} BYPASSRLS;",
                )
            )
    return findings


def _voices(
    connection: psycopg.Connection,
    labels: dict[int, str],
    role: str,
    version: int,
    *,
    as_replica: bool,
    is_super: bool,
) -> list[Finding]:
    """Triggers and rules that have to be silenced by name, which only the owner may."""
    acting = acting_states(as_replica=as_replica)
    rows = connection.execute(_SPEAKING, {"oids": list(labels)}).fetchall()
    findings = []
    owned = {row[0]: row[3] for row in connection.execute(_RIGHTS, [list(labels)]).fetchall()}
    for oid, name, state, is_internal in rows:
        if state not in acting or (is_internal and not as_replica):
            continue  # without a replica's role, foreign keys are dropped, and the others shall act
        if is_internal and is_super:
            continue
        if is_internal:
            findings.append(
                Finding(
                    True,
                    f"{name} of {labels[oid]}, of a constraint, was enabled for replicas too, and only a"
                    " superuser may silence it",
                    "Connect as a superuser",
                )
            )
        elif owned[oid]:
            findings.append(
                Finding(False, f"{name} of {labels[oid]} is silent during the restore, and acts after it")
            )
        else:
            findings.append(
                Finding(
                    True,
                    f"{name} of {labels[oid]} would act, and role {role} may not silence it",
                    "Connect as the table's owner" if as_replica else _replicating(role, version),
                )
            )
    return findings


def _replicating(role: str, version: int) -> str:
    if version >= 150000:
        return f"GRANT SET ON PARAMETER session_replication_role TO {shown(role)}; or connect as the owner"
    return "Connect as the table's owner, or as a superuser"


def _event_triggers(connection: psycopg.Connection, acting: Sequence[str]) -> list[Finding]:
    """They see the temporary tables, and what is altered for a moment."""
    return [
        Finding(
            False,
            f"event trigger {name} acts on what the restore alters for a moment, and only a superuser may"
            " silence it",
            "Should it refuse that, nothing is changed",
        )
        for (name,) in connection.execute(_EVENT_TRIGGERS, [list(acting)]).fetchall()
    ]
