"""Bundles: a directory with a `model.yaml` and the files it names, turned into a manifest that names every byte by its digest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import msgspec

from registry_client import golden, locks, model_yaml
from registry_client.authoring import artifact_of, check_graph, component_of, login_name, measured_file, timestamp
from registry_client.behaviour import behaviour_digest
from registry_client.errors import InvalidBundle
from registry_client.files import Measured, read_regular
from registry_client.golden import GoldenExample, parse_golden
from registry_client.graphs import NotAGraph, read_graph
from registry_client.json_schemas import DIALECT, UnusableSchema, broken_promise, refuse_unusable
from registry_client.library import Library, pinned
from registry_client.locks import parse_lock, refuse_unpinned
from registry_client.manifest import (
    Change,
    ComponentKind,
    Interface,
    Lock,
    Manifest,
    Pipeline,
    Role,
    parse_manifest,
)
from registry_client.model_yaml import AuthoredChange, AuthoredLock, ModelYaml, parse_model_yaml
from registry_client.plausibility import refuse_colliding, refuse_implausible
from registry_client.strict_yaml import LARGEST

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


def load_bundle(directory: Path, *, now: datetime | None = None, library: Library | None = None) -> Bundle:
    """Read, check and hash a bundle directory. Raises `InvalidBundle`, naming the field or the file.

    `now` is the default of `created_at`; left out, it is the clock's. `library`: where components are that `model.yaml` refers to.
    """
    written = parse_model_yaml(read_regular(directory, model_yaml.FILE_NAME, most=LARGEST))
    refuse_implausible(written)
    authored, places = pinned(written, library)
    roles = _roles(authored, _wheels(directory, authored.pipeline.lock))
    refuse_colliding(list(roles))
    graphs = _graphs(authored)
    measured = {path: measured_file(places.get(path, directory), path, role, is_graph=path in graphs) for path, role in roles.items()}
    for path, domains in graphs.items():
        check_graph(places.get(path, directory), path, roles, domains)
    _check_contents(directory, authored)
    _check_lock(directory, authored.pipeline.lock, {path: measured[path].sha256 for path, role in roles.items() if role is Role.WHEEL})
    try:
        described = _manifest(authored, roles, measured, now)
        manifest = msgspec.structs.replace(described, behaviour_sha256=behaviour_of(described, directory))
        parse_manifest(manifest.canonical())  # what could not be read again, an integral 1e16 say, is not published
    except (ValueError, RecursionError) as error:
        raise InvalidBundle(model_yaml.FILE_NAME, str(error)) from error
    files = {path: places.get(path, directory) / path for path in roles}
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
    _check_answers(authored, examples)
    tensors = (*authored.interface.inputs, *authored.interface.outputs)
    if authored.interface.labels is None and any(tensor.by_label for tensor in tensors):
        raise InvalidBundle(field="interface.labels", reason="a tensor is by_label, so the labels must be named")


def _check_answers(authored: ModelYaml, examples: Sequence[GoldenExample]) -> None:
    """The answers that the author measured must keep what the response schema promises."""
    place, schema = "interface.response", authored.interface.response
    for example in examples if schema is not None else ():
        broken = broken_promise(schema or {}, example.response)
        if broken is not None:
            reason = f"the golden example {example.name!r} is answered otherwise: {broken}"
            raise InvalidBundle(place, reason, "promise what the version answers, or correct the expected answer")


def _check_schema(place: str, interface: Interface, field: str) -> None:
    schema = interface.request if field == "request" else interface.response
    if schema is None:
        return
    try:
        refuse_unusable(schema)
    except UnusableSchema as error:
        raise InvalidBundle(place, str(error), error.hint) from error
    dialect = str(schema.get("$schema", DIALECT))
    if dialect.rstrip("#") != DIALECT:
        reason = f"its $schema {dialect[:80]!r} is another dialect than the one it is read as"
        raise InvalidBundle(place, reason, f"write {DIALECT}")


def _manifest(authored: ModelYaml, roles: Mapping[str, Role], measured: Mapping[str, Measured], now: datetime | None) -> Manifest:
    artifacts = tuple(artifact_of(path, role, measured[path]) for path, role in sorted(roles.items()))
    return Manifest(
        family=authored.family,
        version=authored.version,
        supersedes=authored.supersedes,
        created_at=authored.created_at or timestamp(now),
        created_by=authored.created_by or login_name(),
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
    made = {place: component_of(component, digests) for place, component in authored.pipeline.components}
    lock = authored.pipeline.lock
    return Pipeline(
        pre=made.get("pipeline.pre"),
        post=made.get("pipeline.post"),
        lock=None if lock is None else Lock(python=lock.python, requirements=lock.requirements, sha256=digests[lock.requirements]),
    )


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
