"""What would go wrong in this target, found before anything is written.

A finding is a value: the command line prints it, and refuses to start where one blocks. Only what
is certain to fail, or to restore something else than the source had, blocks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import psycopg

from cas.postgres.faults import faults_of
from cas.postgres.filling.schema_roles import owners_named, roles_named
from cas.postgres.filling.schema_steps import Step
from cas.postgres.quoting import shown
from cas.postgres.reading.identity import identity_of
from cas.postgres.statements import tokens
from cas.records.model import Entity, EntityKind
from cas.records.source import SourceIdentity
from cas.records.target import Finding


@dataclass(frozen=True, slots=True)
class _Case:
    """All that is compared.

    steps: those that will run; none where only data are restored.
    roles: those that the source's database speaks of, of which large objects may need some.
    """

    connection: psycopg.Connection
    source: SourceIdentity
    target: SourceIdentity
    steps: Sequence[Step]
    entities: Sequence[Entity]
    roles: Sequence[str]


def findings(
    connection: psycopg.Connection,
    source: SourceIdentity,
    steps: Sequence[Step],
    entities: Sequence[Entity],
    roles: Sequence[str],
) -> tuple[Finding, ...]:
    """Every difference that matters, those that block first. Reads only."""
    case = _Case(connection, source, identity_of(connection), steps, entities, roles)
    with faults_of("comparing the target with the source"):
        found = [finding for look in _LOOKS for finding in look(case)]
    return tuple(sorted(found, key=lambda finding: not finding.blocks))


def _writable(case: _Case) -> Iterator[Finding]:
    row = case.connection.execute(
        "SELECT pg_is_in_recovery(), has_database_privilege(current_database(), 'CREATE')"
    ).fetchone()
    standby, may_create = row or (False, True)
    if standby:
        yield Finding(True, "the target is a standby, which cannot be written", "Restore into its primary")
    elif not may_create:
        to = f"ON DATABASE {shown(case.target.database)} TO {shown(case.connection.info.user)}"
        yield Finding(True, "the role may not create anything in the target", f"GRANT CREATE {to}")


def _encoding(case: _Case) -> Iterator[Finding]:
    have, need = case.target.encoding, case.source.encoding
    if have != need:
        yield Finding(
            True,
            f"the source's encoding is {need}, the target's {have}: records would change",
            f"createdb --template=template0 --encoding={need} {_locale_options(case.source)} NAME",
        )
    elif case.source.locale != case.target.locale:
        yield Finding(
            False,
            f"the locale differs: the source has {case.source.locale}, the target {case.target.locale};"
            " the order of texts, and what is upper case, may differ",
            f"createdb --template=template0 --encoding={need} {_locale_options(case.source)} NAME",
        )


def _version(case: _Case) -> Iterator[Finding]:
    have, need = case.target.server_version_num // 10000, case.source.server_version_num // 10000
    if have < need and case.steps:
        yield Finding(
            False,
            f"the target is PostgreSQL {have}, older than the source's {need}: "
            "statements that are new since then will fail",
            f"Restore into PostgreSQL {need} or newer",
        )


def _extensions(case: _Case) -> Iterator[Finding]:
    rows = case.connection.execute("SELECT name::text FROM pg_available_extensions").fetchall()
    installed = {name for name, _ in case.target.extensions}
    available = {str(name) for (name,) in rows} | installed
    wanted = {name for step in case.steps if (name := _extension_made(step))}
    if not case.steps:
        wanted, available = {name for name, _ in case.source.extensions}, installed
    for name in sorted(wanted - available):
        yield Finding(
            bool(case.steps),
            f"the extension {name} is not there",
            "Install its package on the target's server" if case.steps else f"CREATE EXTENSION {shown(name)}",
        )


def _extension_made(step: Step) -> str:
    if step.item.type != "EXTENSION":
        return ""
    names = [token for token in tokens(step.statement) if token.is_name]
    skipped = 5 if [token.text for token in names[2:5]] == ["if", "not", "exists"] else 2
    is_one = [token.text for token in names[:2]] == ["create", "extension"] and len(names) > skipped
    return names[skipped].text if is_one else ""


def _roles(case: _Case) -> Iterator[Finding]:
    rows = case.connection.execute(
        "SELECT rolname::text, pg_has_role(oid, 'MEMBER') FROM pg_roles"
    ).fetchall()
    known = {str(name): bool(is_member) for name, is_member in rows}
    missing = sorted(roles_named(case.steps) - set(known))
    if missing:
        creating = "; ".join(f"CREATE ROLE {shown(role)}" for role in missing[:10])
        yield Finding(
            True,
            f"roles that own or may use something do not exist: {', '.join(missing)}",
            f"{creating}; or restore without owners and privileges",
        )
    others = sorted(set(case.roles) - set(known) - set(missing))
    if others and any(entity.kind is EntityKind.LARGE_OBJECTS for entity in case.entities):
        yield Finding(
            False,
            f"roles that large objects may belong to do not exist: {', '.join(others)}",
            "Create them, or restore without owners",
        )
    foreign = sorted(role for role in owners_named(case.steps) if not known.get(role, True))
    if foreign:
        yield Finding(
            True,
            f"{case.connection.info.user} is not a member of roles that own something: {', '.join(foreign)}",
            "Restore as superuser, or without owners",
        )


def _placement(case: _Case) -> Iterator[Finding]:
    """Tablespaces and table access methods: SQL values, quoted as strings or identifiers, or not."""
    rows = case.connection.execute(
        "SELECT spcname::text FROM pg_tablespace UNION ALL SELECT amname::text FROM pg_am"
    ).fetchall()
    known = {str(name) for (name,) in rows} | {""}
    wanted = {value.strip("'\"") for step in case.steps for value in step.placement if value is not None}
    for name in sorted(wanted - known):
        yield Finding(
            True, f"there is no tablespace or access method {name}", "Create it on the target's server"
        )


def _collations(case: _Case) -> Iterator[Finding]:
    wants = [step.item.name for step in case.steps if step.item.type == "COLLATION" and _is_icu(step)]
    if wants and not _has_icu(case):
        yield Finding(
            True,
            f"the target's server has no ICU, which these collations need: {', '.join(wants)}",
            "Restore into a server that was built with ICU",
        )


def _has_icu(case: _Case) -> bool:
    """Servers since 16 list an ICU collation even where they were built without ICU."""
    row = case.connection.execute(
        "SELECT format('SELECT %L COLLATE %I.%I < %L', 'a', n.nspname, c.collname, 'b') FROM pg_collation c"
        " JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.collprovider = 'i' LIMIT 1"
    ).fetchone()
    return row is not None and _can(case, str(row[0]))


def _can(case: _Case, query: str) -> bool:
    try:
        with case.connection.transaction():
            case.connection.execute(query.encode())
    except psycopg.errors.FeatureNotSupported:
        return False
    return True


def _is_icu(step: Step) -> bool:
    return [t.text for t in tokens(step.statement) if t.text in ("icu", "'icu'")] != []


def _xml(case: _Case) -> Iterator[Finding]:
    names = [e.label for e in case.entities if any(c.type in ("xml", "xml[]") for c in e.columns)]
    if names and not _can(case, "SELECT '<a/>'::xml"):
        yield Finding(
            False,
            f"the target's server was built without XML; any XML value will fail: {', '.join(names)}",
            "Restore into a server that was built with libxml",
        )


_LOOKS: tuple[Callable[[_Case], Iterator[Finding]], ...] = (
    _writable,
    _encoding,
    _version,
    _extensions,
    _roles,
    _placement,
    _collations,
    _xml,
)


def _locale_options(source: SourceIdentity) -> str:
    """For createdb. SourceIdentity.locale is `provider=... collate=... ctype=... locale=...`."""
    facts = dict(part.split("=", 1) for part in source.locale.split(" ") if "=" in part)
    provider = facts.get("provider", "")
    has_own = provider in ("icu", "builtin")
    options = [
        f"--locale-provider={provider}" if has_own else "",
        f"--lc-collate={facts['collate']}" if facts.get("collate") else "",
        f"--lc-ctype={facts['ctype']}" if facts.get("ctype") else "",
        f"--{provider}-locale={facts['locale']}" if has_own and facts.get("locale") else "",
    ]
    return " ".join(filter(None, options))
