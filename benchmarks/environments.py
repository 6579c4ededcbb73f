"""`python -m benchmarks.environments`: what environments of locked components cost, to build, to have, and for each request.

Fetches two releases of scikit-learn from the index that pip and uv are configured with; the rest needs no network. About a minute.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from registry_client.bundle import Bundle, load_bundle
from serving.dataplane.components.entries import entry_of
from serving.dataplane.components.python_module import load_python
from serving.dataplane.components.transform import Transform
from serving.dataplane.environments.recipe import recipe_of
from serving.dataplane.environments.shelf import Environments
from serving.dataplane.hosting.host import ComponentHost, HostPlan
from serving.dataplane.memory import MIB
from tests.e2e.releases import Release

RELEASES = ("1.6.1", "1.7.2")
CALLS = 5000
WARM = 5
ROWS = (1, 32)
PASSES = "def build(config):\n    return lambda tensors: tensors\n"


def timed(action: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def environments(folder: Path) -> Path:
    """Build each cold, take each warm; the interpreter of the last."""
    own = Environments(folder / "environments")
    python = folder
    for release in RELEASES:
        bundle = load_bundle(Release.fetched(folder / release, release).write(folder / "bundles" / release, "pinned", "1.0.0"))
        recipe = recipe_of(bundle.manifest, bundle.path)
        assert recipe is not None  # noqa: S101 - the bundle has a lock
        cold = timed(partial(own.ready, recipe))
        warm = median(timed(partial(own.ready, recipe)) for _ in range(WARM))
        python = own.ready(recipe)
        size = sum(path.stat().st_size for path in python.parent.parent.rglob("*") if path.is_file())
        print(f"scikit-learn {release}, {len(recipe.pins)} packages, {size / 2**20:.0f} MiB: cold {cold:.1f} s, warm {warm:.2f} s")
        print(f"    its component host is ready after {_starting(bundle, python):.2f} s")
    return python


def _starting(bundle: Bundle, python: Path) -> float:
    host = ComponentHost(HostPlan(python, 1, 2048 * MIB))
    component = bundle.manifest.pipeline.components[0]
    try:
        return timed(lambda: host.load(entry_of(component, bundle.path, label="post"), label="post"))
    finally:
        host.close()


def calls(folder: Path, python: Path) -> None:
    """A component that does nothing, in this process and in a host."""
    (folder / "post.py").write_text(PASSES, "utf-8")
    bundle = load_bundle(folder / "bundles" / RELEASES[0])
    component = bundle.manifest.pipeline.components[0]
    host = ComponentHost(HostPlan(python, 1, 2048 * MIB))
    entry = entry_of(component, lambda _: folder / "post.py", label="post")
    ways: dict[str, Transform] = {
        "in this process": load_python(component, lambda _: folder / "post.py", label="post"),
        "in a host": host.load(entry, label="post"),
    }
    for rows in ROWS:
        tensors = {"x": np.ones((rows, 64), np.float32), "text": np.full(rows, "where is my parcel", object)}
        for name, transform in ways.items():
            took = median(timed(partial(transform, tensors)) for _ in range(CALLS))
            print(f"{rows} x 64 floats and {rows} texts {name}: {took * 1e6:.1f} us a call")
    host.close()


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="pointsman-environments-") as folder:
        calls(Path(folder), environments(Path(folder)))


if __name__ == "__main__":
    main()
