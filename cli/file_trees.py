"""Directories and buckets of files that a person names, as trees to be read or written."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from cas.bucket_target import TargetBucket
from cas.bucket_tree import BucketTree
from cas.errors import InvalidInput
from cas.files.directory import Directory
from cas.files.target import TargetDirectory
from cas.records.file_tree import FileTarget, FileTree
from cas.records.files import require_name
from cli.bucket_places import is_bucket_url, local_path, require_outside
from cli.paths import expanded
from cli.session import Session

SCHEMES = ("s3", "gs", "az")


def parse_place(text: str) -> tuple[str, Path | str]:
    """`uploads=/srv/app/uploads`, or `uploads=s3://bucket/prefix/`. InvalidInput says how it is written."""
    name, equals, place = text.partition("=")
    if not equals or not place or "\0" in place:
        raise InvalidInput(
            f"not a name and a directory or bucket: {text[:60]}",
            where="--files",
            hint="Write --files NAME=DIRECTORY or --files NAME=s3://bucket/prefix/",
        )
    scheme, is_url, _ = place.partition("://")
    if not is_url:
        return require_name(name), expanded(place).absolute()
    if scheme not in SCHEMES:
        raise InvalidInput(
            f"files lie in directories of this machine, or in buckets: {name[:40]}",
            where="--files",
            hint="Write a path, or the URL of a bucket: s3://, gs:// or az://",
        )
    return require_name(name), place


def file_trees(cas: Session, texts: Iterable[str]) -> tuple[FileTree, ...]:
    """As `--files` or CAS_FILES has them. InvalidInput or Conflict for a place in which the repository lies,
    or that lies in one."""
    return tuple(_tree(cas, *parse_place(text)) for text in texts)


def file_target(cas: Session, name: str, place: Path | str) -> FileTarget:
    """Where files are brought back to. InvalidInput, Conflict as above: what the version does not have may be
    deleted there."""
    if isinstance(place, Path):
        _require_elsewhere(cas, name, place)
        return TargetDirectory(name, place)
    _require_apart(cas, name, place)
    return TargetBucket(name, cas.bucket(place))


def _tree(cas: Session, name: str, place: Path | str) -> FileTree:
    if isinstance(place, str):
        _require_apart(cas, name, place)
        return BucketTree(name, cas.bucket(place))
    _require_elsewhere(cas, name, place)
    return Directory(name, place)


def _require_elsewhere(cas: Session, name: str, place: Path) -> None:
    """Neither does what is ours lie in the directory, nor the directory in that, whatever links say."""
    own = [cas.settings.home]
    if not is_bucket_url(cas.store_url):
        own.append(local_path(cas.store_url.partition("?")[0]))
    for there in own:
        one, other = there.resolve(), place.resolve()
        if one.is_relative_to(other) or other.is_relative_to(one):
            raise InvalidInput(
                f"{there} and {place} lie in one another: files would be mixed with versions",
                where=f"--files {name}",
                hint="Keep the repository and CAS_HOME elsewhere",
            )


def _require_apart(cas: Session, name: str, url: str) -> None:
    """Neither does our repository lie below the prefix, nor does the prefix lie in a repository."""
    if _place(cas.store_url).startswith(_place(url)):
        raise InvalidInput(
            "the repository lies there: each version would hold those before it",
            where=f"--files {name}",
            hint="Keep the repository in another bucket, or under another prefix",
        )
    require_outside(cas, url)


def _place(url: str) -> str:
    """Bucket and prefix, however they are reached, with a slash at the end."""
    return unquote(url.partition("?")[0]).rstrip("/") + "/"
