"""What every implementation of the catalog demands and says alike.

Texts come from people and from documents in a bucket: they are checked before anything is
started, so that the database never has to refuse them half-way.
"""

import string
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from cas.catalog.model import (
    AdoptedVersion,
    Anomaly,
    CountKind,
    EntitySummary,
    NewIncident,
    NewPack,
    NewVersion,
    QuarantinedVersion,
    Trigger,
    VersionFilter,
    VersionKind,
    VersionResult,
    VersionState,
)
from cas.errors import Conflict, CorruptData, Fenced, InvalidInput
from cas.ids import CHUNK_ID_BYTES, PackName
from cas.limits import MAX_ENTITIES, SESSION_LEASE_SECONDS
from cas.records.model import EntityKind

LEASE = timedelta(seconds=SESSION_LEASE_SECONDS)

MAX_TEXT = 10_000
"""Characters of a reason or description: a page of prose."""
MAX_WORD = 400
"""Characters of a name, a tag and the like: indexed, and PostgreSQL indexes at most 2,704 bytes."""
MAX_WORDS = 10_000
"""Tags, patterns or metadata of one version."""
MAX_PAGE = 10_000
"""Versions in one listing."""
MAX_INTEGER = (1 << 63) - 1
MAX_DURATION = 1e9
"""Seconds: thirty years. What is above would overflow a time."""

COMMITTED = (VersionState.COMPLETE, VersionState.INCOMPLETE)

SETTLED = (*COMMITTED, VersionState.FORGOTTEN, VersionState.GONE)
"""Whoever finds the document of such a version knows what it is: it is not taken in again."""

NOT_FORGOTTEN = tuple(
    state for state in VersionState if state not in (VersionState.FORGOTTEN, VersionState.GONE)
)

WHOLE = (VersionKind.FULL, VersionKind.DATA_ONLY)
"""Kinds of versions that hold all records."""

ADOPTED_OVER = "its session was ended when the catalog was reconciled with the store"


def lapsed(renewed_at: datetime) -> str:
    """Why a version counts as failed whose writer is silent; the time is its last sign of life."""
    return f"its writer stopped renewing its lease at {renewed_at:%Y-%m-%d %H:%M:%S} UTC"


def fenced(number: int | None, why: str) -> Fenced:
    return Fenced(
        f"the session may write no more: {why}",
        where="" if number is None else f"version {number}",
        hint="Nothing was lost and nothing was committed; take the version again",
    )


def behind(journal: int, known: int) -> Conflict:
    return Conflict(
        f"the catalog is older than the bucket: it knows gc journal {known}, the bucket has {journal}",
        hint="The catalog was restored from a backup, or another one is at work; reconcile it first",
    )


def pack_unknown(name: PackName) -> Conflict:
    return Conflict(
        "the catalog does not know a pack that its session has put",
        where=name,
        hint="It was restored from a backup meanwhile. `cas catalog rebuild` takes in what is there",
    )


def search_text(number: int, name: str, reason: str, description: str) -> str:
    """What the filter's text is looked for in. Folded here, since databases fold by locale."""
    return "\x1f".join((str(number), name, reason, description)).casefold()


def clean(text: str) -> str:
    """Text that PostgreSQL can hold, from text that must be recorded whatever it is; cut at a page."""
    return holdable(text[:MAX_TEXT])


