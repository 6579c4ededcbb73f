"""The cache: verified copies of published files on this machine, put together as whole bundles.

CACHE/manifests/<digest>.json      manifests, by digest
CACHE/blobs/sha256/ab/<digest>     files, by digest; of large ones only where they are
CACHE/partial/<digest>             large files that are not all here yet
CACHE/partial.turns                who fetches which of them
CACHE/bundles/<manifest digest>/   a version's files under their own names, ready to load
CACHE/components/<digest>/         a library component's files, for the bundles that are made with it
CACHE/uploads/<key>                uploads to a registry that are under way, for whoever goes on with them
CACHE/signatures/<manifest digest>/  envelopes that were seen beside a version, by digest
CACHE/ledger.jsonl                 what each version was when first seen
CACHE/.staging/...                 what is being written; counts for nothing

Everything is hashed again each time before it is handed out: a size or a name proves nothing. Bundles hold copies, not links:
a component that writes into its own directory must not reach the blob, and ONNX tools refuse weights with two links.
"""

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from shutil import rmtree
from time import sleep

from registry_client.blobs import Blobs, Housekeeping
from registry_client.errors import ChangedMeanwhile, InvalidBundle, InvalidManifest
from registry_client.files import (
    make_directory,
    measure,
    move_into_place,
    open_regular,
    staging,
    sync_directories,
    sync_directory,
    write_synced,
    write_verified,
)
from registry_client.manifest import Artifact, Manifest, parse_manifest
from registry_client.origins import Origin
from registry_client.partials import Whole
from registry_client.seals import TICK_S, Seal, Stamp
from registry_client.transfers import refuse_without_room

_DIGEST = re.compile(r"[0-9a-f]{64}")

Artifacts = Sequence[Artifact]


def _nobody(_damaged: str) -> None:
    """Where nobody wants to know of repairs."""


