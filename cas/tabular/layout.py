"""`schema.json`: what files of records are, entity by entity, and all that it takes to read them back.

ASCII JSON for people, too. Definitions and the schema have the form of FORMAT.md, section 11.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from cas.contents import Contents
from cas.errors import CorruptData, InvalidInput
from cas.format.canonical import Fields, Json, encode_json
from cas.format.document import STATES, VersionDocument
from cas.format.entities import EntityEntry, check_order, encode_definition, parse_definition
from cas.format.schema import encode_schema, parse_schema
from cas.limits import MAX_ENTITIES
from cas.records.model import Entity
from cas.records.source import SchemaItem, Selection
from cas.tabular.names import is_safe

SCHEMA_FILE = "schema.json"
README_FILE = "README.txt"
FORMAT_VERSION = 1
_TYPE = "cas records"


class Rows(StrEnum):
    """How records are written; also the ending of their files."""

    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class EntityFile:
    """One entity and its file. `file` is None where the version holds no data of it.

    key_column: the name of a last column that holds the record's key in hexadecimal, where the key is not
    among the columns (a generated column); else None.
    """

    entity: Entity
    file: str | None
    key_column: str | None
    records: int = 0
    bytes: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """The version that the files are of."""

    number: int
    checksum: str
    state: str
    kind: str
    created_at: str
    name: str
    reason: str
    selection: Selection
    omissions: tuple[tuple[str, str], ...]
    database: str
    server_version: str
    system_identifier: str
    encoding: str
    locale: str
    extensions: tuple[tuple[str, str], ...]
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The whole. `schema` is None where the version holds none."""

    rows: Rows
    version: VersionFacts
    entities: tuple[EntityFile, ...]
    schema: tuple[SchemaItem, ...] | None


def facts_of_version(contents: Contents, chosen: Sequence[EntityEntry]) -> VersionFacts:
    """Of a version, of which these entities are written."""
    document = contents.document
    selection = Selection(document.included_schemas, document.included, document.excluded)
    if len(chosen) < len(contents.entries):
        selection = replace(selection, tables=tuple(entry.entity.label for entry in chosen))
    return _facts(document, selection)


def _facts(document: VersionDocument, selection: Selection) -> VersionFacts:
    source = document.source
    return VersionFacts(
        number=document.number,
        checksum=document.checksum.hex(),
        state=document.state,
        kind=document.kind if selection.is_everything else "selected",
        created_at=document.created_at,
        name=document.name,
        reason=document.reason,
        selection=selection,
        omissions=document.omissions,
        database=source.database,
        server_version=source.server_version,
        system_identifier=source.system_identifier,
        encoding=source.encoding,
        locale=source.locale,
        extensions=source.extensions,
        roles=source.roles,
    )


def encode_layout(layout: Layout) -> bytes:
    """The same layout gives the same bytes."""
    version = layout.version
    body: dict[str, Any] = {
        "type": _TYPE,
        "format": FORMAT_VERSION,
        "rows": layout.rows.value,
        "version": {
            "number": version.number,
            "checksum": version.checksum,
            "state": version.state,
            "kind": version.kind,
            "created_at": version.created_at,
            "name": version.name,
            "reason": version.reason,
            "included": version.selection.tables,
            "included_schemas": version.selection.schemas,
            "excluded": version.selection.exclude,
            "omissions": version.omissions,
        },
        "source": {
            "database": version.database,
            "server_version": version.server_version,
            "system_identifier": version.system_identifier,
            "encoding": version.encoding,
            "locale": version.locale,
            "extensions": version.extensions,
            "roles": version.roles,
        },
        "entities": [_encode_entity(one) for one in layout.entities],
        "schema": None if layout.schema is None else json.loads(encode_schema(layout.schema)),
    }
    return json.dumps(body, indent=1).encode("ascii") + b"\n"