def holdable(text: str) -> str:
    """The whole text, with a sign in the place of each that PostgreSQL cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\N{REPLACEMENT CHARACTER}")


def is_comparable(kind: VersionKind, state: VersionState, entity: EntitySummary) -> bool:
    """Whether a version of this kind and state holds the entity whole, with data."""
    match entity.kind:
        case EntityKind.SEQUENCES:
            is_whole = kind in WHOLE and state is VersionState.COMPLETE
        case EntityKind.LARGE_OBJECTS | EntityKind.FILES | EntityKind.FILE_CONTENT:
            is_whole = state is VersionState.COMPLETE
        case _:
            is_whole = True
    return is_whole and any(entity.root)


def clean_entity(entity: EntitySummary) -> EntitySummary:
    """The same with texts that PostgreSQL can hold; the document keeps the exact ones."""
    return replace(
        entity,
        label=clean(entity.label),
        kind=clean(entity.kind),
        read_by=clean(entity.read_by),
        read_reason=clean(entity.read_reason),
    )


def clean_incident(incident: NewIncident) -> NewIncident:
    """The same with texts that PostgreSQL can hold."""
    return NewIncident(
        clean(incident.label), clean(incident.what), tuple(clean(text) for text in incident.examples)
    )


def clean_anomaly(anomaly: Anomaly) -> Anomaly:
    """The same with texts that PostgreSQL can hold."""
    return replace(anomaly, label=clean(anomaly.label), why=clean(anomaly.why))


def check_new(new: NewVersion) -> None:
    """InvalidInput where the catalog cannot hold a field."""
    for name, text, limit in (
        ("reason", new.reason, MAX_TEXT),
        ("description", new.description, MAX_TEXT),
        ("name", new.name, MAX_WORD),
        ("created_by", new.created_by, MAX_WORD),
        ("source_url", new.source_url, MAX_TEXT),
    ):
        check_text(name, text, limit)
    check_source(new.source_database, new.source_server_version, new.source_system_identifier)
    check_words("tag", new.tags)
    check_words("metadata", (word for pair in new.metadata.items() for word in pair), empty=True)
    check_words("pattern", (*new.included, *new.excluded, *new.included_schemas))
    if new.parent is not None and not 0 < new.parent <= MAX_INTEGER:
        raise InvalidInput(f"{new.parent} is no number of a version")
    # Enumerations are checked here too: a str would pass as one otherwise.
    Trigger(new.trigger)
    VersionKind(new.kind)


def check_source(database: str, server_version: str, system_identifier: str) -> None:
    """InvalidInput where the catalog cannot hold what the platform says of itself."""
    check_text("source_database", database, MAX_WORD)
    check_text("source_server_version", server_version, MAX_WORD)
    check_text("source_system_identifier", system_identifier, MAX_WORD)


def check_filter(where: VersionFilter) -> None:
    """InvalidInput where the filter makes no sense."""
    if not 0 < where.limit <= MAX_PAGE:
        raise InvalidInput(f"a page has 1 to {MAX_PAGE} versions, not {where.limit}")
    if where.before is not None and where.before < 1:
        raise InvalidInput(f"{where.before} is no number of a version")
    for moment in (where.since, where.until):
        if moment is not None and moment.utcoffset() is None:
            raise InvalidInput(f"{moment} has no time zone")
    check_words("tag", where.tags)
    check_text("text", where.text, MAX_TEXT)


def known_pack(name: PackName) -> Conflict:
    return Conflict("a pack of this name is known already; names never recur", where=name)


def check_pack(pack: NewPack) -> None:
    """ValueError: names and sizes are ours, never a person's."""
    if len(pack.name) != 64 or not set(pack.name) <= set(string.digits + "abcdef"):
        raise ValueError(f"{pack.name!r} is no name of a pack")
    if not 0 < pack.stored_bytes <= MAX_INTEGER or not 0 <= pack.chunks < 1 << 31:
        raise ValueError(f"pack {pack.name} has impossible sizes")


