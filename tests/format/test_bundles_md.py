"""What FORMAT.md says of bundles: its header and its tables are the product's."""

import re
from pathlib import Path

from cas.format.bundle import BundleHead, Member, encode_head, encode_header, parse_header
from cas.format.canonical import open_envelope, parse_json
from cas.sealing import blocks as sealed
from tests.format.format_text import blocks, hex_bytes

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
