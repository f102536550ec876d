"""`README.txt`: what the files of an export are, for whoever finds them."""

from cas.tabular.layout import Layout, Rows

_ROWS = {
    Rows.JSONL: r"""
Each file holds one table (or the sequences, or the large objects): one JSON object a line, from
column to value.

  smallint, integer, bigint   a number
  boolean                     true or false
  jsonb                       JSON as it is. Numbers keep all their digits: many programs read them
                              as floating point and lose some.
  everything else             a string: PostgreSQL's own text of the value. Dates are ISO 8601, times
                              with time zone in UTC, bytea is \x and hexadecimal digits, numeric keeps
                              all its digits.
  NULL                        null. JSON's own null in a jsonb column is {"$jsonb": null}, and a jsonb
                              object that begins with the key $jsonb is wrapped in one more.
""",
    Rows.CSV: r"""
Each file holds one table (or the sequences, or the large objects): CSV by RFC 4180, UTF-8, the first
line names the columns. All values are PostgreSQL's own texts: booleans are t and f, dates ISO 8601,
times with time zone in UTC, bytea \x and hexadecimal digits.

NULL is an empty field without quotes, the empty text is "". PostgreSQL reads such a file by
  COPY table (columns) FROM '...' WITH (FORMAT csv, HEADER)
Spreadsheets lose the difference between NULL and the empty text, leading zeros, and long numbers.
""",
}

_COMMON = r"""
A byte that is no text in the database's encoding is the lone surrogate U+DC80 to U+DCFF (in JSON lines
\udc80 to \udcff, in CSV the three bytes ED B2 80 to ED B3 BF).

schema.json says what is what: for each entity its file, columns, types in order, key, number of records
and the file's SHA-256; the statements that make the schema, before and after the data (pre-data,
post-data); the roles; the database that it was. Entities without a primary key hold equal records as
often as they occur. Where the key is a generated column, a last column of the file holds it.

Back into the repository, as a new version:

  cas import PATH             as it was written; anything else is refused
  cas import PATH --edited    after rows were changed, added or removed. Types are checked as far as
                              that goes without a database

From there `cas restore V --into URL` makes a database of it.
"""


def readme(layout: Layout) -> bytes:
    """ASCII text."""
    version = layout.version
    head = (
        f"Version {version.number} of the database {version.database}, taken {version.created_at}.\n"
        f"Encoding {version.encoding}, PostgreSQL {version.server_version}, checksum {version.checksum}.\n"
    )
    names = [f"  {one.file:40}  {one.records:>12} records\n" for one in layout.entities if one.file]
    text = f"{head}{_ROWS[layout.rows]}{_COMMON}\nFiles:\n\n{''.join(names)}"
    return text.encode("ascii", "backslashreplace")
