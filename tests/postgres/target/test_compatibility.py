"""What a target lacks is said before anything is written, with what to do about it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cas.postgres.filling.schema_roles import owners_named, roles_named
from cas.postgres.filling.schema_steps import steps
from cas.postgres.filling.target import PostgresTarget
from cas.records.large_objects import LARGE_OBJECTS
from cas.records.model import Column, Entity, EntityKind
from cas.records.source import SchemaItem, SourceIdentity
from cas.records.target import Finding, SchemaParts
from tests.postgres.target.conftest import CrowdedDatabases
from tests.postgres.target.moving import ask, dumped_items, entities_of
from tests.servers.postgres import Cluster, Databases


def item(kind: str, sql: str, name: str = "x") -> SchemaItem:
    return SchemaItem("pre-data", kind, "public", name, sql)


def found(
    url: str,
    items: Sequence[SchemaItem] = (),
    *,
    parts: SchemaParts | None = None,
    entities: Sequence[Entity] = (),
    roles: Sequence[str] = (),
    **differences: object,
) -> list[Finding]:
    """Findings about a source that is the target itself but for the given differences."""
    target = PostgresTarget(url)
    source: SourceIdentity = replace(target.identity(), **differences)  # type: ignore[arg-type] # by name
    try:
        return list(target.findings(source, items, parts or SchemaParts(), entities, roles))
    finally:
        target.close()


def test_a_target_like_the_source_gives_no_findings(
    each_cluster: Cluster, database: Databases, crowded_databases: CrowdedDatabases
) -> None:
    source = crowded_databases.on(each_cluster)
    items, entities = dumped_items(each_cluster, source), entities_of(source)
    assert found(database(each_cluster), items, entities=entities) == []


def test_another_encoding_blocks_and_the_command_that_helps_is_named(
    cluster: Cluster, database: Databases
) -> None:
    locale = "provider=libc collate=de_DE.ISO-8859-1 ctype=C locale="
    (finding,) = found(database(), encoding="LATIN1", locale=locale)
    assert finding.blocks
    assert finding.hint == (
        "createdb --template=template0 --encoding=LATIN1 --lc-collate=de_DE.ISO-8859-1 --lc-ctype=C NAME"
    )


def test_another_locale_is_told(cluster: Cluster, database: Databases) -> None:
    (finding,) = found(database(), locale="provider=icu collate=C ctype=C locale=de-DE")
    assert not finding.blocks
    assert "--locale-provider=icu --lc-collate=C --lc-ctype=C --icu-locale=de-DE" in finding.hint


def test_the_command_for_a_locale_makes_a_database_of_that_locale(
    cluster: Cluster, database: Databases
) -> None:
    url = database(options="ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc")
    target = PostgresTarget(url)
    identity = target.identity()
    target.close()
    (finding,) = found(database(), encoding=identity.encoding, locale=identity.locale)
    assert finding.hint.endswith("--encoding=LATIN1 --lc-collate=C --lc-ctype=C NAME")


def test_an_older_server_is_told(cluster15: Cluster, database: Databases) -> None:
    table = [item("TABLE", "CREATE TABLE public.x ()")]
    (finding,) = found(database(cluster15), table, server_version_num=180004)
    assert not finding.blocks
    assert "PostgreSQL 15, older than the source's 18" in finding.what


def test_an_extension_that_is_not_there_blocks(cluster: Cluster, database: Databases) -> None:
    items = [
        item("EXTENSION", "CREATE EXTENSION IF NOT EXISTS no_such_thing WITH SCHEMA public;"),
        item("EXTENSION", "CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog;"),
    ]
    (finding,) = found(database(), items)
    assert finding.blocks
    assert finding.what == "the extension no_such_thing is not there"


def test_without_schema_the_sources_extensions_should_be_there(cluster: Cluster, database: Databases) -> None:
    (finding,) = found(database(), extensions=(("hstore", "1.8"), ("plpgsql", "1.0")))
    assert (finding.blocks, finding.hint) == (False, 'CREATE EXTENSION "hstore"')


ROLES = [
    ('ALTER TABLE public.x OWNER TO "Role, 1";', {"Role, 1"}),
    ("GRANT SELECT,INSERT(a) ON TABLE public.x TO r1, PUBLIC, r2 WITH GRANT OPTION;", {"r1", "r2"}),
    ("GRANT ALL ON TABLE public.x TO \"public\" GRANTED BY r3;", {"public", "r3"}),
    ("REVOKE ALL ON FUNCTION public.f(\"from\" integer, b text) FROM r4;", {"r4"}),
    ("ALTER DEFAULT PRIVILEGES FOR ROLE r5 IN SCHEMA public GRANT SELECT ON TABLES TO r6;", {"r5", "r6"}),
    ("ALTER DEFAULT PRIVILEGES FOR ROLE r5 REVOKE ALL ON FUNCTIONS FROM PUBLIC;", {"r5"}),
    ("CREATE POLICY p ON public.x FOR SELECT TO r7, CURRENT_USER USING ((a = 'to r8'::text));", {"r7"}),
    ("CREATE USER MAPPING FOR r9 SERVER s;", {"r9"}),
    ("SET SESSION AUTHORIZATION r10;", {"r10"}),
    ("CREATE TABLE public.x (owner text); COMMENT ON TABLE public.x IS 'OWNER TO r11';", set()),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "roles"), ROLES)
def test_roles_are_found_wherever_a_dump_names_them(sql: str, roles: set[str]) -> None:
    planned = list(steps([item("X", sql)]))
    assert roles_named(planned) == roles
    assert owners_named(planned) == (roles if "OWNER TO" in sql and "COMMENT" not in sql else set())


def test_missing_roles_block_unless_owners_and_privileges_are_left_out(
    cluster: Cluster, database: Databases
) -> None:
    items = [
        item("TABLE", 'CREATE TABLE public.x (); ALTER TABLE public.x OWNER TO "no such owner";'),
        item("ACL", "GRANT SELECT ON TABLE public.x TO no_such_reader, postgres;"),
    ]
    url = database()
    (finding,) = found(url, items)
    assert finding.blocks
    assert finding.what.endswith("do not exist: no such owner, no_such_reader")
    assert 'CREATE ROLE "no such owner"; CREATE ROLE "no_such_reader"' in finding.hint
    assert found(url, items, parts=SchemaParts(owners=False, privileges=False)) == []


def test_roles_of_large_objects_are_told(cluster: Cluster, database: Databases) -> None:
    assert found(database(), roles=["postgres", "no_such_owner"]) == []
    (finding,) = found(database(), roles=["postgres", "no_such_owner"], entities=[LARGE_OBJECTS])
    assert (finding.blocks, "no_such_owner" in finding.what) == (False, True)


def test_owners_that_one_may_not_act_as_block(cluster: Cluster, database: Databases) -> None:
    url = database()
    ask(url, "DROP ROLE IF EXISTS target_plain; CREATE ROLE target_plain LOGIN")
    ask(
        url,
        "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO target_plain',"
        " current_database()); END $$",
    )
    items = [item("TABLE", "CREATE TABLE public.x (); ALTER TABLE public.x OWNER TO postgres;")]
    (finding,) = found(url.replace("postgres@", "target_plain@"), items)
    assert finding.blocks
    assert "target_plain is not a member of roles that own something: postgres" in finding.what


def test_a_role_that_may_not_create_blocks(cluster: Cluster, database: Databases) -> None:
    url = database()
    ask(url, "DROP ROLE IF EXISTS target_reader; CREATE ROLE target_reader LOGIN")
    (finding,) = found(url.replace("postgres@", "target_reader@"))
    assert finding.blocks
    assert finding.hint.startswith("GRANT CREATE ON DATABASE")


def test_tablespaces_that_are_not_there_block_unless_left_out(cluster: Cluster, database: Databases) -> None:
    items = [item("TABLE", "SET default_tablespace = fast_disk; CREATE TABLE public.x ();")]
    (finding,) = found(database(), items)
    assert (finding.blocks, "fast_disk" in finding.what) == (True, True)
    url = database()
    parts = SchemaParts(tablespaces=False)
    assert found(url, items, parts=parts) == []
    target = PostgresTarget(url)
    target.begin("UTF8", items, parts)
    target.build_before_data()
    target.finish()
    target.close()
    assert ask(url, "SELECT count(*) FROM x") == [(0,)]


def test_collations_and_types_that_the_server_was_built_without_are_told(
    cluster: Cluster, database: Databases
) -> None:
    """The embedded server has neither ICU nor XML."""
    items = [item("COLLATION", "CREATE COLLATION public.x (provider = icu, locale = 'de');")]
    table = Entity(EntityKind.TABLE, "public", "x", (Column("a", "xml", not_null=False),), ())
    icu, xml = found(database(), items, entities=[table])
    assert (icu.blocks, "no ICU" in icu.what) == (True, True)
    assert (xml.blocks, xml.what.endswith("public.x")) == (False, True)


def test_a_server_with_icu_takes_its_collations(cluster15: Cluster, database: Databases) -> None:
    items = [item("COLLATION", "CREATE COLLATION public.x (provider = icu, locale = 'de');")]
    assert found(database(cluster15), items) == []
