"""What a command works with: settings, terminal, repository, catalog, source; closed at its end.

What only some commands need is imported when it is asked for: a version of what changed takes little longer
than its imports.
"""

import getpass
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from cas.catalog.model import Trigger, Version, VersionFilter, VersionState
from cas.catalog.postgres import PostgresCatalog
from cas.catalog.restores import Restores
from cas.contacting import Contact, ContactPatience
from cas.engine.repository import Repository
from cas.entrusted import EntrustedCredentials, store_place
from cas.errors import Conflict, InvalidInput, NotFound
from cas.pinning import pinned
from cas.postgres.connecting import ConnectionOptions
from cas.postgres.embedded.server import EmbeddedServer
from cas.postgres.reading.opening import Patience
from cas.postgres.reading.source import PostgresSource, SourceOptions
from cas.sealed_places import recognise
from cas.sealing.opening import readable_id, unsealed
from cas.store.bucket import Bucket
from cas.store.bucket_opening import open_bucket
from cas.store.credentials import Credentials, wants_credentials
from cas.store.interface import Store
from cas.store.opening import StoreOptions, open_store
from cas.store.retrying import Retry, RetryingStore
from cli.databases import lock_patience, naming, with_authority
from cli.key_secrets import GivenSecrets
from cli.operating_system import faults_of_files
from cli.paths import expanded
from cli.settings import Settings, load_settings
from cli.terminal import Terminal
from cli.words import duration

if TYPE_CHECKING:
    from cas.postgres.filling.target import PostgresTarget
    from cas.postgres.live.platform import PostgresPlatform

LATEST = "latest"
"""Stands for the newest complete version, wherever a version is asked for. Safety versions of restores do
not count: they hold what a restore was about to overwrite."""

ASKED_FOR = (Trigger.AUTO, Trigger.MANUAL)

COMMITTED = (VersionState.COMPLETE, VersionState.INCOMPLETE)
PAGE = 1000


