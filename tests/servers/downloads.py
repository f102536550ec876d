"""Downloading as anybody does who was given a link: plain HTTP, without credentials and without our code."""

import urllib.request
from dataclasses import dataclass
from urllib.error import HTTPError


@dataclass(frozen=True, slots=True)
class Download:
    """An answer. `file_name`: what a browser is told to call it."""

    status: int
    body: bytes
    file_name: str


def download(url: str, first: int | None = None, last: int | None = None) -> Download:
    """All of it, or the bytes from `first` to `last`, both included; `last` None: to the end."""
    headers = {} if first is None else {"Range": f"bytes={first}-{'' if last is None else last}"}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            said = answer.headers.get("Content-Disposition", "")
            return Download(answer.status, answer.read(), said.partition('filename="')[2].rstrip('"'))
    except HTTPError as error:
        with error:
            return Download(error.code, error.read(), "")
