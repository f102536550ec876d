"""Where symbolic links lead, worked out from names alone."""

from collections.abc import Mapping

MOST_LINKS = 40
"""Links that are followed from one: as many as Linux follows."""


def stays_inside(path: bytes, links: Mapping[bytes, bytes]) -> bool:
    """Whether the link at this path leads to somewhere below the directory in which all these lie, however
    the others are followed. `links`: path -> target, all there will be. What is not there leads nowhere."""
    left = MOST_LINKS
    here = path.split(b"/")[:-1]
    ahead = [*reversed(links[path].split(b"/"))]
    if links[path].startswith(b"/"):
        return False
    while ahead:
        name = ahead.pop()
        if name in (b"", b"."):
            continue
        if name == b"..":
            if not here:
                return False
            here.pop()
            continue
        target = links.get(b"/".join((*here, name)))
        if target is None:
            here.append(name)
            continue
        left -= 1
        if left < 0 or target.startswith(b"/"):
            return False
        ahead.extend(reversed(target.split(b"/")))
    return True
