"""What the product has left in a bucket, sealed, for a reader that has one secret and nothing else."""

import random
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cas.records.model import Entity
from cas.sealing.key_ring import Chance, rotated
from cas.sealing.key_secrets import KeyCommand, KeySecret
from cas.sealing.recovery import RecoveryCode
from cas.sealing.store import SealedStore
from cas.store.interface import Store
from cas.store.memory import MemoryStore
from tests import reference_sealing as reference
from tests.engine.memory_source import integer_key
from tests.engine.scenes import Platform, World, changed, shop
from tests.reference_reader import Repository
from tests.sealing.scenes import IDENTITY, IDENTITY_FILE, KEY_FILE, OTHER_FILE, PASSPHRASE, new_sealed

CODE = RecoveryCode(random.Random("code").randbytes(20))
MASK = bytes(range(100, 132))
COMMAND = f"""
import base64, sys
data = base64.b64decode(sys.stdin.readline())
print(base64.b64encode(bytes(a ^ b for a, b in zip(data, bytes.fromhex("{MASK.hex()}")))).decode())
"""
"""A command that keeps a key by an exclusive or: wrap and unwrap are the same."""


def masked(kept: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(kept, MASK, strict=True))


GOOD: dict[str, reference.Secret] = {
    "passphrase": reference.by_passphrase(PASSPHRASE.text),
    "file": reference.by_key_file(KEY_FILE.content + b"\r\n"),
    "recovery": reference.by_recovery_code(CODE.text()),
    "command": reference.by_command(masked),
    "age": reference.by_age_identity(IDENTITY_FILE.decode()),
}
WRONG: dict[str, reference.Secret] = {
    "passphrase": reference.by_passphrase(PASSPHRASE.text.upper()),
    "file": reference.by_key_file(OTHER_FILE.content),
    "recovery": reference.by_recovery_code(RecoveryCode(bytes(20)).text()),
    "command": reference.by_command(lambda kept: bytes(32)),
    "age": reference.by_age_identity(IDENTITY_FILE.decode().splitlines()[-1]),
}


@dataclass(frozen=True)
class Bucket:
    """A copy of what lies in a bucket, what each version in it holds, and the command that opens it."""

    root: Path
    states: list[Platform]
    command: str

    def repository(self, secret: reference.Secret) -> Repository:
        return Repository(reference.SealedObjects(self.root, secret))

    def own(self, root: Path) -> "Bucket":
        """A copy that a test may damage."""
        return Bucket(Path(shutil.copytree(self.root, root)), self.states, self.command)


def copied(store: Store, root: Path) -> Path:
    for info in store.objects():
        path = root / info.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.get(info.key))
    return root


@dataclass(frozen=True)
class Life:
    """A sealed store with a slot of each kind: with three versions; and after a rotation, with a fourth."""

    sealed: SealedStore
    before: Bucket
    after: Bucket


def life_in(home: Path) -> Life:
    """`home`: an empty directory."""
    script = home / "command.py"
    script.write_text(COMMAND)
    words = (sys.executable, str(script))
    secrets: tuple[KeySecret, ...] = (PASSPHRASE, KEY_FILE, CODE, KeyCommand(words), IDENTITY)
    bare = MemoryStore()
    sealed = new_sealed(bare, *secrets)
    world = World(store=sealed)
    states = [shop(products=4000)]
    states += [changed(states[0], 1), changed(states[0], 2)]
    for state in states:
        world.take(state)
    before = Bucket(copied(bare, home / "before"), states, shlex.join(words))
    sealed.keys.change(lambda now: rotated(now, secrets, (), Chance()))
    last = changed(states[-1], 3, numbers=range(100, 2500, 2))
    world.take(last)
    after = Bucket(copied(bare, home / "after"), [*states, last], shlex.join(words))
    return Life(sealed, before, after)


def require_records(found: Sequence[bytes], state: Platform, entity: Entity) -> None:
    """All that there are; of a table with a key in the order of keys."""
    rows = state[entity]
    if isinstance(rows, list):
        assert Counter(found) == Counter(rows)
    else:
        assert list(found) == [rows[one] for one in sorted(rows, key=integer_key)]


def require_read(repository: Repository, states: list[Platform]) -> None:
    """Every version is there with every record."""
    assert repository.damage == []
    assert [number for number, _ in repository.versions()] == list(range(1, len(states) + 1))
    for number, state in enumerate(states, 1):
        found = {
            definition["name"]: list(repository.records(definition, row))
            for definition, row in repository.entities(repository.document(number))
        }
        assert found.keys() == {entity.name for entity in state}
        for entity in state:
            require_records(found[entity.name], state, entity)
