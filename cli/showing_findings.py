"""How findings look: what blocks, what else to know, and what to do."""

from rich.text import Text

from cas.records.target import Finding
from cli.words import plain


def told_finding(finding: Finding) -> Text:
    """One finding in words."""
    word, style = ("blocks", "bold red") if finding.blocks else ("note", "yellow")
    advice = f". {plain(finding.hint)}" if finding.hint else ""
    return Text.assemble((f"  {word}: ", style), plain(finding.what), (advice, "dim"))
