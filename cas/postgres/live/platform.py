"""The running platform's database as a LivePlatform."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from cas.errors import NotFound, SourceChanged
from cas.postgres.connecting import connect, server_encoding
from cas.postgres.faults import faults_of
from cas.postgres.live.casting import cast_texts
from cas.postgres.live.locking import LockPatience, begin_locked
from cas.postgres.live.looking import PostgresLook
from cas.postgres.live.transaction import PostgresTransaction
from cas.postgres.reading.copying import read_ahead, run
from cas.postgres.reading.introspection import introspect
from cas.postgres.reading.obstacles import refusal
from cas.postgres.reading.shapes import Table
from cas.postgres.reading.source import PostgresSource, SourceOptions
from cas.records.marks import Mark
from cas.records.model import Entity, EntityKind
from cas.records.source import Selection

_STATUS = "SELECT pg_xact_status(%s::text::xid8)"


@dataclass(frozen=True, slots=True)
class PlatformOptions:
    """How a platform is reached, and how long its locks are waited for."""

    source: SourceOptions = field(default_factory=SourceOptions)
    patience: LockPatience = field(default_factory=LockPatience)


class PostgresPlatform:
    """See `cas.records.live.LivePlatform`."""

    def __init__(self, url: str, options: PlatformOptions | None = None) -> None:
        """InvalidInput for a malformed URL. Nothing is connected yet."""
        self._options = options or PlatformOptions()
        self._source = PostgresSource(url, self._options.source)
        self._url = url

    @property
    def url(self) -> str:
        return self._source.url

    @contextmanager
    def look(self, selection: Selection) -> Iterator[PostgresLook]:
        with self._source.opened(selection, PostgresLook) as snapshot:
            yield snapshot

    @contextmanager
    def change(
        self, tables: Sequence[tuple[str, str]], beside: Sequence[tuple[str, str]] = ()
    ) -> Iterator[PostgresTransaction]:
        names = (tables, beside)
        with closing(connect(self._url, self._options.source.connection)) as connection:
            before = [_chosen(introspect(connection).tables, some) for some in names]
            written, seen = ([_locked(table) for table in some] for some in before)
            begin_locked(connection, written, seen, self._options.patience, where=self.url)
            locked = [oid for some in before for table in some for oid in table.relations]
            after = [_chosen(introspect(connection, locked).tables, some) for some in names]
            if [[table.without_defaults for table in some] for some in after] != before:
                raise SourceChanged(
                    "tables were altered while they were being locked",
                    where=self.url,
                    hint="Nothing was changed; start again",
                )
            read_ahead(connection.pgconn, where=self.url)
            patience = self._options.patience.later
            yield PostgresTransaction(connection, after[0], after[1], self.url, patience)

    def cast(self, type_name: str, texts: Sequence[bytes]) -> Sequence[bytes]:
        with closing(connect(self._url, self._options.source.connection)) as connection:
            encoding = server_encoding(connection)
            run(connection.pgconn, b"SET client_encoding = '%b'" % encoding.encode(), where=self.url)
            return cast_texts(connection, type_name, texts, encoding)

    def kept(self, reader: str, mark: Mark, entities: Sequence[Entity]) -> None:
        self._source.kept(reader, mark, entities)

    def outcome(self, transaction_id: int) -> bool | None:
        with closing(connect(self._url, self._options.source.connection)) as connection, faults_of(self.url):
            status = connection.execute(_STATUS, [str(transaction_id)]).fetchall()[0][0]
        return {"committed": True, "aborted": False}.get(status)


def _locked(table: Table) -> tuple[str, str, bool]:
    """Schema, name, and whether it is locked alone."""
    entity = table.entity
    return entity.schema, entity.name, entity.kind is not EntityKind.PARTITIONED


def _chosen(every: Sequence[Table], names: Sequence[tuple[str, str]]) -> list[Table]:
    there = {(table.entity.schema, table.entity.name): table for table in every}
    missing = [".".join(name) for name in names if name not in there]
    if missing:
        raise NotFound("the platform has no such table any more", where=", ".join(sorted(missing)))
    chosen = [there[name] for name in sorted(names)]
    refused = [(t.entity.label, t.obstacle) for t in chosen if t.obstacle is not None]
    if refused:
        raise refusal(refused)
    return chosen
