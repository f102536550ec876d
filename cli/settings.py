"""What a person may set, from flags, the environment and `cas.toml`, in this order of precedence.

Every setting has one name: `compression` is `--compression` where a command has that flag,
`CAS_COMPRESSION` in the environment, and `compression` in a file. Files are `cas.toml` in the current
directory and in CAS_HOME; for each setting the first one that has it counts.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from cas.anomalies import WINDOW, AnomalyRules
from cas.engine.compression import DEFAULT_LEVEL
from cas.errors import InvalidInput
from cas.limits import DEFAULT_DELTA_DEPTH, MAX_DELTA_DEPTH
from cli.paths import expanded
from cli.settings_files import FILE_NAME, read_files

PREFIX = "CAS_"

DEFAULT_HOME = Path("~/.local/share/cas")
"""Where what belongs to this user lies: the embedded catalog, the cache, a cas.toml."""

Seconds = Annotated[int, Field(ge=0, le=7 * 24 * 3600)]


class Settings(BaseSettings):
    """All settings with their defaults. URLs of databases may hold passwords and are never printed."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    store: str = Field("", description="URL or directory of the repository")
    source: SecretStr = Field(SecretStr(""), description="URL of the platform's database")
    catalog: SecretStr = Field(SecretStr(""), description="URL of the catalog; unset: an embedded PostgreSQL")
    scratch: SecretStr = Field(
        SecretStr(""), description="URL of a server for throwaway databases; unset: an embedded PostgreSQL"
    )
    home: Path = Field(DEFAULT_HOME, description="directory of the cache, the embedded catalog, cas.toml")

    connect_timeout: Seconds = Field(30, description="seconds until a connection counts as failed")
    connect_attempts: int = Field(3, ge=1, le=100, description="tries of one connection to a database")
    command_timeout: Seconds = Field(3600, description="seconds that one statement may take; 0: any time")
    lock_timeout: float = Field(
        30, ge=0, le=7 * 24 * 3600, description="seconds that a lock on a table is waited for"
    )
    parallelism: int = Field(0, ge=0, le=64, description="threads and connections; 0: one a core, at most 4")
    scan_every: int = Field(
        50, ge=0, description="every so many versions every row is read, as a check; 0: never"
    )
    unusual: bool = Field(True, description="switch for marking unusual counts of changes")
    unusual_records: int = Field(
        0, ge=0, description="number of changed records above which a count is unusual in any case; 0: none"
    )
    unusual_percent: float = Field(
        0, ge=0, le=1_000_000, description="the same in percent of the records that were there; 0: none"
    )
    unusual_window: int = Field(
        WINDOW, ge=0, le=1000, description="number of earlier versions that tell what is usual; 0: none"
    )
    verify: bool = Field(
        False, description="switch for reading back what a version added, after `snapshot` and `event`"
    )
    delta_depth: int = Field(
        DEFAULT_DELTA_DEPTH,
        ge=0,
        le=MAX_DELTA_DEPTH,
        description="changes stored on top of each other before all is stored whole; 0: always whole",
    )
    compression: int = Field(DEFAULT_LEVEL, ge=1, le=19, description="zstd level, 1 (fast) to 19 (small)")

    files: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="directories and buckets of files that versions hold beside the rows: NAME=PATH or "
        "NAME=URL; several with : between them, in a file a list",
    )

    passphrase: SecretStr = Field(SecretStr(""), description="passphrase of a sealed store")
    passphrase_file: str = Field("", description="file whose first line is the passphrase")
    key_file: str = Field("", description="key file of a sealed store; several with : between them")
    age_identity: str = Field(
        "",
        description="file of age identities, or an SSH key, of a sealed store; several with : between them",
    )
    key_command: str = Field("", description="command that wraps and unwraps the key of a sealed store")
    bundle_passphrase_file: str = Field("", description="file whose first line is the passphrase of bundles")
    bundle_key_file: str = Field("", description="key file of bundles; several with : between them")
    bundle_age_identity: str = Field(
        "", description="file of age identities, or an SSH key, of bundles; several with : between them"
    )
    recovery_code: SecretStr = Field(SecretStr(""), description="code of a recovery kit")

    store_attempts: int = Field(8, ge=1, le=100, description="tries of one call to the store")
    store_timeout: Seconds = Field(60, description="seconds of a silent store until a call has failed")
    s3_region: str = Field("", description="region; unset: what the AWS configuration says")
    s3_profile: str = Field("", description="profile of the AWS configuration")
    s3_sse: Literal["", "AES256", "aws:kms"] = Field("", description="server-side encryption")
    s3_kms_key: str = Field("", description="key of aws:kms")
    s3_ca: str = Field("", description="PEM file of a private certificate authority of the store")
    postgres_ca: str = Field("", description="PEM file of a private certificate authority of PostgreSQL")
    pg_dump: str = Field("", description="path of pg_dump; unset: the best one found")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, _Files(settings_cls))

    @field_validator("files", mode="before")
    @classmethod
    def _split_files(cls, value: object) -> object:
        """A colon also stands in URLs: one that parts has a name and `=` behind it."""
        return tuple(part for part in _PARTS.split(value) if part) if isinstance(value, str) else value

    @property
    def threads(self) -> int:
        """How many threads or connections work at once."""
        return self.parallelism or min(
            4, len(os.sched_getaffinity(0)) if _HAS_AFFINITY else os.cpu_count() or 1
        )

    @property
    def anomaly_rules(self) -> AnomalyRules | None:
        """Which counts are marked; None for none."""
        rules = AnomalyRules(self.unusual_records, self.unusual_percent, self.unusual_window)
        return rules if self.unusual else None


_PARTS = re.compile(r":(?=[^:/?&=]*=)")

_HAS_AFFINITY = hasattr(os, "sched_getaffinity")

HOME_IS_ELSEWHERE = ("home",)
"""Settings that no file may hold: where the second file lies depends on it."""


class _Files(PydanticBaseSettingsSource):
    """The files, once it is known from flags and environment where CAS_HOME is."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[object, str, bool]:
        raise NotImplementedError("the files are read as a whole")

    def __call__(self) -> dict[str, object]:
        home = expanded(str(self.current_state.get("home", DEFAULT_HOME)))
        known = [name for name in self.settings_cls.model_fields if name not in HOME_IS_ELSEWHERE]
        return read_files([Path.cwd() / FILE_NAME, home / FILE_NAME], known)


def load_settings(flags: Mapping[str, object]) -> Settings:
    """The settings for a command with these flags; None stands for a flag that was not given.

    Reads the environment and the files: to be called by an entry point only. InvalidInput names the
    setting and where its value comes from, and never repeats the value.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # checked by pydantic, that is the point
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        name = str(first["loc"][0])
        raise InvalidInput(
            f"{name}: {first['msg'][:1].lower()}{first['msg'][1:]}",
            where=_origin(name, given),
            hint=_meaning(name),
        ) from None
    return settings.model_copy(update={"home": expanded(settings.home).absolute()})


def _origin(name: str, flags: Mapping[str, object]) -> str:
    variable = PREFIX + name.upper()
    if name in flags:
        return f"--{name.replace('_', '-')}"
    return variable if os.environ.get(variable) else FILE_NAME


def _meaning(name: str) -> str:
    field = Settings.model_fields.get(name)
    return f"It is the {field.description}" if field and field.description else ""
