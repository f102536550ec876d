"""The records of paths, to bytes and back."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from cas.errors import InvalidInput
from cas.records.files import (
    FileRecord,
    FileType,
    content_entity,
    decode_file,
    encode_file,
    files_entity,
    offset_of,
    piece_key,
    piece_range,
    require_name,
)
from cas.records.keys import decode_key, encode_key, key_texts

paths = st.binary(min_size=1, max_size=40).filter(lambda path: b"\0" not in path)
modes = st.integers(0, 0o7777)
times = st.none() | st.integers(-(10**16), 10**17)
naturals = st.integers(0, 2**62)
records = st.one_of(
    st.builds(FileRecord, paths, st.just(FileType.DIRECTORY), mtime=times, mode=modes),
    st.builds(FileRecord, paths, st.just(FileType.SPECIAL), mtime=times, mode=modes),
    st.builds(FileRecord, paths, st.just(FileType.SYMLINK), mtime=times, mode=modes, target=paths),
    st.builds(
        FileRecord,
        paths,
        st.just(FileType.FILE),
        size=naturals,
        mtime=times,
        mode=modes,
        content=st.binary(min_size=32, max_size=32),
        pieces=naturals,
        seen=st.none() | st.just("1:2:3"),
    ),
)


@given(records)
def test_a_record_comes_back_and_its_key_is_in_it(record: FileRecord) -> None:
    payload = encode_file(record)
    assert decode_file(payload) == record
    entity = files_entity("uploads")
    texts = key_texts(entity, payload)
    assert texts == (record.path,)
    assert encode_key(entity, texts) == record.key


@given(paths, st.integers(0, 2**63 - 1), paths)
def test_keys_of_pieces_are_those_of_their_entity(path: bytes, offset: int, other: bytes) -> None:
    key = piece_key(path, offset)
    assert encode_key(content_entity("uploads"), (path, b"%d" % offset)) == key
    assert decode_key(content_entity("uploads"), key) == (path, b"%d" % offset)
    assert offset_of(path, key) == offset
    first, behind = piece_range(path)
    assert first <= key < behind
    assert (first <= piece_key(other, offset) < behind) == (other == path)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"a\tfile",
        b"a\tfile\t1\t\\N\t0644",
        b"a\tdoor\t\\N\t\\N\t0644",
        b"a\tdirectory\t\\N\t\\N\t644",
        b"a\tdirectory\t\\N\t\\N\t17777",
        b"a\tdirectory\t\\N\t2026-01-31\t0755",
        b"a\tsymlink\t\\N\t\\N\t0777",
        b"a\tdirectory\t\\N\t\\N\t0755\tb",
        b"a\tfile\t-1\t\\N\t0644\t\\N\t" + b"0" * 64 + b"\t1",
        b"a\tfile\t1\t\\N\t0644\t\\N\t" + b"0" * 62 + b"\t1",
        b"a\tfile\t01\t\\N\t0644\t\\N\t" + b"0" * 64 + b"\t1",
    ],
)
def test_what_no_writer_makes_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - all that the decoder promises
        decode_file(payload)


@pytest.mark.parametrize("name", ["", "Uploads", "a.b", "a/b", "-a", "a" * 64, "ä", "a\n"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(InvalidInput):
        require_name(name)
