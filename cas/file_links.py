"""Where symbolic links lead, worked out from names alone."""

from collections.abc import Mapping

MOST_LINKS = 40
"""Links that are followed from one: as many as Linux follows."""

MOST_BYTES = 4096
"""Of a link's target, and of the way that it leads: longer ones Linux neither makes nor goes."""


def stays_inside(path: bytes, links: Mapping[bytes, bytes]) -> bool:
    """Whether the link at this path leads to somewhere below the directory in which all these lie, however
    the others are followed. `links`: path -> target, all there will be. What is not there leads nowhere."""
    left = MOST_LINKS
    here = path.split(b"/")[:-1]
    if not _is_bearable(links[path]):
        return False
    ahead = [*reversed(links[path].split(b"/"))]
    while ahead:
        name = ahead.pop()
        if name in (b"", b"."):
            continue
        if name == b"..":
            if not here:
                return False
            here.pop()
            continue
        way = b"/".join((*here, name))
        if len(way) > MOST_BYTES + len(path):
            return False
        target = links.get(way)
        if target is None:
            here.append(name)
            continue
        left -= 1
        if left < 0 or not _is_bearable(target):
            return False
        ahead.extend(reversed(target.split(b"/")))
    return True


def _is_bearable(target: bytes) -> bool:
    return not target.startswith(b"/") and len(target) <= MOST_BYTES
