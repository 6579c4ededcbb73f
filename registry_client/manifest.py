"""The manifest: what a version is, as one canonical document whose sha256 is the version's identity.

Every byte that is ever loaded is named here with its digest, so verifying the manifest verifies the bundle.
The canonical form is RFC 8785 JSON. This module is pure: it reads no files.
"""

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec
import rfc8785

from registry_client.decoding import from_json
from registry_client.errors import InvalidManifest
from registry_client.versions import ModelVersion

FORMAT: Final = 1

LONGEST_FAMILY = 63
_FAMILY = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*\Z"  # \Z, not $: that would let a final newline through
FamilyName = Annotated[str, msgspec.Meta(pattern=_FAMILY, max_length=LONGEST_FAMILY)]
"""Lower-case words joined by single dashes: safe in a URL, a path, a metric label and an OCI repository name."""

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
BundlePath = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\Z", max_length=200)]
"""A relative path inside the bundle; no part starts with a dot, so it can never climb out."""


class Datatype(StrEnum):
    """Tensor datatypes of the Open Inference Protocol v2."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    BF16 = "BF16"
    FP32 = "FP32"
    FP64 = "FP64"
    BYTES = "BYTES"


class ComponentKind(StrEnum):
    """How a pipeline component is carried out."""

    DECLARATIVE = "declarative"
    ONNX = "onnx"
    PYTHON = "python"


class Role(StrEnum):
    """What a file of the bundle is for."""

    MODEL = "model"
    WEIGHTS = "weights"
    COMPONENT = "component"
    GOLDEN = "golden"
    LOCK = "lock"
    WHEEL = "wheel"
    """A package that the lock pins, so that no index is needed where the version is loaded."""
    DOC = "doc"


class Node(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the manifest: immutable, and a field nobody knows is an error."""


class Predecessor(Node, frozen=True, kw_only=True):
    """The version this one supersedes, and by digest exactly which bytes that was."""

    version: str
    digest: Sha256 | None = None


class Task(Node, frozen=True, kw_only=True):
    """What the family is asked to do; a change of any of it breaks the interface."""

    type: str
    taxonomy: str | None = None
    primary_metric: str | None = None


class Artifact(Node, frozen=True, kw_only=True):
    """One file of the bundle. `size` is in bytes."""

    path: BundlePath
    role: Role
    media_type: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Sha256


Domain = Literal["ai.onnx.contrib"]
"""A domain of operators that a component must ask for: those of onnxruntime-extensions, tokenizers among them."""


class Component(Node, frozen=True, kw_only=True):
    """A pre- or postprocessing step, itself versioned; `sha256` covers its kind, entry, files and config."""

    name: FamilyName
    version: str
    kind: ComponentKind
    entry: str | None = None
    """`onnx`: the graph's path in the bundle. `python`: `module:factory`. `declarative`: none."""
    files: tuple[BundlePath, ...] = ()
    config: dict[str, Any] = {}
    sha256: Sha256
    domains: tuple[Domain, ...] | msgspec.UnsetType = msgspec.UNSET
    """`onnx`: the domains of operators beyond the usual that its graph may use; unset stays out of the canonical form."""


class Lock(Node, frozen=True, kw_only=True):
    """The exact dependencies of the bundle's Python components: a hash-pinned requirements file in the bundle."""

    python: str
    requirements: BundlePath
    sha256: Sha256


class Pipeline(Node, frozen=True, kw_only=True):
    """What turns a request into the model's tensors and the model's tensors into the answer."""

    pre: Component | None = None
    post: Component | None = None
    lock: Lock | None = None

    @property
    def components(self) -> tuple[Component, ...]:
        """The components there are, in the order they run."""
        return tuple(component for component in (self.pre, self.post) if component is not None)


