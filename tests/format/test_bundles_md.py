"""What FORMAT.md says of bundles: its header and its tables are the product's, its example is a file that
lies in the repository."""

import json
import re
import tarfile
from pathlib import Path

from cas.bundles.opening import opened_bundle
from cas.bundles.proving import examine
from cas.bundles.showing import shown
from cas.format.bundle import BundleHead, Member, encode_head, encode_header, parse_header
from cas.format.canonical import open_envelope, parse_json
from cas.progress import Silent
from cas.sealing import blocks as sealed
from tests import reference_bundle as reference
from tests.format.format_text import blocks, hex_bytes
from tests.sealing.scenes import Given
from tests.vectors.generate import EXAMPLE
from tests.vectors.model import vector_named

TEXT = (Path(__file__).parents[2] / "FORMAT.md").read_text().split("## 24 Bundles")[1].split("\n## ")[0]


def test_the_annotated_header_is_the_one_header() -> None:
    ((_, block),) = blocks("ustar")
    assert parse_header(hex_bytes(block)) == Member("config", 313)
    assert hex_bytes(block) == encode_header(Member("config", 313))


def test_all_fields_of_a_bundle_are_described() -> None:
    cells = re.findall(r"^\| (`[^|]*`) \|", TEXT, re.MULTILINE)
    described = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    head = BundleHead("5e" * 16, 1, "2026-01-31T12:00:00.000000+00:00", bytes(32), "", "", "", None, None, 0)
    body = parse_json(open_envelope(encode_head(head)))
    assert isinstance(body, dict)
    assert body.keys() <= described


def test_contexts_of_keys_are_named() -> None:
    assert f'derive_key("{sealed._NONCES_FOR}"' in TEXT


def test_the_example_that_is_shown_is_the_file_that_lies_there() -> None:
    assert (
        f"`tests/vectors/bundle/{EXAMPLE.name}` is a whole bundle of {EXAMPLE.stat().st_size:,} bytes" in TEXT
    )
    assert EXAMPLE.read_bytes() == vector_named("bundle", "example").data
    ((name, listed),) = blocks("tar")
    assert name == "bundle/example"
    with tarfile.open(EXAMPLE) as archive:
        members = [(member.size, member.name) for member in archive]
        head = archive.extractfile("bundle")
        assert head is not None
        body = json.loads(head.read().split(b"\n")[0])
    assert [tuple(line.split()) for line in listed.splitlines()] == [(str(n), name) for n, name in members]
    ((name, stated),) = blocks("head")
    assert name == "bundle/example"
    assert json.loads(stated) == body


def test_the_example_holds_what_the_text_says() -> None:
    with opened_bundle(EXAMPLE, Given()) as bundle:
        assert list(examine(bundle, Silent())) == []
        found = shown(bundle)
    assert {one.label: one.records for one in found.entities} == {"public.event": 3, "public.product": 3}
    assert "a table `public.product` of three records and a bag `public.event` of three" in plain(TEXT)
    records, others = (pack.chunks for pack in sorted(bundle.document.packs, key=lambda one: one.holds_nodes))
    assert (records, others) == (5, 2 + 2 + 1 + 1)
    assert (
        "The first pack holds the five different records, the second one two nodes, two definitions"
        in plain(TEXT)
    )


def test_the_command_that_is_named_restores_the_example(tmp_path: Path) -> None:
    assert "`python -m tests.reference_bundle FILE clear OUTDIR`" in plain(TEXT)
    assert reference.main([str(EXAMPLE), "clear", str(tmp_path)]) == 0
    assert (tmp_path / "public.product.copy").read_bytes() == (
        b"1\toak table\t320.00\n2\tred lamp\t49.90\n3\tmirror\t\\N\n"
    )
    assert "CREATE TABLE public.event" in (tmp_path / "restore.sql").read_text()
    assert reference.main([str(EXAMPLE), "clear"]) == 0
    assert reference.main([str(EXAMPLE), "file:/nowhere"]) == 1
    assert reference.main([str(EXAMPLE)]) == 2


def plain(text: str) -> str:
    """Without line breaks."""
    return " ".join(text.split())