def _encode_entity(one: EntityFile) -> dict[str, Any]:
    return {
        "label": one.entity.label,
        "file": one.file,
        "records": one.records,
        "bytes": one.bytes,
        "sha256": one.sha256,
        "key_column": one.key_column,
        "definition": [json.loads(encode_definition(one.entity))],
    }


def parse_layout(data: bytes, where: str) -> Layout:
    """InvalidInput where it is no such file; Unsupported where it is a newer one."""
    try:
        fields = Fields(_loaded(data), where)
        if fields.text("type") != _TYPE or fields.integer("format") != FORMAT_VERSION:
            raise InvalidInput("not a format of files that this program reads", where=where)
        rows, version = Rows(fields.text("rows")), fields.object("version")
        facts = _parse_facts(version, fields.object("source"))
        given = fields.sequence("entities")
        if len(given) > MAX_ENTITIES:
            raise InvalidInput(f"{len(given)} entities; at most {MAX_ENTITIES} are read", where=where)
        entities = tuple(_parse_entity(Fields(value, where), where) for value in given)
        schema = fields.optional_sequence("schema")
        items = None if schema is None else parse_schema(encode_json(schema), where)
        fields.finish()
        check_order([one.entity for one in entities], where)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"not a description of files: {str(error)[:200]}", where=where) from error
    except CorruptData as error:
        raise InvalidInput(error.what, where=where, hint="Export again; it is no file to edit") from error
    names = [one.file.lower() for one in entities if one.file is not None]
    if len(set(names)) != len(names):
        raise InvalidInput("two entities have one file", where=where)
    return Layout(rows, facts, entities, items)


def _loaded(data: bytes) -> Json:
    value: Json = json.loads(data.decode("utf-8"))
    return value


def _parse_facts(version: Fields, source: Fields) -> VersionFacts:
    selection = Selection(
        version.texts("included_schemas"), version.texts("included"), version.texts("excluded")
    )
    facts = VersionFacts(
        number=version.integer("number"),
        checksum=version.text("checksum"),
        state=version.text("state"),
        kind=version.text("kind"),
        created_at=version.text("created_at"),
        name=version.text("name"),
        reason=version.text("reason"),
        selection=selection,
        omissions=_pairs(version.sequence("omissions")),
        database=source.text("database"),
        server_version=source.text("server_version"),
        system_identifier=source.text("system_identifier"),
        encoding=source.text("encoding"),
        locale=source.text("locale"),
        extensions=_pairs(source.sequence("extensions")),
        roles=source.texts("roles"),
    )
    if facts.state not in STATES:
        raise ValueError("the version's state")
    version.finish()
    source.finish()
    return facts


def _parse_entity(fields: Fields, where: str) -> EntityFile:
    label, file = fields.text("label"), fields.optional_text("file")
    (definition,) = fields.sequence("definition")
    one = EntityFile(
        entity=parse_definition(encode_json(definition), where),
        file=file,
        key_column=fields.optional_text("key_column"),
        records=fields.integer("records"),
        bytes=fields.integer("bytes"),
        sha256=fields.text("sha256"),
    )
    fields.finish()
    if file is not None and not is_safe(file):
        raise ValueError(f"the file of {label[:80]} has a name that is not safe")
    stored = {column.name for column in one.entity.columns}
    lacks_key = any(name not in stored for name, _ in one.entity.key)
    if one.entity.label != label or lacks_key != (one.key_column is not None) or one.key_column in stored:
        raise ValueError(f"the entity {label[:80]} contradicts itself")
    return one


def key_column_of(entity: Entity) -> str | None:
    """A name that no column has, where the key is not among the columns."""
    stored = {column.name for column in entity.columns}
    if all(name in stored for name, _ in entity.key):
        return None
    name = "_key"
    while name in stored:
        name = f"_{name}"
    return name


def _pairs(value: Sequence[Json]) -> tuple[tuple[str, str], ...]:
    found = []
    for pair in value:
        match pair:
            case [str(first), str(second)]:
                found.append((first, second))
            case _:
                raise ValueError("not a pair of texts")
    return tuple(found)
