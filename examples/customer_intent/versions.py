"""The versions of `customer-intent`: 2.4.0, its preprocessing fix 2.4.1, and 2.5.0, retrained with its classes in another order.

Every version pins the label map of its own training, so the same names come out in the same order, whatever the indexes mean.
"""

from dataclasses import dataclass

from examples.bundles import Draft, Json, golden_example
from examples.customer_intent.data import HELD_OUT, TAXONOMY, Utterances
from examples.customer_intent.models import AS_TYPED, LOWER_CASE, Preparation, Trained, train
from examples.evaluation import accuracy

FAMILY = "customer-intent"
CAPITALS = "capitals"
INTERFACE: Json = {
    "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
    "outputs": [
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(TAXONOMY)], "by_label": True},
    ],
    "labels": {"names": list(TAXONOMY), "policy": "closed"},
    "score_kind": "probability",
}


@dataclass(frozen=True, slots=True)
class Release:
    """What distinguishes one version."""

    version: str
    date: str
    model: Trained
    preparation: Preparation
    post_version: str
    declared: str
    behaviour: str
    docs: str
    supersedes: str | None = None
    slices: tuple[str, ...] = ()
    """Parts of the requests that it is declared to answer otherwise than the version before."""

    @property
    def post(self) -> Json:
        """The label map, pinned: class indexes to names, and the probabilities into the interface's order."""
        encoding = self.model.encoding
        steps: list[Json] = [
            {"op": "argmax", "tensor": "probabilities", "to": "label"},
            {"op": "label_map", "tensor": "label", "labels": list(encoding)},
        ]
        if encoding != TAXONOMY:
            steps.append({"op": "reorder", "tensor": "probabilities", "order": [encoding.index(label) for label in TAXONOMY]})
        return {"name": "intent-post", "version": self.post_version, "kind": "declarative", "config": {"steps": steps}}


def drafts(data: Utterances) -> list[Draft]:
    """All versions, oldest first."""
    words = train(data, TAXONOMY, ngrams=(1, 1), strength=10.0)
    retrained = train(data, tuple(sorted(TAXONOMY)), ngrams=(1, 2), strength=30.0)
    return [_draft(release, data) for release in (_first(words), _capitals_fix(words), _retrained(retrained))]


def _first(model: Trained) -> Release:
    return Release(
        version="2.4.0",
        date="2026-01-12T09:00:00Z",
        model=model,
        preparation=AS_TYPED,
        post_version="1.0.0",
        declared="first",
        behaviour="the first version in this registry",
        docs="TF-IDF over words and a logistic regression. Does not understand text in capitals.",
    )


def _capitals_fix(model: Trained) -> Release:
    return Release(
        version="2.4.1",
        date="2026-01-26T09:00:00Z",
        model=model,
        preparation=LOWER_CASE,
        post_version="1.0.0",
        declared="patch",
        behaviour=f"differs only on the slice {CAPITALS}: text is lower-cased first",
        docs="The model of 2.4.0, byte for byte, behind a preprocessing that lower-cases the text.",
        supersedes="2.4.0",
        slices=(CAPITALS,),
    )


def _retrained(model: Trained) -> Release:
    return Release(
        version="2.5.0",
        date="2026-03-16T09:00:00Z",
        model=model,
        preparation=LOWER_CASE,
        post_version="1.1.0",
        declared="minor",
        behaviour="retrained with word pairs; its class indexes are in alphabetical order, which its own label map undoes",
        docs="Retrained with word pairs. Its classes are numbered in another order than before; the pinned label map takes care of it.",
        supersedes="2.4.1",
    )


def _draft(release: Release, data: Utterances) -> Draft:
    measured = [_measured(release, data), _measured(release, data, capitals=True)]
    return Draft(
        description=_description(release, data, measured),
        model=release.model.onnx,
        golden=_golden(release, data),
        card=_card(release, measured),
    )


def _measured(release: Release, data: Utterances, *, capitals: bool = False) -> Json:
    texts = [text.upper() for text in data.texts] if capitals else data.texts
    return accuracy(HELD_OUT, release.model.labels(release.preparation(texts)), data.intents, part=CAPITALS if capitals else None)


def _golden(release: Release, data: Utterances) -> list[Json]:
    """The first held-out text of each intent that is answered right; from the fix on, one in capitals too."""
    answers = release.model.labels(release.preparation(data.texts))
    right = [text for text, answer, intent in zip(data.texts, answers, data.intents, strict=True) if answer == intent]
    by_intent = {release.model.labels([text])[0]: text for text in reversed(right)}
    examples = [_golden_example(release.model, release.preparation, intent, by_intent[intent]) for intent in TAXONOMY]
    if release.preparation.lowercases:
        shouted = _golden_example(release.model, release.preparation, f"{TAXONOMY[0]} in capitals", by_intent[TAXONOMY[0]].upper())
        examples.append({**shouted, "slice": CAPITALS})
    return examples


def _golden_example(model: Trained, preparation: Preparation, name: str, text: str) -> Json:
    prepared = preparation([text])
    shares = dict(zip(model.encoding, model.probabilities(prepared)[0].tolist(), strict=True))
    return golden_example(name, {"text": text}, model.labels(prepared)[0], {label: shares[label] for label in TAXONOMY})


def _description(release: Release, data: Utterances, measured: list[Json]) -> Json:
    return {
        "family": FAMILY,
        "version": release.version,
        **({} if release.supersedes is None else {"supersedes": {"version": release.supersedes}}),
        "created_by": "examples",
        "created_at": release.date,
        "docs": release.docs,
        "task": {"type": "classification", "taxonomy": "customer-intents-v1", "primary_metric": "accuracy"},
        "model": "model.onnx",
        "golden": "golden.jsonl",
        "doc_files": ["CARD.md"],
        "pipeline": {"pre": release.preparation.component, "post": release.post},
        "interface": INTERFACE,
        "provenance": {
            "datasets": [{"name": "customer-utterances", "sha256": data.sha256}],
            "hyperparameters": release.model.hyperparameters,
            "training_run": "python -m examples.train",
        },
        "evaluation": measured,
        "change": {
            "declared": release.declared,
            "behaviour": release.behaviour,
            **({"slices": list(release.slices)} if release.slices else {}),
        },
        "serving": {"runtime": {"onnxruntime": ">=1.20"}, "cpu": 1, "max_batch": 64},
        "licenses": ["Apache-2.0"],
    }


def _card(release: Release, measured: list[Json]) -> str:
    lines = [f"- Accuracy {entry['value']:.3f} on {entry['n']} held-out utterances{_where(entry)}." for entry in measured]
    return f"""# customer-intent {release.version}

{release.docs}

- In: what a customer typed, in English. Out: one of {len(TAXONOMY)} intents and a probability for each.
- Change: {release.behaviour}.
{chr(10).join(lines)}
- Data: {len(TAXONOMY) * 50} utterances written by hand for this example; a small model for a small set.
"""


def _where(entry: Json) -> str:
    return " in capitals" if entry.get("slice") == CAPITALS else " as typed"
