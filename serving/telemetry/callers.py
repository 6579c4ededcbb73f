"""Who still calls what is deprecated, as the gateways of this node have counted it since they were started."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

_CALLS = "pointsman_deprecated_requests"


def callers_of(directory: Path, family: str) -> Mapping[str, Mapping[str, int]]:
    """Requests by version and consumer."""
    files = [str(file) for file in directory.glob("counter_*.db") if file.stat().st_size]
    metrics: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call] # the library's types end here
    found = dict[str, dict[str, int]]()
    for sample in (sample for metric in metrics if metric.name == _CALLS for sample in metric.samples):
        if sample.labels["family"] == family:
            found.setdefault(sample.labels["version"], {})[sample.labels["consumer"]] = int(sample.value)
    return found
