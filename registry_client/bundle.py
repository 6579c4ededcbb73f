"""Bundles: a directory with a `model.yaml` and the files it names, turned into a manifest that names every byte by its digest."""

import os
import pwd
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from registry_client import golden, locks, model_yaml
from registry_client.errors import InvalidBundle, UnsafeGraph
from registry_client.files import Measured, measure, open_regular, read_regular, refuse_foreign
from registry_client.golden import GoldenExample, parse_golden
from registry_client.graph_safety import refuse_unsafe
from registry_client.graphs import NotAGraph, read_graph
from registry_client.locks import parse_lock, refuse_unpinned
from registry_client.manifest import (
    Artifact,
    Change,
    Component,
    ComponentKind,
    Interface,
    Lock,
    Manifest,
    Pipeline,
    Role,
    behaviour_digest,
    component_digest,
    parse_manifest,
)
from registry_client.model_yaml import AuthoredChange, AuthoredComponent, AuthoredLock, ModelYaml, parse_model_yaml
from registry_client.strict_yaml import LARGEST

# Fixed here, not asked of the system: the same bundle must give the same manifest on every machine.
_MEDIA_TYPES = {
    ".onnx": "application/onnx",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".py": "text/x-python",
    ".txt": "text/plain",
    ".whl": "application/zip",
    ".yaml": "application/yaml",
}
WHEEL = ".whl"
_SHARED_ROLE = Role.COMPONENT
"""Two components may share a file; every other file is one thing."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A version that could be published: its manifest, where each of its files lies, and what its author should know."""

    manifest: Manifest
    files: Mapping[str, Path]
    warnings: tuple[str, ...] = ()

    def path(self, name: str) -> Path:
        """Where a file of the bundle lies. Raises `InvalidBundle` for one that the manifest does not name."""
        if name not in self.files:
            raise InvalidBundle(name, "the manifest names no such file")
        return self.files[name]


def load_bundle(directory: Path, *, now: datetime | None = None) -> Bundle:
    """Read, check and hash a bundle directory. Raises `InvalidBundle`, naming the field or the file.

    `now` is the default of `created_at`; left out, it is the clock's.
    """
    authored = parse_model_yaml(read_regular(directory, model_yaml.FILE_NAME, most=LARGEST))
    roles = _roles(authored, _wheels(directory, authored.pipeline.lock))
    graphs = _graphs(authored)
    measured = {path: _measured(directory, path, role, is_graph=path in graphs) for path, role in roles.items()}
    for path, domains in graphs.items():
        _check_graph(directory, path, roles, domains)
    _check_contents(directory, authored)
    _check_lock(directory, authored.pipeline.lock, {path: measured[path].sha256 for path, role in roles.items() if role is Role.WHEEL})
    try:
        described = _manifest(authored, roles, measured, now)
        manifest = msgspec.structs.replace(described, behaviour_sha256=behaviour_of(described, directory))
        parse_manifest(manifest.canonical())  # what could not be read again, an integral 1e16 say, is not published
    except (ValueError, RecursionError) as error:
        raise InvalidBundle(model_yaml.FILE_NAME, str(error)) from error
    files = {path: directory / path for path in roles}
    return Bundle(manifest, MappingProxyType(files), _warnings(authored))


def _wheels(directory: Path, lock: AuthoredLock | None) -> list[str]:
    if lock is None or lock.wheels is None:
        return []
    folder = directory / lock.wheels
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    strange = [name for name in found if not name.endswith(WHEEL)]
    if strange or not found:
        reason = f"holds {strange[0][:80]!r}, which is no wheel" if strange else "there are no wheels in this folder"
        raise InvalidBundle(
            lock.wheels, reason, "fill it with: pip download --require-hashes --only-binary :all: --no-deps -r LOCK -d FOLDER"
        )
    return [f"{lock.wheels}/{name}" for name in found]


def _roles(authored: ModelYaml, wheels: Sequence[str]) -> dict[str, Role]:
    named: list[tuple[str, Role]] = [(authored.model, Role.MODEL)]
    named += [(path, Role.WEIGHTS) for path in authored.weights]
    named += [(path, Role.COMPONENT) for _, component in authored.pipeline.components for path in component.files]
    named += [(authored.golden, Role.GOLDEN)] if authored.golden is not None else []
    named += [(authored.pipeline.lock.requirements, Role.LOCK)] if authored.pipeline.lock is not None else []
    named += [(path, Role.WHEEL) for path in wheels]
    named += [(path, Role.DOC) for path in authored.doc_files]
    roles: dict[str, Role] = {}
    for path, role in named:
        known = roles.setdefault(path, role)
        if known is not role or (role is not _SHARED_ROLE and named.count((path, role)) > 1):
            raise InvalidBundle(path, f"is listed twice, as {known} and as {role}")
    return roles


def _graphs(authored: ModelYaml) -> dict[str, tuple[str, ...]]:
    """The files that onnxruntime is given, each with the domains that are asked for; the model cannot ask."""
    components = [component for _, component in authored.pipeline.components if component.kind is ComponentKind.ONNX]
    asked = {component.entry: component.domains for component in components if component.entry is not None}
    return {**asked, authored.model: ()}


