"""What a key may look like. Every store checks with these before it touches anything."""

import re

from cas.store.interface import MAX_KEY_CHARACTERS, MAX_KEY_SEGMENT_CHARACTERS, MAX_OBJECT_BYTES

_ONE = rf"(?!\.{{1,2}}(?:/|\Z))[a-z0-9._-]{{1,{MAX_KEY_SEGMENT_CHARACTERS}}}"
_SEGMENT = re.compile(_ONE)
_KEY = re.compile(rf"{_ONE}(?:/{_ONE})*")
_CHARACTERS = re.compile(r"[a-z0-9._/-]*")


def is_segment(text: str) -> bool:
    """Whether `text` can stand between two slashes of a key."""
    return _SEGMENT.fullmatch(text) is not None


def is_key(text: str) -> bool:
    """Whether `text` is a key; listings leave out what is not."""
    return len(text) <= MAX_KEY_CHARACTERS and _KEY.fullmatch(text) is not None


def check_key(key: str) -> None:
    """ValueError unless `key` is a key."""
    if not is_key(key):
        raise ValueError(f"not a key: {key[:MAX_KEY_CHARACTERS]!r}")


def check_prefix(prefix: str) -> None:
    """ValueError unless a key could start with `prefix`, which may end within a segment."""
    *directories, last = prefix.split("/")
    fits = len(prefix) <= MAX_KEY_CHARACTERS and len(last) <= MAX_KEY_SEGMENT_CHARACTERS
    if not (fits and _CHARACTERS.fullmatch(last) and all(is_segment(part) for part in directories)):
        raise ValueError(f"no key starts with {prefix[:MAX_KEY_CHARACTERS]!r}")


def check_data(data: bytes | memoryview) -> None:
    """ValueError if `data` is larger than an object may be."""
    size = memoryview(data).nbytes
    if size > MAX_OBJECT_BYTES:
        raise ValueError(f"an object has at most {MAX_OBJECT_BYTES} bytes, not {size}")


def check_range(start: int, length: int) -> None:
    """ValueError unless the range has a start of at least 0 and a length of at least 1."""
    if start < 0 or length < 1:
        raise ValueError(f"not a range: {length} bytes from {start}")
