"""Credentials of stores that the catalog keeps, sealed: put there, and got back to open a store."""

from collections.abc import Sequence
from dataclasses import dataclass

from cas.catalog.interface import Catalog
from cas.catalog.sealing import PRIMARY
from cas.errors import CasError
from cas.sealing.held_keys import Secrets
from cas.sealing.key_ring import Chance
from cas.sealing.key_secrets import KeySecret
from cas.sealing.store_credentials import StorePlace, credentials_head, open_credentials, seal_credentials
from cas.store.credentials import Credentials
from cas.store.urls import settled


@dataclass(frozen=True, slots=True)
class EntrustedHead:
    """What is known without a key. `place`: empty for the repository itself, else the name of a replica.
    `opened_by`: kinds of keys, one for each. `wrong`: why nobody can read them, else empty."""

    place: str
    since: str = ""
    opened_by: tuple[str, ...] = ()
    wrong: str = ""


def store_place(repository_id: str, place: str, url: str) -> StorePlace:
    """A store by a URL as people write it. InvalidInput."""
    return StorePlace(repository_id, place, settled(url))


def entrust(
    catalog: Catalog,
    store: StorePlace,
    credentials: Credentials,
    secrets: Sequence[KeySecret],
    chance: Chance | None = None,
) -> EntrustedHead:
    """Keep the credentials of a store, instead of earlier ones; each of the secrets opens them."""
    sealed = seal_credentials(credentials, store, secrets, chance or Chance())
    catalog.entrusting.entrust(store.place, sealed)
    return _head(store.place, sealed)


class EntrustedCredentials:
    """Those that are needed in one run: each is opened once, until others are entrusted."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._opened: dict[tuple[StorePlace, bytes], Credentials] = {}

    def of(self, catalog: Catalog, store: StorePlace) -> Credentials | None:
        """None where there are none. Raises as `open_credentials`."""
        sealed = catalog.entrusting.entrusted(store.place)
        return None if sealed is None else self._open(store, sealed)

    def of_primary(self, catalog: Catalog, url: str) -> Credentials | None:
        """Those of the repository's own store, before it is open and the catalog attached: whose the catalog
        is, is believed until `attach`."""
        found = catalog.entrusting.primary()
        if found is None:
            return None
        return self._open(store_place(found.repository_id, PRIMARY, url), found.sealed)

    def _open(self, store: StorePlace, sealed: bytes) -> Credentials:
        if (store, sealed) not in self._opened:
            self._opened[store, sealed] = open_credentials(sealed, store, self._secrets)
        return self._opened[store, sealed]


def entrusted_heads(catalog: Catalog) -> Sequence[EntrustedHead]:
    """Of all of them, the repository's first. Nothing is opened."""
    heads = []
    for place in catalog.entrusting.places():
        try:
            sealed = catalog.entrusting.entrusted(place)
            if sealed is not None:
                heads.append(_head(place, sealed))
        except CasError as error:
            heads.append(EntrustedHead(place, wrong=error.what))
    return heads


def _head(place: str, sealed: bytes) -> EntrustedHead:
    head = credentials_head(sealed, f"credentials of {place or 'the repository'}")
    kinds = tuple(slot.head.kind.value for slot in head.slots)
    return EntrustedHead(place, head.created_at, kinds)
