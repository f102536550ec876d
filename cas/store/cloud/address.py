"""Where a bucket or container is. There are no secrets in an address."""

from dataclasses import dataclass, field
from urllib.parse import quote, urlencode


@dataclass(frozen=True, slots=True)
class CloudAddress:
    """A place below `prefix`, which is empty or ends in a slash. Empty texts mean the default.

    endpoint: base URL of a server that is not the provider's own. allow_http: unencrypted to other
    machines, too. ca: PEM file of further certificate authorities to trust.
    """

    scheme: str = field(init=False, default="")
    bucket: str
    prefix: str = ""
    endpoint: str = ""
    allow_http: bool = False
    ca: str = ""

    @property
    def place(self) -> str:
        """Bucket and prefix, without parameters."""
        return f"{self.scheme}://{self.bucket}/{self.prefix}"

    @property
    def url(self) -> str:
        known = {
            "endpoint": self.endpoint,
            **self._own(),
            "ca": self.ca,
            "allow_http": "true" if self.allow_http else "",
        }
        query = urlencode({name: value for name, value in known.items() if value}, safe="/:")
        path = quote(self.place.split("://", 1)[1].rstrip("/"))
        return f"{self.scheme}://{path}" + (f"?{query}" if query else "")

    def _own(self) -> dict[str, str]:
        """Parameters that only this provider has."""
        return {}


@dataclass(frozen=True, slots=True)
class GoogleAddress(CloudAddress):
    """A bucket of Google Cloud Storage. credentials: path of the key file of a service account, or of
    another file of application default credentials."""

    scheme: str = field(init=False, default="gs")
    credentials: str = ""

    def _own(self) -> dict[str, str]:
        return {"credentials": self.credentials}


@dataclass(frozen=True, slots=True)
class AzureAddress(CloudAddress):
    """A container of an Azure storage account; empty: the account that the environment names."""

    scheme: str = field(init=False, default="az")
    account: str = ""

    def _own(self) -> dict[str, str]:
        return {"account": self.account}
