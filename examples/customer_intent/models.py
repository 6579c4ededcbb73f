"""The text classifiers of the family, each with the label encoding and the text preparation that belong to it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from examples.bundles import Json
from examples.customer_intent.data import Utterances
from examples.graphs import Estimator, export_classifier

WORDS = "[a-z0-9']+"
"""Understood alike by scikit-learn and by onnxruntime's tokenizer. Capitals are no words: preprocessing decides about them."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """A preprocessing component: what happens to the text before it is cut into words."""

    version: str
    lowercases: bool

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """What the model gets to see."""
        return [text.strip().lower() if self.lowercases else text.strip() for text in texts]

    @property
    def component(self) -> Json:
        """The same, as it is pinned in model.yaml."""
        steps: list[Json] = [{"op": "strip", "tensor": "text"}]
        if self.lowercases:
            steps.append({"op": "lowercase", "tensor": "text"})
        steps.append({"op": "reshape", "tensor": "text", "shape": [-1, 1]})
        return {"name": "intent-pre", "version": self.version, "kind": "declarative", "config": {"steps": steps}}


AS_TYPED = Preparation("1.0.0", lowercases=False)
LOWER_CASE = Preparation("1.0.1", lowercases=True)


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted text pipeline. `encoding`: the label of each class index, in the order this training used."""

    estimator: Estimator
    encoding: tuple[str, ...]
    hyperparameters: Json

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Per text, a probability for each label of the encoding."""
        shares: NDArray[np.float64] = self.estimator.predict_proba(texts)
        return shares

    def labels(self, texts: Sequence[str]) -> list[str]:
        """The most probable label of each text."""
        return [self.encoding[index] for index in self.probabilities(texts).argmax(axis=1)]

    @property
    def onnx(self) -> bytes:
        """The graph, which knows class indexes and no labels."""
        inputs = [("text", StringTensorType([None, 1]))]
        return export_classifier(
            self.estimator, classifier=self.estimator.steps[-1][1], name="customer-intent", inputs=inputs, classes=len(self.encoding)
        )


def train(data: Utterances, encoding: tuple[str, ...], *, ngrams: tuple[int, int], strength: float) -> Trained:
    """TF-IDF over words (and word pairs, if `ngrams` says so) and a logistic regression of that inverse regularization."""
    words = TfidfVectorizer(lowercase=False, token_pattern=WORDS, ngram_range=ngrams)
    classifier = LogisticRegression(C=strength, max_iter=1000)
    estimator = make_pipeline(words, classifier)
    estimator.fit(data.train_texts, [encoding.index(intent) for intent in data.train_intents])
    settings: Json = {"model": "TfidfVectorizer + LogisticRegression", "token_pattern": WORDS, "ngram_range": list(ngrams), "C": strength}
    return Trained(estimator, encoding, settings)
