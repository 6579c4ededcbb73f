from pathlib import Path

import msgspec
import pytest

from examples.train import build_customer_intent, build_digits
from registry_client.bundle import load_bundle
from serving.dataplane.engine import open_engine
from tests.unit.examples.served import Opened, Opening, Traffic, TrafficOf


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `python -m examples.train` would write."""
    out = tmp_path_factory.mktemp("build")
    build_digits(out)
    build_customer_intent(out)
    return out


@pytest.fixture(scope="session")
def opened(build: Path) -> Opening:
    def open_bundle(path: str) -> Opened:
        bundle = load_bundle(build / path)
        return Opened(bundle, open_engine(bundle.manifest, lambda name: bundle.files[name]))

    return open_bundle


@pytest.fixture(scope="session")
def traffic(build: Path) -> TrafficOf:
    def of_family(family: str) -> Traffic:
        lines = [msgspec.json.decode(line) for line in (build / "traffic" / f"{family}.jsonl").read_bytes().splitlines()]
        return Traffic([line["request"] for line in lines], [line["truth"]["label"] for line in lines])

    return of_family
