"""What foreign keys ask of a role that is no superuser: said before anything starts."""

from collections.abc import Container, Sequence

import psycopg

from cas.postgres.live.foreign_keys import DatabaseKey
from cas.postgres.quoting import shown
from cas.records.target import Finding

_RIGHTS = """
SELECT c.oid::int8, pg_has_role(c.relowner, 'USAGE'), pg_get_userbyid(c.relowner)::text,
       has_schema_privilege(c.relnamespace, 'USAGE'), has_table_privilege(c.oid, 'SELECT'),
       has_any_column_privilege(c.oid, 'UPDATE'), row_security_active(c.oid)
FROM pg_class c WHERE c.oid = ANY (%s::oid[])
"""


def dropped_keys(connection: psycopg.Connection, keys: Sequence[DatabaseKey]) -> list[Finding]:
    """Without session_replication_role, foreign keys are dropped and added again: by both tables' owner."""
    oids = sorted({key.child_oid for key in keys} | {key.parent_oid for key in keys})
    owned = {row[0]: (row[1], row[2]) for row in connection.execute(_RIGHTS, [oids]).fetchall()}
    findings = []
    for key in keys:
        if key.is_altered:
            findings.append(
                Finding(
                    True,
                    f"the triggers of foreign key {key.key.label} were disabled or altered: dropped for a"
                    " moment, it would come back otherwise",
                    "Connect as a role that may set session_replication_role",
                )
            )
        for oid, name in ((key.child_oid, key.child), (key.parent_oid, key.parent)):
            if not owned[oid][0]:
                findings.append(
                    Finding(
                        True,
                        f"foreign key {key.key.label} would have to be dropped for a moment, and"
                        f" {'.'.join(name)} belongs to {owned[oid][1]}",
                        "Connect as its owner, or as a role that may set session_replication_role",
                    )
                )
    if keys and not findings:
        names = ", ".join(key.key.label for key in keys[:3])
        findings.append(
            Finding(
                False,
                f"{len(keys)} foreign keys are dropped and added again within the transaction ({names}):"
                " readers wait meanwhile, and each is checked for all rows",
                "A role that may set session_replication_role needs neither",
            )
        )
    return findings


def unread_neighbours(
    connection: psycopg.Connection, keys: Sequence[DatabaseKey], written: Container[int], role: str
) -> list[Finding]:
    """As a replica, foreign keys are checked by queries: children are read for it, and parents locked."""
    children = {k.child_oid: k.child for k in keys if k.is_enforced and k.child_oid not in written}
    parents = {k.parent_oid: k.parent for k in keys if k.is_enforced and k.parent_oid not in written}
    names = {**children, **parents}
    findings = []
    for oid, _, _, may_enter, may_read, may_lock, is_filtered in connection.execute(
        _RIGHTS, [sorted(names)]
    ).fetchall():
        schema, name = names[oid]
        lacking = [] if may_read else ["SELECT"]
        lacking += ["UPDATE"] if oid in parents and not may_lock else []
        grants = [] if may_enter else [f"GRANT USAGE ON SCHEMA {shown(schema)} TO {shown(role)};"]
        if lacking:
            grants.append(f"GRANT {', '.join(lacking)} ON TABLE {shown(schema, name)} TO {shown(role)};")
        if is_filtered:
            grants.append(f"ALTER ROLE {shown(role)} BYPASSRLS;")
        if grants:
            what = f"role {role} may not check foreign keys with {schema}.{name}"
            findings.append(Finding(True, what, " ".join(grants)))
    return findings
