"""All parsers, in groups that are tried by one process each."""

from importlib import import_module

from tests.fuzz.model import Target

GROUPS = ("documents", "chunks", "rows", "records", "scripts", "words", "people", "bundles")
"""Modules beside this one, imported when they are asked for, so that what they try can be watched."""


def targets_of(group: str) -> tuple[Target, ...]:
    """All parsers of a group; of `people/zip` that one alone."""
    module, _, name = group.partition("/")
    found: tuple[Target, ...] = import_module(f"tests.fuzz.{module}").TARGETS
    return tuple(target for target in found if name in ("", target.name))
