"""What stands in the way of changing tables by the connected role: said before anything starts."""

from collections.abc import Sequence

import psycopg

from cas.postgres.faults import faults_of
from cas.postgres.live.foreign_keys import DatabaseKey
from cas.postgres.live.quieting import may_replicate
from cas.postgres.quoting import shown
from cas.postgres.reading.shapes import Table
from cas.records.target import Finding

_SERVER = """
SELECT pg_is_in_recovery(), has_database_privilege(current_database(), 'TEMPORARY'), current_user::text,
       current_database()::text, current_setting('server_version_num')::int4
"""

_RIGHTS = """
SELECT c.oid::int8, has_table_privilege(c.oid, 'INSERT'), has_table_privilege(c.oid, 'DELETE'),
       pg_has_role(c.relowner, 'USAGE'), pg_get_userbyid(c.relowner)::text, row_security_active(c.oid)
FROM pg_class c WHERE c.oid = ANY (%s::oid[])
"""

_SPEAKING = """
SELECT t.tgrelid::int8, 'trigger ' || t.tgname, t.tgenabled::text FROM pg_trigger t
WHERE t.tgrelid = ANY (%(oids)s::oid[]) AND NOT t.tgisinternal AND t.tgenabled <> 'D'
UNION ALL
SELECT r.ev_class::int8, 'rule ' || r.rulename, r.ev_enabled::text FROM pg_rewrite r
WHERE r.ev_class = ANY (%(oids)s::oid[]) AND r.ev_type IN ('2', '3', '4') AND r.ev_enabled <> 'D'
ORDER BY 1, 2
"""

_UNPROVEN = """
SELECT k.conrelid::int8, k.conname::text FROM pg_constraint k
WHERE k.conrelid = ANY (%s::oid[]) AND k.contype = 'c' AND NOT k.convalidated ORDER BY 1, 2
"""


def obstacles_of(
    connection: psycopg.Connection, tables: Sequence[Table], keys: Sequence[DatabaseKey]
) -> Sequence[Finding]:
    """Those that block come first."""
    with faults_of("looking at the role's rights"):
        standby, may_stage, role, database, version = connection.execute(_SERVER).fetchall()[0]
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
        findings += _voices(connection, labels, role, version, as_replica=as_replica)
        if not as_replica:
            findings += _dropped_keys(connection, tables, keys)
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
) -> list[Finding]:
    """Triggers and rules that have to be silenced by name, which only the owner may."""
    acting = ("A", "R") if as_replica else ("O", "A")
    rows = connection.execute(_SPEAKING, {"oids": list(labels)}).fetchall()
    loud = [(oid, name) for oid, name, state in rows if state in acting]
    findings = []
    owned = {row[0]: row[3] for row in connection.execute(_RIGHTS, [list(labels)]).fetchall()}
    for oid, name in loud:
        if owned[oid]:
            findings.append(
                Finding(False, f"{name} of {labels[oid]} is silent during the restore, and acts after it")
            )
        else:
            findings.append(
                Finding(
                    True,
                    f"{name} of {labels[oid]} would act, and role {role} may not silence it",
                    _replicating(role, version),
                )
            )
    return findings


def _replicating(role: str, version: int) -> str:
    if version >= 150000:
        return f"GRANT SET ON PARAMETER session_replication_role TO {shown(role)}; or connect as the owner"
    return "Connect as the table's owner, or as a superuser"


def _dropped_keys(
    connection: psycopg.Connection, tables: Sequence[Table], keys: Sequence[DatabaseKey]
) -> list[Finding]:
    """Without session_replication_role, foreign keys are dropped and added again: by their child's owner."""
    oids = {table.oid for table in tables}
    concerned = [key for key in keys if key.child_oid in oids or key.parent_oid in oids]
    children = sorted({key.child_oid for key in concerned} | {key.parent_oid for key in concerned})
    owned = {row[0]: (row[3], row[4]) for row in connection.execute(_RIGHTS, [children]).fetchall()}
    findings = []
    for key in concerned:
        for oid, name in ((key.child_oid, key.key.child), (key.parent_oid, key.key.parent)):
            if not owned[oid][0]:
                findings.append(
                    Finding(
                        True,
                        f"foreign key {key.key.label} would have to be dropped for a moment, and"
                        f" {'.'.join(name)} belongs to {owned[oid][1]}",
                        "Connect as its owner, or as a role that may set session_replication_role",
                    )
                )
    if concerned and not findings:
        names = ", ".join(key.key.label for key in concerned[:3])
        findings.append(
            Finding(
                False,
                f"{len(concerned)} foreign keys are dropped and added again within the transaction ({names}):"
                " readers wait meanwhile, and each is checked for all rows",
                "A role that may set session_replication_role needs neither",
            )
        )
    return findings
