"""The rules of the semver gate: what may differ between two versions of a family, and the smallest step that allows it.

The table is complete: whatever the gate finds falls under exactly one of these. `docs/semver-rules.md` is written from it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from registry_client.versions import Bump


class Area(StrEnum):
    """What a rule looks at."""

    TASK = "task"
    INPUTS = "inputs"
    OUTPUTS = "outputs"
    LABELS = "labels"
    BEHAVIOUR = "behaviour"


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of difference. `id` stands in waivers and reports, `sentence` says what changed, `why` why it needs that step."""

    id: str
    area: Area
    needs: Bump
    """NONE: no step allows it, the version is refused."""
    sentence: str
    why: str

    @property
    def is_refusal(self) -> bool:
        """Whether no step allows it."""
        return self.needs is Bump.NONE


@dataclass(frozen=True, slots=True)
class Change:
    """One difference that was found between two versions: its rule, and a sentence that names what differs."""

    rule: Rule
    text: str

    @property
    def needs(self) -> Bump:
        """The smallest step that allows it."""
        return self.rule.needs

    def __str__(self) -> str:
        return f"{self.rule.id}: {self.text}"


_MAJOR, _MINOR, _PATCH = Bump.MAJOR, Bump.MINOR, Bump.PATCH

# --- task -----------------------------------------------------------------------------------------------------------

TASK_TYPE = Rule("task-type", Area.TASK, _MAJOR, "task.type changed", "callers asked for another thing")
TASK_TAXONOMY = Rule("task-taxonomy", Area.TASK, _MAJOR, "task.taxonomy changed", "the same words mean other things")
TASK_METRIC = Rule(
    "task-primary-metric", Area.TASK, _MAJOR, "task.primary_metric changed", "what counts as better changed, so evaluations do not compare"
)

# --- inputs: contravariant. What callers send today must still be taken -------------------------------------------------

INPUT_REMOVED = Rule("input-removed", Area.INPUTS, _MAJOR, "an input was removed or renamed", "requests that carry it are refused")
INPUT_REQUIRED_ADDED = Rule("input-required-added", Area.INPUTS, _MAJOR, "a required input was added", "requests that lack it are refused")
INPUT_OPTIONAL_ADDED = Rule(
    "input-optional-added",
    Area.INPUTS,
    _MINOR,
    "an optional input was added (in ONNX, an overridable initializer)",
    "callers may send more",
)
INPUT_NOW_REQUIRED = Rule("input-now-required", Area.INPUTS, _MAJOR, "an optional input became required", "requests without it are refused")
INPUT_NOW_OPTIONAL = Rule("input-now-optional", Area.INPUTS, _MINOR, "a required input became optional", "callers may send less")
INPUT_RANK = Rule("input-rank", Area.INPUTS, _MAJOR, "an input has another number of dimensions", "every request is nested otherwise")
INPUT_DIMENSION_FIXED = Rule(
    "input-dimension-fixed", Area.INPUTS, _MAJOR, "a dynamic dimension of an input became fixed", "other sizes are refused"
)
INPUT_DIMENSION_CHANGED = Rule(
    "input-dimension-changed", Area.INPUTS, _MAJOR, "a fixed dimension of an input has another size", "the old size is refused"
)
INPUT_DIMENSION_FREED = Rule(
    "input-dimension-freed", Area.INPUTS, _MINOR, "a fixed dimension of an input became dynamic", "callers may send other sizes"
)
INPUT_WIDENED_JSON = Rule(
    "input-widened-json",
    Area.INPUTS,
    _MINOR,
    "an input's datatype was widened, where plain JSON is promised",
    "every number that was taken still is",
)
INPUT_WIDENED_TENSOR = Rule(
    "input-widened-tensor",
    Area.INPUTS,
    _MAJOR,
    "an input's datatype was widened, where the tensor wire is promised",
    "a tensor names its datatype; ONNX Runtime refuses INT32 for INT64",
)
INPUT_DATATYPE = Rule(
    "input-datatype", Area.INPUTS, _MAJOR, "an input's datatype was narrowed, or is of another kind", "values that were taken are refused"
)
INPUT_JSON_FORM = Rule(
    "input-json-form", Area.INPUTS, _MAJOR, "an input's plain JSON form changed (by_label)", "a list became an object, or an object a list"
)
INPUT_TIGHTENED = Rule(
    "input-constraint-tightened", Area.INPUTS, _MAJOR, "the request schema refuses more", "requests that were taken are refused"
)
INPUT_LOOSENED = Rule("input-constraint-loosened", Area.INPUTS, _MINOR, "the request schema refuses less", "callers may send more")
INPUT_UNCLEAR = Rule(
    "input-constraint-unclear",
    Area.INPUTS,
    _MAJOR,
    "the request schema changed in a way that cannot be ordered",
    "whether it refuses what was taken cannot be told from the schemas",
)
UNKNOWN_INPUTS_REFUSED = Rule(
    "unknown-inputs-refused",
    Area.INPUTS,
    _MAJOR,
    "unknown inputs were ignored and are refused",
    "requests with more than needed are refused",
)
UNKNOWN_INPUTS_IGNORED = Rule(
    "unknown-inputs-ignored", Area.INPUTS, _MINOR, "unknown inputs were refused and are ignored", "callers may send more"
)
WIRE_REMOVED = Rule("wire-removed", Area.INPUTS, _MAJOR, "a wire (plain JSON or tensors) is no longer promised", "its callers are left out")
WIRE_ADDED = Rule("wire-added", Area.INPUTS, _MINOR, "a wire is promised from now on", "callers may come another way")

