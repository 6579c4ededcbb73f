"""How two versions differ in what they answer: the golden examples of both, run through both on one machine."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from registry_client.compatibility import rules
from registry_client.compatibility.rules import Change
from registry_client.manifest import Change as ManifestChange
from registry_client.manifest import Manifest

EMBEDDING = "embedding"
"""The `task.type` whose answers callers keep and compare with later ones."""
_NAMED = 3
"""Examples named in one sentence."""


class Outcome(StrEnum):
    """What came of one golden request."""

    EQUAL = "equal"
    DIFFERS = "differs"
    REFUSED = "refused"
    """The older version answered it, the newer does not."""
    NEW = "new"
    """Only the newer version answers it: there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One golden example, and how the newer answer stands to the older."""

    example: str
    slice: str | None
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What was seen of two versions side by side. `unseen` says why nothing was, when nothing was."""

    compared: tuple[Compared, ...] = ()
    unseen: str = ""

    def of(self, *outcomes: Outcome) -> tuple[Compared, ...]:
        """The examples with one of these outcomes."""
        return tuple(each for each in self.compared if each.outcome in outcomes)


@dataclass(frozen=True, slots=True)
class Precision:
    """The bits of the narrowest weights of two graphs, and the operators that only the newer has to compute with less."""

    before: int
    after: int
    operators: frozenset[str] = frozenset()

    @property
    def is_lower(self) -> bool:
        """Whether the newer graph computes in lower precision."""
        return bool(self.operators) or 0 < self.after < self.before

    def __str__(self) -> str:
        if self.operators:
            return f"it computes with {', '.join(sorted(self.operators)[:_NAMED])}"
        return f"its weights have {self.after} bits, and had {self.before}"


def quantising(operators: Iterable[str]) -> frozenset[str]:
    """The operators that compute with integers in place of floats, whatever domain they are of."""
    marks = ("Quantize", "QLinear", "MatMulInteger", "ConvInteger", "QAttention", "QGemm", "MatMulNBits", "DequantizeLinear")
    return frozenset(name for name in operators if any(mark in name for mark in marks))


def behaviour_changes(old: Manifest, new: Manifest, seen: Behaviour | None, precision: Precision | None) -> Iterator[Change]:
    """What changed in the answers. `seen`: None where the versions were not run; then only the manifests speak."""
    if _says_the_same(old, new):
        yield Change(rules.NOTHING_CHANGED, f"nothing differs from {old.version} but the version's name")
        return
    if _answers_the_same(old, new):
        if (old.task, old.interface) == (new.task, new.interface):
            yield Change(rules.METADATA_ONLY, "only metadata differs: graph, components and lock compute the same")
        elif seen is not None:  # the interface takes part in answering: it refuses, and gives answers their form
            yield from (change for change in _seen_changes(old, new, seen) if change.rule in _SHOWN_BY_ANSWERS)
        return
    if precision is not None and precision.is_lower:
        yield Change(rules.MODEL_QUANTISED, f"the model is quantised: {precision}")
    if seen is not None:
        yield from _seen_changes(old, new, seen)


_SHOWN_BY_ANSWERS = (rules.GOLDEN_REFUSED, rules.GOLDEN_DIFFERS, rules.GOLDEN_DIFFERS_ON_SLICE)


def _says_the_same(old: Manifest, new: Manifest) -> bool:
    bare = [
        msgspec.structs.replace(each, version="0.0.0", created_at="", created_by="", supersedes=None, change=ManifestChange())
        for each in (old, new)
    ]
    if msgspec.UNSET in {old.behaviour_sha256, new.behaviour_sha256}:  # published before there was one: the artifacts tell as well
        bare = [msgspec.structs.replace(each, behaviour_sha256=msgspec.UNSET) for each in bare]
    return bare[0] == bare[1]


def _answers_the_same(old: Manifest, new: Manifest) -> bool:
    return old.behaviour_sha256 is not msgspec.UNSET and old.behaviour_sha256 == new.behaviour_sha256


def _seen_changes(old: Manifest, new: Manifest, seen: Behaviour) -> Iterator[Change]:
    refused, both = seen.of(Outcome.REFUSED), seen.of(Outcome.EQUAL, Outcome.DIFFERS)
    if refused:
        yield Change(rules.GOLDEN_REFUSED, f"{new.version} does not answer {_named(refused)}")
    if not both:
        if not refused:
            yield _unseen(old, new, seen.unseen or "there are no golden examples that both answer")
        return
    differing = seen.of(Outcome.DIFFERS)
    declared = _slices(new)
    outside = tuple(each for each in differing if each.slice not in declared)
    if outside:
        yield _differs(old, new, f"{len(outside)} of {len(both)} golden answers differ: {_named(outside)}")
    elif differing and all(each.slice in declared for each in both):
        yield _differs(old, new, "every golden example lies on a declared slice, so nothing shows that the rest is as it was")
    elif differing:
        where = ", ".join(sorted({str(each.slice) for each in differing}))
        text = f"{len(differing)} of {len(both)} golden answers differ, all of them on the declared slice {where}"
        yield Change(rules.GOLDEN_DIFFERS_ON_SLICE, text)
    else:
        yield Change(rules.GOLDEN_EQUAL, f"all {len(both)} golden answers are equal within their tolerance")


def _differs(old: Manifest, new: Manifest, text: str) -> Change:
    return Change(rules.EMBEDDING_RETRAINED if _is_embedding(old, new) else rules.GOLDEN_DIFFERS, text)


def _unseen(old: Manifest, new: Manifest, why: str) -> Change:
    rule = rules.EMBEDDING_RETRAINED if _is_embedding(old, new) else rules.BEHAVIOUR_UNSEEN
    return Change(rule, f"whether answers changed is not known: {why}")


def _is_embedding(old: Manifest, new: Manifest) -> bool:
    return old.task.type == new.task.type == EMBEDDING


def _slices(manifest: Manifest) -> tuple[str, ...]:
    slices = manifest.change.slices
    return () if slices is msgspec.UNSET else slices


def _named(examples: tuple[Compared, ...]) -> str:
    """The first of the examples with what became of them."""
    named = [f"{each.example!r} ({each.detail})" if each.detail else repr(each.example) for each in examples[:_NAMED]]
    more = len(examples) - len(named)
    return "; ".join(named) + (f" and {more} more" if more else "")
