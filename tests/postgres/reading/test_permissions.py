"""A role that may not read something: it is named, with the very statement that helps."""

import re
from collections.abc import Iterator

import psycopg
import pytest

from cas.errors import CasError, PermissionDenied, Unsupported
from cas.postgres.connecting import ConnectionOptions, connect
from cas.postgres.reading.grants import least_privilege, missing
from cas.records.large_objects import LargeObjectPage, decode_large_object
from cas.records.model import EntityKind
from cas.records.source import Selection
from tests.postgres.reading.platform import ask, entity_of, new_role, read, run, source
from tests.servers.postgres import Cluster, Databases

ROLE = 'reader "x"'


@pytest.fixture
def url(each_cluster: Cluster, database: Databases) -> str:
    url = database(each_cluster)
    run(
        url,
        'CREATE SCHEMA "s ""q"""',
        'CREATE TABLE "s ""q"""."t ""q""" (id int PRIMARY KEY)',
        'INSERT INTO "s ""q"""."t ""q""" VALUES (1), (2)',
        "CREATE TABLE public.open (id int PRIMARY KEY)",
        "GRANT SELECT ON public.open TO PUBLIC",
        "GRANT USAGE ON SCHEMA public TO PUBLIC",
    )
    return url


@pytest.fixture
def reader(url: str) -> Iterator[str]:
    with new_role(url, ROLE.replace('"', '""')) as role_url:
        yield role_url.replace(ROLE.replace('"', '""'), "reader%20%22x%22")


def refusal(reader: str, selection: Selection | None = None) -> CasError:
    with (
        pytest.raises((PermissionDenied, Unsupported)) as raised,
        source(reader).snapshot(selection or Selection()),
    ):
        pass
    return raised.value


def test_each_refusal_names_what_may_not_be_read_and_its_grant_works(url: str, reader: str) -> None:
    """From nothing to a whole version, only by doing what the errors say."""
    run(
        url,
        "ALTER TABLE public.open ENABLE ROW LEVEL SECURITY",
        "CREATE TABLE public.root (id int, v int) PARTITION BY LIST (v)",
        "CREATE TABLE public.leaf PARTITION OF public.root FOR VALUES IN (1)",
        "GRANT SELECT ON public.root TO PUBLIC",
        'CREATE SEQUENCE "s ""q""".counter',
        "SELECT lo_from_bytea(77, 'abc')",
    )
    named = []
    for _ in range(20):
        try:
            with source(reader).snapshot(Selection()) as snapshot:
                for entity in snapshot.entities:
                    read(snapshot, entity)
                assert snapshot.schema_items()
                snapshot.finish()
            break
        except PermissionDenied as error:
            named.append(error.where)
            run(url, *re.findall(r"(?:GRANT|ALTER) .*?;(?= |$)", error.hint))
    else:
        pytest.fail(f"never allowed: {named}")
    assert named == [
        'public.open, public.root, s "q".t "q"',
        's "q".counter, large objects 77',
    ]


def test_with_allow_incomplete_it_is_an_omission_that_counts_as_a_failure(reader: str) -> None:
    with source(reader).snapshot(Selection(), allow_incomplete=True) as snapshot:
        assert [entity.label for entity in snapshot.entities] == ["public.open"]
        (omission,) = snapshot.omissions
        assert omission.name == 's "q".t "q"'
        assert omission.is_failure
        assert "GRANT SELECT ON TABLE" in omission.reason
        kinds = {(item.type, item.name) for item in snapshot.schema_items()}
        assert ("TABLE", "open") in kinds
        assert not any('t "q"' in name for _, name in kinds)
        snapshot.finish()


def test_what_is_excluded_needs_no_privilege(reader: str) -> None:
    with source(reader).snapshot(Selection(exclude=('s "q".*',))) as snapshot:
        assert [entity.label for entity in snapshot.entities] == ["public.open"]
        assert snapshot.omissions == ()
        assert any(item.name == "open" for item in snapshot.schema_items())
    with source(reader).snapshot(Selection(schemas=("public",))) as snapshot:
        assert any(item.name == "open" for item in snapshot.schema_items())
        snapshot.finish()


def test_row_level_security_never_hides_rows(url: str, reader: str) -> None:
    run(
        url,
        "INSERT INTO public.open VALUES (1), (2)",
        "ALTER TABLE public.open ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON public.open USING (id = 1)",
    )
    error = refusal(reader, Selection(tables=("public.open",)))
    assert error.where == "public.open"
    assert "row-level security" in error.what
    assert error.hint == 'ALTER ROLE "reader ""x""" BYPASSRLS;'


