"""The cache: verified copies of published files on this machine, put together as whole bundles.

CACHE/manifests/<digest>.json      manifests, by digest
CACHE/blobs/sha256/ab/<digest>     files, by digest
CACHE/bundles/<manifest digest>/   a version's files under their own names, ready to load
CACHE/components/<digest>/         a library component's files, for the bundles that are made with it
CACHE/signatures/<manifest digest>/  envelopes that were seen beside a version, by digest
CACHE/ledger.jsonl                 what each version was when first seen
CACHE/.staging/...                 what is being written; counts for nothing

Everything is hashed again each time before it is handed out: a size or a name proves nothing. Bundles hold copies, not links:
a component that writes into its own directory must not reach the blob, and ONNX tools refuse weights with two links.
"""

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import rmtree
from time import sleep
from typing import BinaryIO

from registry_client.errors import ChangedMeanwhile, InvalidBundle, InvalidManifest
from registry_client.files import make_directory, measure, move_into_place, open_regular, staging, sync_directory, write_verified
from registry_client.manifest import Artifact, Manifest, parse_manifest
from registry_client.seals import TICK_S, Seal, Stamp

_DIGEST = re.compile(r"[0-9a-f]{64}")

Artifacts = Sequence[Artifact]

OpenFile = Callable[[Artifact], BinaryIO]
"""Opens a file of a published version in the registry."""


def _nobody(_damaged: str) -> None:
    """Where nobody wants to know of repairs."""


