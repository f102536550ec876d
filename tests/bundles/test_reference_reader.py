"""What the product exports, the reader that was written from FORMAT.md alone reads: every record of the
version, in clear and sealed."""

from pathlib import Path

import pytest

from cas.bundles.exporting import ExportRequest
from cas.sealing.key_ring import Labelled
from cas.sealing.key_secrets import SlotMaker
from tests import reference_bundle as reference
from tests.bundles.scenes import exported, kept
from tests.bundles.test_exporting import rich
from tests.engine.scenes import Platform, World
from tests.reference_reader import Refused
from tests.sealing.scenes import IDENTITY_FILE, KEY_FILE, PASSPHRASE, RECIPIENT
from tests.sealing.sealed_life import GOOD, WRONG, require_records

MAKERS: dict[str, SlotMaker] = {"passphrase": PASSPHRASE, "file": KEY_FILE, "age": RECIPIENT}


@pytest.fixture(scope="module")
def world() -> tuple[World, list[Platform]]:
    """With a dictionary, deltas, a large value, a bag."""
    return rich()


def require_all(bundle: reference.Bundle, state: Platform) -> None:
    found = bundle.records()
    assert found.keys() == {entity.label for entity in state}
    for entity in state:
        require_records(found[entity.label], state, entity)
    assert bundle.repository.damage == []


def test_in_clear(world: tuple[World, list[Platform]], tmp_path: Path) -> None:
    there, states = world
    path = kept(tmp_path, exported(there, 4))
    require_all(reference.Bundle(path), states[3])
    with pytest.raises(Refused, match="unsupported"):
        reference.Bundle(kept(tmp_path, exported(there, 4, ExportRequest(slots=(Labelled(KEY_FILE, ""),)))))


@pytest.mark.parametrize("kind", MAKERS)
def test_sealed(kind: str, world: tuple[World, list[Platform]], tmp_path: Path) -> None:
    there, states = world
    path = kept(tmp_path, exported(there, 4, ExportRequest(slots=(Labelled(MAKERS[kind], "bundle"),))))
    require_all(reference.Bundle(path, GOOD[kind]), states[3])
    with pytest.raises(Refused, match="locked"):
        reference.Bundle(path, WRONG[kind])


def test_what_an_earlier_version_has_is_taken_from_there(
    world: tuple[World, list[Platform]], tmp_path: Path
) -> None:
    there, states = world
    earlier = reference.BundleObjects(kept(tmp_path, exported(there, 2), "earlier.casb"))
    path = kept(tmp_path, exported(there, 4, ExportRequest(since=2)))
    require_all(reference.Bundle(path, before=earlier), states[3])
    with pytest.raises(Refused, match="missing"):
        reference.Bundle(path).records()


def test_the_command_restores_a_sealed_one(
    world: tuple[World, list[Platform]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, states = world
    path = kept(tmp_path, exported(there, 4, ExportRequest(slots=(Labelled(RECIPIENT, ""),))))
    identity = tmp_path / "identity"
    identity.write_bytes(IDENTITY_FILE)
    out = tmp_path / "out"
    assert reference.main([str(path), f"age:{identity}", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "version 4 is whole: every byte was proven"
    for entity in states[3]:
        file = out / f"{entity.label}.copy"
        require_records(file.read_bytes().splitlines() if file.exists() else [], states[3], entity)