def check_result(result: VersionResult) -> None:
    """ValueError where a version's result is none: our own mistake."""
    if result.state not in COMMITTED:
        raise ValueError(f"a version is not committed as {result.state}")
    if len(result.entities) > MAX_ENTITIES:
        raise ValueError(f"{len(result.entities)} entities in one version")
    numbers = [result.records, result.original_bytes, result.added_bytes, result.stored_bytes]
    numbers += [result.objects_written, result.retries, result.since_scan]
    for entity in result.entities:
        numbers += [entity.records, entity.payload_bytes, entity.rows_read, entity.new_chunks]
        changes = [entity.inserted, entity.updated, entity.deleted]
        if None in changes and any(count is not None for count in changes):
            raise ValueError(f"{entity.label} tells some of its changes only")
        if entity.compared_with is not None and (None in changes or entity.compared_with < 1):
            raise ValueError(
                f"{entity.label} is compared with version {entity.compared_with}, and not counted"
            )
        numbers += [count for count in changes if count is not None]
        if len(entity.root) != CHUNK_ID_BYTES:
            raise ValueError(f"the root of {entity.label} has {len(entity.root)} bytes")
    if not all(0 <= number <= MAX_INTEGER for number in numbers):
        raise ValueError("a count of a version is negative or beyond 64 bits")
    for anomaly in result.anomalies:
        _check_anomaly(anomaly)


def _check_anomaly(anomaly: Anomaly) -> None:
    most = MAX_INTEGER if CountKind(anomaly.kind) is CountKind.INSERTED else anomaly.of
    if not (0 < anomaly.count <= most and 0 <= anomaly.of <= MAX_INTEGER and anomaly.why):
        raise ValueError(f"{anomaly.label}: {anomaly.count} of {anomaly.of} {anomaly.kind} is no anomaly")
    if anomaly.usual is not None and not 0 <= anomaly.usual <= MAX_INTEGER:
        raise ValueError(f"{anomaly.label}: {anomaly.usual} is not usual")


def check_adopted(version: AdoptedVersion) -> None:
    """CorruptData where a document says what no version of ours can say."""
    doubts = _doubts(version.number, version.begin, version.created_at)
    if not 0 <= version.duration_seconds <= MAX_DURATION:
        doubts.append("its duration is impossible")
    try:
        check_new(version.begin)
        check_result(version.result)
        for pack in version.packs:
            check_pack(pack)
    except (InvalidInput, ValueError) as error:
        doubts.append(str(error))
    _demand_none(doubts, version.number)


def check_quarantined(version: QuarantinedVersion) -> None:
    """CorruptData where the catalog cannot hold what is known of a document that is not taken in."""
    doubts = _doubts(version.number, version.begin, version.created_at)
    try:
        check_new(version.begin)
    except InvalidInput as error:
        doubts.append(str(error))
    _demand_none(doubts, version.number)


def _doubts(number: int, begin: NewVersion, created_at: datetime) -> list[str]:
    doubts = [
        (not 0 < number < MAX_INTEGER, f"{number} is no number of a version"),
        (begin.parent is not None and begin.parent >= number, "it builds on a later version"),
        (created_at.utcoffset() is None, "its time has no time zone"),
    ]
    return [text for is_so, text in doubts if is_so]


def _demand_none(doubts: list[str], number: int) -> None:
    if doubts:
        raise CorruptData(
            f"the document of a version cannot be true: {doubts[0]}",
            kind="malformed",
            where=f"version {number}",
        )


def check_words(what: str, words: Iterable[str], *, empty: bool = False) -> None:
    """InvalidInput for a word that cannot be kept, or for too many of them."""
    count = 0
    for count, word in enumerate(words, 1):  # noqa: B007 - counted
        if not word and not empty:
            raise InvalidInput(f"an empty {what}")
        check_text(what, word, MAX_WORD)
    if count > MAX_WORDS:
        raise InvalidInput(f"{count} words of {what}; {MAX_WORDS} are the most")


def check_text(what: str, text: str, limit: int) -> None:
    """InvalidInput for a text that is longer than `limit` characters or that PostgreSQL cannot hold."""
    if len(text) > limit:
        raise InvalidInput(f"{what} has {len(text)} characters; {limit} are the most")
    if "\x00" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise InvalidInput(f"{what} holds a character that is no text")
