"""The component library of a registry: pre- and postprocessing steps that any version may pin, published once.

A version that refers to one gets its files and its digest into its own manifest when it is read: what was published stays whole,
whatever becomes of the library.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from os.path import commonpath
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, Literal, Protocol, runtime_checkable

import msgspec
import rfc8785

from registry_client.authoring import artifact_of, check_graph, component_of, login_name, measured_file, timestamp
from registry_client.backends.base import Confined, StoredManifest
from registry_client.cache import Cache
from registry_client.decoding import from_json
from registry_client.errors import ComponentExists, DigestMismatch, InvalidBundle, InvalidManifest, RegistryError
from registry_client.files import open_regular, read_regular
from registry_client.manifest import Artifact, Component, ComponentKind, Node, Role
from registry_client.model_yaml import AuthoredComponent, ModelYaml, check_component, parse_component_yaml
from registry_client.origins import Origin, Parts
from registry_client.plausibility import refuse_inexact
from registry_client.strict_yaml import LARGEST
from registry_client.transfers import Moved, Tally, Told, Watched, filling, nobody
from registry_client.versions import ModelVersion

FILE_NAME: Final = "component.yaml"
FOLDER: Final = "components"
"""Where a bundle has the files of library components, each in a folder of its own, so that they never meet the bundle's."""


class ComponentDocument(Node, frozen=True, kw_only=True):
    """What the library keeps of a component; the component in it is exactly what manifests pin."""

    format: Literal[1] = 1
    component: Component
    artifacts: tuple[Artifact, ...]
    created_at: str
    created_by: str
    docs: str = ""
    licenses: tuple[str, ...] = ()

    def canonical(self) -> bytes:
        """The RFC 8785 form: the bytes that are stored and hashed."""
        return rfc8785.dumps(msgspec.to_builtins(self))


@dataclass(frozen=True, slots=True)
class ComponentBundle:
    """A component that could be published, and where each of its files lies."""

    document: ComponentDocument
    files: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class FetchedComponent:
    """A component whose files lie in a directory of this machine, each verified a moment ago."""

    document: ComponentDocument
    directory: Path


@runtime_checkable
class Shelf(Protocol):
    """Where a registry keeps components. It stores and hands out bytes; the library decides whether to believe them."""

    def put_component_file(self, name: str, artifact: Artifact, source: BinaryIO) -> bool:
        """Store a file of a component; whether it was new. Raises `DigestMismatch` for other bytes."""
        ...

    def put_component(self, name: str, version: str, document: bytes, artifacts: Sequence[Artifact]) -> bool:
        """Store a document under its name and version unless there is one; whether this call did it. Its files are there before."""
        ...

    def read_component(self, name: str, version: str) -> StoredManifest:
        """Look one up. Raises `UnknownComponent`."""
        ...

    def open_component_file(self, name: str, artifact: Artifact) -> BinaryIO:
        """Read a file of a component. Raises `MissingBlob`."""
        ...

    def components(self) -> Sequence[str]:
        """The names of those there are."""
        ...

    def component_versions(self, name: str) -> Sequence[str]:
        """Their versions, in no order. Raises `UnknownComponent`."""
        ...


@runtime_checkable
class RangedShelf(Shelf, Protocol):
    """A shelf from which parts of a file can be had, and several at once."""

    @property
    def at_once(self) -> int:
        """How many parts of a file may be on their way at once."""
        ...

    def read_component_span(self, name: str, artifact: Artifact, start: int, length: int) -> bytes:
        """So many bytes of a file, from `start` on. Raises `MissingBlob`, or `NoParts` where the registry hands out whole files only."""
        ...


class Library:
    """The components of one registry, seen through this machine's cache."""

    def __init__(self, shelf: Shelf, cache: Cache) -> None:
        self._shelf = shelf
        self._cache = cache

    def names(self) -> Sequence[str]:
        """The components there are, by name."""
        return sorted(self._shelf.components())

    def versions(self, name: str) -> Sequence[ModelVersion]:
        """A component's versions, oldest first. Raises `UnknownComponent`."""
        return sorted(ModelVersion.parse(text) for text in self._shelf.component_versions(name))

    def document(self, name: str, version: str) -> ComponentDocument:
        """What a component is. Raises `UnknownComponent`, `DigestMismatch` or `InvalidManifest`."""
        stored = self._shelf.read_component(name, version)
        actual = hashlib.sha256(stored.document).hexdigest()
        if actual != stored.digest:
            raise DigestMismatch(what=f"the document of component {name}@{version}", expected=stored.digest, actual=actual)
        document = _parsed(stored.document)
        found = document.component
        if (found.name, found.version) != (name, version):
            raise InvalidManifest(reason=f"it stands under component {name}@{version} and calls itself {found.name}@{found.version}")
        return document

    def fetch(self, name: str, version: str) -> FetchedComponent:
        """Bring a component's files to this machine, verified. Raises as `document` does, `MissingBlob` and `NotEnoughRoom`.

        Large files go on where an earlier try ended, as those of versions do.
        """
        document = self.document(name, version)
        with filling(self._cache.root):
            directory = self._cache.component(document.component.sha256, document.artifacts, self._origin(name))
        return FetchedComponent(document, directory)

    def _origin(self, name: str) -> Origin:
        opened = partial(self._shelf.open_component_file, name)
        if not isinstance(self._shelf, RangedShelf):
            return Origin(opened)
        return Origin(opened, partial(self._shelf.read_component_span, name), Parts(self._shelf.at_once))

    def publish(self, bundle: ComponentBundle, told: Told = nobody) -> bool:
        """Publish a component; the same content again changes nothing. Whether it was new. `told`: how far it is.

        Raises `ComponentExists`, and `NotEnoughRoom` before anything is written.
        """
        document = bundle.document
        if isinstance(self._shelf, Confined):
            self._shelf.refuse_without_room(document.artifacts)
        tally = Tally(told, sum(artifact.size for artifact in document.artifacts))
        for artifact in document.artifacts:
            path = bundle.files[artifact.path]
            with Watched(open_regular(path.parent, path.name), artifact.path, artifact.size, tally) as file:
                self._shelf.put_component_file(document.component.name, artifact, file)
            tally(Moved(artifact.path, artifact.size, artifact.size))  # a registry that has it reads nothing
        offered = document.component
        created = self._shelf.put_component(offered.name, offered.version, document.canonical(), document.artifacts)
        published = self.document(offered.name, offered.version).component
        if published.sha256 != offered.sha256:
            raise ComponentExists(offered.name, offered.version, published=published.sha256, offered=offered.sha256)
        return created


