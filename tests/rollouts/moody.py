"""A family of digits with a sound production and candidates whose mood a test sets while they serve."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from registry_client.backends.opening import open_registry
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.ledger import Ledger
from tests.e2e.installation import Installation

ORIGINAL = "digits/1.1.0"
POST = Path(__file__).with_name("moody_post.py")


@dataclass(frozen=True, slots=True)
class Mood:
    """What share of the inputs a version fails, slows down by `seconds`, answers with the next label, or with one label."""

    fails: float = 0.0
    slow: float = 0.0
    seconds: float = 0.0
    wrong: float = 0.0
    constant: float = 0.0


GOOD = Mood()


@dataclass(frozen=True, slots=True)
class Moody:
    """The family, published in an installation; its moods are files in a folder."""

    installation: Installation
    family: str
    folder: Path
    originals: Path

    def publish(self, *versions: str) -> None:
        """Publish versions of the family that are in a good mood."""
        layout = self.installation.layout
        registry = open_registry(layout.registry, Cache(layout.cache), Ledger.of(layout.data))
        for version in versions:
            registry.publish(load_bundle(self._bundle(version)))

    def turn(self, version: str, mood: Mood) -> None:
        """Have a version be in a mood from its next answer on."""
        path = self._mood(version)
        aside = path.with_suffix(".aside")
        aside.write_text(json.dumps({name: getattr(mood, name) for name in Mood.__slots__}), encoding="utf-8")
        aside.replace(path)

    def _mood(self, version: str) -> Path:
        return self.folder / f"{self.family}-{version}.json"

    def _bundle(self, version: str) -> Path:
        copy = self.folder / "bundles" / self.family / version
        shutil.copytree(self.originals / ORIGINAL, copy)
        shutil.copy(POST, copy / "post.py")
        description = yaml.safe_load((copy / "model.yaml").read_text(encoding="utf-8"))
        post = {"name": "moody-post", "version": version, "kind": "python", "entry": "post:build", "files": ["post.py"]}
        description |= {"family": self.family, "version": version}
        del description["supersedes"]
        description["pipeline"]["post"] = {**post, "config": {"mood": str(self._mood(version))}}
        (copy / "model.yaml").write_text(yaml.safe_dump(description, sort_keys=False), encoding="utf-8")
        return copy
