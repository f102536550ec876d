"""One measured step: what a pipeline cost, and what it added to a repository."""

import time

from tests.bench import measure
from tests.bench.measure import Pipeline
from tests.bench.samples import Sample
from tests.bench.server import BenchServer
from tests.bench.tools import Place

_BACKEND_EXIT_SECONDS = 0.2
"""A server's process outlives its client a little; its CPU time counts when it has ended."""


def sampled(server: BenchServer, pipeline: Pipeline, place: Place) -> Sample:
    """Run it on a server that has written out what came before. Raises StepFailed."""
    before = measure.stored(place.repository)
    server.settle()
    server_before = server.cpu_seconds()
    cost = measure.run(pipeline, errors=place.scratch / "errors")
    time.sleep(_BACKEND_EXIT_SECONDS)
    server_after = server.cpu_seconds()
    after = measure.stored(place.repository)
    return Sample(
        seconds=cost.seconds,
        cpu_seconds=cost.cpu_seconds,
        server_cpu_seconds=None
        if server_before is None or server_after is None
        else server_after - server_before,
        peak_bytes=cost.peak_bytes,
        stored_bytes=after.bytes - before.bytes,
        objects=after.written_since(before),
    )