# --- outputs: covariant. What callers read today must still be there ----------------------------------------------------

OUTPUT_REMOVED = Rule("output-removed", Area.OUTPUTS, _MAJOR, "an output was removed or renamed", "callers who read it find nothing")
OUTPUT_ADDED = Rule("output-added", Area.OUTPUTS, _MINOR, "an output was added", "callers may read more")
OUTPUT_NOW_OPTIONAL = Rule(
    "output-now-optional", Area.OUTPUTS, _MAJOR, "an output may now be left out", "callers who read it may find nothing"
)
OUTPUT_NOW_CERTAIN = Rule("output-now-certain", Area.OUTPUTS, _MINOR, "an optional output is now always there", "callers may rely on it")
OUTPUT_RANK = Rule("output-rank", Area.OUTPUTS, _MAJOR, "an output has another number of dimensions", "every answer is nested otherwise")
OUTPUT_DIMENSION_FREED = Rule(
    "output-dimension-freed", Area.OUTPUTS, _MAJOR, "a fixed dimension of an output became dynamic", "callers counted on the size"
)
OUTPUT_DIMENSION_CHANGED = Rule(
    "output-dimension-changed",
    Area.OUTPUTS,
    _MAJOR,
    "a fixed dimension of an output has another size: other classes, another embedding",
    "callers counted on the size",
)
OUTPUT_DIMENSION_FIXED = Rule(
    "output-dimension-fixed", Area.OUTPUTS, _MINOR, "a dynamic dimension of an output became fixed", "callers may count on the size"
)
OUTPUT_DATATYPE_TENSOR = Rule(
    "output-datatype-tensor",
    Area.OUTPUTS,
    _MAJOR,
    "an output's datatype changed, where the tensor wire is promised",
    "callers read bytes of a size and kind",
)
OUTPUT_DATATYPE_JSON = Rule(
    "output-datatype-json",
    Area.OUTPUTS,
    _MINOR,
    "an output's datatype changed within its kind, where plain JSON is promised",
    "a whole number stays one, and so do other numbers; their digits differ",
)
OUTPUT_KIND_JSON = Rule(
    "output-kind-json",
    Area.OUTPUTS,
    _MAJOR,
    "an output is of another kind in plain JSON: whole numbers, numbers, texts, truth values",
    "callers parse another type",
)
OUTPUT_JSON_FORM = Rule(
    "output-json-form",
    Area.OUTPUTS,
    _MAJOR,
    "an output's plain JSON form changed (by_label)",
    "a list became an object, or an object a list",
)
OUTPUT_LOOSENED = Rule(
    "output-constraint-loosened", Area.OUTPUTS, _MAJOR, "the response schema promises less", "callers counted on what it promised"
)
OUTPUT_TIGHTENED = Rule("output-constraint-tightened", Area.OUTPUTS, _MINOR, "the response schema promises more", "callers may count on it")
OUTPUT_UNCLEAR = Rule(
    "output-constraint-unclear",
    Area.OUTPUTS,
    _MAJOR,
    "the response schema changed in a way that cannot be ordered",
    "whether it still promises what it did cannot be told from the schemas",
)
SCORE_KIND = Rule("score-kind", Area.OUTPUTS, _MAJOR, "score_kind changed", "a threshold on the scores means another thing")

