"""Azure's connection strings, as the portal gives them out: `AccountName=...;AccountKey=...`.

obstore does not know them. They hold a secret, so they never stand in a URL.
"""

from collections.abc import Mapping

from cas.errors import InvalidInput
from cas.store.credentials import AzureCredentials

VARIABLE = "AZURE_STORAGE_CONNECTION_STRING"
_HINT = "Copy it from the portal: AccountName=...;AccountKey=...;EndpointSuffix=core.windows.net"

EMULATOR = {
    "accountname": "devstoreaccount1",
    "accountkey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "blobendpoint": "http://127.0.0.1:10000/devstoreaccount1",
}
"""What `UseDevelopmentStorage=true` stands for. The key is published, and no secret."""


def connection_string(environment: Mapping[str, str]) -> AzureCredentials | None:
    """The one of the environment. Raises as `parse_connection_string`."""
    text = environment.get(VARIABLE, "").strip()
    return parse_connection_string(text, VARIABLE) if text else None


def parse_connection_string(text: str, where: str) -> AzureCredentials:
    """What it says about blobs. InvalidInput, without its text, if it has another form."""
    values: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, value = part.partition("=")
        if not equals:
            raise InvalidInput("not a connection string", where=where, hint=_HINT)
        values[name.strip().lower()] = value.strip()
    if values.get("usedevelopmentstorage", "").lower() == "true":
        values = EMULATOR
    account = values.get("accountname", "")
    endpoint = values.get("blobendpoint", "").rstrip("/")
    if not (account or endpoint):
        raise InvalidInput("a connection string names no account", where=where, hint=_HINT)
    if not endpoint and "endpointsuffix" in values:
        protocol = values.get("defaultendpointsprotocol", "https")
        endpoint = f"{protocol}://{account}.blob.{values['endpointsuffix']}"
    return AzureCredentials(
        account=account or _account_of(endpoint),
        endpoint=endpoint,
        key=values.get("accountkey", ""),
        sas=values.get("sharedaccesssignature", "").removeprefix("?"),
    )


def _account_of(endpoint: str) -> str:
    """The account in https://ACCOUNT.blob.core.windows.net, which connection strings with a SAS have."""
    return endpoint.split("://", 1)[-1].split(".", 1)[0]
