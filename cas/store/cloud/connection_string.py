"""Azure's connection strings, as the portal gives them out: `AccountName=...;AccountKey=...`.

obstore does not know them. They are read from the environment only, since they hold a secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cas.errors import InvalidInput

VARIABLE = "AZURE_STORAGE_CONNECTION_STRING"
_HINT = "Copy it from the portal: AccountName=...;AccountKey=...;EndpointSuffix=core.windows.net"

EMULATOR = {
    "accountname": "devstoreaccount1",
    "accountkey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "blobendpoint": "http://127.0.0.1:10000/devstoreaccount1",
}
"""What `UseDevelopmentStorage=true` stands for. The key is published, and no secret."""


@dataclass(frozen=True, slots=True)
class ConnectionString:
    """What is said about blobs. Empty texts were not said. Secrets are not shown by repr()."""

    account: str = ""
    endpoint: str = ""
    key: str = field(default="", repr=False)
    sas: str = field(default="", repr=False)


def connection_string(environment: Mapping[str, str]) -> ConnectionString | None:
    """The one of the environment. InvalidInput, without its text, if it has another form."""
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return None
    values: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, value = part.partition("=")
        if not equals:
            raise InvalidInput("not a connection string", where=VARIABLE, hint=_HINT)
        values[name.strip().lower()] = value.strip()
    if values.get("usedevelopmentstorage", "").lower() == "true":
        values = EMULATOR
    account = values.get("accountname", "")
    endpoint = values.get("blobendpoint", "").rstrip("/")
    if not (account or endpoint):
        raise InvalidInput("a connection string names no account", where=VARIABLE, hint=_HINT)
    if not endpoint and "endpointsuffix" in values:
        protocol = values.get("defaultendpointsprotocol", "https")
        endpoint = f"{protocol}://{account}.blob.{values['endpointsuffix']}"
    return ConnectionString(
        account=account or _account_of(endpoint),
        endpoint=endpoint,
        key=values.get("accountkey", ""),
        sas=values.get("sharedaccesssignature", "").removeprefix("?"),
    )


def _account_of(endpoint: str) -> str:
    """The account in https://ACCOUNT.blob.core.windows.net, which connection strings with a SAS have."""
    return endpoint.split("://", 1)[-1].split(".", 1)[0]
