"""What an author writes: `model.yaml`, read strictly into typed form. Reads text only; the files it names are `bundle`'s business."""

import re
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from registry_client.compatibility.rules import RULE_IDS
from registry_client.decoding import from_plain
from registry_client.errors import InvalidBundle, InvalidVersion
from registry_client.locks import check_python
from registry_client.manifest import (
    BundlePath,
    ComponentKind,
    Domain,
    Evaluation,
    FamilyName,
    Interface,
    Node,
    Predecessor,
    Provenance,
    Serving,
    Sha256,
    Task,
    Waiver,
)
from registry_client.strict_yaml import UnreadableYaml, read_yaml
from registry_client.versions import ModelVersion

FILE_NAME = "model.yaml"


class AuthoredComponent(Node, frozen=True, kw_only=True):
    """A pre- or postprocessing step as its author describes it."""

    name: FamilyName
    version: str
    kind: ComponentKind
    entry: str | None = None
    files: tuple[BundlePath, ...] = ()
    config: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies it for each instance
    domains: tuple[Domain, ...] = ()


ComponentReference = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]*@[0-9][0-9A-Za-z.-]*\Z", max_length=160)]
"""`name@version`: exactly one component of the library that comes with the registry."""


class AuthoredLock(Node, frozen=True, kw_only=True):
    """The dependencies of the Python components: the Python version, a hash-pinned requirements file, a folder with its wheels."""

    python: str
    requirements: BundlePath
    wheels: BundlePath | None = None


class AuthoredPipeline(Node, frozen=True, kw_only=True):
    """The components around the model."""

    pre: AuthoredComponent | ComponentReference | None = None
    post: AuthoredComponent | ComponentReference | None = None
    lock: AuthoredLock | None = None

    @property
    def components(self) -> tuple[tuple[str, AuthoredComponent], ...]:
        """The components that are written out, each with its place in model.yaml."""
        return tuple((f"pipeline.{field}", part) for field, part in self._parts if isinstance(part, AuthoredComponent))

    @property
    def references(self) -> tuple[tuple[str, str], ...]:
        """The components that a library has, each with its field."""
        return tuple((field, part) for field, part in self._parts if isinstance(part, str))

    @property
    def _parts(self) -> tuple[tuple[str, AuthoredComponent | str | None], ...]:
        return (("pre", self.pre), ("post", self.post))


class AuthoredChange(Node, frozen=True, kw_only=True):
    """What the author says of the change; the gate computes the rest."""

    declared: Literal["major", "minor", "patch", "first"] | None = None
    behaviour: str | None = None
    waivers: tuple[Waiver, ...] = ()
    slices: tuple[str, ...] = ()


class ModelYaml(Node, frozen=True, kw_only=True):
    """The manifest's fields, minus what is computed from the files."""

    family: FamilyName
    version: str
    supersedes: Predecessor | None = None
    created_by: str | None = None
    created_at: str | None = None
    task: Task
    model: BundlePath
    weights: tuple[BundlePath, ...] = ()
    golden: BundlePath | None = None
    doc_files: tuple[BundlePath, ...] = ()
    pipeline: AuthoredPipeline = AuthoredPipeline()
    interface: Interface
    provenance: Provenance = Provenance()
    evaluation: tuple[Evaluation, ...] = ()
    change: AuthoredChange = AuthoredChange()
    serving: Serving = Serving()
    licenses: tuple[str, ...] = ()
    docs: str = ""


class ComponentYaml(Node, frozen=True, kw_only=True):
    """What an author writes about a component of the library: the component, and words about it."""

    component: AuthoredComponent
    created_by: str | None = None
    docs: str = ""
    licenses: tuple[str, ...] = ()


def parse_component_yaml(text: bytes) -> ComponentYaml:
    """Read a `component.yaml`. Raises `InvalidBundle`, naming the field."""
    try:
        return from_plain(_read(text), ComponentYaml)
    except msgspec.ValidationError as error:
        raise _explained(str(error)) from error


def parse_model_yaml(text: bytes) -> ModelYaml:
    """Read and check a `model.yaml`. Raises `InvalidBundle`, naming the field."""
    written = _read(text)
    try:
        authored = from_plain(written, ModelYaml)
    except msgspec.ValidationError as error:
        raise _explained(str(error)) from error
    _check_version("version", authored.version)
    if authored.supersedes is not None:
        _check_version("supersedes.version", authored.supersedes.version)
    if authored.created_at is not None:
        _check_time(authored.created_at)
    for place, component in authored.pipeline.components:
        check_component(place, component)
    if authored.pipeline.lock is not None:
        check_python(authored.pipeline.lock.python, "pipeline.lock.python")
    for name, wanted in authored.serving.runtime.items():
        _check_range(f"serving.runtime.{name}", wanted)
    for at, waiver in enumerate(authored.change.waivers):
        _check_waiver(f"change.waivers[{at}]", waiver)
    return authored


def _check_version(field: str, text: str) -> None:
    try:
        ModelVersion.parse(text)
    except InvalidVersion as error:
        raise InvalidBundle(field, str(error), error.hint) from error


