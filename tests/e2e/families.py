"""The example families, and copies of them under names of their own for the tests that change what they serve."""

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from registry_client.backends.opening import open_registry
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.ledger import Ledger
from tests.e2e.installation import Installation, Json


@dataclass(frozen=True, slots=True)
class Example:
    """A request of the held-out traffic and its true label."""

    request: Json
    truth: object


@dataclass(frozen=True, slots=True)
class Bundles:
    """What `python -m examples.train` has written."""

    directory: Path

    def traffic(self, family: str) -> list[Example]:
        """The held-out examples of a family."""
        lines = (self.directory / "traffic" / f"{family}.jsonl").read_text(encoding="utf-8").splitlines()
        documents = [json.loads(line) for line in lines]
        return [Example(document["request"], document["truth"]["label"]) for document in documents]

    def golden(self, path: str) -> list[Json]:
        """The golden examples of a bundle."""
        lines = (self.directory / path / "golden.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def renamed(self, path: str, family: str, into: Path) -> Path:
        """A copy of a bundle under another family's name."""
        original, version = Path(path).parts[0].removesuffix("-checked"), Path(path).name
        copy = into / family / version
        shutil.copytree(self.directory / path, copy)
        description = (copy / "model.yaml").read_text(encoding="utf-8")
        assert f"family: {original}\n" in description
        (copy / "model.yaml").write_text(description.replace(f"family: {original}\n", f"family: {family}\n", 1), encoding="utf-8")
        return copy


@dataclass(frozen=True, slots=True)
class Deployment:
    """Publishes copies of bundles and deploys them in an installation."""

    installation: Installation
    bundles: Bundles
    copies: Path

    def publish(self, family: str, *paths: str) -> None:
        """Publish bundles under a family's name, around the check that the program makes before it publishes."""
        layout = self.installation.layout
        registry = open_registry(layout.registry, Cache(layout.cache), Ledger.of(layout.data))
        for path in paths:
            registry.publish(load_bundle(self.bundles.renamed(path, family, self.copies)))

    def deploy(self, family: str, production: str, *others: str) -> None:
        """Publish bundles and promote the first; commands load the others when they name them."""
        self.publish(family, production, *others)
        self.installation.do("promote", family, Path(production).name)


def at_the_same_time(installation: Installation, *sequences: Sequence[Sequence[str]]) -> None:
    """Run sequences of commands side by side, those of one sequence one after the other."""
    with ThreadPoolExecutor(len(sequences)) as threads:
        for running in [threads.submit(_in_turn, installation, sequence) for sequence in sequences]:
            running.result()


def _in_turn(installation: Installation, commands: Sequence[Sequence[str]]) -> None:
    for command in commands:
        installation.do(*command)
