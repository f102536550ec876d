"""Where a bucket is, and a client for it: time-outs, trust, addressing; no retries of botocore's own."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlencode, urlsplit

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from cas.errors import InvalidInput
from cas.store.credentials import S3Credentials
from cas.store.options import StoreOptions
from cas.store.transport import check_certificates, check_transport

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

NO_REGION = "us-east-1"
"""What signatures carry for an endpoint of its own when nobody names a region; most servers expect it."""

_LOADER = botocore.loaders.create_loader()
"""botocore's description of S3, read once: 80 ms for the first client of the process, 8 for others."""


@dataclass(frozen=True, slots=True)
class S3Address:
    """A place in a bucket. `prefix` is empty or ends in a slash. Empty texts mean the default.

    endpoint: base URL of a server that is not Amazon's. addressing: `path` or `virtual`; the default
    is path for an endpoint of its own. allow_http: unencrypted to other machines, too.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    addressing: Literal["", "path", "virtual"] = ""
    allow_http: bool = False

    def url(self, **extra: str) -> str:
        """The address as `s3://...`, with `extra` parameters. There are no secrets in it."""
        known = {
            "endpoint": self.endpoint,
            "addressing": self.addressing,
            "allow_http": "true" if self.allow_http else "",
            **extra,
        }
        query = urlencode({name: value for name, value in known.items() if value}, safe="/:")
        path = quote(f"{self.bucket}/{self.prefix}".rstrip("/"))
        return f"s3://{path}?{query}" if query else f"s3://{path}"


def connect(address: S3Address, options: StoreOptions) -> "S3Client":
    """A client. Nothing is sent yet.

    Raises InvalidInput for a profile, CA file, endpoint or region that cannot work, and for plain
    http to another machine without `allow_http`, wherever the endpoint was configured.
    """
    check_certificates(options.ca)
    style: Literal["path", "virtual", "auto"] = address.addressing or ("path" if address.endpoint else "auto")
    config = Config(
        connect_timeout=options.connect_timeout_seconds,
        read_timeout=options.read_timeout_seconds,
        retries={"total_max_attempts": 1, "mode": "standard"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version="s3v4",  # of links, too: for some regions botocore would sign those the old way
        max_pool_connections=options.connections,
        tcp_keepalive=True,
        s3={"addressing_style": style},
    )
    try:
        core = botocore.session.Session(profile=options.profile or None)
        core.register_component("data_loader", _LOADER)
        session = boto3.session.Session(botocore_session=core, region_name=options.region or None)
        region = session.region_name or NO_REGION
        given = options.credentials if isinstance(options.credentials, S3Credentials) else None
        client: S3Client = session.client(
            "s3",
            region_name=region,
            endpoint_url=address.endpoint or None,
            verify=options.ca or None,
            config=config,
            aws_access_key_id=given.access_key_id if given else None,
            aws_secret_access_key=given.secret_access_key if given else None,
            aws_session_token=(given.session_token or None) if given else None,
        )
    except (BotoCoreError, ValueError) as error:
        said = str(error)[:200]
        raise InvalidInput(f"the S3 settings do not work: {said}", where=address.url()) from error
    check_transport(client.meta.endpoint_url, address.url(), allow_http=address.allow_http)
    return client


def is_amazon(client: "S3Client") -> bool:
    """Whether the server is Amazon's, whose listings are in the byte order of keys by documentation."""
    host = urlsplit(client.meta.endpoint_url).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
