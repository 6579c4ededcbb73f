"""The component library of a registry from the command line: publish into it, and look at what is there and who pins it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from registry_client.backends.opening import open_library
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import RegistryError, UnknownComponent
from registry_client.library import ComponentBundle, ComponentDocument, Library, load_component
from registry_client.manifest import Component
from registry_client.transfers import Told
from serving.cli.checking import registry_at
from serving.cli.configuring import read_settings
from serving.cli.failures import OUT_OF_REACH, ComponentRefused, NotFound, WrongUse, refused_by_system
from serving.cli.output import Json


class Shelves:
    """The library of the registry that is named, beside its versions."""

    def __init__(self, data: Path | None, registry: str | None) -> None:
        settings = read_settings(data=data, registry=registry)
        library = open_library(settings.registry_plan, Cache(settings.data / "cache"))
        if library is None:
            error = f"{settings.registry_plan.address} keeps no library of components"
            raise WrongUse(error, "name a registry in a folder, in S3 or of OCI artifacts, or write the components out in model.yaml")
        self.library: Library = library
        self._client: RegistryClient = registry_at(settings.registry_plan, settings.data)

    def publish(self, directory: Path, told: Told) -> Json:
        """Publish the component in a folder; `told` how far it is. Raises `NotFound` or `ComponentRefused`."""
        if not directory.is_dir():
            error = f"there is no folder {directory}"
            raise NotFound(error, "name the folder that holds component.yaml")
        try:
            bundle: ComponentBundle = load_component(directory)
            created = self.library.publish(bundle, told)
        except RegistryError as error:
            raise ComponentRefused(directory, str(error), error.hint) from error
        except OSError as error:
            raise ComponentRefused(directory, refused_by_system(error), OUT_OF_REACH) from error
        return {**described(bundle.document), "created": created}

    def listed(self) -> list[Json]:
        """Every version of every component, in short."""
        found: list[Json] = []
        for name in self.library.names():
            documents = [self.library.document(name, str(version)) for version in self.library.versions(name)]
            found += [described(document) for document in documents]
        return found

    def shown(self, reference: str) -> Json:
        """One component, with the versions that pin exactly it. Raises `NotFound`."""
        name, _, version = reference.partition("@")
        try:
            versions = [str(each) for each in self.library.versions(name)]
            document = self.library.document(name, version or versions[-1])
        except UnknownComponent as error:
            raise NotFound(str(error), error.hint) from error
        return {
            **described(document),
            "config": document.component.config,
            "files": {artifact.path: artifact.sha256 for artifact in document.artifacts},
            "versions": versions,
            "pinned_by": self._pinned_by(document.component),
        }

    def _pinned_by(self, component: Component) -> list[str]:
        published = [(family, str(version)) for family in self._client.families() for version in self._client.versions(family)]
        manifests = [self._client.manifest(*name) for name in published]
        return [f"{one.family}@{one.version}" for one in manifests if _pins(one.pipeline.components, component)]


def described(document: ComponentDocument) -> Json:
    """A component in short."""
    component = document.component
    return {
        "name": component.name,
        "version": component.version,
        "kind": component.kind.value,
        "entry": component.entry,
        "domains": [] if component.domains is msgspec.UNSET else list(component.domains),
        "digest": component.sha256,
        "created_at": document.created_at,
        "created_by": document.created_by,
        "docs": document.docs,
        "licenses": list(document.licenses),
    }


def _pins(components: Sequence[Component], wanted: Component) -> bool:
    return any(component.sha256 == wanted.sha256 for component in components)
