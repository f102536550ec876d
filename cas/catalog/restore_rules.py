"""What every implementation of the port to restores demands of the values that it is given."""

import json
from collections.abc import Mapping
from dataclasses import replace

from cas.catalog.restore_model import (
    NewRestore,
    RestoreEntity,
    RestoreFilter,
    RestoreKind,
    RestoreMode,
    RestorePlanned,
    RestoreResult,
)
from cas.catalog.rules import (
    MAX_DURATION,
    MAX_INTEGER,
    MAX_PAGE,
    MAX_TEXT,
    MAX_WORD,
    MAX_WORDS,
    check_text,
    check_words,
    clean,
    holdable,
)
from cas.errors import CasError, InvalidInput
from cas.limits import MAX_ENTITIES

MAX_DOCUMENT = 64 << 20
"""Characters of a plan or request as JSON; PostgreSQL holds at most 256 MB of it."""
MAX_TRANSACTION_ID = (1 << 64) - 1


def search_text(name: str, description: str, created_by: str) -> str:
    """What the filter's text is looked for in, beside the number. Folded here, since databases fold by
    locale."""
    return "\x1f".join((name, description, created_by)).casefold()


def document(given: Mapping[str, object]) -> dict[str, object]:
    """A JSON object as the catalog keeps it: lists for tuples, and texts that PostgreSQL can hold.
    ValueError for what is no JSON, or too long."""
    text = json.dumps(dict(given), allow_nan=False)
    if len(text) > MAX_DOCUMENT:
        raise ValueError(f"a document of {len(text)} characters; {MAX_DOCUMENT} are the most")
    kept = _kept(json.loads(text))
    assert isinstance(kept, dict)
    return kept


def _kept(value: object) -> object:
    if isinstance(value, str):
        return holdable(value)
    if isinstance(value, list):
        return [_kept(one) for one in value]
    if isinstance(value, dict):
        return {holdable(key): _kept(one) for key, one in value.items()}
    return value


def check_new(new: NewRestore) -> None:
    """InvalidInput where the catalog cannot hold a field."""
    for what, text, limit in (
        ("name", new.name, MAX_WORD),
        ("description", new.description, MAX_TEXT),
        ("created_by", new.created_by, MAX_WORD),
        ("target_url", new.target_url, MAX_TEXT),
    ):
        check_text(what, text, limit)
    check_words("metadata", (word for pair in new.metadata.items() for word in pair), empty=True)
    for what, number in (("version", new.version), ("restore", new.undoes)):
        if number is not None and not 0 < number <= MAX_INTEGER:
            raise InvalidInput(f"{number} is no number of a {what}")
    if document(new.request) != json.loads(json.dumps(dict(new.request))):
        raise InvalidInput("request holds a character that is no text")
    # Enumerations are checked here too: a str would pass as one otherwise.
    RestoreKind(new.kind)
    RestoreMode(new.mode)


def check_planned(found: RestorePlanned) -> None:
    """InvalidInput for what the platform says of itself, ValueError for a plan that is none."""
    check_text("target_database", found.target_database, MAX_WORD)
    check_text("target_system_identifier", found.target_system_identifier, MAX_WORD)
    if not found.plan_hash or clean(found.plan_hash)[:MAX_WORD] != found.plan_hash:
        raise ValueError(f"{found.plan_hash!r} is no hash of a plan")
    if len(found.entities) > MAX_ENTITIES or len(found.warnings) > MAX_WORDS:
        raise ValueError(f"{len(found.entities)} entities, {len(found.warnings)} warnings in one plan")
    if len({clean(entity.label) for entity in found.entities}) < len(found.entities):
        raise ValueError("an entity occurs twice in a plan")
    for entity in found.entities:
        if len(entity.label) > MAX_WORD:
            raise ValueError(f"a label of {len(entity.label)} characters in a plan")
        counts = (entity.inserted, entity.updated, entity.deleted, entity.conflicts, entity.done)
        check_counts(*counts, entity.version_records, entity.live_records, entity.after_records)


def check_result(result: RestoreResult) -> None:
    """ValueError where a restore's result is none: our own mistake."""
    check_counts(result.records_inserted, result.records_updated, result.records_deleted)
    check_counts(result.data_bytes, result.wal_bytes or 0)
    if not 0 <= (result.lock_seconds or 0) <= MAX_DURATION:
        raise ValueError(f"writers were kept out for {result.lock_seconds} seconds")
    if result.undo_until is not None and result.undo_until.utcoffset() is None:
        raise ValueError(f"{result.undo_until} has no time zone")


def check_transaction(transaction_id: int) -> None:
    """ValueError for what no server gives."""
    if not 0 < transaction_id <= MAX_TRANSACTION_ID:
        raise ValueError(f"{transaction_id} is no transaction of PostgreSQL")


def check_counts(*counts: int) -> None:
    """ValueError: they are ours."""
    if not all(0 <= count <= MAX_INTEGER for count in counts):
        raise ValueError("a count of a restore is negative or beyond 64 bits")


def check_filter(where: RestoreFilter) -> None:
    """InvalidInput where the filter makes no sense."""
    check_limit(where.limit)
    for what, number in (("version", where.version), ("restore", where.before)):
        if number is not None and number < 1:
            raise InvalidInput(f"{number} is no number of a {what}")
    for moment in (where.since, where.until):
        if moment is not None and moment.utcoffset() is None:
            raise InvalidInput(f"{moment} has no time zone")
    check_text("text", where.text, MAX_TEXT)


def check_limit(limit: int) -> None:
    if not 0 < limit <= MAX_PAGE:
        raise InvalidInput(f"a page has 1 to {MAX_PAGE} restores, not {limit}")


def clean_entity(entity: RestoreEntity) -> RestoreEntity:
    """The same with a label that PostgreSQL can hold; the plan keeps the exact one."""
    return replace(entity, label=clean(entity.label))


def failure(code: str, step: str, text: str) -> tuple[str, str, str]:
    """Code, step and text of a failure as they are kept, whatever they are."""
    return clean(code) or CasError.code, clean(step), clean(text)
