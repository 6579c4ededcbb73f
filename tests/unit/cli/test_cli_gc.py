"""Making room on a node: what stays is the server's word, what goes is cached or built here."""

import os
from pathlib import Path
from typing import Any

import pytest

from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from serving.cli.sweeping import sweep
from serving.dataplane.environments.recipe import recipe_of
from serving.dataplane.environments.shelf import Environments
from tests.fakes.admin import AdminWorld
from tests.fakes.locked import OWN_PYTHON
from tests.fakes.terminal import Terminal, says_why
from tests.fakes.wheels import lock_of, pure_wheel
from tests.unit.registry_client.sketches import Linear

POST = {"name": "plain", "version": "1.0.0", "kind": "python", "entry": "post:build", "files": ["post.py"]}


class Node:
    """Two versions, fetched, each with an environment of its own that was built a day ago."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        client = RegistryClient(FilesBackend(self.data / "registry"), Cache(self.data / "cache"))
        environments = Environments(self.data / "environments")
        self.digests: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        for version in ("1.0.0", "1.1.0"):
            client.publish(load_bundle(locked(folder / version, version)))
            fetched = client.fetch("sketch", version)
            recipe = recipe_of(fetched.manifest, fetched.path)
            assert recipe is not None
            environments.ready(recipe)
            self.digests[version], self.keys[version] = fetched.digest, recipe.key
        for path in self.data.rglob("*"):
            os.utime(path, (0, 0), follow_symlinks=False)

    def sweep(self, *needed: str, is_rehearsal: bool = False) -> dict[str, list[str]]:
        """What was taken, by kind."""
        versions = [
            {"family": "sketch", "version": version, "digest": self.digests[version], "reasons": ["tag staging"]} for version in needed
        ]
        document = sweep(self.data, {"versions": versions}, is_rehearsal=is_rehearsal)
        taken: dict[str, list[str]] = {}
        for one in document["taken"]:
            taken.setdefault(one["kind"], []).append(one["name"])
        assert document["freed"] == sum(one["bytes"] for one in document["taken"])
        return taken

    def environments(self) -> list[str]:
        return sorted(path.name for path in (self.data / "environments").iterdir() if path.is_dir())


def locked(directory: Path, version: str) -> Path:
    """A version whose lock pins two packages that are none; it is never run."""
    lock = {"python": OWN_PYTHON, "requirements": "lock.txt", "wheels": "wheels"}
    Linear(bias=[float(version[2])] * 3, description={"pipeline": {"post": POST, "lock": lock}}).write(directory, version)
    wheels = [pure_wheel(directory / "wheels", "numpy", "2.0.0"), pure_wheel(directory / "wheels", "extra", version)]
    (directory / "lock.txt").write_text(lock_of(*wheels), "utf-8")
    (directory / "post.py").write_text("def build(config): ...\n", "utf-8")
    return directory


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_the_environment_of_a_needed_version_stays_and_the_others_go(node: Node) -> None:
    # when
    taken = node.sweep("1.1.0")

    # then
    assert taken["environment"] == [node.keys["1.0.0"]]
    assert taken["bundle"] == [node.digests["1.0.0"]]
    assert node.environments() == [node.keys["1.1.0"]]
    assert node.sweep("1.1.0") == {}


def test_a_rehearsal_takes_nothing(node: Node) -> None:
    rehearsed = node.sweep(is_rehearsal=True)

    assert sorted(rehearsed["environment"]) == node.environments() == sorted(node.keys.values())
    assert rehearsed == node.sweep()


def test_an_environment_that_went_is_built_again_when_it_is_needed(node: Node) -> None:
    # given
    node.sweep()
    fetched = RegistryClient(FilesBackend(node.data / "registry"), Cache(node.data / "cache")).fetch("sketch", "1.0.0")

    # when
    python = Environments(node.data / "environments").python_for(fetched.manifest, fetched.path)

    # then
    assert python is not None
    assert python.exists()


def test_the_command_asks_the_server_what_is_needed(node: Node, terminal: Terminal, world: AdminWorld) -> None:
    # given
    world.runs("1.0.0")
    assert terminal.run("promote", "digits", "1.0.0", "--no-wait").exit_code == 0

    # when
    rehearsed = terminal.run("gc", "--data", str(node.data), "--dry-run")
    document: dict[str, Any] = terminal.json("gc", "--data", str(node.data), "--keep-days", "7")

    # then
    assert "would go" in rehearsed.stdout
    assert "2 environments" in rehearsed.stdout
    assert "digits@1.0.0" in rehearsed.stdout
    assert [(one["version"], one["reasons"]) for one in document["needed"]] == [("1.0.0", ["in production", "loaded"])]
    assert node.environments() == []


@pytest.mark.parametrize("trouble", ["the store is away", "nobody answers"])
def test_where_nobody_can_say_what_is_needed_nothing_goes(node: Node, terminal: Terminal, world: AdminWorld, trouble: str) -> None:
    # given
    if trouble == "the store is away":
        world.state.down = "locked"
    else:
        terminal = Terminal("http://127.0.0.1:9")

    # when
    result = terminal.run("gc", "--data", str(node.data))

    # then
    assert result.exit_code != 0
    assert says_why(result.stderr)
    assert len(node.environments()) == 2


def test_a_data_directory_that_is_not_there_is_not_swept_in_silence(terminal: Terminal, tmp_path: Path) -> None:
    result = terminal.run("gc", "--data", str(tmp_path / "elsewhere"))

    assert result.exit_code == 4
    assert says_why(result.stderr)