class Cache:
    """Verified copies. Safe among threads and processes, and under kill -9 at any point.

    `repaired` is called with the path of whatever was found damaged or foreign, which is then put right.
    """

    def __init__(self, root: Path, repaired: Callable[[str], None] = _nobody, keeping: Housekeeping | None = None) -> None:
        self._root = Path(os.path.realpath(root))
        self._staging = self._root / ".staging"
        self._repaired = repaired
        self._keeping = keeping or Housekeeping()
        self._blobs = Blobs(self._root, repaired, self._keeping)

    @property
    def root(self) -> Path:
        """Where all of it is."""
        return self._root

    @property
    def uploads(self) -> Path:
        """Where publishers note which uploads are under way."""
        return self._root / "uploads"

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

    def bundle(self, manifest: Manifest, origin: Origin) -> Seal:
        """The directory with a version's files, each of them just verified and sealed. Raises `DigestMismatch` or `MissingBlob`."""
        digest = manifest.digest
        seal = self._whole(self._root / "bundles" / digest, manifest.artifacts, origin)
        self._remember(manifest, digest)
        return seal

    def component(self, digest: str, artifacts: Artifacts, origin: Origin) -> Path:
        """The directory with a library component's files, each of them just verified. Raises as `bundle` does."""
        return self._whole(self._root / "components" / digest, artifacts, origin).directory

    def _whole(self, directory: Path, artifacts: Artifacts, origin: Origin) -> Seal:
        fresh = dict[str, Stamp | None]()
        while not directory.is_dir():
            with ExitStack() as held:
                wholes = self._assemble(artifacts, directory, origin, held)
                sleep(TICK_S)
                fresh = {path: whole.stamp() for path, whole in wholes.items()}
        self._remove_foreign(artifacts, directory)
        stamps = {artifact.path: _unchanged(directory, artifact, fresh) for artifact in artifacts}
        return Seal(directory, {each.path: stamps[each.path] or self._put_right(each, directory, origin) for each in artifacts})

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
                    write_synced(unfinished / "envelope", document)
                    (unfinished / "envelope").rename(path)
                sync_directory(folder)

    def _remember(self, manifest: Manifest, digest: str) -> None:
        path = self._manifest_path(digest)
        if path.exists():
            return
        make_directory(path.parent)
        with staging(self._staging) as unfinished:
            whole = unfinished / "manifest.json"
            write_synced(whole, manifest.canonical())
            whole.rename(path)
        sync_directory(path.parent)

    def _assemble(self, artifacts: Artifacts, directory: Path, origin: Origin, held: ExitStack) -> dict[str, Whole]:
        """Put a bundle together, unless somebody else does so meanwhile; its large files, which stay `held`, by their paths."""
        refuse_without_room(self._root, self._blobs.needed(artifacts), self._keeping.free)
        large = {artifact.sha256: artifact for artifact in artifacts if self._blobs.is_large(artifact)}
        with staging(self._staging) as unfinished:
            wholes = dict[str, Whole]()
            for digest in sorted(large):  # everybody in this order: nobody waits for one who waits for him
                whole = held.enter_context(self._blobs.whole(large[digest], origin, unfinished / digest))
                if whole is None:
                    return {}
                wholes[digest] = whole
            bundle = unfinished / "bundle"
            bundle.mkdir()
            placed = self._fill(bundle, artifacts, wholes, origin)
            sync_directories(bundle)
            if not move_into_place(bundle, directory):
                return {}
        for artifact in large.values():
            self._blobs.point(artifact, directory / artifact.path)
        return placed

    def _fill(self, bundle: Path, artifacts: Artifacts, wholes: dict[str, Whole], origin: Origin) -> dict[str, Whole]:
        placed = dict[str, Whole]()
        for artifact in sorted(artifacts, key=self._blobs.is_large):  # the large ones last: until then a kill loses nothing of them
            target = bundle / artifact.path
            target.parent.mkdir(parents=True, exist_ok=True)
            whole = wholes.get(artifact.sha256)
            if whole is None:
                self._blobs.copy(artifact, target, origin)
            elif whole not in placed.values():
                _move(whole.path, target)
                placed[artifact.path] = whole
            else:
                whole.file.seek(0)
                write_verified(whole.file, target, artifact.sha256, what=artifact.path)
        return placed

    def _put_right(self, artifact: Artifact, directory: Path, origin: Origin) -> Stamp:
        """Hash a file again, and replace it if it is damaged. Raises `ChangedMeanwhile` if it is damaged again at once."""
        stamp = _sound(directory, artifact)
        if stamp is not None:
            return stamp
        self._repaired(str(directory / artifact.path))
        while not self._replace(artifact, directory / artifact.path, origin):
            pass  # somebody else took what was waited for
        sleep(TICK_S)
        stamp = _sound(directory, artifact)
        if stamp is None:
            raise ChangedMeanwhile(artifact.path)
        return stamp

    def _replace(self, artifact: Artifact, target: Path, origin: Origin) -> bool:
        """Put a file in the place of a damaged one; whether that was possible."""
        refuse_without_room(self._root, self._blobs.needed([artifact]), self._keeping.free)
        target.parent.mkdir(parents=True, exist_ok=True)
        with staging(self._staging) as unfinished:
            if not self._blobs.is_large(artifact):
                self._blobs.copy(artifact, unfinished / "file", origin)
                (unfinished / "file").replace(target)
                return True
            with self._blobs.whole(artifact, origin, unfinished / "file") as whole:
                if whole is None:
                    return False
                _move(whole.path, target)
        sync_directory(target.parent)
        self._blobs.point(artifact, target)
        return True

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

    def _discard(self, path: Path) -> None:
        self._repaired(str(path))
        if path.is_dir() and not path.is_symlink():
            rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def _manifest_path(self, digest: str) -> Path:
        return self._root / "manifests" / f"{digest}.json"


def _unchanged(directory: Path, artifact: Artifact, fresh: Mapping[str, Stamp | None]) -> Stamp | None:
    """The stamp of a file that was just put there and is that one still; None for any other."""
    stamp = fresh.get(artifact.path)
    return stamp if stamp == Stamp.at(directory / artifact.path) else None


def _sound(directory: Path, artifact: Artifact) -> Stamp | None:
    """The stamp of a file that is what it should be, from before it was hashed; None for any other."""
    try:
        with open_regular(directory, artifact.path) as file:
            stamp = Stamp.of(file)
            return stamp if measure(file).sha256 == artifact.sha256 else None
    except InvalidBundle:
        return None


def _move(whole: Path, target: Path) -> None:
    whole.replace(target)
    target.chmod(0o444)