class TensorSpec(Node, frozen=True, kw_only=True):
    """One tensor of the interface. `shape`: -1 is a dynamic dimension; the first dimension is the batch."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    datatype: Datatype
    shape: Annotated[tuple[Annotated[int, msgspec.Meta(ge=-1)], ...], msgspec.Meta(min_length=1, max_length=8)]
    optional: bool = False
    by_label: bool = False
    """Plain JSON shows the last axis as an object keyed by `interface.labels.names`."""


class Labels(Node, frozen=True, kw_only=True):
    """The class labels of the interface, in the order of any axis marked `by_label`."""

    names: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    policy: Literal["closed", "extensible"] = "closed"


class Wire(StrEnum):
    """A form in which callers speak: plain JSON by names, or tensors that name their datatype and shape."""

    JSON = "json"
    TENSOR = "tensor"


class Interface(Node, frozen=True, kw_only=True):
    """The external contract: what a caller sends and gets, before `pre` and after `post`."""

    inputs: Annotated[tuple[TensorSpec, ...], msgspec.Meta(min_length=1)]
    outputs: Annotated[tuple[TensorSpec, ...], msgspec.Meta(min_length=1)]
    request: dict[str, Any] | None = None
    """JSON Schema (2020-12) of one plain JSON instance, where the author wants more than the tensors say."""
    response: dict[str, Any] | None = None
    labels: Labels | None = None
    score_kind: str | None = None
    unknown_inputs: Literal["reject", "ignore"] = "reject"
    wires: Annotated[tuple[Wire, ...], msgspec.Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    """What callers are promised; left out, both. Unset fields stay out of the canonical form, so older manifests keep their digest."""

    @property
    def promised(self) -> frozenset[Wire]:
        """The wires that callers may use."""
        return frozenset(Wire) if self.wires is msgspec.UNSET else frozenset(self.wires)


class Dataset(Node, frozen=True, kw_only=True):
    """Data that the version was trained or evaluated on."""

    name: str
    version: str | None = None
    sha256: Sha256 | None = None


class Provenance(Node, frozen=True, kw_only=True):
    """Where the version comes from."""

    repository: str | None = None
    commit: str | None = None
    datasets: tuple[Dataset, ...] = ()
    hyperparameters: dict[str, Any] = {}
    training_run: str | None = None
    parents: tuple[str, ...] = ()


class Evaluation(Node, frozen=True, kw_only=True):
    """One measured figure: metric value on a dataset (or a slice of it) of `n` examples, with its interval."""

    dataset: str
    metric: str
    value: float
    slice: str | None = None
    n: int | None = None
    ci: tuple[float, float] | None = None


class Waiver(Node, frozen=True, kw_only=True):
    """A rule of the semver gate set aside, by whom and why."""

    rule: str
    reason: str
    by: str


Step = Literal["major", "minor", "patch", "first"]


class Change(Node, frozen=True, kw_only=True):
    """The declared bump and what was computed of the real one."""

    declared: Step | None = None
    computed_min: Step | None = None
    interface_diff: tuple[str, ...] = ()
    """Each the id of a rule, a colon and a sentence."""
    behaviour: str | None = None
    """What changed, in the author's words."""
    waivers: tuple[Waiver, ...] = ()
    slices: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    """Slices of the golden examples that the author declared, before anything ran, to be answered differently."""
    behaviour_diff: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    """As `interface_diff`, of what both versions answered; unset where they were not run."""
    compared_with: tuple[Predecessor, ...] | msgspec.UnsetType = msgspec.UNSET
    """The versions that it was judged against."""


class Slo(Node, frozen=True, kw_only=True):
    """What the version promises: latency in milliseconds, availability as a fraction."""

    p99_ms: float | None = None
    availability: float | None = None


class Serving(Node, frozen=True, kw_only=True):
    """What the version needs to run. `cpu`: intra-op threads; `mem_mb`: MiB; `max_batch`: rows in one run."""

    runtime: dict[str, str] = {}
    """Version ranges of the runtimes, e.g. `{"onnxruntime": ">=1.20"}`."""
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    cpu: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    mem_mb: Annotated[int, msgspec.Meta(ge=1)] | None = None
    gpu: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    max_batch: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 64
    slo: Slo = Slo()


