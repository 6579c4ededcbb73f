"""Which registry to use, as the one setting `registry` says it: a folder, or the URL of a place that keeps versions.

No address holds a password: what proves who asks is given beside it, as `Access`.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from registry_client.errors import RegistryError

FORMS = (
    "a folder, files:PATH, s3://BUCKET/PREFIX, oci://HOST/REPOSITORY (oci+http:// without TLS), mlflow+https://HOST or mlflow+http://HOST"
)

EVERY_FAMILY = "*"

_SCHEME = re.compile(r"[a-z][a-z0-9+]*:")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_REPOSITORY = re.compile(r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")


class BadRegistryAddress(RegistryError, ValueError):
    """A `registry` that names none; the sentence never repeats what was given, since that may hold a password."""

    hint = f"write {FORMS}"


@dataclass(frozen=True, slots=True)
class FilesAddress:
    """A local folder."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class S3Address:
    """A bucket, and what every key begins with (no slash at its ends; may be empty)."""

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


@dataclass(frozen=True, slots=True)
class OciAddress:
    """A registry of artifacts; every family is a repository below `repository`."""

    base: str
    """Scheme, host and port, as HTTP wants them."""
    repository: str

    def __str__(self) -> str:
        scheme, _, host = self.base.partition("://")
        return f"oci{'+http' if scheme == 'http' else ''}://{host}/{self.repository}"


@dataclass(frozen=True, slots=True)
class MlflowAddress:
    """A tracking server with a model registry."""

    base: str
    """Scheme, host, port and the path before `/api`, as HTTP wants them."""

    def __str__(self) -> str:
        return f"mlflow+{self.base}"


RegistryAddress = FilesAddress | S3Address | OciAddress | MlflowAddress


@dataclass(frozen=True, slots=True)
class Access:
    """As whom a registry is asked, and how it is reached. S3 without a user: what the machine itself is allowed."""

    username: str = ""
    """The user of OCI and MLflow, the access key id of S3."""
    password_file: Path | None = None
    """Read at every opening. Without a user it holds a bearer token."""
    endpoint: str = ""
    """The URL of an S3 that is not Amazon's."""
    region: str = ""
    at_once: int = 4
    """Parts of a large file that are on their way at once; 1: one stream."""

    def password(self) -> str:
        """What the file holds, less a final newline; empty without a file. Raises `OSError`."""
        return "" if self.password_file is None else self.password_file.read_text("utf-8").rstrip("\n")


@dataclass(frozen=True, slots=True)
class TrustPlan:
    """Trusted keys by name, as files, and by which of them the versions of a family must be signed; `*` is every family not named."""

    keys: Mapping[str, Path] = field(default_factory=dict[str, Path], hash=False)
    required: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], hash=False)

    def absolute(self) -> "TrustPlan":
        """The same for a process with another working directory."""
        return replace(self, keys={name: path.absolute() for name, path in self.keys.items()})


@dataclass(frozen=True, slots=True)
class RegistryPlan:
    """Everything that opens a registry; small, and holds no secret, so that it can be handed to another process."""

    address: RegistryAddress
    access: Access = field(default_factory=Access)
    trust: TrustPlan = field(default_factory=TrustPlan)
    """Whose signatures count of what comes from there."""

    @classmethod
    def at(cls, folder: Path) -> "RegistryPlan":
        """The registry in a folder."""
        return cls(FilesAddress(folder))

    @property
    def folder(self) -> Path | None:
        """The folder that it is; None where it is reached over the network."""
        return self.address.path if isinstance(self.address, FilesAddress) else None

    def absolute(self) -> "RegistryPlan":
        """The same for a process with another working directory."""
        file = self.access.password_file
        access = self.access if file is None else replace(self.access, password_file=file.absolute())
        address = self.address if self.folder is None else FilesAddress(self.folder.absolute())
        return RegistryPlan(address, access, self.trust.absolute())


def parse_registry(text: str) -> RegistryAddress:
    """The address that `registry` names. Raises `BadRegistryAddress`."""
    scheme = _SCHEME.match(text)
    if scheme is None:
        return _folder(text)
    if text.startswith("files:"):
        return _folder(text.removeprefix("files://" if text.startswith("files:///") else "files:"))
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise BadRegistryAddress(_refusal(str(error))) from error
    if url.query or url.fragment or "@" in url.netloc:
        raise BadRegistryAddress(_refusal("who asks is said in registry_access, and nothing is said after a ? or #"))
    match url.scheme:
        case "s3":
            return _bucket(url, port)
        case "oci" | "oci+http":
            return _repository(url)
        case "mlflow+http" | "mlflow+https":
            return MlflowAddress(f"{url.scheme.removeprefix('mlflow+')}://{_host(url)}{url.path.rstrip('/')}")
        case _:
            raise BadRegistryAddress(_refusal("it is of no kind that is known"))


def _folder(text: str) -> FilesAddress:
    if not text or "\0" in text:
        raise BadRegistryAddress(_refusal("it names no folder"))
    return FilesAddress(Path(os.fspath(text)))


def _bucket(url: SplitResult, port: int | None) -> S3Address:
    prefix = unquote(url.path).strip("/")
    if port is not None or _BUCKET.fullmatch(url.netloc) is None:
        raise BadRegistryAddress(_refusal("it names no bucket; an S3 elsewhere is named by registry_access.endpoint"))
    if prefix and (_PREFIX.fullmatch(prefix) is None or _climbs(prefix)):
        raise BadRegistryAddress(_refusal("its prefix is made of letters, digits, dots, dashes and underscores, with / between"))
    return S3Address(url.netloc, prefix)


def _repository(url: SplitResult) -> OciAddress:
    repository = url.path.strip("/")
    if _REPOSITORY.fullmatch(repository) is None:
        raise BadRegistryAddress(_refusal("it names no repository after the host, in small letters"))
    return OciAddress(f"{'http' if url.scheme == 'oci+http' else 'https'}://{_host(url)}", repository)


def _host(url: SplitResult) -> str:
    if not url.hostname:
        raise BadRegistryAddress(_refusal("a host is missing"))
    return url.netloc


def _climbs(prefix: str) -> bool:
    return any(set(part) == {"."} for part in prefix.split("/"))


def _refusal(why: str) -> str:
    return f"the address of the registry cannot be used: {why}; it is one of {FORMS}"
