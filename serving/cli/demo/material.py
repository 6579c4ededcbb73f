"""What the demo shows: the example bundles, made if they are not there, and held-out requests with their true answers."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.cli.demo.errors import NoExamples, TrainingFailed

MARK = Path("customer_intent") / "utterances.csv"
"""What tells our examples folder from anybody else's."""

LAST_WRITTEN = Path("traffic") / "customer-intent.jsonl"
SHADES = " .:-=+*#%@"
DARKEST = 16
SIDE = 8


@dataclass(frozen=True, slots=True)
class Case:
    """A request as it goes over the wire, and its true label."""

    body: bytes
    truth: object

    @property
    def request(self) -> dict[str, Any]:
        """The request as a document."""
        return dict(json.loads(self.body))


@dataclass(frozen=True, slots=True)
class Material:
    """The folder of the bundles."""

    folder: Path

    def bundle(self, family: str, version: str) -> Path:
        """Where a version's bundle lies."""
        return self.folder / family / version

    def cases(self, family: str) -> Sequence[Case]:
        """The family's held-out examples."""
        lines = (self.folder / "traffic" / f"{family}.jsonl").read_text(encoding="utf-8").splitlines()
        return [_case(json.loads(line)) for line in lines]


def _case(line: dict[str, Any]) -> Case:
    return Case(json.dumps(line["request"]).encode(), line["truth"]["label"])


def find_examples(*, beside: Path | None = None) -> Path:
    """The examples folder of the current directory, else that of the checkout this program runs from. Raises `NoExamples`."""
    looked = [Path.cwd(), beside or Path(__file__).parents[3]]
    for root in looked:
        if (root / "examples" / MARK).is_file():
            return root / "examples"
    raise NoExamples(looked)


def is_fresh(build: Path, sources: Sequence[Path]) -> bool:
    """Whether a build was finished after its sources were last changed."""
    stamp = build / LAST_WRITTEN
    return stamp.is_file() and all(source.stat().st_mtime <= stamp.stat().st_mtime for source in sources)


def choose_build(examples: Path, scratch: Path) -> Path:
    """Where the bundles belong; in the scratch folder when the examples cannot be written to."""
    return examples / "build" if os.access(examples, os.W_OK) else scratch / "examples"


def sources_of(examples: Path) -> Sequence[Path]:
    """The files that the bundles are made from."""
    return [path for path in examples.rglob("*") if path.suffix in {".py", ".csv"} and examples / "build" not in path.parents]


def train(examples: Path, build: Path) -> None:
    """Make the bundles. Raises `TrainingFailed`."""
    command = [sys.executable, "-m", "examples.train", "--out", str(build)]
    done = subprocess.run(command, cwd=examples.parent, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
    if done.returncode:
        raise TrainingFailed(done.stderr)


def picture(pixels: Sequence[int]) -> Sequence[str]:
    """A scanned digit in characters, two for each pixel."""
    shades = [SHADES[round(pixel * (len(SHADES) - 1) / DARKEST)] * 2 for pixel in pixels]
    return ["".join(shades[row * SIDE : (row + 1) * SIDE]).rstrip() for row in range(SIDE)]