class Manifest(Node, frozen=True, kw_only=True):
    """The whole description of one version. Build it with `registry_client.bundle`, read it with `parse_manifest`."""

    format: Literal[1] = FORMAT
    family: FamilyName
    version: str
    supersedes: Predecessor | None = None
    created_at: str
    created_by: str
    task: Task
    artifacts: Annotated[tuple[Artifact, ...], msgspec.Meta(min_length=1)]
    pipeline: Pipeline = Pipeline()
    interface: Interface
    provenance: Provenance = Provenance()
    evaluation: tuple[Evaluation, ...] = ()
    change: Change = Change()
    serving: Serving = Serving()
    licenses: tuple[str, ...] = ()
    docs: str = ""
    behaviour_sha256: Sha256 | msgspec.UnsetType = msgspec.UNSET
    """What answers, and nothing that only describes it: the graph without its words, the components, the lock."""

    def __post_init__(self) -> None:
        """Refuse a manifest that contradicts itself."""
        ModelVersion.parse(self.version)
        _refuse_duplicates("artifacts[].path", [artifact.path for artifact in self.artifacts])
        _refuse_duplicates("interface.inputs[].name", [tensor.name for tensor in self.interface.inputs])
        _refuse_duplicates("interface.outputs[].name", [tensor.name for tensor in self.interface.outputs])
        models = [artifact.path for artifact in self.artifacts if artifact.role is Role.MODEL]
        if len(models) != 1:
            msg = f"artifacts must hold exactly one file of role 'model', not {len(models)}"
            raise ValueError(msg)
        self._refuse_dangling_files()
        self._refuse_files_under_files()

    def _refuse_dangling_files(self) -> None:
        known = {artifact.path for artifact in self.artifacts}
        named = [path for component in self.pipeline.components for path in component.files]
        if self.pipeline.lock is not None:
            named.append(self.pipeline.lock.requirements)
        missing = [path for path in named if path not in known]
        if missing:
            msg = f"pipeline names files that artifacts does not list: {', '.join(missing)}"
            raise ValueError(msg)

    def _refuse_files_under_files(self) -> None:
        known = {artifact.path for artifact in self.artifacts}
        for path in known:
            if any(path.startswith(f"{other}/") for other in known):
                msg = f"artifacts holds {path} under what is itself a file"
                raise ValueError(msg)

    @property
    def model_version(self) -> ModelVersion:
        """The version, parsed."""
        return ModelVersion.parse(self.version)

    @property
    def model(self) -> Artifact:
        """The file that is the model."""
        return next(self.of_role(Role.MODEL))

    def of_role(self, role: Role) -> Iterator[Artifact]:
        """The files of one role, in manifest order."""
        return (artifact for artifact in self.artifacts if artifact.role is role)

    def canonical(self) -> bytes:
        """The RFC 8785 form: the bytes that are stored, hashed and signed."""
        return rfc8785.dumps(msgspec.to_builtins(self))

    @property
    def digest(self) -> str:
        """The version's identity: sha256 (hex) of the canonical form."""
        return hashlib.sha256(self.canonical()).hexdigest()


def is_family_name(text: str) -> bool:
    """Whether the text may name a family."""
    return len(text) <= LONGEST_FAMILY and re.match(_FAMILY, text) is not None


def parse_manifest(document: bytes) -> Manifest:
    """Read a manifest, refusing unknown fields, wrong types, false digests of what it holds, and bytes that are not the canonical form.

    Raises `InvalidManifest`, naming the field.
    """
    try:
        manifest = from_json(document, Manifest)
        canonical = manifest.canonical()
        _refuse_untimely(manifest.created_at)
        _refuse_false_digests(manifest)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidManifest(str(error)) from error
    if canonical != document:
        reason = "the bytes are not the canonical (RFC 8785) form of what they say"
        raise InvalidManifest(reason)
    return manifest


def _refuse_untimely(text: str) -> None:
    if datetime.fromisoformat(text).tzinfo is None:
        msg = f"created_at has no zone: {text!r}"
        raise ValueError(msg)


def _refuse_false_digests(manifest: Manifest) -> None:
    """Components and environments are known by these digests, to other versions too: they must be those of what is in them."""
    files = {artifact.path: artifact.sha256 for artifact in manifest.artifacts}
    for component in manifest.pipeline.components:
        if component_digest(msgspec.to_builtins(component), {path: files[path] for path in component.files}) != component.sha256:
            msg = f"pipeline: sha256 of {component.name} {component.version} is not the digest of what it holds"
            raise ValueError(msg)
    lock = manifest.pipeline.lock
    if lock is not None and lock.sha256 != files[lock.requirements]:
        msg = f"pipeline.lock.sha256 is not the digest of {lock.requirements}"
        raise ValueError(msg)


def component_digest(component: dict[str, Any], file_digests: dict[str, str]) -> str:
    """The identity of a component: sha256 of its kind, name, version, entry, config, domains if any, and each file's digest."""
    identity = {key: component.get(key) for key in ("name", "version", "kind", "entry", "config")}
    if component.get("domains"):
        identity["domains"] = component["domains"]
    return hashlib.sha256(rfc8785.dumps({**identity, "files": file_digests})).hexdigest()


def _refuse_duplicates(field: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        msg = f"{field} repeats {', '.join(repeated)}"
        raise ValueError(msg)
