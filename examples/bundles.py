"""Writes a version as a bundle directory: model.yaml, the graph, golden examples and a card. The same draft gives the same bytes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
"""A JSON object; what is in it is the manifest's business."""

TOLERANCE = {"atol": 1e-4, "rtol": 1e-3}
DECIMALS = 6
"""Golden answers are rounded to this: two orders below the tolerance, and readable."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One version before it is a directory. `files`: the components' own files, by their path in the bundle."""

    description: Json
    model: bytes
    golden: Sequence[Json]
    card: str
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where it lies under the output folder."""
        return f"{self.description['family']}/{self.description['version']}"


class _PlainDumper(yaml.SafeDumper):
    """Writes every value out: model.yaml takes no aliases."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the library's signature
        return True


def write_bundle(directory: Path, draft: Draft) -> Path:
    """Write the draft into the directory, which is made if it is missing."""
    contents = {
        "model.yaml": yaml.dump(
            draft.description, Dumper=_PlainDumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=140
        ).encode(),
        "model.onnx": draft.model,
        "golden.jsonl": as_lines(draft.golden),
        "CARD.md": draft.card.encode(),
        **draft.files,
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    return directory


def write_traffic(path: Path, traffic: Sequence[Json]) -> Path:
    """Write requests with their true answers, one `{"request": ..., "truth": ...}` per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_lines(traffic))
    return path


def golden_example(name: str, request: Json, label: str | int, probabilities: Mapping[str, float]) -> Json:
    """A request with the answer that is expected of it."""
    shares = {label_name: round(share, DECIMALS) for label_name, share in probabilities.items()}
    return {"name": name, "request": request, "response": {"label": label, "probabilities": shares}, "tolerance": TOLERANCE}


def as_lines(objects: Sequence[Json]) -> bytes:
    """JSON Lines."""
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in objects).encode()
