"""Versions with conflicting pins, each in its own environment, through the engine and the commands of those who make models."""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from registry_client.backends.files import FilesBackend
from registry_client.bundle import Bundle, load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from serving.dataplane.engine import VersionEngine, open_engine
from serving.dataplane.environments.shelf import Environments
from serving.dataplane.faults import LoadFailed
from serving.ports import Call, CallKind
from tests.fakes.locked import LockedFamily
from tests.fakes.terminal import Terminal, says_why

ROW = {"x": [1.0, -1.0, 2.0, -2.0]}


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> LockedFamily:
    return LockedFamily.at(tmp_path_factory.mktemp("numpy"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that all tests share, so that each environment is built once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def environments(data: Path) -> Environments:
    return Environments(data / "environments")


def opened(bundle: Bundle, environments: Environments) -> VersionEngine:
    python = environments.python_for(bundle.manifest, bundle.path)
    return open_engine(bundle.manifest, bundle.path, python=python)


def predict(engine: VersionEngine) -> Any:
    [reply] = engine.run([Call(CallKind.PREDICT, "", msgspec.json.encode(ROW))])
    return msgspec.json.decode(reply.body)


def test_two_versions_with_conflicting_pins_answer_side_by_side(tmp_path: Path, family: LockedFamily, environments: Environments) -> None:
    # given
    old = load_bundle(family.write(tmp_path / "old", "1.0.0", "1.0"))
    new = load_bundle(family.write(tmp_path / "new", "1.1.0", "2.0"))

    # when
    engines = [opened(old, environments), opened(new, environments)]
    first, second = (predict(engine)["y"] for engine in engines)

    # then
    assert second == pytest.approx([2 * value for value in first])
    assert "measures" not in sys.modules


def test_a_locked_component_gets_at_nothing_that_is_installed_beside_the_server(
    tmp_path: Path, family: LockedFamily, environments: Environments
) -> None:
    # given
    curious = """\
import importlib.util, os, sys
def build(config):
    found = [name for name in ("serving", "registry_client", "msgspec", "onnxruntime", "ray") if importlib.util.find_spec(name)]
    if found or "serving" in sys.modules:
        raise RuntimeError(f"{found}")
    return lambda tensors: tensors
"""

    # when
    engine = opened(load_bundle(family.write(tmp_path / "bundle", "1.0.0", "1.0", post=curious)), environments)

    # then
    assert len(predict(engine)["y"]) == 3


def test_without_its_environment_a_locked_version_does_not_load(tmp_path: Path, family: LockedFamily) -> None:
    bundle = load_bundle(family.write(tmp_path / "bundle", "1.0.0", "1.0"))

    with pytest.raises(LoadFailed, match=r"sketch@1.0.0 has locked components, and no environment was built for them"):
        open_engine(bundle.manifest, bundle.path)


def test_a_version_without_a_lock_asks_for_no_environment(tmp_path: Path, family: LockedFamily) -> None:
    # given
    directory = family.write(tmp_path / "bundle", "1.0.0", "1.0", post="def build(config): return lambda tensors: tensors\n")
    description = (directory / "model.yaml").read_text("utf-8")
    (directory / "model.yaml").write_text(description[: description.index("  lock:")], "utf-8")
    bundle = load_bundle(directory)

    # when
    python = Environments(tmp_path / "environments").python_for(bundle.manifest, bundle.path)

    # then
    assert python is None
    assert not (tmp_path / "environments").exists()
    assert len(predict(open_engine(bundle.manifest, bundle.path))["y"]) == 3


def test_the_commands_run_each_version_in_its_own_environment(tmp_path: Path, family: LockedFamily, data: Path) -> None:
    # given
    places = ("--data", str(data), "--registry", str(tmp_path / "registry"), "--json")
    terminal = Terminal("")
    directories = [str(family.write(tmp_path / version, version, release)) for version, release in (("1.0.0", "1.0"), ("1.1.0", "2.0"))]

    # when
    checked = json.loads(terminal.run("check", directories[0], *places).stdout)
    published = [terminal.run("publish", directory, *places) for directory in directories]
    compared = terminal.run("diff", "sketch", "1.0.0", "1.1.0", *places)
    audited = terminal.run("registry", "audit", *places)

    # then
    assert (checked["ok"], checked["golden_examples"]) == (True, 3)
    assert [result.exit_code for result in published] == [0, 0], published
    assert "golden-differs" in str(json.loads(published[1].stdout)["gate"])
    assert json.loads(compared.stdout)["needed"] == "minor"
    assert [one["verdict"] for one in json.loads(audited.stdout)["versions"]] == ["first", "honest"]


def test_a_fetched_version_brings_its_wheels_along(tmp_path: Path, family: LockedFamily, environments: Environments) -> None:
    # given
    client = RegistryClient(FilesBackend(tmp_path / "registry"), Cache(tmp_path / "cache"))
    client.publish(load_bundle(family.write(tmp_path / "bundle", "1.0.0", "1.0")))

    # when
    fetched = client.fetch("sketch", "1.0.0")
    python = environments.python_for(fetched.manifest, fetched.path)

    # then
    assert python is not None
    assert len(predict(open_engine(fetched.manifest, fetched.path, python=python))["y"]) == 3


def test_check_names_the_package_that_cannot_be_installed(tmp_path: Path, family: LockedFamily) -> None:
    # given
    directory = family.write(tmp_path / "bundle", "1.0.0", "1.0")
    with (directory / "lock.txt").open("a", encoding="utf-8") as lock:
        lock.write(f"absent==3.0 --hash=sha256:{64 * '7'}\n")

    # when
    result = Terminal("").run("check", str(directory), "--data", str(tmp_path / "data"))

    # then
    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "the environment cannot be built: absent==3.0 (3 of 3 packages)" in " ".join(result.stderr.split())
    assert "sketch@1.0.0: building environment, 3 of 3 packages (absent==3.0)" in " ".join(result.stderr.split())
