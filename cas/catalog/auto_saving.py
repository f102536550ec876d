"""The port to what the catalog remembers of auto-save: policies, and who watches which platform.

1. The catalog's clock alone says whether a watcher's claim has run out.
2. Of one platform at most one watcher holds a claim. Who lost it may keep nothing: `keep` is then Fenced.
   A version that it takes all the same is a version more, and nothing worse.
"""

from collections.abc import Sequence
from typing import Protocol

from cas.catalog.auto_save_model import Claim, Policy, PolicyKind, Watched
from cas.records.changes import PlatformName


class AutoSaving(Protocol):
    """Of one catalog. Methods may be called from several threads at once; each is one transaction."""

    def policies(self) -> Sequence[Policy]:
        """In the order of their kinds. Empty: auto-save is off."""

    def set_policies(self, policies: Sequence[Policy], *, set_by: str) -> None:
        """These instead of others of their kinds; all or none. InvalidInput for what cannot be one."""

    def drop_policies(self, kinds: Sequence[PolicyKind]) -> Sequence[PolicyKind]:
        """Those that were there."""

    def claim(self, platform: PlatformName, holder: str, seconds: float) -> Claim | None:
        """Watch alone from now on for so long, or go on to: None. Else who does."""

    def release(self, platform: PlatformName, holder: str) -> None:
        """Nothing happens where somebody else holds it."""

    def watched(self, platform: PlatformName) -> Watched | None:
        """None where nobody has ever kept anything."""

    def keep(self, platform: PlatformName, holder: str, watched: Watched) -> None:
        """Fenced where the holder's claim is somebody else's by now."""
