"""Runs the golden examples of a version and of those it is compared with through all of them, and sets the answers side by side.

Loading and running models is serving's business: it is handed in as `Runs`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from registry_client.compatibility.behaviour import Behaviour, Compared, Outcome, Precision, quantising
from registry_client.errors import CannotRun
from registry_client.golden import GoldenExample, differences, parse_golden
from registry_client.graphs import GraphFacts, NotAGraph, read_graph
from registry_client.manifest import Manifest, Role, Serving

Json = dict[str, Any]


class Readable(Protocol):
    """A version whose files lie on this machine: a bundle before it is published, or one that was fetched."""

    @property
    def manifest(self) -> Manifest:
        """What it is."""
        ...

    def path(self, name: str) -> Path:
        """Where one of its files lies."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a version said to one request; without a document, `error` says why there is none."""

    document: Json | None
    error: str = ""


class Runs(Protocol):
    """Runs a version on this machine, through its whole pinned pipeline, with the resources of `serving`.

    Raises `CannotRun`.
    """

    def __call__(self, version: Readable, serving: Serving, requests: Sequence[Json]) -> Sequence[Answer]:
        """Answer the requests, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen of a version. `failures`: of its own golden examples, one sentence each."""

    examples: int
    failures: tuple[str, ...]
    behaviours: Mapping[str, Behaviour] = field(default_factory=dict[str, Behaviour])
    """By the version that it was run beside."""


def observe(version: Readable, baselines: Sequence[Readable], runs: Runs) -> Observed:
    """Run a version beside its baselines. Raises `CannotRun` when the version itself does not load."""
    own = golden_examples(version)
    theirs = [golden_examples(baseline) for baseline in baselines]
    everything = _distinct([*own, *(example for examples in theirs for example in examples)])
    answers = _Answers(version, runs, version.manifest.serving, everything)
    failures = tuple(failure for example in own for failure in _failures(example, answers.to(example)))
    behaviours = {
        baseline.manifest.version: _beside(baseline, _distinct([*own, *examples]), version, answers, runs)
        for baseline, examples in zip(baselines, theirs, strict=True)
    }
    return Observed(len(own), failures, behaviours)


def _beside(baseline: Readable, examples: Sequence[GoldenExample], version: Readable, answers: "_Answers", runs: Runs) -> Behaviour:
    """Both get the resources of the version that is judged: the same provider, the same batch."""
    try:
        theirs = _Answers(baseline, runs, version.manifest.serving, examples)
    except CannotRun as error:
        return Behaviour(unseen=str(error))
    is_older = baseline.manifest.model_version < version.manifest.model_version
    old, new = (theirs, answers) if is_older else (answers, theirs)
    return Behaviour(tuple(_compared(example, old.to(example), new.to(example)) for example in examples))


def precision_of(old: Readable, new: Readable) -> Precision | None:
    """How precisely two versions compute; None where one is no graph."""
    before, after = _facts(old), _facts(new)
    if before is None or after is None:
        return None
    return Precision(before.precision, after.precision, quantising(after.operators) - quantising(before.operators))


def golden_examples(version: Readable) -> tuple[GoldenExample, ...]:
    """The golden examples of a version."""
    paths = [artifact.path for artifact in version.manifest.of_role(Role.GOLDEN)]
    return tuple(example for path in paths for example in parse_golden(version.path(path).read_bytes(), path))


class _Answers:
    """What one version answers to a set of examples."""

    def __init__(self, version: Readable, runs: Runs, serving: Serving, examples: Sequence[GoldenExample]) -> None:
        answers = runs(version, serving, [example.request for example in examples])
        self._by_request = {_key(example): answer for example, answer in zip(examples, answers, strict=True)}

    def to(self, example: GoldenExample) -> Answer:
        """The answer to an example's request."""
        return self._by_request[_key(example)]


def _key(example: GoldenExample) -> bytes:
    return msgspec.json.encode(example.request, order="sorted")


def _distinct(examples: Sequence[GoldenExample]) -> list[GoldenExample]:
    """One example for each request: the first one's name and slice, so the newer version's words, and the tightest tolerance of all."""
    found: dict[bytes, GoldenExample] = {}
    for example in examples:
        key = _key(example)
        found[key] = example if key not in found else found[key].as_strict_as(example)
    return list(found.values())


def _compared(example: GoldenExample, old: Answer, new: Answer) -> Compared:
    if old.document is None:
        return Compared(example.name, example.slice, Outcome.NEW, old.error)
    if new.document is None:
        return Compared(example.name, example.slice, Outcome.REFUSED, new.error)
    # Outputs that only one version has are the interface's matter.
    shared = {name: value for name, value in new.document.items() if name in old.document}
    expected = {name: value for name, value in old.document.items() if name in new.document}
    found = differences(expected, shared, example.atol, example.rtol, most=1)
    return Compared(example.name, example.slice, Outcome.DIFFERS if found else Outcome.EQUAL, "".join(found))


def _failures(example: GoldenExample, answer: Answer) -> list[str]:
    if answer.document is None:
        return [f"golden example {example.name!r} was not answered: {answer.error}"]
    found = example.differences(answer.document)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return [f"golden example {example.name!r}: {found[0]}{more}"] if found else []


def _facts(version: Readable) -> GraphFacts | None:
    try:
        return read_graph(version.path(version.manifest.model.path))
    except NotAGraph:
        return None
