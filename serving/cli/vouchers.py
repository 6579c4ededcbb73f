"""Signing published versions, and telling what vouches for them: the work behind `keys`, `sign`, `signatures` and `bom`."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from registry_client.bom import bill_of
from registry_client.client import RegistryClient
from registry_client.errors import RegistryError, UnknownFamily, UnknownVersion
from registry_client.manifest import Manifest, Role
from registry_client.signatures import Format
from registry_client.signing import PublicKey, SigningKey, UnusableKey, curve_key_id, new_curve_key
from registry_client.sigstore import sign as sign_folder
from registry_client.trust import Trust
from serving.cli.auditing import open_registry
from serving.cli.failures import BadSettings, CommandFailed, NoPlaceToWrite, NotFound
from serving.cli.output import Json
from serving.telemetry.clock import SystemClock


@dataclass(frozen=True, slots=True)
class SignsWith:
    """A private key's file, the format that it signs in, and who has it."""

    key: Path
    form: Format
    by: str


def make_keys(file: Path, form: Format) -> Json:
    """Write a new pair of keys. Raises `CommandFailed`."""
    try:
        public, keyid = new_curve_key(file) if form is Format.SIGSTORE else _new_key(file)
    except FileExistsError as error:
        sentence = f"{error.filename or error} is there already"
        raise CommandFailed(sentence, "a key is never overwritten: name another file") from error
    except OSError as error:
        raise NoPlaceToWrite(file, error) from error
    return {"private": str(file), "public": str(public), "keyid": keyid}


def _new_key(file: Path) -> tuple[Path, str]:
    key = SigningKey.new()
    return key.write(file), key.ident


def sign_version(signer: SignsWith, family: str, version: str, data: Path | None, registry: str | None) -> Json:
    """Add a signature to a version. Raises `BadSettings`, `NotFound` or `CommandFailed`."""
    with _told():
        client = open_registry(data, registry)
        if signer.form is Format.SIGSTORE:
            keyid = curve_key_id(signer.key)
            manifest = client.sign_folder(family, version, partial(_signed_folder, signer.key))
        else:
            key = SigningKey.read(signer.key)
            keyid, manifest = key.ident, client.sign(family, version, key, signer.by, SystemClock().now())
    return {"family": family, "version": version, "digest": manifest.digest, "keyid": keyid, "format": signer.form.value}


def _signed_folder(key: Path, manifest: Manifest, directory: Path) -> bytes:
    return sign_folder(manifest, directory, key)


def signatures_of(family: str, version: str, keys: Sequence[Path], data: Path | None, registry: str | None) -> Json:
    """The signatures of a version, and whether one counts. Raises `BadSettings`, `NotFound` or `CommandFailed`."""
    with _told():
        client = open_registry(data, registry)
        trust = Trust([PublicKey.read(path.name, path) for path in keys]) if keys else None
        manifest = client.manifest(family, version)
        found = client.signatures(manifest, trust)
    return {
        "ok": any(one.key for one in found),
        "digest": manifest.digest,
        "signatures": [
            {"key": one.key or None, "signed_at": one.at, "signed_by": one.by, "keyid": one.keyid, "why": one.why} for one in found
        ],
    }


def bill(family: str, version: str, data: Path | None, registry: str | None) -> Json:
    """The bill of materials of a version. Raises `NotFound` or `CommandFailed`."""
    with _told():
        client: RegistryClient = open_registry(data, registry)
        manifest = client.manifest(family, version)
        locks = [client.read(manifest, artifact).decode("utf-8", "replace") for artifact in manifest.of_role(Role.LOCK)]
    return bill_of(manifest, "\n".join(locks))


@contextmanager
def _told() -> Generator[None]:
    """Tell the errors of a registry as those of a command."""
    try:
        yield
    except UnusableKey as error:
        raise BadSettings(str(error), error.hint) from error
    except (UnknownFamily, UnknownVersion) as error:
        raise NotFound(str(error), "`pointsman registry audit` lists what is published there") from error
    except RegistryError as error:
        raise CommandFailed(str(error), error.hint or "see whether the registry is what it was: pointsman ledger verify") from error
