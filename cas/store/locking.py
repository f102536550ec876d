"""The port to stores whose objects cannot be deleted for a time, by nobody (Object Lock).

Guarantees that an implementation gives, besides those of a store:

1. What is put cannot be deleted or exchanged for `lock_days` twice, by whatever credentials.
2. Whatever is put or deleted under a key later on, `get`, `get_range`, `get_tail`, `size` and `objects` give
   the object that was put there first, as long as it is there. A create-only put finds it, too.
3. `delete` removes all that lies under the key, the first object last. StoreFault(DENIED) where any of it is
   locked.
"""

from datetime import datetime
from typing import Protocol, runtime_checkable

from cas.store.interface import Store


@runtime_checkable
class LockingStore(Store, Protocol):
    """Methods may be called from several threads at once."""

    @property
    def lock_days(self) -> int:
        """Objects are locked for twice as many days when they are put."""

    def require_locking(self) -> None:
        """StoreFault(REFUSED) where the place does not lock objects."""

    def extend(self, key: str, until: datetime) -> None:
        """The object cannot be deleted before this moment; one that is locked for longer stays so."""
