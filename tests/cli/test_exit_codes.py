"""One table of exit codes: every class of error has one, and only success is 0."""

from collections.abc import Iterator

import pytest

from cas.errors import CasError, CorruptData, NotFound
from cas.store.interface import FaultKind, StoreFault
from cli.exit_codes import ExitCode, exit_code_of


def _classes(root: type[CasError]) -> Iterator[type[CasError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from _classes(kind)


def test_every_class_of_error_has_a_code_of_its_own_meaning() -> None:
    for kind in _classes(CasError):
        if issubclass(kind, StoreFault):
            continue
        error = CorruptData("x", kind="missing") if kind is CorruptData else kind("x")
        assert exit_code_of(error) not in (ExitCode.OK, ExitCode.FAILURE), kind


def test_an_error_without_a_class_is_a_failure() -> None:
    assert exit_code_of(CasError("x")) is ExitCode.FAILURE


def test_a_subclass_has_the_code_of_its_class() -> None:
    class Lost(NotFound):
        """Of some later part."""

    assert exit_code_of(Lost("x")) is ExitCode.NOT_FOUND


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (FaultKind.DENIED, ExitCode.DENIED),
        (FaultKind.FULL, ExitCode.NO_SPACE),
        (FaultKind.UNREACHABLE, ExitCode.UNREACHABLE),
        (FaultKind.TRANSIENT, ExitCode.STORE_FAULT),
        (FaultKind.REFUSED, ExitCode.STORE_FAULT),
    ],
)
def test_a_fault_of_the_store_is_told_by_its_kind(fault: FaultKind, code: ExitCode) -> None:
    assert exit_code_of(StoreFault("x", fault=fault)) is code


def test_codes_are_what_shells_and_scripts_know() -> None:
    assert [code.value for code in ExitCode] == sorted({code.value for code in ExitCode})
    assert ExitCode.INTERRUPTED.value == 130
    assert ExitCode.INVALID.value == 2
    assert all(0 <= code < 256 for code in ExitCode)