# --- labels ---------------------------------------------------------------------------------------------------------

LABEL_REMOVED = Rule("label-removed", Area.LABELS, _MAJOR, "a label was removed or renamed", "callers who wait for it wait in vain")
LABEL_ADDED_CLOSED = Rule(
    "label-added-closed", Area.LABELS, _MAJOR, "a label was added to closed ones", "callers handle every label there was"
)
LABEL_ADDED_EXTENSIBLE = Rule(
    "label-added-extensible", Area.LABELS, _MINOR, "a label was added to extensible ones", "callers were told that labels may come"
)
LABELS_REORDERED = Rule(
    "labels-reordered",
    Area.LABELS,
    _MAJOR,
    "the labels are in another order, and callers can see an index",
    "the same index means another label; hidden behind the version's own label map it is no change",
)
LABELS_DROPPED = Rule("labels-dropped", Area.LABELS, _MAJOR, "the label names are gone", "callers look labels up in them")
LABELS_DECLARED = Rule("labels-declared", Area.LABELS, _MINOR, "label names are declared where there were none", "callers may look them up")
LABELS_OPENED = Rule("labels-opened", Area.LABELS, _MAJOR, "closed labels became extensible", "callers must handle labels to come")
LABELS_CLOSED = Rule("labels-closed", Area.LABELS, _MINOR, "extensible labels became closed", "callers may count on the labels there are")

# --- behaviour: what both versions answer to the golden examples of both ------------------------------------------------

GOLDEN_REFUSED = Rule(
    "golden-refused",
    Area.BEHAVIOUR,
    _MAJOR,
    "a golden request that was answered is refused or fails",
    "whatever the interface says, a caller's request is not answered any more",
)
EMBEDDING_RETRAINED = Rule(
    "embedding-retrained",
    Area.BEHAVIOUR,
    _MAJOR,
    "an embedding model gives other vectors, of the same shape",
    "they do not compare with stored ones",
)
GOLDEN_DIFFERS = Rule(
    "golden-differs",
    Area.BEHAVIOUR,
    _MINOR,
    "golden answers differ beyond their tolerance: retrained, fine-tuned, other preprocessing",
    "callers should evaluate again",
)
MODEL_QUANTISED = Rule(
    "model-quantised",
    Area.BEHAVIOUR,
    _MINOR,
    "the graph computes in lower precision: quantised, or with narrower weights",
    "a few golden examples within tolerance do not show what precision costs elsewhere",
)
BEHAVIOUR_UNSEEN = Rule(
    "behaviour-unseen",
    Area.BEHAVIOUR,
    _MINOR,
    "graph, components or lock changed, and no golden example shows whether answers did",
    "nobody has seen that they are equal",
)
GOLDEN_DIFFERS_ON_SLICE = Rule(
    "golden-differs-on-slice",
    Area.BEHAVIOUR,
    _PATCH,
    "golden answers differ only on slices that change.slices declares",
    "a fix of edge cases that was announced",
)
GOLDEN_EQUAL = Rule(
    "golden-equal",
    Area.BEHAVIOUR,
    _PATCH,
    "graph, components or lock changed, and every golden answer is equal",
    "a re-export, a refactoring",
)
METADATA_ONLY = Rule(
    "metadata-only", Area.BEHAVIOUR, _PATCH, "only metadata differs: behaviour_sha256 is equal", "documents, evaluations, provenance"
)
NOTHING_CHANGED = Rule(
    "nothing-changed",
    Area.BEHAVIOUR,
    Bump.NONE,
    "nothing differs but the version's name",
    "a version that says nothing new hides the one it repeats",
)

RULES: Final = tuple(value for value in tuple(globals().values()) if isinstance(value, Rule))
"""All of them, in the order of the table."""

RULE_IDS: Final = frozenset(rule.id for rule in RULES)
