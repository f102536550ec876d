"""Types, as far as a row's text and its key depend on them.

A fingerprint covers every type that is not built in and that an entity's columns reach: through
arrays, domains, ranges and composites. It holds names and no oids, so that equal databases have equal
fingerprints.

Labels and attributes may be renamed and get their old names back within one read, and rows that were read
between show what was there between. So it is also noted which transactions wrote them.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psycopg

from cas.records.model import KeyPart

FIRST_USER_OID = 16384
"""Objects below it are made by initdb and do not change while a server runs."""

_SQL = """
WITH RECURSIVE used(oid) AS (
    SELECT unnest(%s::oid[])
  UNION
    SELECT part.oid FROM used
    JOIN pg_type t ON t.oid = used.oid
    CROSS JOIN LATERAL (
        SELECT t.typelem
      UNION ALL
        SELECT t.typbasetype
      UNION ALL
        SELECT r.rngsubtype FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
      UNION ALL
        SELECT a.atttypid FROM pg_attribute a
        WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped
    ) AS part(oid)
    WHERE part.oid <> 0
)
SELECT t.oid::int8, n.nspname::text, t.typname::text, t.typtype::text, t.typbasetype::int8,
       t.typelem::int8,
       ARRAY(SELECT r.rngsubtype::int8 FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)),
       ARRAY(SELECT a.atttypid::int8 FROM pg_attribute a
             WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped),
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder),
       ARRAY(SELECT a.attname::text || ' ' || format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
             WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped
             ORDER BY a.attnum),
       format_type(nullif(t.typbasetype, 0), t.typtypmod),
       t.typoutput::regproc::text,
       (SELECT c.collname::text || ' ' || coalesce(c.collversion, '') FROM pg_collation c
        WHERE c.oid = t.typcollation),
       (SELECT x.extname::text || ' ' || x.extversion
        FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
        WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
          AND d.refclassid = 'pg_extension'::regclass),
       (SELECT string_agg(e.xmin::text, ' ' ORDER BY e.oid) FROM pg_enum e WHERE e.enumtypid = t.oid),
       (SELECT string_agg(a.xmin::text, ' ' ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0)
FROM used JOIN pg_type t ON t.oid = used.oid JOIN pg_namespace n ON n.oid = t.typnamespace
"""

_INTEGERS = frozenset((20, 21, 23, 26))  # bigint, smallint, integer, oid
_UUID = 2950
_TEXTS = frozenset((25, 1043))  # text, varchar
_AMBIGUOUS = frozenset((24, 2203))  # regproc, regoper: overloads share one text
_NAMES = frozenset((24, 1033, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191))
"""aclitem and the reg* types: their text is the name of something, in whatever way it is called now."""


@dataclass(frozen=True, slots=True)
class Type:
    """One type: what its values consist of, and the text that describes how it prints."""

    oid: int
    kind: str
    """'c' for a composite type, or the row type of a table; see pg_type.typtype."""
    base: int
    """The type under a domain; 0 for all others."""
    parts: tuple[int, ...]
    description: str
    written: str
    """The transactions that wrote its labels and attributes."""


@dataclass(frozen=True, slots=True)
class Types:
    """The types that a set of columns uses, and all they consist of."""

    by_oid: Mapping[int, Type]

    def reached(self, oids: Iterable[int]) -> set[int]:
        """These types and all that their values consist of."""
        seen: set[int] = set()
        waiting = list(oids)
        while waiting:
            oid = waiting.pop()
            if oid not in seen and oid in self.by_oid:
                seen.add(oid)
                waiting.extend(self.by_oid[oid].parts)
        return seen

    def fingerprint(self, oids: Iterable[int], collations: Iterable[str]) -> str:
        """Hex text over all reached types that are not built in; empty where all are."""
        described = {self.by_oid[oid].description for oid in self.reached(oids) if oid >= FIRST_USER_OID}
        described.update(f"collation {name}" for name in collations)
        if not described:
            return ""
        text = "\n".join(sorted(described))
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]

    def written(self, oids: Iterable[int]) -> str:
        """By which transactions the labels and attributes of all reached types were written."""
        reached = sorted(self.reached(oids))
        return "; ".join(self.by_oid[oid].written for oid in reached if self.by_oid[oid].written)

    def shows_names(self, oids: Iterable[int]) -> bool:
        """Whether values may print the name of a table, function, role or the like."""
        return not _NAMES.isdisjoint(self.reached(oids))

    def holds_composites(self, oids: Iterable[int]) -> bool:
        """Whether values may be made of attributes, which come and go without a trace in the rows."""
        return any(self.by_oid[oid].kind == "c" for oid in self.reached(oids))

    def under_domains(self, oid: int) -> int:
        """The type itself, or the one below all domains."""
        while oid in self.by_oid and self.by_oid[oid].base:
            oid = self.by_oid[oid].base
        return oid

    def key_part(self, oid: int) -> tuple[KeyPart, bool] | None:
        """How a key column of this type becomes bytes, and whether it sorts as it is.

        None where two keys may have one text: such a key identifies nothing.
        """
        base = self.under_domains(oid)
        if base in _INTEGERS:
            return KeyPart.INTEGER, False
        if base == _UUID:
            return KeyPart.UUID, False
        if not _AMBIGUOUS.isdisjoint(self.reached([base])):
            return None
        return KeyPart.TEXT, base in _TEXTS


def types_of(connection: psycopg.Connection, oids: Iterable[int]) -> Types:
    """These types and all that their values consist of, in one query."""
    found: dict[int, Type] = {}
    for row in connection.execute(_SQL, [sorted(set(oids))]):
        oid, schema, name, kind, base, element, subtypes, attribute_types = row[:8]
        labels, attributes, base_text, output, collation, extension, *written = row[8:]
        parts = tuple({part for part in (base, element, *subtypes, *attribute_types) if part})
        lines = [f"{kind} {schema}.{name} {output}", *(f"label {label}" for label in labels)]
        lines += [f"attribute {attribute}" for attribute in attributes]
        lines += [f"over {base_text}"] if base else []
        lines += [f"collation {collation}"] if collation else []
        lines += [f"extension {extension}"] if extension else []
        found[oid] = Type(oid, kind, base, parts, repr(lines), " ".join(filter(None, written)))
    return Types(found)
