"""A packer with its executors, from the first chunk to the last pack."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cas.engine.compression import DEFAULT_LEVEL, Compressor
from cas.engine.packer import ClosedPack, Packer
from cas.engine.repository import Repository


@contextmanager
def packing(repository: Repository, deliver: Callable[[ClosedPack], None]) -> Iterator[Packer]:
    """When it ends, all that was put is delivered; after a failure nothing more is. deliver: see Packer."""
    environment = repository.environment
    workers, uploads = environment.executor(1, "cas-pack"), environment.executor(1, "cas-put")
    packer = Packer(
        repository.config.id_key,
        Compressor(DEFAULT_LEVEL),
        deliver,
        workers=workers,
        uploads=uploads,
        entropy=environment.entropy,
    )
    try:
        yield packer
        packer.flush()
    except BaseException:
        packer.abandon()
        raise
    finally:
        workers.shutdown()
        uploads.shutdown()
