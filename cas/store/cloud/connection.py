"""obstore's clients for an address: time-outs, trust, credentials; no retries of obstore's own."""

import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore

from cas.errors import InvalidInput
from cas.limits import KIB
from cas.store.cloud.address import AzureAddress, CloudAddress, GoogleAddress
from cas.store.cloud.connection_string import connection_string
from cas.store.cloud.service_account import ServiceAccount
from cas.store.credentials import AzureCredentials, GoogleCredentials
from cas.store.options import StoreOptions
from cas.store.transport import check_certificates, check_transport

if TYPE_CHECKING:
    from obstore.store import (
        AzureAccessKey,
        AzureConfig,
        AzureCredentialProvider,
        AzureSASToken,
        ClientConfig,
        GCSConfig,
        RetryConfig,
    )

Client = GCSStore | AzureStore

_SMALLEST_CLASS = 256 * KIB
"""Uploads share time-outs by size, in powers of two from here on. obstore knows one time-out a client, and
none that watches how an upload gets ahead; so each class has a client that waits as long as its largest
upload may take. A network that goes silent in the midst of a large upload is noticed no earlier than that."""

_NO_RETRIES: "RetryConfig" = {"max_retries": 0}


class Clients:
    """Clients of one bucket: one to read, and one for each size of uploads, made when first needed.

    Raises InvalidInput for settings that cannot work, and for plain http to another machine without
    `allow_http`, wherever the endpoint was configured. Nothing is sent yet.
    """

    def __init__(self, address: CloudAddress, options: StoreOptions) -> None:
        self._options = options
        self._make, self.endpoint = _maker(address, options)
        self.reading = self._make(timedelta(seconds=options.read_timeout_seconds), None)
        self._writing: dict[int, Client] = {}
        self._making = threading.Lock()

    def writing(self, size: int) -> Client:
        """The client for an upload of this many bytes."""
        largest = max(_SMALLEST_CLASS, 1 << (size - 1).bit_length() if size else 0)
        with self._making:
            if largest not in self._writing:
                options = self._options
                seconds = (
                    options.connect_timeout_seconds
                    + options.read_timeout_seconds
                    + largest / options.slowest_bytes_per_second
                )
                self._writing[largest] = self._make(None, timedelta(seconds=seconds))
            return self._writing[largest]


_Maker = Callable[[timedelta | None, timedelta | None], Client]
"""From the time-out of one read and that of the whole request to a client."""


def _maker(address: CloudAddress, options: StoreOptions) -> tuple[_Maker, str]:
    """How clients are made, and the endpoint that they ask."""
    trusted = _certificates(address.ca)
    given = options.credentials

    def client_options(silence: timedelta | None, whole: timedelta | None) -> "ClientConfig":
        made: ClientConfig = {
            "allow_http": True,  # whether it is allowed was decided before
            "connect_timeout": timedelta(seconds=options.connect_timeout_seconds),
            "timeout": whole or _LONG,
            "pool_max_idle_per_host": str(options.connections),
        }
        if silence is not None:
            made["read_timeout"] = silence
        if trusted:
            made["root_certificate"] = trusted
        return made

    if isinstance(address, GoogleAddress):
        account = ServiceAccount(given) if isinstance(given, GoogleCredentials) else None
        google, endpoint = _google(address, is_given=account is not None)
        check_transport(endpoint, address.url, allow_http=address.allow_http)
        return (
            lambda silence, whole: _made(
                lambda: GCSStore(
                    address.bucket,
                    config=google,
                    client_options=client_options(silence, whole),
                    retry_config=_NO_RETRIES,
                    credential_provider=account,
                ),
                address,
            ),
            endpoint,
        )
    assert isinstance(address, AzureAddress)
    shown = given if isinstance(given, AzureCredentials) else None
    azure, endpoint = _azure(address, shown)
    check_transport(endpoint, address.url, allow_http=address.allow_http)
    return (
        lambda silence, whole: _made(
            lambda: AzureStore(
                address.bucket,
                config=azure,
                client_options=client_options(silence, whole),
                retry_config=_NO_RETRIES,
                credential_provider=_shown(shown) if shown else None,
            ),
            address,
        ),
        endpoint,
    )