class Cache:
    """Verified copies. Safe among threads and processes, and under kill -9 at any point.

    `repaired` is called with the path of whatever was found damaged or foreign, which is then put right.
    """

    def __init__(self, root: Path, repaired: Callable[[str], None] = _nobody) -> None:
        self._root = Path(os.path.realpath(root))
        self._staging = self._root / ".staging"
        self._repaired = repaired

    @property
    def ledger_path(self) -> Path:
        """Where the ledger of this machine is kept."""
        return self._root / "ledger.jsonl"

    def manifest(self, digest: str) -> Manifest | None:
        """The cached manifest of that digest, or None."""
        if _DIGEST.fullmatch(digest) is None:
            return None
        path = self._manifest_path(digest)
        try:
            manifest = parse_manifest(path.read_bytes())
        except OSError:
            return None
        except InvalidManifest:
            manifest = None
        if manifest is None or manifest.digest != digest:
            self._discard(path)
            return None
        return manifest

    def bundle(self, manifest: Manifest, open_file: OpenFile) -> Seal:
        """The directory with a version's files, each of them just verified and sealed. Raises `DigestMismatch` or `MissingBlob`."""
        digest = manifest.digest
        seal = self._whole(self._root / "bundles" / digest, manifest.artifacts, open_file)
        self._remember(manifest, digest)
        return seal

    def component(self, digest: str, artifacts: Artifacts, open_file: OpenFile) -> Path:
        """The directory with a library component's files, each of them just verified. Raises as `bundle` does."""
        return self._whole(self._root / "components" / digest, artifacts, open_file).directory

    def _whole(self, directory: Path, artifacts: Artifacts, open_file: OpenFile) -> Seal:
        if not directory.is_dir():
            self._assemble(artifacts, directory, open_file)
            sleep(TICK_S)
        self._remove_foreign(artifacts, directory)
        return Seal(directory, {artifact.path: self._put_right(artifact, directory, open_file) for artifact in artifacts})

    def signatures(self, digest: str) -> list[bytes]:
        """The envelopes that were kept of the version with this manifest; they prove themselves, or do not."""
        folder = self._root / "signatures" / digest
        return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []

    def keep_signatures(self, digest: str, documents: Sequence[bytes]) -> None:
        """Keep envelopes, so that a version can be loaded while its registry is away."""
        folder = self._root / "signatures" / digest
        for document in documents:
            path = folder / hashlib.sha256(document).hexdigest()
            if not path.exists():
                make_directory(folder)
                with staging(self._staging) as unfinished:
                    (unfinished / "envelope").write_bytes(document)
                    (unfinished / "envelope").rename(path)

    def _remember(self, manifest: Manifest, digest: str) -> None:
        path = self._manifest_path(digest)
        if path.exists():
            return
        make_directory(path.parent)
        with staging(self._staging) as unfinished:
            whole = unfinished / "manifest.json"
            whole.write_bytes(manifest.canonical())
            whole.rename(path)

    def _assemble(self, artifacts: Artifacts, directory: Path, open_file: OpenFile) -> None:
        with staging(self._staging) as unfinished:
            (unfinished / "bundle").mkdir()
            for artifact in artifacts:
                target = unfinished / "bundle" / artifact.path
                target.parent.mkdir(parents=True, exist_ok=True)
                self._copy_blob(artifact, target, open_file)
            move_into_place(unfinished / "bundle", directory)

    def _put_right(self, artifact: Artifact, directory: Path, open_file: OpenFile) -> Stamp:
        """Hash a file again, and replace it if it is damaged. Raises `ChangedMeanwhile` if it is damaged again at once."""
        stamp = _sound(directory, artifact)
        if stamp is not None:
            return stamp
        self._repaired(str(directory / artifact.path))
        with staging(self._staging) as unfinished:
            self._copy_blob(artifact, unfinished / "file", open_file)
            target = directory / artifact.path
            target.parent.mkdir(parents=True, exist_ok=True)
            (unfinished / "file").replace(target)
        sleep(TICK_S)
        stamp = _sound(directory, artifact)
        if stamp is None:
            raise ChangedMeanwhile(artifact.path)
        return stamp

    def _remove_foreign(self, artifacts: Artifacts, directory: Path) -> None:
        files = {artifact.path for artifact in artifacts}
        folders = {str(parent) for path in files for parent in Path(path).parents}
        for place, subfolders, names in os.walk(directory):
            for name in (*subfolders, *names):
                path = Path(place, name)
                relative = str(path.relative_to(directory))
                wanted = relative in folders and not path.is_symlink() if path.is_dir() else relative in files
                if not wanted:
                    self._discard(path)

    def _copy_blob(self, artifact: Artifact, target: Path, open_file: OpenFile) -> None:
        with self._blob(artifact, open_file) as source:
            write_verified(source, target, artifact.sha256, what=artifact.path)
        size = target.stat().st_size
        if size != artifact.size:  # how much memory a version may take follows from the sizes it states
            raise InvalidManifest(reason=f"{artifact.path} has {artifact.size} bytes by the manifest, and {size} by its digest")

    def _blob(self, artifact: Artifact, open_file: OpenFile) -> BinaryIO:
        """The cached file, verified and open; the caller verifies once more what it reads from it."""
        folder = self._root / "blobs" / "sha256" / artifact.sha256[:2]
        path = folder / artifact.sha256
        if path.exists():
            with path.open("rb") as file:
                sound = measure(file).sha256 == artifact.sha256
            if sound:
                return path.open("rb")
            self._discard(path)
        make_directory(folder)
        with staging(self._staging) as unfinished, open_file(artifact) as source:
            write_verified(source, unfinished / "blob", artifact.sha256, what=artifact.path)
            (unfinished / "blob").replace(path)
        sync_directory(folder)
        return path.open("rb")

    def _discard(self, path: Path) -> None:
        self._repaired(str(path))
        if path.is_dir() and not path.is_symlink():
            rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def _manifest_path(self, digest: str) -> Path:
        return self._root / "manifests" / f"{digest}.json"


def _sound(directory: Path, artifact: Artifact) -> Stamp | None:
    """The stamp of a file that is what it should be, from before it was hashed; None for any other."""
    try:
        with open_regular(directory, artifact.path) as file:
            stamp = Stamp.of(file)
            return stamp if measure(file).sha256 == artifact.sha256 else None
    except InvalidBundle:
        return None
