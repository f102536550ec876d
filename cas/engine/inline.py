"""An executor without threads: what is submitted is done at once, by whoever submits it."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class InlineExecutor(Executor):
    """Every future is done when it is given. What a call raises is raised by its future, as in a pool; what
    is no Exception ends a process, and is raised at once."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        future: Future[_T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # raised again by whoever asks for the result
            future.set_exception(error)
        return future
