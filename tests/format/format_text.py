"""FORMAT.md, taken apart: what tests hold to the product."""

import re
from pathlib import Path

TEXT = (Path(__file__).parents[2] / "FORMAT.md").read_text()


def blocks(language: str) -> list[tuple[str, str]]:
    """(name of the vector, text) of the fenced blocks in this language."""
    return re.findall(rf"```{language} (\S+)\n(.*?)```", TEXT, re.DOTALL)


def section(head: str, text: str = TEXT) -> str:
    """What stands under this head, up to the next one of its level or of a higher one."""
    level, rest = re.split(rf"^(#+) {re.escape(head)}\n", text, flags=re.MULTILINE)[1:]
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def table(*head: str, text: str = TEXT) -> list[list[str]]:
    """The rows of all tables whose head row is this, cells as they stand between the bars."""
    lines = iter(text.splitlines())
    rows = []
    for line in lines:
        if line == f"| {' | '.join(head)} |":
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    break
                rows.append([cell.strip() for cell in row.strip("|").split(" | ")])
    assert rows, f"no table {head}"
    return rows


def code(cell: str) -> str:
    """What stands between backticks."""
    match = re.fullmatch(r"`(.*)`", cell)
    assert match, cell
    return match[1]


def hex_bytes(block: str) -> bytes:
    """The bytes of an annotated dump, whose offsets must be right."""
    data = b""
    for line in block.splitlines():
        match = re.match(r"([0-9a-f]{4})  ((?:[0-9a-f]{2} )*[0-9a-f]{2})(?:   |$)", line)
        assert match, line
        assert int(match[1], 16) == len(data), line
        data += bytes.fromhex(match[2])
    return data
