"""Versions whose postprocessing needs one release of a package, and breaks with the other: all they need comes along as wheels."""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.wheels import lock_of, pure_wheel, repacked
from tests.unit.registry_client.sketches import Linear

OWN_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
RELEASES = {"1.0": "def factor():\n    return 1.0\n", "2.0": "FACTOR = 2.0\n"}
_POST = """\
import measures
def build(config):
    def scale(tensors):
        y = tensors["y"]
        return {{"y": y * y.dtype.type({factor})}}
    return scale
"""
POST = {"1.0": _POST.format(factor="measures.factor()"), "2.0": _POST.format(factor="measures.FACTOR")}


@dataclass(frozen=True)
class LockedFamily:
    """Writes its versions; numpy's wheel is made once."""

    numpy: Path

    @classmethod
    def at(cls, folder: Path) -> "LockedFamily":
        return cls(repacked(folder, "numpy"))

    def write(self, directory: Path, version: str, release: str, *, post: str | None = None) -> Path:
        """A version of family `sketch` whose lock pins a release of `measures`, by which its answers are multiplied."""
        component = {"name": "measured", "version": f"{release}.0", "kind": "python", "entry": "post:build", "files": ["post.py"]}
        lock = {"python": OWN_PYTHON, "requirements": "lock.txt", "wheels": "wheels"}
        Linear(description={"pipeline": {"post": component, "lock": lock}}).write(directory, version)
        (directory / "wheels").mkdir()
        shutil.copyfile(self.numpy, directory / "wheels" / self.numpy.name)
        measures = pure_wheel(directory / "wheels", "measures", release, {"measures.py": RELEASES[release]})
        (directory / "lock.txt").write_text(lock_of(directory / "wheels" / self.numpy.name, measures), "utf-8")
        (directory / "post.py").write_text(post or POST[release], "utf-8")
        _scale(directory / "golden.jsonl", float(release))
        return directory


def _scale(golden: Path, factor: float) -> None:
    examples: list[dict[str, Any]] = [json.loads(line) for line in golden.read_text("utf-8").splitlines()]
    for example in examples:
        example["response"]["y"] = [value * factor for value in example["response"]["y"]]
    golden.write_text("".join(json.dumps(example) + "\n" for example in examples), "utf-8")
