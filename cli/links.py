"""Expiring links to objects in buckets, as commands tell them: once, in their result, and nowhere else."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cas.store.delivering import check_seconds
from cli.bucket_places import BucketPlace
from cli.dates import parse_span
from cli.terminal import Terminal
from cli.words import moment


@dataclass(frozen=True, slots=True)
class SignedLink:
    """`url` is a secret until `expires_at`. `ends_early`: or until the temporary credentials end that signed
    it, if that is earlier."""

    url: str = field(repr=False)
    expires_at: datetime
    ends_early: bool


def link_seconds(text: str, option: str) -> int:
    """How long a link is to hold, in seconds: `24h`, `7d`."""
    seconds = int(parse_span(text, option))
    check_seconds(seconds, option)
    return seconds


def signed(place: BucketPlace, seconds: int) -> SignedLink:
    """From now on. Raises what the store raises where nobody can sign."""
    link = place.store.link(place.name, seconds)
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
    return SignedLink(link.url, expires_at, link.ends_early)


def tell(terminal: Terminal, link: SignedLink) -> None:
    """For people: the link on a line of its own, and beside it what it is."""
    terminal.whole(link.url)
    terminal.note(f"Until {moment(link.expires_at)} whoever has this link can download it")
    if link.ends_early:
        terminal.warn("temporary credentials have signed the link: it ends with them, if they end earlier")
