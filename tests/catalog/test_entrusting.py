"""Sealed credentials that a catalog keeps, of which it knows nothing but the store."""

import pytest
from psycopg import sql

from cas.catalog.connecting import Connections
from cas.catalog.entrusting import MAX_SEALED_BYTES, EntrustedPrimary
from cas.catalog.migrating import migrate, shipped_migrations
from cas.catalog.postgres import PostgresCatalog
from cas.catalog.sealing import PRIMARY
from cas.errors import Conflict, CorruptData, InvalidInput
from tests.catalog.stages import PostgresStage, Stage
from tests.catalog.values import REPOSITORY, STORE
from tests.servers.postgres import Databases


def test_nothing_was_entrusted(stage: Stage) -> None:
    entrusting = stage.catalog.entrusting
    assert entrusting.entrusted(PRIMARY) is None
    assert entrusting.primary() is None
    assert list(entrusting.places()) == []
    assert entrusting.forget("offsite") is False


def test_each_store_has_its_own(stage: Stage) -> None:
    entrusting = stage.catalog.entrusting
    entrusting.entrust("offsite", b"one")
    entrusting.entrust(PRIMARY, b"two")
    entrusting.entrust("offsite", b"three")
    assert entrusting.entrusted("offsite") == b"three"
    assert entrusting.primary() == EntrustedPrimary(REPOSITORY, b"two")
    assert list(entrusting.places()) == [PRIMARY, "offsite"]
    assert entrusting.forget(PRIMARY) is True
    assert entrusting.primary() is None
    assert entrusting.entrusted("offsite") == b"three"


def test_what_is_too_large_is_not_kept(stage: Stage) -> None:
    for sealed in (b"", bytes(MAX_SEALED_BYTES + 1)):
        with pytest.raises(InvalidInput):
            stage.catalog.entrusting.entrust("offsite", sealed)
    stage.catalog.entrusting.entrust("offsite", bytes(MAX_SEALED_BYTES))
    assert stage.catalog.entrusting.entrusted("offsite") == bytes(MAX_SEALED_BYTES)


def test_what_somebody_made_too_large_is_not_read(postgres_stage: PostgresStage) -> None:
    (constraint,) = postgres_stage.other.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'cas.entrusted'::regclass AND contype = 'c'"
    ).fetchall()
    name = sql.Identifier(constraint[0])
    postgres_stage.other.execute(sql.SQL("ALTER TABLE cas.entrusted DROP CONSTRAINT {}").format(name))
    try:
        postgres_stage.other.execute(
            "INSERT INTO cas.entrusted VALUES ('', convert_to(repeat('x', 30000000), 'UTF8'))"
        )
        for read in (
            postgres_stage.catalog.entrusting.primary,
            lambda: postgres_stage.catalog.entrusting.entrusted(PRIMARY),
        ):
            with pytest.raises(CorruptData) as caught:
                read()
            assert caught.value.kind == "limit"
    finally:
        postgres_stage.other.execute("DELETE FROM cas.entrusted")
        postgres_stage.other.execute(
            sql.SQL(
                "ALTER TABLE cas.entrusted ADD CONSTRAINT {} CHECK (length(sealed) BETWEEN 1 AND 262144)"
            ).format(name)
        )


def test_it_is_asked_before_it_is_attached(database: Databases) -> None:
    """In an empty database, in one of before credentials were kept, and in its own."""
    url = database()
    catalog = PostgresCatalog(url)
    assert catalog.entrusting.primary() is None
    assert list(catalog.entrusting.places()) == []
    connections = Connections(url)
    migrate(connections, shipped_migrations()[:17], create=True)
    connections.close()
    assert catalog.entrusting.primary() is None
    catalog.attach(REPOSITORY, STORE, create=True)
    catalog.entrusting.entrust(PRIMARY, b"sealed")
    catalog.close()
    other = PostgresCatalog(url)
    assert other.entrusting.primary() == EntrustedPrimary(REPOSITORY, b"sealed")
    with pytest.raises(Conflict):
        other.entrusting.entrust(PRIMARY, b"not attached")
    other.close()
