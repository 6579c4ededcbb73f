"""The classifiers of the family, each with the scaling that its training saw."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skl2onnx.common.data_types import FloatTensorType
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from examples.bundles import Json
from examples.digits.data import NAMES, Digits, Pixels
from examples.graphs import Estimator, export_classifier

Probabilities = NDArray[np.float64]
_UNCHANGED = {"multiply": 1.0, "add": 0.0}


@dataclass(frozen=True, slots=True)
class Scaling:
    """A preprocessing component: pixels are clipped to what the scanner can give, then scaled."""

    version: str
    multiply: float = 1.0
    add: float = 0.0

    def __call__(self, pixels: Pixels) -> Pixels:
        """What the model gets to see."""
        return pixels * self.multiply + self.add

    @property
    def component(self) -> Json:
        """The same, as it is pinned in model.yaml."""
        steps: list[Json] = [{"op": "clip", "tensor": "pixels", "min": 0, "max": 16}]
        factors = {name: value for name, value in (("multiply", self.multiply), ("add", self.add)) if value != _UNCHANGED[name]}
        if factors:
            steps.append({"op": "scale", "tensor": "pixels", **factors})
        return {"name": "digits-pre", "version": self.version, "kind": "declarative", "config": {"steps": steps}}


RAW = Scaling("1.0.0")
UNIT = Scaling("1.1.0", multiply=1 / 16)
CENTRED = Scaling("1.2.0", multiply=1 / 8, add=-1.0)
"""-1 to 1. Nobody ever pinned it: see version 1.2.0."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted classifier and the scaling that it was fitted with."""

    estimator: Estimator
    scaling: Scaling
    hyperparameters: Json

    def probabilities(self, pixels: Pixels, *, pinned: Scaling | None = None) -> Probabilities:
        """What it answers when `pinned` prepares the pixels: its own scaling, if nothing else is given."""
        shares: Probabilities = self.estimator.predict_proba((pinned or self.scaling)(pixels))
        return shares

    @property
    def onnx(self) -> bytes:
        """The graph, without the scaling."""
        inputs = [("pixels", FloatTensorType([None, 64]))]
        return export_classifier(self.estimator, classifier=self.estimator, name="digits", inputs=inputs, classes=len(NAMES))


def train_logistic(data: Digits) -> Trained:
    """A logistic regression on the pixels as they come."""
    settings: Json = {"C": 0.01, "max_iter": 2000}
    return _fit(LogisticRegression(**settings), data, RAW, {"model": "LogisticRegression", **settings})


def train_network(data: Digits, scaling: Scaling, *, activation: str, alpha: float, seed: int) -> Trained:
    """One hidden layer of 32, stopped early: it is good long before the optimizer is content."""
    settings: Json = {
        "hidden_layer_sizes": [32],
        "activation": activation,
        "alpha": alpha,
        "solver": "lbfgs",
        "max_iter": 60,
        "random_state": seed,
    }
    return _fit(MLPClassifier(**settings), data, scaling, {"model": "MLPClassifier", **settings})


def _fit(estimator: Estimator, data: Digits, scaling: Scaling, hyperparameters: Json) -> Trained:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(scaling(data.train_pixels), data.train_classes)
    return Trained(estimator, scaling, {**hyperparameters, "trained_on": f"pixels * {scaling.multiply} + {scaling.add}"})