def load_component(directory: Path, *, now: datetime | None = None) -> ComponentBundle:
    """Read, check and hash the folder of a component. Raises `InvalidBundle`, naming the field or the file."""
    described = parse_component_yaml(read_regular(directory, FILE_NAME, most=LARGEST))
    refuse_inexact(described)
    written = described.component
    check_component("component", written)
    graph = written.entry if written.kind is ComponentKind.ONNX else None
    measured = {path: measured_file(directory, path, Role.COMPONENT, is_graph=path == graph) for path in written.files}
    if graph is not None:
        check_graph(directory, graph, written.files, written.domains)
    moved = _moved(written)
    files = {f"{_folder(written)}/{path}": directory / path for path in written.files}
    sizes = {f"{_folder(written)}/{path}": each for path, each in measured.items()}
    document = ComponentDocument(
        component=component_of(moved, {path: each.sha256 for path, each in sizes.items()}),
        artifacts=tuple(artifact_of(path, Role.COMPONENT, each) for path, each in sorted(sizes.items())),
        created_at=timestamp(now),
        created_by=described.created_by or login_name(),
        docs=described.docs,
        licenses=described.licenses,
    )
    try:
        _parsed(document.canonical())
    except (ValueError, RecursionError) as error:
        raise InvalidBundle(FILE_NAME, str(error)) from error
    return ComponentBundle(document, files)


def pinned(written: ModelYaml, library: Library | None) -> tuple[ModelYaml, Mapping[str, Path]]:
    """A description with every reference to the library replaced by what it names, and where the files of those lie.

    Raises `InvalidBundle`, naming the field.
    """
    parts: dict[str, AuthoredComponent] = {}
    places: dict[str, Path] = {}
    for field, reference in written.pipeline.references:
        fetched = _fetched(f"pipeline.{field}", reference, library)
        parts[field] = _authored(fetched.document.component)
        places.update(dict.fromkeys(fetched.document.component.files, fetched.directory))
    return msgspec.structs.replace(written, pipeline=msgspec.structs.replace(written.pipeline, **parts)), places


def _fetched(place: str, reference: str, library: Library | None) -> FetchedComponent:
    name, _, version = reference.partition("@")
    if library is None:
        raise InvalidBundle(place, f"refers to {reference}, and there is no library here", "write the component out")
    try:
        return library.fetch(name, version)
    except RegistryError as error:
        raise InvalidBundle(place, str(error), error.hint) from error


def _authored(component: Component) -> AuthoredComponent:
    fields = {name: getattr(component, name) for name in ("name", "version", "kind", "entry", "files", "config")}
    return AuthoredComponent(**fields, domains=() if component.domains is msgspec.UNSET else component.domains)


def _folder(component: AuthoredComponent) -> str:
    return f"{FOLDER}/{component.name}-{component.version}"


def _moved(written: AuthoredComponent) -> AuthoredComponent:
    """The same with its files in a folder of its own, where every bundle will have them: so it has one digest everywhere."""
    entry = written.entry
    match written.kind:
        case ComponentKind.ONNX:
            entry = f"{_folder(written)}/{entry}"
        case ComponentKind.PYTHON:
            entry = _within(written)
        case ComponentKind.DECLARATIVE:
            pass
    files = tuple(f"{_folder(written)}/{path}" for path in written.files)
    return msgspec.structs.replace(written, entry=entry, files=files)


def _within(written: AuthoredComponent) -> str:
    """A Python entry relative to the deepest folder that holds all modules, as it is found wherever that folder lies."""
    module, _, factory = (written.entry or "").partition(":")
    folders = [str(PurePosixPath(path).parent) for path in written.files if path.endswith(".py")]
    inside = PurePosixPath(f"{module.replace('.', '/')}.py").relative_to(commonpath(folders))
    return f"{str(inside).removesuffix('.py').replace('/', '.')}:{factory}"


def _parsed(document: bytes) -> ComponentDocument:
    try:
        parsed = from_json(document, ComponentDocument)
        canonical = parsed.canonical()
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidManifest(str(error)) from error
    if canonical != document:
        reason = "the bytes are not the canonical (RFC 8785) form of what they say"
        raise InvalidManifest(reason)
    return parsed
