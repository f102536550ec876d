"""The history of a record by one who opens every version and compares what it finds there."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cas.contents import open_contents
from cas.engine.repository import Repository
from cas.errors import CasError, InvalidInput, NotFound
from cas.history import RecordState
from cas.lookup import find_record


@dataclass(frozen=True)
class Seen:
    """What one version shows: column name -> (type, text), or None where the record is not there."""

    number: int
    values: Mapping[str, tuple[str, str | None]] | None


def sightings_one_by_one(
    repository: Repository, numbers: Sequence[int], label: str, key: str
) -> Iterator[Seen]:
    """Every version opened by itself. One that does not hold the entity, or is unreadable, shows nothing."""
    for number in numbers:
        try:
            contents = open_contents(repository, number)
            entry = next((one for one in contents.entries if one.entity.label == label), None)
            if entry is None or entry.root is None or len(entry.entity.key) != 1:
                continue
            found = find_record(contents, label, (key,))
        except (NotFound, InvalidInput) as error:
            if "no record" in error.what or "not a key" in error.what:
                yield Seen(number, None)
            continue
        except CasError:
            continue
        yield Seen(number, {field.column: (field.type, field.text) for field in found.fields})


@dataclass(frozen=True)
class NaiveState:
    """A state as `RecordState` has it; `fields`: column -> old and new text."""

    version: int
    kind: str
    last_version: int
    versions: int
    fields: Mapping[str, tuple[str | None, str | None]]


def naive_states(shown: Iterable[Seen]) -> list[NaiveState]:
    """The states, oldest first."""
    states: list[NaiveState] = []
    now: Seen | None = None
    for seen in shown:
        if now is None and seen.values is None:
            continue
        if now is not None and now.values == seen.values:
            states[-1] = replace(states[-1], last_version=seen.number, versions=states[-1].versions + 1)
            continue
        old, new = (now.values or {}) if now else {}, seen.values or {}
        kind = "changed" if old and new else "deleted" if old else "came-back" if now else "created"
        texts = {name: (_text(old, name), _text(new, name)) for name in {*old, *new}}
        if kind == "changed":
            texts = {name: (before, after) for name, (before, after) in texts.items() if before != after}
        states.append(NaiveState(seen.number, kind, seen.number, 1, texts))
        now = seen
    return states


def _text(values: Mapping[str, tuple[str, str | None]], name: str) -> str | None:
    return values[name][1] if name in values else None


def as_naive(states: Sequence[RecordState]) -> list[NaiveState]:
    """What the operation found, newest first, for comparing."""
    return [
        NaiveState(
            state.version,
            state.kind.value,
            state.last_version,
            state.versions,
            {step.column: (step.old, step.new) for step in state.fields},
        )
        for state in reversed(states)
    ]
