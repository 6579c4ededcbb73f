"""The versions of `digits`: 1.0.0 and 1.1.0 are sound, 1.2.0 answers wrongly in silence, 1.3.0 fails on unclear digits.

All share one interface, so nothing but their answers tells them apart.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from examples.bundles import Draft, Json, golden_example
from examples.digits import post
from examples.digits.calibration import histogram
from examples.digits.data import HELD_OUT, NAMES, Digits, Pixels, request
from examples.digits.models import CENTRED, RAW, UNIT, Probabilities, Scaling, Trained, train_logistic, train_network
from examples.evaluation import accuracy

FAMILY = "digits"
Answering = Callable[[Pixels], Probabilities]

CLEAR = 0.9
"""Golden examples are digits that every model recognises with at least this confidence, as an author would pick them."""

ARGMAX_POST: Json = {
    "name": "digits-post",
    "version": "1.0.0",
    "kind": "declarative",
    "config": {"steps": [{"op": "argmax", "tensor": "probabilities", "to": "label"}]},
}
INTERFACE: Json = {
    "inputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, 64]}],
    "outputs": [
        {"name": "label", "datatype": "INT64", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10], "by_label": True},
    ],
    "labels": {"names": [str(digit) for digit in range(10)], "policy": "closed"},
    "score_kind": "probability",
}


@dataclass(frozen=True, slots=True)
class Models:
    """What was trained: each version of the family with its own model."""

    logistic: Trained
    network: Trained
    centred: Trained
    regularized: Trained


@dataclass(frozen=True, slots=True)
class Release:
    """What distinguishes one version. `pinned` is the scaling in its bundle, which ought to be the one its training saw."""

    version: str
    date: str
    model: Trained
    pinned: Scaling
    behaviour: str
    docs: str
    supersedes: str | None = None
    post: Json = field(default_factory=lambda: ARGMAX_POST)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def answers(self, pixels: Pixels) -> Probabilities:
        """What the bundle will answer."""
        return self.calibrated(self.model.probabilities(pixels, pinned=self.pinned))

    def calibrated(self, probabilities: Probabilities) -> Probabilities:
        """The probabilities after postprocessing; only a Python component changes them."""
        if self.post["kind"] != "python":
            return probabilities
        return post.build(self.post["config"])({"probabilities": probabilities})["probabilities"]


def train(data: Digits) -> Models:
    """Fit all models; a few seconds."""
    return Models(
        logistic=train_logistic(data),
        network=train_network(data, UNIT, activation="tanh", alpha=1.0, seed=0),
        centred=train_network(data, CENTRED, activation="relu", alpha=1.0, seed=3),
        regularized=train_network(data, UNIT, activation="tanh", alpha=3.0, seed=0),
    )


def drafts(data: Digits, models: Models) -> list[Draft]:
    """All versions, oldest first."""
    releases = (_first(models), _scaled(models), _mispinned(models), _calibrated(data, models))
    rows = _clear_rows(data, models)
    return [_draft(release, data, rows, expected=release.answers) for release in releases]


def checked_draft(data: Digits, models: Models) -> Draft:
    """1.2.0 again, with golden answers taken from the training instead of from the bundle: the golden check refuses it."""
    return _draft(_mispinned(models), data, _clear_rows(data, models), expected=models.centred.probabilities)


def _first(models: Models) -> Release:
    return Release(
        version="1.0.0",
        date="2026-01-05T09:00:00Z",
        model=models.logistic,
        pinned=RAW,
        behaviour="the first version",
        docs="Logistic regression on the pixels as the scanner gives them, 0 to 16.",
    )


def _scaled(models: Models) -> Release:
    return Release(
        version="1.1.0",
        date="2026-02-02T09:00:00Z",
        model=models.network,
        pinned=UNIT,
        behaviour="a small neural network replaces the logistic regression",
        docs="A small neural network on pixels that its pinned preprocessing scales to 0 to 1.",
        supersedes="1.0.0",
    )


def _mispinned(models: Models) -> Release:
    return Release(
        version="1.2.0",
        date="2026-03-02T09:00:00Z",
        model=models.centred,
        pinned=RAW,
        behaviour="retrained on pixels scaled to -1 to 1",
        docs=(
            "Wrong on purpose. Trained on pixels scaled to -1 to 1, but pinned to digits-pre 1.0.0, which does not scale. It loads and "
            "answers without an error. The accuracy stated here was measured in training, with the scaling; the bundle's own is far lower."
        ),
        supersedes="1.1.0",
    )


def _calibrated(data: Digits, models: Models) -> Release:
    table = histogram(models.regularized.probabilities(data.train_pixels), data.train_classes)
    component = {"name": "digits-post", "version": "1.1.0", "kind": "python", "entry": "post:build", "files": ["post.py"], "config": table}
    return Release(
        version="1.3.0",
        date="2026-04-06T09:00:00Z",
        model=models.regularized,
        pinned=UNIT,
        behaviour="probabilities are calibrated",
        docs=(
            "Faulty on purpose. A good network whose calibration has no entry for low confidences: it raises for every digit that is "
            "hard to read. Its golden examples are all clear digits, so they pass."
        ),
        supersedes="1.1.0",
        post=component,
        files={"post.py": Path(post.__file__).read_bytes()},
    )


def _clear_rows(data: Digits, models: Models) -> list[int]:
    """The first held-out example of each digit that is clear to all models: the same for every version, so that they compare."""
    answers = [model.probabilities(data.pixels) for model in (models.logistic, models.network, models.centred, models.regularized)]
    is_clear = np.all([(each.argmax(axis=1) == data.classes) & (each.max(axis=1) >= CLEAR) for each in answers], axis=0)
    return [int(np.flatnonzero(is_clear & (data.classes == digit))[0]) for digit in range(len(NAMES))]


def _draft(release: Release, data: Digits, rows: Sequence[int], *, expected: Answering) -> Draft:
    measured = accuracy(HELD_OUT, release.model.probabilities(data.pixels).argmax(axis=1), data.classes)
    return Draft(
        description=_description(release, data, measured),
        model=release.model.onnx,
        golden=_golden(data, rows, expected),
        card=_card(release, measured),
        files=release.files,
    )


def _golden(data: Digits, rows: Sequence[int], expected: Answering) -> Sequence[Json]:
    """The examples in these rows, and what is `expected` of them."""
    answers = expected(data.pixels[list(rows)])
    return [
        golden_example(
            f"the digit {name}",
            request(data.pixels[row]),
            int(answer.argmax()),
            dict(zip(map(str, range(10)), answer.tolist(), strict=True)),
        )
        for name, row, answer in zip(NAMES, rows, answers, strict=True)
    ]


def _description(release: Release, data: Digits, measured: Json) -> Json:
    return {
        "family": FAMILY,
        "version": release.version,
        **({} if release.supersedes is None else {"supersedes": {"version": release.supersedes}}),
        "created_by": "examples",
        "created_at": release.date,
        "docs": release.docs,
        "task": {"type": "classification", "taxonomy": "digits-0-9", "primary_metric": "accuracy"},
        "model": "model.onnx",
        "golden": "golden.jsonl",
        "doc_files": ["CARD.md"],
        "pipeline": {"pre": release.pinned.component, "post": release.post},
        "interface": INTERFACE,
        "provenance": {
            "datasets": [{"name": "scikit-learn-digits", "sha256": data.sha256}],
            "hyperparameters": release.model.hyperparameters,
            "training_run": "python -m examples.train",
        },
        "evaluation": [measured],
        "change": {"declared": "first" if release.supersedes is None else "minor", "behaviour": release.behaviour},
        "serving": {"runtime": {"onnxruntime": ">=1.20"}, "cpu": 1, "max_batch": 64},
        "licenses": ["Apache-2.0", "CC-BY-4.0"],
    }


def _card(release: Release, measured: Json) -> str:
    return f"""# digits {release.version}

{release.docs}

- In: 64 pixels, row by row, 0 (paper) to 16 (ink). Out: the digit and a probability for each.
- Change: {release.behaviour}.
- Accuracy {measured["value"]:.3f} (95 % interval {measured["ci"][0]:.3f} to {measured["ci"][1]:.3f}) on {measured["n"]} held-out digits.
- Data: Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, UCI), as shipped with scikit-learn; CC BY 4.0.
"""
