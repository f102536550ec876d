"""How stores are to behave, as one value that the entry points fill from their settings."""

from dataclasses import dataclass
from typing import Literal

from cas.limits import KIB, MIB
from cas.store.credentials import Credentials


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Defaults of all stores. What a store's URL says about itself wins over the second half."""

    attempts: int = 8
    """Tries of one call, the first included, before a transient fault is final."""
    first_wait_seconds: float = 0.5
    """Upper bound of the random wait before the second try; it doubles with every try."""
    longest_wait_seconds: float = 20.0
    """Upper bound of every wait between tries."""

    connect_timeout_seconds: float = 10.0
    """For one connection, and for the network to take each piece of what is sent."""
    read_timeout_seconds: float = 60.0
    """Silence of the server after which a call fails."""
    slowest_bytes_per_second: int = 16 * KIB
    """A body that comes in slower than this fails, however steadily it drips."""
    connections: int = 16
    """Connections kept open: at least the number of threads that use the store."""
    multipart_threshold_bytes: int = 34 * MIB
    """Larger objects are sent in parts. Packs of the usual size stay one request, and so do all documents,
    sealed ones too: some servers let two create-only uploads in parts win, which does no harm to packs alone,
    whose names are those of their bytes."""
    part_bytes: int = 16 * MIB
    """Size of a part; S3 demands at least 5 MiB."""

    region: str = ""
    """S3 region; empty means what the AWS configuration says."""
    profile: str = ""
    """Profile of the AWS configuration; empty means the usual one."""
    sse: Literal["", "AES256", "aws:kms"] = ""
    """Server-side encryption; empty means whatever the bucket does by itself."""
    kms_key: str = ""
    """Key id or ARN for `aws:kms`; empty means the bucket owner's default key."""
    ca: str = ""
    """Path of a PEM file with the certificate authorities to trust; empty means the system's."""
    credentials: Credentials | None = None
    """Of this one store: nothing else is looked for then. None means where the provider's tools look."""
