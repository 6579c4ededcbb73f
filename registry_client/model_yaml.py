"""What an author writes: `model.yaml`, read strictly into typed form. Reads text only; the files it names are `bundle`'s business."""

import re
from collections.abc import Hashable
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Literal

import msgspec
import yaml
from yaml.constructor import ConstructorError

from registry_client.compatibility.rules import RULE_IDS
from registry_client.errors import InvalidBundle, InvalidVersion
from registry_client.manifest import (
    BundlePath,
    ComponentKind,
    Evaluation,
    FamilyName,
    Interface,
    Node,
    Predecessor,
    Provenance,
    Serving,
    Task,
    Waiver,
)
from registry_client.versions import ModelVersion

FILE_NAME = "model.yaml"
LARGEST = 2**18
"""Bytes; a description longer than this is data that belongs in a file of the bundle."""

DEEPEST = 64


class AuthoredComponent(Node, frozen=True, kw_only=True):
    """A pre- or postprocessing step as its author describes it."""

    name: FamilyName
    version: str
    kind: ComponentKind
    entry: str | None = None
    files: tuple[BundlePath, ...] = ()
    config: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies it for each instance


class AuthoredLock(Node, frozen=True, kw_only=True):
    """The dependencies of the Python components: the Python version and a hash-pinned requirements file."""

    python: str
    requirements: BundlePath


class AuthoredPipeline(Node, frozen=True, kw_only=True):
    """The components around the model."""

    pre: AuthoredComponent | None = None
    post: AuthoredComponent | None = None
    lock: AuthoredLock | None = None

    @property
    def components(self) -> tuple[tuple[str, AuthoredComponent], ...]:
        """The components there are, each with its place in model.yaml."""
        places = (("pipeline.pre", self.pre), ("pipeline.post", self.post))
        return tuple((place, component) for place, component in places if component is not None)


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


def parse_model_yaml(text: bytes) -> ModelYaml:
    """Read and check a `model.yaml`. Raises `InvalidBundle`, naming the field."""
    written = _read(text)
    try:
        authored = msgspec.convert(written, ModelYaml)
    except msgspec.ValidationError as error:
        raise _explained(str(error)) from error
    _check_version("version", authored.version)
    if authored.supersedes is not None:
        _check_version("supersedes.version", authored.supersedes.version)
    if authored.created_at is not None:
        _check_time(authored.created_at)
    for place, component in authored.pipeline.components:
        _check_component(place, component)
    for at, waiver in enumerate(authored.change.waivers):
        _check_waiver(f"change.waivers[{at}]", waiver)
    return authored


def _check_version(field: str, text: str) -> None:
    try:
        ModelVersion.parse(text)
    except InvalidVersion as error:
        raise InvalidBundle(field, str(error), error.hint) from error


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


def _check_component(place: str, component: AuthoredComponent) -> None:
    _check_version(f"{place}.version", component.version)
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


# --- YAML -----------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core types only: a date stays a text, so do `no` and `12:30`; `1e-4` is a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - the library's signature
        """Refuse a key that is written twice: which of the two is meant cannot be known."""
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise ConstructorError(None, None, f"the key {name[:80]!r} is repeated", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _number)
_CORE_TYPES = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", "-+.0123456789"),
)
_Loader.yaml_implicit_resolvers = {
    first: [(f"tag:yaml.org,2002:{name}", re.compile(rf"(?:{pattern})\Z")) for name, pattern, firsts in _CORE_TYPES if first in firsts]
    for first in ("", *"~nNtTfF-+.0123456789")
}


def _read(text: bytes) -> object:
    if len(text) > LARGEST:
        raise InvalidBundle(FILE_NAME, f"larger than {LARGEST} bytes")
    try:
        _refuse_bombs(text)
        return yaml.load(text, _Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        place = "" if error.problem_mark is None else f" in line {error.problem_mark.line + 1}"
        raise InvalidBundle(FILE_NAME, f"{error.problem}{place}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidBundle(FILE_NAME, f"not readable as YAML: {error}") from error


def _refuse_bombs(text: bytes) -> None:
    """Refuse what is small to write and large to read: aliases, which multiply, and depth, which the scanner is slow at."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem=f"holds an alias (*{event.anchor}); write the value out instead")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {DEEPEST} levels")


_EXPLANATION = re.compile(r"(?P<reason>.*?)(?: - at `(?:key in )?\$?\.?(?P<field>.*)`)?\Z", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)


def _explained(message: str) -> InvalidBundle:
    """Turn msgspec's sentence around: the field first."""
    found = _EXPLANATION.fullmatch(message)
    reason, field = (message, "") if found is None else (found["reason"], found["field"] or "")
    unknown = _UNKNOWN.fullmatch(reason)
    if unknown is not None:
        return InvalidBundle(f"{field}.{unknown['name']}".lstrip("."), "no such field", "see the example bundles for the fields there are")
    hint = "write it in quotes" if "Expected `str`" in reason else ""
    return InvalidBundle(field or FILE_NAME, reason, hint)
