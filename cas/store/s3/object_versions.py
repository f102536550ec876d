"""Versions of objects in a bucket that keeps them all: which one was put first, and listings of those.

Whatever is put or deleted later lies on top, as another version or a delete marker. A server lists the
versions of a key from the newest to the oldest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cas.store.interface import ObjectInfo
from cas.store.s3.listing import Page

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ListObjectVersionsOutputTypeDef, ListObjectVersionsRequestTypeDef

_BETWEEN = "\x00"
"""Between the parts of a token: no key has it."""


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of one key, or a delete marker."""

    id: str
    modified: datetime
    is_marker: bool


def versions_of(client: "S3Client", bucket: str, key: str) -> list[ObjectVersion]:
    """Of exactly this key, the newest first; those of one second as the server lists them. Raises what
    botocore raises."""
    found: list[ObjectVersion] = []
    for answer in _answers(client, {"Bucket": bucket, "Prefix": key}):
        found += [
            ObjectVersion(row["VersionId"], row["LastModified"], is_marker=False)
            for row in answer.get("Versions", ())
            if row["Key"] == key
        ]
        found += [
            ObjectVersion(marker["VersionId"], marker["LastModified"], is_marker=True)
            for marker in answer.get("DeleteMarkers", ())
            if marker["Key"] == key
        ]
        if answer.get("NextKeyMarker", key) > key:
            break
    return sorted(found, key=lambda one: one.modified, reverse=True)


def first_of(versions: list[ObjectVersion]) -> ObjectVersion | None:
    """The object that was put first, if it is there."""
    return next((one for one in reversed(versions) if not one.is_marker), None)


def page_of_first(
    client: "S3Client", bucket: str, prefix: str, *, flat: bool, after: str, token: str | None
) -> Page:
    """A page of a listing, with whole keys: of each the object that was put first. Keys of which only delete
    markers are left are not listed. The versions of a key may go on with the next page: what is known of the
    last one is in the token. Raises what botocore raises."""
    asked: ListObjectVersionsRequestTypeDef = {"Bucket": bucket, "Prefix": prefix}
    if not flat:
        asked["Delimiter"] = "/"
    rows: dict[str, ObjectInfo] = {}
    if token is not None:
        key_marker, version_marker, *carried = token.split(_BETWEEN)
        asked["KeyMarker"] = key_marker
        if version_marker:
            asked["VersionIdMarker"] = version_marker
        if carried:
            rows[carried[0]] = ObjectInfo(carried[0], int(carried[1]), float(carried[2]))
    elif after:
        asked["KeyMarker"] = after
    answer = client.list_object_versions(**asked)
    for row in answer.get("Versions", ()):
        rows[row["Key"]] = ObjectInfo(row["Key"], row["Size"], row["LastModified"].timestamp())
    directories = [row["Prefix"] for row in answer.get("CommonPrefixes", ())]
    more = None
    if answer["IsTruncated"]:
        more = _token(answer, rows)
    return Page(list(rows.values()), directories, more)


def _token(answer: "ListObjectVersionsOutputTypeDef", rows: dict[str, ObjectInfo]) -> str:
    """Where to go on; the key there is taken out of the rows, since more of it may come."""
    key = answer.get("NextKeyMarker", "")
    parts = [key, answer.get("NextVersionIdMarker", "")]
    last = rows.pop(key, None)
    if last is not None:
        parts += [last.key, str(last.size), repr(last.modified)]
    return _BETWEEN.join(parts)


def _answers(
    client: "S3Client", asked: "ListObjectVersionsRequestTypeDef"
) -> "Iterator[ListObjectVersionsOutputTypeDef]":
    while True:
        answer = client.list_object_versions(**asked)
        yield answer
        if not answer["IsTruncated"]:
            return
        asked = {**asked, "KeyMarker": answer.get("NextKeyMarker", "")}
        if answer.get("NextVersionIdMarker"):
            asked["VersionIdMarker"] = answer["NextVersionIdMarker"]
