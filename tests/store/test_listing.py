"""Listings come out in byte order from servers of either order, whole, at any page size."""

from bisect import bisect_right

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cas.store.interface import FaultKind, ObjectInfo, StoreFault
from cas.store.keys import check_prefix, is_key
from cas.store.s3.listing import Page, listing

SEGMENTS = st.text("ab0._-", min_size=1, max_size=3).filter(lambda text: text not in (".", ".."))
KEYS = st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join)


class Server:
    """Lists a set of keys page by page, by bytes or by directories."""

    def __init__(self, keys: set[str], page_size: int, *, by_directory: bool) -> None:
        self.keys = keys
        self.page_size = page_size
        self.by_directory = by_directory
        self.requests = 0

    @staticmethod
    def rank(name: str) -> list[str]:
        """What a server with directories sorts by; a directory has its name without the slash."""
        return name.removesuffix("/").split("/")

    def pages(self, prefix: str, *, flat: bool, after: str, token: str | None) -> Page:
        self.requests += 1
        found = {key for key in self.keys if key.startswith(prefix)}
        names = found if flat else {self.on_level(key, prefix) for key in found}
        if self.by_directory:
            order = sorted(names, key=lambda name: (self.rank(name), name))
            left = [name for name in order if not after or self.rank(name) > self.rank(after)]
        else:
            order = sorted(names)
            left = order[bisect_right(order, after) :]
        start = int(token or "0")
        page = left[start : start + self.page_size]
        more = str(start + self.page_size) if start + self.page_size < len(left) else None
        return Page(
            [ObjectInfo(name, 1, 0.0) for name in page if not name.endswith("/")],
            [name for name in page if name.endswith("/")],
            more,
        )

    @staticmethod
    def on_level(key: str, prefix: str) -> str:
        name, slash, _ = key[len(prefix) :].partition("/")
        return prefix + name + slash


@given(
    keys=st.sets(KEYS, max_size=30),
    page_size=st.integers(1, 8),
    by_directory=st.booleans(),
    prefix=st.one_of(st.just(""), KEYS, KEYS.map(lambda key: key + "/")),
    after=st.one_of(st.just(""), KEYS),
)
@example(keys={"b-/0", "b/0", "b-."}, page_size=1, by_directory=True, prefix="", after="")
def test_every_key_comes_once_and_in_byte_order(
    keys: set[str], page_size: int, by_directory: bool, prefix: str, after: str
) -> None:
    server = Server(keys, page_size, by_directory=by_directory)
    listed = [info.key for info in listing(server.pages, prefix, after, bytewise=False)]
    assert listed == sorted(key for key in keys if key.startswith(prefix) and key > after)


@given(keys=st.sets(KEYS, max_size=30), page_size=st.integers(1, 8), after=st.one_of(st.just(""), KEYS))
def test_a_server_known_to_list_by_bytes_is_asked_for_no_more_than_its_pages(
    keys: set[str], page_size: int, after: str
) -> None:
    server = Server(keys, page_size, by_directory=False)
    listed = [info.key for info in listing(server.pages, "", after, bytewise=True)]
    assert listed == sorted(key for key in keys if key > after)
    assert server.requests == max(1, -(-len(listed) // page_size))


def test_a_small_store_is_one_request() -> None:
    server = Server({"a/b", "a-c", "config"}, 1000, by_directory=True)
    assert [info.key for info in listing(server.pages, "", "", bytewise=False)] == ["a-c", "a/b", "config"]
    assert server.requests == 1


def test_a_continued_listing_of_one_large_directory_does_not_start_again() -> None:
    server = Server({f"versions/{number:06}" for number in range(5000)}, 100, by_directory=True)
    listed = [info.key for info in listing(server.pages, "versions/", "versions/004900", bytewise=False)]
    assert len(listed) == 99
    assert server.requests <= 4


@pytest.mark.parametrize("bytewise", [True, False])
def test_a_server_without_order_is_refused(bytewise: bool) -> None:
    def pages(prefix: str, *, flat: bool, after: str, token: str | None) -> Page:
        keys = ["m", "z"] if token is None else ["a", "b"]
        return Page([ObjectInfo(key, 1, 0.0) for key in keys], [], None if token else "2")

    with pytest.raises(StoreFault) as raised:
        list(listing(pages, "", "", bytewise=bytewise))
    assert raised.value.fault is FaultKind.REFUSED


def test_a_listing_that_turns_in_circles_is_refused() -> None:
    def pages(prefix: str, *, flat: bool, after: str, token: str | None) -> Page:
        return Page([], [], "again")

    with pytest.raises(StoreFault):
        list(listing(pages, "", "", bytewise=True))


@given(key=KEYS, cut=st.integers(0, 12))
def test_every_beginning_of_a_key_is_a_prefix(key: str, cut: int) -> None:
    assert is_key(key)
    check_prefix(key[:cut])
