"""Whether links to objects can be signed, in words. None is followed: nothing of a trial is handed out."""

from cas.errors import CasError
from cas.probing.model import Links
from cas.store.delivering import DeliveringStore
from cas.store.interface import Store

_SECONDS = 60


def links_of(store: Store, name: str) -> Links:
    """`name`: of an object, which need not be there."""
    if not isinstance(store, DeliveringStore):
        return Links(False, "this kind of store has no links")
    try:
        link = store.link(name, _SECONDS)
    except CasError as error:
        return Links(False, str(error))
    if link.ends_early:
        return Links(True, "can be signed, and end with the temporary credentials that sign them")
    return Links(True, "can be signed, for 7 days at most")
