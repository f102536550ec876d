"""Snapshots of one server, as text, and compared: of two, one sees all that the other sees."""

import re

from cas.errors import InvalidInput

COVERS = """(pg_snapshot_xmax({earlier}) <= pg_snapshot_xmax({later})
        AND NOT EXISTS (SELECT FROM pg_snapshot_xip({later}) AS running(xid)
                        WHERE pg_visible_in_snapshot(running.xid, {earlier})))"""
"""The condition that every transaction that had ended for the earlier snapshot had for the later one."""

_SNAPSHOT = re.compile(r"\d{1,20}:\d{1,20}:(\d{1,20}(,\d{1,20})*)?", re.ASCII)


def checked(snapshot: str) -> str:
    """The text of a pg_snapshot. InvalidInput where it is none."""
    if not _SNAPSHOT.fullmatch(snapshot):
        raise InvalidInput(f"not the text of a snapshot: {snapshot[:40]!r}")
    return snapshot
