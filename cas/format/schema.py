"""The schema of a version: the statements of the dump, in the order in which they are executed.

Canonical JSON, a list of `[section, type, schema, name, sql]`. It is stored as a DEFINITION chunk, or
in pieces where it is large.
"""

from collections.abc import Sequence

from cas.format.canonical import encode_json, parse_json
from cas.format.malformed import malformed, newer
from cas.records.source import SchemaItem

SECTIONS = frozenset(("pre-data", "post-data"))


def encode_schema(items: Sequence[SchemaItem]) -> bytes:
    """The one encoding. Raises what `parse_schema` would raise for it."""
    data = encode_json([[item.section, item.type, item.schema, item.name, item.sql] for item in items])
    parse_schema(data)
    return data


def parse_schema(data: bytes, where: str = "") -> tuple[SchemaItem, ...]:
    value = parse_json(data, where)
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise malformed("not a list of statements", where)
    items = []
    for row in value:
        match row:
            case [str(section), str(type_), str(schema), str(name), str(sql)]:
                if section not in SECTIONS:
                    raise newer(f"section {section[:40]}", where)
                items.append(SchemaItem(section, type_, schema, name, sql))
            case _:
                raise malformed("statement of a schema", where)
    return tuple(items)