def test_the_owner_of_a_table_with_forced_row_level_security_is_told_so(url: str, reader: str) -> None:
    run(
        url,
        "CREATE TABLE public.mine (id int)",
        'ALTER TABLE public.mine OWNER TO "reader ""x"""',
        "ALTER TABLE public.mine ENABLE ROW LEVEL SECURITY",
    )
    with source(reader).snapshot(Selection(tables=("mine",))):
        pass
    run(url, "ALTER TABLE public.mine FORCE ROW LEVEL SECURITY")
    assert "row-level security" in refusal(reader, Selection(tables=("mine",))).what


def test_row_security_is_off_so_that_a_new_policy_can_only_raise(url: str, reader: str) -> None:
    """A policy that comes after the look at the catalogs: an error, and no missing rows."""
    run(url, "INSERT INTO public.open VALUES (1), (2)", "CREATE POLICY p ON public.open USING (id = 1)")
    with source(reader).snapshot(Selection(tables=("open",))) as snapshot:
        with psycopg.connect(url) as other:
            other.execute("SET lock_timeout = '200ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("ALTER TABLE public.open ENABLE ROW LEVEL SECURITY")
        run(url, "UPDATE pg_class SET relrowsecurity = true WHERE relname = 'open'")
        with pytest.raises(PermissionDenied, match="row-level security"):
            read(snapshot, entity_of(snapshot, "public.open"))


@pytest.mark.parametrize("form", ["short", "long"])
def test_the_least_privileges_suffice_for_a_whole_version(torture: str, form: str) -> None:
    with new_role(torture, f"least_{form}") as reader:
        with connect(torture, ConnectionOptions()) as admin, connect(reader, ConnectionOptions()) as probe:
            assert len(missing(probe)) > 90
            grants = least_privilege(admin, f"least_{form}")
            # Not those of large objects: other tests look at them in this database.
            run(torture, *(s for s in getattr(grants, form) if "LARGE OBJECT" not in s))
            lacking = [name for name, _ in missing(probe)]
            assert len(lacking) == (0 if form == "short" else 1)
        selection = Selection() if form == "short" else Selection(schemas=("torture",))
        with source(reader).snapshot(selection) as snapshot:
            rows = {entity.label: len(read(snapshot, entity).payloads) for entity in snapshot.entities}
            assert rows["torture.guarded"] == 2
            assert rows["torture.many_rows"] == 5000
            assert any(item.type == "POLICY" for item in snapshot.schema_items())
            snapshot.finish()


def test_large_objects_are_read_through_their_own_privileges_too(
    each_cluster: Cluster, database: Databases
) -> None:
    """Rule 25: owners and grantees must not read pg_largeobject; the bytes are the same."""
    url = database(each_cluster)
    run(
        url,
        "SELECT lo_from_bytea(11, decode(repeat('0123456789abcdef', 50000), 'hex'))",
        "SELECT lo_create(12)",
        "SELECT lo_from_bytea(13, 'short block')",
        "SELECT lo_put(13, 10000, 'a later one')",
        "SELECT lo_put(13, 3000000, 'x')",
    )
    with new_role(url, "lo_reader") as reader:
        with connect(url, ConnectionOptions()) as admin:
            run(url, *least_privilege(admin, "lo_reader").long)
        found = []
        for who in (url, reader):
            with source(who).snapshot(Selection()) as snapshot:
                (entity,) = snapshot.entities
                assert entity.kind is EntityKind.LARGE_OBJECTS
                found.append(read(snapshot, entity))
        assert found[0] == found[1]
        page = decode_large_object(next(p for p in found[0].payloads if p.startswith(b"13\t0\t")))
        assert isinstance(page, LargeObjectPage)
        assert page.data[:10011] == b"short block" + bytes(9989) + b"a later one"
        assert ask(url, "SELECT has_table_privilege('lo_reader', 'pg_largeobject', 'SELECT')") == [(False,)]
        run(url, "SELECT lo_create(14)")
        error = refusal(reader)
        assert error.where == "large objects 14"
        assert error.hint == 'GRANT SELECT ON LARGE OBJECT 14 TO "lo_reader";'
        with source(reader).snapshot(Selection(), allow_incomplete=True) as snapshot:
            assert read(snapshot, snapshot.entities[0]) == found[0]
            assert [o.name for o in snapshot.omissions] == ["large objects 14"]


def test_a_partition_that_is_half_detached_is_not_passed_over(database: Databases) -> None:
    """Its rows are behind neither the root nor an entity of their own."""
    url = database()
    run(
        url,
        "CREATE TABLE r (id int, v int) PARTITION BY LIST (v)",
        "CREATE TABLE r1 PARTITION OF r FOR VALUES IN (1)",
        "INSERT INTO r VALUES (1, 1)",
        "UPDATE pg_inherits SET inhdetachpending = true WHERE inhrelid = 'r1'::regclass",
    )
    error = refusal(url)
    assert isinstance(error, Unsupported)
    assert "half detached" in error.what
    assert "FINALIZE" in error.hint
