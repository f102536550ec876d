"""Where what leaves a repository goes: a path of this machine, or an object in a bucket."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from cas.errors import Conflict, CorruptData, InvalidInput, Unsupported
from cas.format.config import parse_config
from cas.format.names import CONFIG
from cas.store.delivering import DeliveringStore, check_name
from cas.store.interface import FaultKind, ObjectMissing, StoreFault
from cas.store.urls import and_above, join_name, split_name
from cli.session import Session

_NO_BUCKET = "Name an object in a bucket: s3://, gs:// or az://, without object_lock"
_OUTSIDE = "Choose a place outside of every repository, such as a prefix beside it"


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """`name` in the place of `store`, which is open."""

    store: DeliveringStore
    name: str

    @property
    def url(self) -> str:
        """Without credentials."""
        return join_name(self.store.url, self.name)


def is_bucket_url(place: str) -> bool:
    """Whether this is the URL of a place that is no file's."""
    return "://" in place and not place.startswith("file:")


def local_path(place: str) -> Path:
    """A path, or a file URL, as a path."""
    if not place.startswith("file://"):
        return Path(place)
    host, slash, path = place.removeprefix("file://").partition("/")
    if host not in ("", "localhost") or not slash or "\0" in unquote(path):
        raise InvalidInput("a file URL holds an absolute path", hint="Write file:///absolute/path")
    return Path(f"/{unquote(path)}")


def bucket_place(cas: Session, url: str, where: str, *, usual_name: str = "") -> BucketPlace:
    """The place that a URL names. `usual_name`: of an object in a place that ends in a slash. `where`: what
    the URL was given as. InvalidInput where nothing can be handed out."""
    above, name = split_name(url)
    store = cas.bare_replica_store(above)
    if not isinstance(store, DeliveringStore):
        raise InvalidInput("objects are handed out from buckets only", where=where, hint=_NO_BUCKET)
    chosen = name or usual_name
    if not chosen:
        raise InvalidInput("this names no object", where=where, hint=_NO_BUCKET)
    check_name(chosen)
    return BucketPlace(store, chosen)


def require_outside(cas: Session, url: str) -> None:
    """Conflict where the place at `url`, or one in which it lies, is a repository's: its garbage collection
    would meet a stranger. What may not be looked at is no repository that we know of, but for our own."""
    own = _place_of(cas.store_url)
    for place in and_above(url):
        if _place_of(place) == own or _is_repository(cas, place):
            raise Conflict("a repository lies there", where=place.partition("?")[0], hint=_OUTSIDE)


def _place_of(url: str) -> tuple[str, str]:
    """Bucket and prefix, however they are reached."""
    place = url.partition("?")[0].rstrip("/")
    scheme, _, path = place.partition("://")
    return scheme, path


def _is_repository(cas: Session, url: str) -> bool:
    """By its config. Its keys would tell, too, where that is lost, and listing them could take long in a
    place of somebody else's."""
    try:
        parse_config(cas.bare_replica_store(url).get(CONFIG))
    except Unsupported:  # a sealed one, or a newer one
        return True
    except (ObjectMissing, CorruptData):
        return False
    except StoreFault as fault:
        is_absent = url.startswith("file:") and fault.fault is FaultKind.UNREACHABLE
        if is_absent or fault.fault is FaultKind.DENIED:
            return False
        raise
    return True
