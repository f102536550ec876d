"""Credentials that a catalog keeps, as a run of a command has them."""

import pytest

from cas.catalog.memory import MemoryCatalog
from cas.catalog.sealing import PRIMARY
from cas.entrusted import EntrustedCredentials, entrust, entrusted_heads, store_place
from cas.errors import Conflict, PermissionDenied
from cas.store.credentials import S3Credentials
from tests.catalog.stages import TickingClock
from tests.catalog.values import STORE
from tests.sealing.scenes import CONFIG, KEY_FILE, OTHER_FILE, PASSPHRASE, Given

REPOSITORY = CONFIG.repository_id

URL = "s3://theirs/shop?region=x&endpoint=https://h"
FIRST, SECOND = S3Credentials("A", "first"), S3Credentials("B", "second")


@pytest.fixture
def catalog() -> MemoryCatalog:
    made = MemoryCatalog(TickingClock())
    made.attach(REPOSITORY, STORE, create=True)
    return made


def test_each_is_opened_once_until_others_are_entrusted(catalog: MemoryCatalog) -> None:
    store = store_place(REPOSITORY, "offsite", URL)
    secrets = Given(KEY_FILE)
    run = EntrustedCredentials(secrets)
    assert run.of(catalog, store) is None
    entrust(catalog, store, FIRST, [KEY_FILE])
    assert [run.of(catalog, store) for _ in range(3)] == [FIRST] * 3
    assert len(secrets.asked) == 1
    entrust(catalog, store, SECOND, [KEY_FILE])
    assert run.of(catalog, store) == SECOND
    assert len(secrets.asked) == 2
    catalog.entrusting.forget("offsite")
    assert run.of(catalog, store) is None


def test_those_of_the_repository_itself(catalog: MemoryCatalog) -> None:
    assert EntrustedCredentials(Given()).of_primary(catalog, URL) is None
    entrust(catalog, store_place(REPOSITORY, PRIMARY, URL), FIRST, [KEY_FILE])
    turned = "s3://theirs/shop/?endpoint=https://h&region=x"
    assert EntrustedCredentials(Given(KEY_FILE)).of_primary(catalog, turned) == FIRST
    with pytest.raises(PermissionDenied):
        EntrustedCredentials(Given(OTHER_FILE)).of_primary(catalog, URL)
    with pytest.raises(Conflict):
        EntrustedCredentials(Given(KEY_FILE)).of_primary(catalog, f"{URL}.evil.example")


def test_what_is_known_without_a_key(catalog: MemoryCatalog) -> None:
    entrust(catalog, store_place(REPOSITORY, "offsite", URL), FIRST, [KEY_FILE, PASSPHRASE])
    catalog.entrusting.entrust("damaged", b"nonsense")
    damaged, whole = entrusted_heads(catalog)
    assert (whole.place, whole.opened_by, whole.wrong) == ("offsite", ("file", "passphrase"), "")
    assert (damaged.place, damaged.opened_by) == ("damaged", ())
    assert damaged.wrong
