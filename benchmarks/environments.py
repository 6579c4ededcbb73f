"""`make bench-environments`: what environments of locked components cost, to build, to have, and for each request.

Fetches two releases of scikit-learn from the index that pip and uv are configured with; the rest needs no network. About a minute. The
figures are kept in `benchmarks/results/environments.json`; `python -m benchmarks.readme` writes them into docs/environments.md.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import median

import msgspec
import numpy as np

from benchmarks.machine import Machine, look_around
from registry_client.bundle import Bundle, load_bundle
from serving.dataplane.components.entries import BundleFiles, entry_of
from serving.dataplane.components.python_module import load_python
from serving.dataplane.components.transform import Tensors, Transform
from serving.dataplane.environments.recipe import recipe_of
from serving.dataplane.environments.shelf import Environments
from serving.dataplane.hosting.host import ComponentHost, HostPlan
from serving.dataplane.memory import MIB
from tests.e2e.releases import Release

RESULTS = "environments.json"
RELEASES = ("1.6.1", "1.7.2")
CALLS = 5000
WARM = 5
ROWS = (1, 32)
PASSES = "def build(config):\n    return lambda tensors: tensors\n"
UNMEASURED = "Not measured yet: `make bench-environments`, then `python -m benchmarks.readme`.\n"


class Built(msgspec.Struct, frozen=True):
    """One environment. Seconds; MiB on the disk."""

    release: str
    packages: int
    size_mib: float
    cold_s: float
    warm_s: float
    host_s: float
    """Until the component host has imported the release and loaded the component."""


class Called(msgspec.Struct, frozen=True):
    """One call of a component that does nothing, in microseconds."""

    rows: int
    hosted_us: float
    unlocked_us: float
    """Of the same component without a lock, in the version's own process."""


class Measured(msgspec.Struct, frozen=True):
    """What was measured, and on what."""

    machine: Machine
    built: list[Built]
    called: list[Called]


def timed(action: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def build(folder: Path, release: str, environments: Environments) -> tuple[Built, Bundle, Path]:
    """Build an environment cold, take it warm, and start its host."""
    bundle = load_bundle(Release.fetched(folder / release, release).write(folder / "bundles" / release, "pinned", "1.0.0"))
    recipe = recipe_of(bundle.manifest, bundle.path)
    assert recipe is not None  # noqa: S101 - the bundle has a lock
    cold = timed(partial(environments.ready, recipe))
    warm = median(timed(partial(environments.ready, recipe)) for _ in range(WARM))
    python = environments.ready(recipe)
    size = sum(path.stat().st_size for path in python.parent.parent.rglob("*") if path.is_file()) / MIB
    return Built(release, len(recipe.pins), size, cold, warm, _starting(bundle, python)), bundle, python


def _starting(bundle: Bundle, python: Path) -> float:
    component = bundle.manifest.pipeline.components[0]
    with closing(ComponentHost(HostPlan(python, 1, 2048 * MIB))) as host:
        return timed(lambda: host.load(entry_of(component, BundleFiles.of(bundle.manifest, bundle.path), label="post"), label="post"))


def call(folder: Path, bundle: Bundle, python: Path) -> list[Called]:
    """A component that does nothing, in this process and in a host."""
    (folder / "post.py").write_text(PASSES, "utf-8")
    component = bundle.manifest.pipeline.components[0]
    files = BundleFiles(partial(_always, folder / "post.py"), dict.fromkeys(component.files, sha256(PASSES.encode()).hexdigest()))
    with closing(ComponentHost(HostPlan(python, 1, 2048 * MIB))) as host:
        hosted = host.load(entry_of(component, files, label="post"), label="post")
        unlocked = load_python(component, files, label="post")
        inputs = [{"x": np.ones((rows, 64), np.float32), "text": np.full(rows, "where is my parcel", object)} for rows in ROWS]
        return [Called(len(tensors["x"]), _call_us(hosted, tensors), _call_us(unlocked, tensors)) for tensors in inputs]


def _always(path: Path, _name: str) -> Path:
    return path


def _call_us(transform: Transform, tensors: Tensors) -> float:
    return median(timed(partial(transform, tensors)) for _ in range(CALLS)) * 1e6


def measure() -> Measured:
    """Everything, in a folder that is removed again."""
    machine = look_around()
    with tempfile.TemporaryDirectory(prefix="pointsman-environments-") as name:
        folder = Path(name)
        environments = Environments(folder / "environments")
        found = [build(folder, release, environments) for release in RELEASES]
        _, bundle, python = found[-1]
        return Measured(machine, [one for one, _, _ in found], call(folder, bundle, python))


def markdown(measured: Measured | None) -> str:
    """The figures as they stand in the documentation."""
    if measured is None:
        return UNMEASURED
    machine = measured.machine
    where = f"{machine.cores} cores ({machine.model_name}), {machine.load_at_start:g} processes at work before"
    lines = [
        f"{where}; wheels at hand, no index asked:",
        "",
        "| environment | packages | MiB | built | taken when it is there | its host started |",
        "|---|---|---|---|---|---|",
        *(_built_row(one) for one in measured.built),
        "",
        "| one call of a component that does nothing | with a lock | without |",
        "|---|---|---|",
        *(_called_row(one) for one in measured.called),
    ]
    return "\n".join(lines) + "\n"


def _built_row(one: Built) -> str:
    times = f"{one.cold_s:.1f} s | {one.warm_s:.2f} s | {one.host_s:.2f} s"
    return f"| scikit-learn {one.release} | {one.packages} | {one.size_mib:.0f} | {times} |"


def _called_row(one: Called) -> str:
    return f"| rows of 64 numbers and a text: {one.rows} | {one.hosted_us:.0f} µs | {one.unlocked_us:.1f} µs |"


def read_environments(path: Path) -> Measured | None:
    """What was measured last, if ever."""
    return msgspec.json.decode(path.read_bytes(), type=Measured) if path.exists() else None


def main() -> int:
    """Measure, keep and print."""
    measured = measure()
    path = Path(__file__).parent / "results" / RESULTS
    path.write_bytes(msgspec.json.format(msgspec.json.encode(measured)) + b"\n")
    print(markdown(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