def _measured(directory: Path, path: str, role: Role, *, is_graph: bool) -> Measured:
    with open_regular(directory, path) as file:
        if (
            role is not Role.WHEEL
        ):  # a package may hold anything, native libraries and the pickles of its own tests: the lock vouches for it
            refuse_foreign(file, path, is_graph=is_graph)
        return measure(file)


def _check_graph(directory: Path, path: str, listed: Collection[str], domains: Collection[str]) -> None:
    try:
        refuse_unsafe(path, read_graph(directory / path), listed, domains)
    except NotAGraph as error:
        raise InvalidBundle(path, str(error), "export the model to ONNX") from error
    except UnsafeGraph as error:
        raise InvalidBundle(error.path, error.reason, error.hint) from error


def _check_lock(directory: Path, lock: AuthoredLock | None, wheels: Mapping[str, str]) -> None:
    if lock is None:
        return
    pins = parse_lock(read_regular(directory, lock.requirements, most=locks.LARGEST), lock.requirements)
    for path, sha256 in wheels.items():
        refuse_unpinned(path, sha256, pins)


def _check_contents(directory: Path, authored: ModelYaml) -> None:
    examples: tuple[GoldenExample, ...] = ()
    if authored.golden is not None:
        examples = parse_golden(read_regular(directory, authored.golden, most=golden.LARGEST), authored.golden)
    for name in authored.change.slices:
        if all(example.slice != name for example in examples):
            hint = f'give the golden examples it is about "slice": {name!r}, and keep some without'
            raise InvalidBundle(field="change.slices", reason=f"no golden example is of the slice {name!r}", hint=hint)
    for field in ("request", "response"):
        _check_schema(f"interface.{field}", authored.interface, field)
    tensors = (*authored.interface.inputs, *authored.interface.outputs)
    if authored.interface.labels is None and any(tensor.by_label for tensor in tensors):
        raise InvalidBundle(field="interface.labels", reason="a tensor is by_label, so the labels must be named")


def _check_schema(place: str, interface: Interface, field: str) -> None:
    schema = interface.request if field == "request" else interface.response
    if schema is None:
        return
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise InvalidBundle(place, f"not a JSON Schema (2020-12): {error.message}") from error


def _manifest(authored: ModelYaml, roles: Mapping[str, Role], measured: Mapping[str, Measured], now: datetime | None) -> Manifest:
    artifacts = tuple(
        Artifact(path=path, role=role, media_type=_media_type(path), size=measured[path].size, sha256=measured[path].sha256)
        for path, role in sorted(roles.items())
    )
    return Manifest(
        family=authored.family,
        version=authored.version,
        supersedes=authored.supersedes,
        created_at=authored.created_at or _timestamp(now),
        created_by=authored.created_by or _login_name(),
        task=authored.task,
        artifacts=artifacts,
        pipeline=_pipeline(authored, {path: file.sha256 for path, file in measured.items()}),
        interface=authored.interface,
        provenance=authored.provenance,
        evaluation=authored.evaluation,
        change=_change(authored.change),
        serving=authored.serving,
        licenses=authored.licenses,
        docs=authored.docs,
    )


def _change(authored: AuthoredChange) -> Change:
    return Change(
        declared=authored.declared,
        behaviour=authored.behaviour,
        waivers=authored.waivers,
        slices=authored.slices or msgspec.UNSET,
    )


def behaviour_of(manifest: Manifest, directory: Path) -> str:
    """The identity of what answers, from the files themselves; of a model that is no graph all bytes count."""
    try:
        graph = read_graph(directory / manifest.model.path).behaviour
    except NotAGraph:
        graph = manifest.model.sha256
    return behaviour_digest(manifest, graph)


def _pipeline(authored: ModelYaml, digests: Mapping[str, str]) -> Pipeline:
    pre, post, lock = authored.pipeline.pre, authored.pipeline.post, authored.pipeline.lock
    return Pipeline(
        pre=None if pre is None else _component(pre, digests),
        post=None if post is None else _component(post, digests),
        lock=None if lock is None else Lock(python=lock.python, requirements=lock.requirements, sha256=digests[lock.requirements]),
    )


def _component(authored: AuthoredComponent, digests: Mapping[str, str]) -> Component:
    fields = {**msgspec.structs.asdict(authored), "domains": authored.domains or msgspec.UNSET}
    identity = component_digest(msgspec.to_builtins(authored), {path: digests[path] for path in authored.files})
    return Component(**fields, sha256=identity)


def _media_type(path: str) -> str:
    return _MEDIA_TYPES.get(PurePosixPath(path).suffix, "application/octet-stream")


def _timestamp(now: datetime | None) -> str:
    moment = now or datetime.now(UTC)  # noqa: TID251 - an author's command line has no Clock port; tests pass `now`
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _login_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user often has no name
        return f"uid-{os.getuid()}"


def _warnings(authored: ModelYaml) -> tuple[str, ...]:
    found: list[str] = []
    if authored.golden is None:
        found.append("golden: there are no golden examples, so nobody will notice when this version answers wrongly")
    kinds = {component.kind for _, component in authored.pipeline.components}
    if ComponentKind.PYTHON in kinds and authored.pipeline.lock is None:
        found.append("pipeline.lock: a python component without locked dependencies runs with whatever is installed")
    if ComponentKind.PYTHON not in kinds and authored.pipeline.lock is not None:
        found.append("pipeline.lock: there is no python component, so nothing runs with these dependencies")
    return tuple(found)
