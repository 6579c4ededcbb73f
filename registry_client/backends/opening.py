"""Which backend an address means. What a kind of registry needs is imported only when one is opened."""

from pathlib import Path

from registry_client.address import FilesAddress, MlflowAddress, OciAddress, RegistryPlan, S3Address
from registry_client.backends.base import Backend
from registry_client.backends.files import FilesBackend
from registry_client.cache import Cache
from registry_client.client import Alarm, RegistryClient, unheard
from registry_client.errors import RegistryError
from registry_client.ledger import Ledger
from registry_client.library import Library, Shelf
from registry_client.trust import read_trust


class MissingExtra(RegistryError):
    """A bucket is named, and the library that reaches one is not installed."""

    hint = "pip install 'pointsman[s3]'"

    def __init__(self) -> None:
        super().__init__("registries in S3 need the extra s3, which is not installed")


def open_backend(plan: RegistryPlan, uploads: Path | None = None) -> Backend:
    """The registry of a plan. Connects to nothing yet. `uploads`: where it may note which uploads are under way.

    Raises `OSError` when the password's file cannot be read, and `MissingExtra`.
    """
    match plan.address:
        case FilesAddress(path):
            return FilesBackend(path)
        case S3Address() as address:
            try:
                from registry_client.backends.s3 import S3Backend  # noqa: PLC0415 - an extra, and a library of 30 MB
            except ModuleNotFoundError as error:
                raise MissingExtra from error
            return S3Backend(address, plan.access)
        case OciAddress() as address:
            from registry_client.backends.oci import OciBackend  # noqa: PLC0415 - httpx, which a folder does not need

            return OciBackend(address, plan.access, uploads)
        case MlflowAddress() as address:
            from registry_client.backends.mlflow.backend import MlflowBackend  # noqa: PLC0415 - as above

            return MlflowBackend(address, plan.access)


def open_registry(plan: RegistryPlan, cache: Cache, ledger: Ledger | None = None, alarm: Alarm = unheard) -> RegistryClient:
    """A registry as its users see it, through a cache and a ledger. Raises as `open_backend` does, and `UnusableKey`."""
    return RegistryClient(open_backend(plan, cache.uploads), cache, ledger, alarm, read_trust(plan.trust))


def open_library(plan: RegistryPlan, cache: Cache) -> Library | None:
    """The component library of a registry, through a cache; None for a kind of registry that keeps none. Raises as `open_backend` does."""
    backend = open_backend(plan, cache.uploads)
    return Library(backend, cache) if isinstance(backend, Shelf) else None