class Session:
    """One run of one command. Everything is opened when first asked for."""

    def __init__(self, terminal: Terminal, flags: Mapping[str, object]) -> None:
        self.terminal = terminal
        self.if_stopped = "Nothing was changed"
        """What a person should know who stops the command now."""
        self._flags = dict(flags)
        self._open = ExitStack()

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def set(self, **flags: object) -> None:
        """Flags of one command that are settings too. Before the settings are first used."""
        self._flags.update(flags)

    @cached_property
    def settings(self) -> Settings:
        return load_settings(self._flags)

    @cached_property
    def home(self) -> Path:
        """CAS_HOME, which exists and can be written."""
        home = self.settings.home
        with faults_of_files(home, hint="Set CAS_HOME to a directory of your own"):
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
        return home

    @property
    def store_url(self) -> str:
        """As open_store wants it: a path becomes a file URL."""
        given = self.settings.store
        if not given:
            raise InvalidInput(
                "no repository is named",
                where="CAS_STORE",
                hint='Give --store URL, set CAS_STORE, or write store = "URL" in cas.toml',
            )
        if given.startswith("memory:"):
            raise InvalidInput(
                "a store in memory ends with this command", where=given, hint="Name a directory or a bucket"
            )
        return url_of(given)

    def store(self, *, create: bool = False) -> Store:
        """The store, opened where it is sealed. `create`: make the directory of a local one."""
        return unsealed(self.bare_store(create=create), self.secrets)

    def bare_store(self, *, create: bool = False, options: StoreOptions | None = None) -> RetryingStore:
        """The store as it lies there, sealed or not."""
        return self._opened(self.store_url, create=create, options=options or self.primary_options)

    def replica_store(self, url: str, *, name: str | None = None) -> Store:
        """The store of a replica or another copy, opened where it is sealed. `name`: of a replica, whose keys
        the catalog knows."""
        store = unsealed(self.bare_replica_store(url, name=name), self.secrets)
        if name is not None:
            recognise(store, self.catalog, name)
        return store

    def bare_replica_store(
        self,
        url: str,
        *,
        name: str | None = None,
        create: bool = False,
        options: StoreOptions | None = None,
    ) -> RetryingStore:
        """As it lies there, sealed or not; also one that is tried out. `name`: of a replica, with its
        credentials where the catalog keeps some."""
        if url.startswith("memory:"):
            raise InvalidInput(
                "a store in memory ends with this command", where=url, hint="Name a directory or a bucket"
            )
        chosen = options or (self.store_options if name is None else self.replica_options(name, url))
        return self._opened(url_of(url), create=create, options=chosen)

    def bucket(self, url: str) -> Bucket:
        """A bucket of uploads. Its credentials are found where the provider's tools look."""
        bucket = open_bucket(url, self.store_options, on_retry=self._tell_retry)
        self._open.callback(bucket.close)
        return bucket

    def _opened(self, url: str, *, create: bool, options: StoreOptions) -> RetryingStore:
        store = open_store(url, options, create=create, on_retry=self._tell_retry)
        self._open.callback(store.close)
        return store

    @cached_property
    def secrets(self) -> GivenSecrets:
        """What opens sealed stores."""
        return GivenSecrets(self.settings, self.terminal)

    @cached_property
    def entrusted(self) -> EntrustedCredentials:
        """Credentials of stores that the catalog keeps."""
        return EntrustedCredentials(self.secrets)

    @cached_property
    def primary_options(self) -> StoreOptions:
        """With the credentials of the repository's own store, where the catalog keeps some. It is asked first
        then, so it must be one that is found without the store."""
        if not wants_credentials(self.store_url) or self.given_catalog is None:
            return self.store_options
        return self.options_with(self.entrusted.of_primary(self.given_catalog, self.store_url))

    def replica_options(self, name: str, url: str) -> StoreOptions:
        """The same of a replica."""
        if not wants_credentials(url_of(url)):
            return self.store_options
        store = store_place(self.repository.id, name, url_of(url))
        return self.options_with(self.entrusted.of(self.catalog, store))

    def options_with(self, credentials: Credentials | None) -> StoreOptions:
        """None: from where the provider's tools look."""
        return replace(self.store_options, credentials=credentials)

    def replica_cache(self, name: str) -> Path:
        """What is known of a replica's packs; not the primary's."""
        return self.home / "replicas" / name

    @property
    def store_options(self) -> StoreOptions:
        settings = self.settings
        return StoreOptions(
            attempts=settings.store_attempts,
            connect_timeout_seconds=settings.connect_timeout,
            read_timeout_seconds=settings.store_timeout,
            region=settings.s3_region,
            profile=settings.s3_profile,
            sse=settings.s3_sse,
            kms_key=settings.s3_kms_key,
            ca=settings.s3_ca,
        )

    @cached_property
    def repository(self) -> Repository:
        return self.repository_in(self.store())

    def repository_in(self, store: Store) -> Repository:
        """The repository in an open store."""
        repository = Repository(store, self.home / "cache")
        self._open.callback(repository.close)
        return repository

    @cached_property
    def catalog(self) -> PostgresCatalog:
        """The catalog, attached to the repository."""
        return self.attached(self.repository)

    def attached(self, repository: Repository, *, create: bool = False) -> PostgresCatalog:
        """The repository's catalog; `create` claims an unclaimed one."""
        catalog = self.unattached(repository)
        catalog.attach(repository.id, repository.store.url, create=create)
        recognise(repository.store, catalog)
        return catalog

    def catalog_of(self, store: Store, repository_id: str | None = None) -> PostgresCatalog:
        """The catalog of a repository that cannot be opened now, by its id or what its store says of it."""
        repository_id = repository_id or self._readable_id(store)
        catalog = self.given_catalog or self._catalog_at(self.catalog_url(repository_id))
        catalog.attach(repository_id, store.url)
        return catalog

    def _readable_id(self, store: Store) -> str:
        try:
            return readable_id(store)
        except NotFound as error:
            raise NotFound(
                "neither config nor keys lie there that say which repository it was",
                where=store.url,
                hint="Name it with --repository: the recovery kit has its id, and CAS_HOME/cache a folder of "
                "that name",
            ) from error

    def unattached(self, repository: Repository) -> PostgresCatalog:
        """The catalog at the repository's address, whoever's it is."""
        return self.given_catalog or self._catalog_at(self.catalog_url(repository.id))

    @cached_property
    def given_catalog(self) -> PostgresCatalog | None:
        """The catalog at CAS_CATALOG, whoever's it is; None where it is the embedded one, whose name is in
        the store."""
        return self._catalog_at(self.catalog_url("")) if self.settings.catalog.get_secret_value() else None

    def _catalog_at(self, url: str) -> PostgresCatalog:
        catalog = PostgresCatalog(url, patience=self.patience)
        self._open.callback(catalog.close)
        return catalog

    def catalog_url(self, repository_id: str) -> str:
        """CAS_CATALOG, or the repository's database in the embedded PostgreSQL."""
        given = self.settings.catalog.get_secret_value()
        if given:
            return with_authority(given, self.settings.postgres_ca)
        return self.embedded.ensure_database(f"cas_{repository_id[:12]}")

    @cached_property
    def embedded(self) -> EmbeddedServer:
        """The PostgreSQL in CAS_HOME; it stops with the last process that uses it."""
        server = EmbeddedServer(self.home / "postgres")
        self._open.callback(server.stop)
        return server

    @property
    def source_url(self) -> str:
        """CAS_SOURCE; may hold a password."""
        url = self.settings.source.get_secret_value()
        if not url:
            raise InvalidInput(
                "no database is named",
                where="CAS_SOURCE",
                hint="Give --source postgresql://user@host/database, set CAS_SOURCE, or write it in cas.toml",
            )
        if EmbeddedServer.serves(self.settings.home / "postgres", url):
            _ = self.embedded  # the demo's platform: it runs as long as somebody asks for it
        return url

    def source(self, url: str, origin: str = "CAS_SOURCE") -> PostgresSource:
        """A platform database as it is read. InvalidInput names `origin` where the URL is malformed."""
        with naming(origin):
            return PostgresSource(url, self.source_options)

    def platform(self, url: str | None = None) -> "PostgresPlatform":
        """The running platform: CAS_SOURCE, or the database of this URL."""
        from cas.postgres.live.platform import PlatformOptions, PostgresPlatform

        options = PlatformOptions(self.source_options, lock_patience(self.settings.lock_timeout))
        with naming("CAS_SOURCE"):
            return PostgresPlatform(url or self.source_url, options)

    @property
    def source_options(self) -> SourceOptions:
        program = self.settings.pg_dump
        return SourceOptions(
            connection=self.connection_options,
            patience=Patience(lock_timeout=self.settings.lock_timeout),
            pg_dump=expanded(program) if program else None,
        )

    def target(self, url: str) -> "PostgresTarget":
        """An empty database to be filled, closed with the session."""
        from cas.postgres.filling.target import PostgresTarget, TargetOptions

        with naming("--into"):
            target = PostgresTarget(url, TargetOptions(self.connection_options, jobs=self.settings.threads))
        self._open.callback(target.close)
        return target

    @property
    def connection_options(self) -> ConnectionOptions:
        settings = self.settings
        ca = settings.postgres_ca
        # Whoever names an authority wants to be sure of the server: libpq alone would go on without TLS.
        parameters = {"sslrootcert": ca, "sslmode": "verify-full"} if ca else {}
        return ConnectionOptions(
            connect_timeout=settings.connect_timeout,
            statement_timeout=settings.command_timeout,
            parameters=parameters,
            patience=self.patience,
        )

    @property
    def patience(self) -> ContactPatience:
        """With databases that cannot be reached."""
        return ContactPatience(attempts=self.settings.connect_attempts, on_retry=self._tell_contact)

    @property
    def restores(self) -> Restores:
        """The history of restores into the running platform."""
        return self.catalog.restores

    def number(self, text: str) -> int:
        """The version that a person means: a number, or `latest`."""
        if text == LATEST:
            newest = self.catalog.versions(
                VersionFilter(states=(VersionState.COMPLETE,), triggers=ASKED_FOR, limit=1)
            )
            if not newest:
                raise NotFound("there is no complete version yet", hint="Take one with `cas snapshot`")
            return newest[0].number
        if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) < 1:
            raise InvalidInput(
                f"{text[:40]} is no version", hint="Give a number of `cas versions`, or the word latest"
            )
        return int(text)

    def reading(self, text: str) -> Version:
        """As `committed`, of a version that stays until the command is over, whoever forgets it."""
        version = self.committed(text)
        self._open.enter_context(
            pinned(self.repository.environment, self.catalog, version.number, "a command")
        )
        return version

    def committed(self, text: str) -> Version:
        """The version that a person means; NotFound, or Conflict where there is nothing to read in it."""
        version = self.catalog.version(self.number(text))
        if version.state not in COMMITTED:
            why = version.error_text or version.forgotten_why
            reason = f": {why}" if why else ""
            raise Conflict(
                f"version {version.number} is {version.state.value}{reason}",
                hint="Choose a complete one: `cas versions --state complete`",
            )
        return version

    def committed_numbers(self) -> Iterator[int]:
        """Numbers of all versions that the catalog lists as complete or incomplete, newest first."""
        before: int | None = None
        while True:
            where = VersionFilter(states=COMMITTED, limit=PAGE, before=before)
            page = self.catalog.versions(where)
            yield from (version.number for version in page)
            if len(page) < PAGE:
                return
            before = page[-1].number

    def _tell_contact(self, contact: Contact) -> None:
        fault, wait = contact.fault, duration(contact.wait_seconds)
        self.terminal.warn(f"{fault.what} ({fault.where}); next try in {wait}")

    def _tell_retry(self, retry: Retry) -> None:
        wait = duration(retry.wait_seconds)
        self.terminal.warn(f"the store failed at {retry.call} ({retry.fault.what}); next try in {wait}")


def url_of(place: str) -> str:
    """As open_store wants it: a path becomes a file URL."""
    return place if "://" in place else expanded(place).absolute().as_uri()


def whoami() -> str:
    """Who runs this program, as versions keep it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
