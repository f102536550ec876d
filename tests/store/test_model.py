"""Any sequence of calls gives the same on every store as on a dictionary."""

import tempfile
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from cas.errors import CorruptData
from cas.store.interface import ObjectExists, ObjectMissing, Store
from cas.store.local import LocalStore
from cas.store.opening import open_bare
from tests.servers.s3 import S3Server
from tests.store.conftest import OPTIONS

# No key is a directory of another: names of directories and of objects do not overlap.
KEYS = st.builds(
    lambda directories, name: "/".join([*directories, name]),
    st.lists(st.sampled_from(["a", "a-b", "a.b", "a_", "ab"]), max_size=2),
    st.sampled_from(["x", "x-1", "x.1", "x0", "y"]),
)
PREFIXES = st.one_of(st.just(""), st.sampled_from(["a", "a/", "a-", "a-b/", "a/x", "x", "q"]))
DATA = st.binary(max_size=40)


def compare(new_store: "type[StoreMaker]", examples: int) -> None:
    """Run sequences of calls against stores that `new_store` makes, and against a dictionary."""
    run_state_machine_as_test(
        machine(new_store), settings=settings(max_examples=examples, stateful_step_count=25, deadline=None)
    )


def machine(new_store: "type[StoreMaker]") -> type[RuleBasedStateMachine]:
    class Comparison(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.maker = new_store()
            self.store = self.maker.open()
            self.model: dict[str, bytes] = {}

        @rule(key=KEYS, data=DATA)
        def put(self, key: str, data: bytes) -> None:
            self.store.put(key, data)
            self.model[key] = data

        @rule(key=KEYS, data=DATA)
        def create(self, key: str, data: bytes) -> None:
            if key in self.model:
                with pytest.raises(ObjectExists):
                    self.store.put(key, data, create_only=True)
            else:
                self.store.put(key, data, create_only=True)
                self.model[key] = data

        @rule(key=KEYS)
        def delete(self, key: str) -> None:
            self.store.delete(key)
            self.model.pop(key, None)

        @rule(key=KEYS, start=st.integers(0, 45), length=st.integers(1, 45))
        def read(self, key: str, start: int, length: int) -> None:
            if key not in self.model:
                for call in (partial(self.store.get, key), partial(self.store.get_range, key, start, length)):
                    with pytest.raises(ObjectMissing):
                        call()
                return
            data = self.model[key]
            assert self.store.get(key) == data
            assert self.store.size(key) == len(data)
            assert self.store.get_tail(key, length) == data[-length:]
            if start + length <= len(data):
                assert self.store.get_range(key, start, length) == data[start : start + length]
            else:
                with pytest.raises(CorruptData):
                    self.store.get_range(key, start, length)

        @rule(prefix=PREFIXES, after=st.one_of(st.just(""), KEYS))
        def listing(self, prefix: str, after: str) -> None:
            expected = sorted(key for key in self.model if key.startswith(prefix) and key > after)
            assert [info.key for info in self.store.objects(prefix, after=after)] == expected

        @rule()
        def open_again(self) -> None:
            self.store.close()
            self.store = self.maker.open()

        @invariant()
        def same_objects(self) -> None:
            listed = [(info.key, info.size) for info in self.store.objects()]
            assert listed == sorted((key, len(data)) for key, data in self.model.items())

        def teardown(self) -> None:
            self.store.close()
            self.maker.remove()

    return Comparison


class StoreMaker(ABC):
    """One empty place for a store."""

    @abstractmethod
    def open(self) -> Store:
        """The store in it."""

    @abstractmethod
    def remove(self) -> None:
        """Remove what it left behind."""


def test_a_local_store_behaves_like_a_dictionary() -> None:
    class Local(StoreMaker):
        def __init__(self) -> None:
            self.directory = tempfile.TemporaryDirectory(prefix="cas-store-")

        def open(self) -> Store:
            return LocalStore(Path(self.directory.name))

        def remove(self) -> None:
            self.directory.cleanup()

    compare(Local, examples=30)


def test_a_memory_store_behaves_like_a_dictionary() -> None:
    class Memory(StoreMaker):
        def __init__(self) -> None:
            self.url = f"memory://{uuid4().hex}"

        def open(self) -> Store:
            return open_bare(self.url)

        def remove(self) -> None:
            """It goes with the process."""

    compare(Memory, examples=40)


def test_a_real_s3_server_behaves_like_a_dictionary(seaweedfs_server: S3Server) -> None:
    class S3(StoreMaker):
        def __init__(self) -> None:
            self.url = seaweedfs_server.url(f"model/{uuid4().hex}")

        def open(self) -> Store:
            return open_bare(self.url, OPTIONS)

        def remove(self) -> None:
            """It goes with the server."""

    compare(S3, examples=8)
