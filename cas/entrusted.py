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


def entrusted(catalog: Catalog, store: StorePlace, secrets: Secrets) -> Credentials | None:
    """The credentials of a store; None where there are none. Raises as `open_credentials`."""
    sealed = catalog.entrusting.entrusted(store.place)
    return None if sealed is None else open_credentials(sealed, store, secrets)


def entrusted_primary(catalog: Catalog, url: str, secrets: Secrets) -> Credentials | None:
    """Those of the repository's own store, before it is open and the catalog attached: whose the catalog is,
    is believed until `attach`."""
    found = catalog.entrusting.primary()
    if found is None:
        return None
    return open_credentials(found.sealed, store_place(found.repository_id, PRIMARY, url), secrets)


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
