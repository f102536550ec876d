"""Which versions a replica is to hold: decided from the catalog alone.

Without rules of its own it holds what the primary keeps: all that is committed. With rules, these are applied
to what is committed and to what the replica holds already, so it may keep what the primary has forgotten.
What was forgotten on the replica once is never wanted there again (cas/catalog/replicating.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cas.catalog.interface import Catalog
from cas.catalog.model import Version, VersionState
from cas.catalog.paging import every_version
from cas.catalog.rules import COMMITTED, SETTLED
from cas.retention.candidates import candidates
from cas.retention.model import Candidate, RetentionRule
from cas.retention.planning import plan
from cas.retention.words import parse_rule

WHERE = "the rules of a replica"


@dataclass(frozen=True, slots=True)
class Wanted:
    """`lacking`: committed versions that are wanted and not held, ascending, each with the hash of its
    document and the moment since when it is there. `going`: held, and wanted no more, ascending. `passed`:
    committed and not held, and not wanted by the rules, ascending."""

    lacking: Mapping[int, tuple[bytes, datetime]]
    going: tuple[int, ...]
    passed: tuple[int, ...] = ()


def rules_of(texts: Sequence[str] | None) -> tuple[RetentionRule, ...] | None:
    """InvalidInput for what is no rule."""
    return None if texts is None else tuple(parse_rule(text, WHERE) for text in texts)


def wanted(catalog: Catalog, rules: Sequence[str] | None, held: Mapping[int, datetime | None]) -> Wanted:
    """`held`: by the catalog, of this replica."""
    parsed, copied = rules_of(rules), {number for number, since in held.items() if since is None}
    lacking: dict[int, tuple[bytes, datetime]] = {}
    going: list[int] = []
    passed: list[int] = []
    known: list[Candidate] = []
    for version in every_version(catalog, SETTLED):
        is_committed = version.state in COMMITTED
        if is_committed and version.number not in held:
            assert version.document_hash is not None, "it is committed"
            lacking[version.number] = version.document_hash, version.finished_at or version.created_at
        if parsed is None:
            if not is_committed and version.number in copied:
                going.append(version.number)
        elif version.number in copied or version.number in lacking:
            known += _candidates([version])
    if parsed is not None:
        staying = {one.number for one in plan(known, parsed, catalog.now()).staying}
        passed = sorted(lacking.keys() - staying)
        lacking = {number: told for number, told in lacking.items() if number in staying}
        going = [number for number in copied if number not in staying]
    return Wanted(dict(sorted(lacking.items())), tuple(sorted(going)), tuple(passed))


def _candidates(versions: Iterable[Version]) -> list[Candidate]:
    return candidates(map(_as_committed, versions), {})


def _as_committed(version: Version) -> Version:
    """A version that the primary has forgotten, as it was before."""
    if version.state in COMMITTED:
        return version
    state = VersionState.INCOMPLETE if version.omissions else VersionState.COMPLETE
    return replace(version, state=state)
