"""Versions that pin different releases of scikit-learn. The wheels are fetched from the index that pip and uv are configured with."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.fakes.locked import OWN_PYTHON
from tests.unit.registry_client.sketches import DYNAMIC, Linear, tensor

POST = """\
import numpy as np
import sklearn
from sklearn.preprocessing import normalize

def build(config):
    made_by = f"scikit-learn {sklearn.__version__}"
    def run(tensors):
        y = tensors["y"]
        return {"y": normalize(y).astype(np.float32), "made_by": np.full(len(y), made_by, object)}
    return run
"""


@dataclass(frozen=True)
class Release:
    """One release of scikit-learn with all that it needs, as a lock and its wheels."""

    version: str
    lock: Path
    wheels: Path

    @classmethod
    def fetched(cls, folder: Path, version: str) -> "Release":
        """Resolve and download it."""
        folder.mkdir(parents=True)
        wanted, lock, wheels = folder / "wanted.txt", folder / "lock.txt", folder / "wheels"
        wanted.write_text(f"scikit-learn=={version}\n", "utf-8")
        uv, python = str(Path(sys.executable).with_name("uv")), sys.executable
        compiling = ("--generate-hashes", "--no-emit-index-url", "--no-header", "--python-version", OWN_PYTHON)
        subprocess.run([uv, "pip", "compile", "-q", str(wanted), *compiling, "-o", str(lock)], check=True, cwd=folder)
        downloading = ("--require-hashes", "--only-binary", ":all:", "--no-deps", "--disable-pip-version-check")
        subprocess.run([python, "-m", "pip", "download", "-q", *downloading, "-r", str(lock), "-d", str(wheels)], check=True)
        return cls(version, lock, wheels)

    def write(self, directory: Path, family: str, version: str) -> Path:
        """A version of a family whose answers are normalised by this release, and say so."""
        interface = {"inputs": [tensor("x")], "outputs": [tensor("y", shape=(DYNAMIC, 3)), tensor("made_by", "BYTES", (DYNAMIC,))]}
        post = {"name": "normalising", "version": "1.0.0", "kind": "python", "entry": "post:build", "files": ["post.py"]}
        lock = {"python": OWN_PYTHON, "requirements": "lock.txt", "wheels": "wheels"}
        sketch = Linear(description={"interface": interface, "pipeline": {"post": post, "lock": lock}})
        sketch.write(directory, version)
        description = (directory / "model.yaml").read_text("utf-8")
        (directory / "model.yaml").write_text(description.replace("family: sketch", f"family: {family}"), "utf-8")
        (directory / "post.py").write_text(POST, "utf-8")
        shutil.copyfile(self.lock, directory / "lock.txt")
        shutil.copytree(self.wheels, directory / "wheels")
        self._expect(directory / "golden.jsonl", sketch)
        return directory

    def _expect(self, golden: Path, sketch: Linear) -> None:
        answers = np.array(sketch.answers())
        normal = (answers / np.linalg.norm(answers, axis=1, keepdims=True)).tolist()
        examples = [
            {"name": f"row {at}", "request": {"x": list(row)}, "response": {"y": y, "made_by": f"scikit-learn {self.version}"}}
            for at, (row, y) in enumerate(zip(sketch.rows, normal, strict=True))
        ]
        golden.write_text("".join(json.dumps(example) + "\n" for example in examples), "utf-8")
