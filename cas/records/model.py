"""The words of the platform's data: entities, columns, batches of records. Plain frozen values.

They carry no SQL and no connection. `cas.postgres` makes them from a live database; the manifest
stores them; the two are compared to find differences of schema.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class EntityKind(StrEnum):
    """How an entity's records are read and put back."""

    TABLE = "table"
    """An ordinary table, read with ONLY."""
    PARTITIONED = "partitioned"
    """A partitioned table, read and restored through its root; its leaves are no entities."""
    SEQUENCES = "sequences"
    """All sequences of the database: key = quoted name; payload: cas.records.sequences."""
    LARGE_OBJECTS = "large_objects"
    """All large objects: key = (oid, page); payload: cas.records.large_objects."""
    FILES = "files"
    """The paths of a tree of files: key = path; payload: cas.records.files."""
    FILE_CONTENT = "file_content"
    """The pieces of these files: key = (path, offset); the payload is the piece itself."""


OF_THE_DATABASE = frozenset(EntityKind) - {EntityKind.FILES, EntityKind.FILE_CONTENT}
"""What comes from a database and goes into one; the others lie beside it."""


class KeyPart(StrEnum):
    """How one column of a primary key becomes key bytes (FORMAT.md, "Keys")."""

    INTEGER = "integer"
    """smallint, integer, bigint, oid: eight bytes, sign bit flipped, big-endian."""
    UUID = "uuid"
    """Sixteen bytes."""
    TEXT = "text"
    """Any other type: its output text in the server's encoding, then one zero byte."""


@dataclass(frozen=True, slots=True)
class Column:
    """One stored column, in catalog order. `type` is format_type's text with schema, unlocalised."""

    name: str
    type: str
    not_null: bool
    collation: str | None = None
    identity: str | None = None
    """'always' or 'by default', or None."""
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Entity:
    """One table of the platform as it was read.

    `schema` and `name` are unquoted. `columns` are all that are stored and not generated, in
    catalog order. `key` names the primary key's columns in index order and how each becomes key
    bytes; it is empty for a table without a primary key (a bag). `fingerprint` is hex text that
    moves when the text of a row could move though the row does not (enum labels, composites,
    domains, extensions).
    """

    kind: EntityKind
    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[tuple[str, KeyPart], ...]
    fingerprint: str = ""

    @property
    def label(self) -> str:
        """`schema.name`, for people and for the command line; not quoted SQL."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @property
    def shape(self) -> tuple[object, ...]:
        """Names and types of columns, and key: equal where equal payloads are equal records."""
        return (tuple((column.name, column.type) for column in self.columns), self.key)

    @property
    def is_bag(self) -> bool:
        """Whether records are identified by content and counted, for want of a primary key."""
        return not self.key


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Some consecutive records of one entity. `keys[i]` belongs to `payloads[i]`.

    Keys ascend strictly, within a batch and from batch to batch; for a bag `keys` is empty and
    the order is any. Payloads are canonical: COPY text without line end, trailing NULL fields
    stripped except the first field.
    """

    keys: Sequence[bytes]
    payloads: Sequence[bytes]