_LONG = timedelta(days=1)
"""For reading, where the silence of the server and the pace of the body are watched instead."""


def _made(make: Callable[[], Client], address: CloudAddress) -> Client:
    try:
        return make()
    except (BaseError, ValueError, OSError) as error:
        # obstore's text can have a part of a secret in it: only what kind of thing is wrong is told.
        name = str(error).split("Debug source")[0]
        if "Account must be specified" in name:
            raise InvalidInput(
                "no storage account is named",
                where=address.url,
                hint="Add account=NAME to the store's URL, or set AZURE_STORAGE_ACCOUNT_NAME",
            ) from None
        if "ccess " in name and "ey" in name:
            raise InvalidInput("the account's key is not one", where="AZURE_STORAGE_ACCOUNT_KEY") from None
        if "open service account file" in name or "credential" in name.lower():
            raise InvalidInput(
                "the file of credentials cannot be used",
                where=address.url,
                hint="credentials= and GOOGLE_APPLICATION_CREDENTIALS name the key file of a service account",
            ) from None
        raise InvalidInput(
            "the settings of this store do not work",
            where=address.url,
            hint="Check the URL and the provider's environment variables",
        ) from None


def _google(address: GoogleAddress, *, is_given: bool) -> "tuple[GCSConfig, str]":
    """`is_given`: the credentials are, and none are looked for."""
    endpoint = address.endpoint or os.environ.get("GOOGLE_BASE_URL", "") or "https://storage.googleapis.com"
    config: GCSConfig = {"base_url": endpoint}
    if is_given:
        config["skip_signature"] = False  # a variable could say otherwise
    elif address.credentials:
        if not Path(address.credentials).is_file():
            raise InvalidInput("no such file of credentials", where=address.credentials)
        config["application_credentials"] = address.credentials
    return config, endpoint


def _shown(credentials: AzureCredentials) -> "AzureCredentialProvider":
    """As a provider, over which no variable of the environment wins."""

    def show() -> "AzureAccessKey | AzureSASToken":
        if credentials.sas:
            return {"sas_token": credentials.sas, "expires_at": None}
        return {"access_key": credentials.key, "expires_at": None}

    return show


def _azure(address: AzureAddress, given: AzureCredentials | None) -> "tuple[AzureConfig, str]":
    """Settings of the URL first, then what is `given` and shown by a provider, else a connection string, then
    single variables: those that obstore reads by itself, and the two names that only the `az` tool has."""
    environment = os.environ
    said = given or connection_string(environment) or AzureCredentials()
    if address.account and said.account not in ("", address.account):
        raise InvalidInput(
            "the connection string is of another account",
            where=address.url,
            hint="Correct account=, or the connection string: AZURE_STORAGE_CONNECTION_STRING",
        )
    account = (
        address.account
        or said.account
        or environment.get("AZURE_STORAGE_ACCOUNT_NAME", "")
        or environment.get("AZURE_STORAGE_ACCOUNT", "")
    )
    config: AzureConfig = {}
    if account:
        config["account_name"] = account
    if given:
        config["skip_signature"] = False  # a variable could say otherwise
    else:
        key = said.key or ("" if said.sas else environment.get("AZURE_STORAGE_KEY", ""))
        if key:
            config["account_key"] = key
        if said.sas:
            config["sas_key"] = said.sas
    named = address.endpoint or said.endpoint or environment.get("AZURE_STORAGE_ENDPOINT", "")
    endpoint = named or f"https://{account}.blob.core.windows.net"
    if named:
        config["endpoint"] = named
    return config, endpoint


def _certificates(path: str) -> bytes:
    check_certificates(path)
    return Path(path).read_bytes() if path else b""