def _check_range(field: str, text: str) -> None:
    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        reason = f"{text[:40]!r} is no range of versions"
        raise InvalidBundle(field, reason, 'write it as pip does, e.g. ">=1.20,<2"; for one only: "==1.24.3"') from error


def _check_waiver(place: str, waiver: Waiver) -> None:
    if waiver.rule not in RULE_IDS:
        near = get_close_matches(waiver.rule, sorted(RULE_IDS), n=1)
        hint = f"did you mean {near[0]}?" if near else "docs/semver-rules.md lists the rules"
        raise InvalidBundle(field=f"{place}.rule", reason=f"the gate has no rule {waiver.rule[:80]!r}", hint=hint)
    for field, text in (("reason", waiver.reason), ("by", waiver.by)):
        if not text.strip():
            raise InvalidBundle(field=f"{place}.{field}", reason="is empty", hint="a rule is set aside by somebody, for a reason")


def _check_time(text: str) -> None:
    try:
        aware = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise InvalidBundle(field="created_at", reason=f"{text[:40]!r} is not a time with its zone", hint="write e.g. 2026-01-01T00:00:00Z")


def check_component(place: str, component: AuthoredComponent) -> None:
    """Raise `InvalidBundle` for a component that contradicts itself; `place`: where it stands."""
    _check_version(f"{place}.version", component.version)
    if component.domains and component.kind is not ComponentKind.ONNX:
        raise InvalidBundle(field=f"{place}.domains", reason="only the graph of an onnx component has operators")
    match component.kind:
        case ComponentKind.DECLARATIVE:
            if not isinstance(component.config.get("steps"), list) or component.entry is not None:
                raise InvalidBundle(field=f"{place}.config.steps", reason="a declarative component is a list of steps, and has no entry")
        case ComponentKind.ONNX:
            if component.entry not in component.files:
                raise InvalidBundle(field=f"{place}.entry", reason="an onnx component's entry is the graph, one of its files")
        case ComponentKind.PYTHON:
            _check_python(place, component)


def _check_python(place: str, component: AuthoredComponent) -> None:
    module, colon, factory = (component.entry or "").partition(":")
    if not (colon and factory.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise InvalidBundle(field=f"{place}.entry", reason="a python component's entry is module:factory", hint='e.g. entry: "post:build"')
    wanted = module.replace(".", "/") + ".py"
    if wanted not in component.files:
        raise InvalidBundle(field=f"{place}.files", reason=f"they do not hold {wanted}, the module of entry {component.entry!r}")


def _read(text: bytes) -> object:
    try:
        return read_yaml(text)
    except UnreadableYaml as error:
        raise InvalidBundle(FILE_NAME, str(error)) from error


_EXPLANATION = re.compile(r"(?P<reason>.*?)(?: - at `(?:key in )?\$?\.?(?P<field>.*)`)?\Z", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)


def _explained(message: str) -> InvalidBundle:
    """Turn msgspec's sentence around: the field first."""
    found = _EXPLANATION.fullmatch(message)
    reason, field = (message, "") if found is None else (found["reason"], found["field"] or "")
    unknown = _UNKNOWN.fullmatch(reason)
    if unknown is not None:
        return InvalidBundle(f"{field}.{unknown['name']}".lstrip("."), "no such field", "see the example bundles for the fields there are")
    if reason == "Expected `object`, got `null`" and not field:
        return InvalidBundle(FILE_NAME, "is empty", "see the example bundles for the fields there are")
    return InvalidBundle(field or FILE_NAME, *_in_words(reason))


_PATTERN = re.compile(r"Expected `str` matching regex '(?P<pattern>.*)'", re.DOTALL)
_LENGTH = re.compile(r"Expected `str` of length <= (?P<most>[0-9]+)")
_FORMS = (
    (FamilyName, "is not made of lower-case words joined by single dashes", "write e.g. customer-intent"),
    (
        BundlePath,
        "is no path inside the folder, of letters, digits, _ . - and /",
        "put the file into the folder, under a name without blanks whose parts begin with a letter, a digit or _",
    ),
    (Sha256, "is no sha256", "write its 64 digits 0-9 and a-f, in lower case"),
    (ComponentReference, "refers to no single component", "write NAME@VERSION, e.g. words@1.3.0"),
)
_IN_WORDS = {repr(get_args(kind)[1].pattern): (reason, hint) for kind, reason, hint in _FORMS}


def _in_words(reason: str) -> tuple[str, str]:
    """What msgspec says of a text, for those who read no regular expressions; and what to do about it."""
    pattern, length = _PATTERN.fullmatch(reason), _LENGTH.fullmatch(reason)
    if pattern is not None:
        return _IN_WORDS.get(f"'{pattern['pattern']}'", (reason, ""))
    if length is not None:
        return f"is longer than {length['most']} characters", "shorten it"
    return reason, "write it in quotes" if reason.startswith("Expected `str`, got") else ""
