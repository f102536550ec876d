"""Documents, and the chunks that are JSON: all of them have exactly one encoding."""

from collections.abc import Callable

from cas.format.bundle import encode_head, parse_head
from cas.format.canonical import encode_json, parse_json
from cas.format.config import encode_config, parse_config
from cas.format.document import encode_document, parse_document
from cas.format.entities import encode_definition, parse_definition, parse_entities
from cas.format.journal import encode_journal, parse_journal
from cas.format.notes import encode_notes, parse_notes
from cas.format.schema import encode_schema, parse_schema
from cas.format.sealing import (
    encode_contents,
    encode_keys,
    encode_sealed_config,
    parse_contents,
    parse_keys,
    parse_sealed_config,
)
from tests.format.reading_vectors import plain_value
from tests.fuzz.changing import changed_envelope, changed_json
from tests.fuzz.model import Target
from tests.fuzz.seeds import BUNDLE_HEAD, of_vectors
from tests.vectors.keys import CONTENTS
from tests.vectors.primitives import canonical

Read = Callable[[bytes], bytes | None]


def _entities_again(data: bytes) -> bytes:
    return canonical([plain_value(row) for row in parse_entities(data)])


def _sealed_config_again(data: bytes) -> bytes | None:
    repository_id = parse_sealed_config(data)
    return None if repository_id is None else encode_sealed_config(repository_id)


def _enveloped(name: str, read: Read) -> Target:
    return Target(name, read, lambda: of_vectors(name), change=changed_envelope)


def _plain(name: str, read: Read) -> Target:
    return Target(name, read, lambda: of_vectors(name), change=changed_json)


TARGETS = (
    _enveloped("config", lambda data: encode_config(parse_config(data))),
    _enveloped("document", lambda data: encode_document(parse_document(data))),
    _enveloped("journal", lambda data: encode_journal(parse_journal(data))),
    _enveloped("keys", lambda data: encode_keys(parse_keys(data))),
    _enveloped("notes", lambda data: encode_notes(parse_notes(data))),
    _enveloped("sealed-config", _sealed_config_again),
    Target(
        "bundle-head",
        lambda data: encode_head(parse_head(data)),
        lambda: [encode_head(BUNDLE_HEAD)],
        change=changed_envelope,
    ),
    _plain("definition", lambda data: encode_definition(parse_definition(data))),
    _plain("entities", _entities_again),
    _plain("schema", lambda data: encode_schema(parse_schema(data))),
    Target(
        "key-contents",
        lambda data: encode_contents(parse_contents(data)),
        lambda: [canonical(CONTENTS)],
        change=changed_json,
    ),
    Target(
        "json",
        lambda data: encode_json(parse_json(data)),
        lambda: [canonical(CONTENTS), b"[]", b'{"a":[1,"\\udc80",null,true]}'],
        change=changed_json,
    ),
)
