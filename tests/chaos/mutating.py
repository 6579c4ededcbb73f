"""P16: whoever can write to a registry or to a cache changes what was published, anywhere, in every way; no changed byte is loaded.

Also between the verification of a file and the end of loading (`late`), where only the seal tells.

What is handed out after each mutation is compared with what was published: refused and put right are both fine.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from benchmarks.chaos import Figure
from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import FetchedBundle, RegistryClient
from registry_client.errors import RegistryError
from tests.chaos.scenario import Full, Scenario, Stage
from tests.unit.registry_client.sketches import Linear

FAMILY, VERSION = "sketch", "1.0.0"
MOST_BITS = 8
Mutation = Callable[[bytes, Random], bytes]


def _flip(content: bytes, dice: Random) -> bytes:
    mutated = bytearray(content or b"\x00")
    for _ in range(dice.randint(1, MOST_BITS)):
        at = dice.randrange(len(mutated))
        mutated[at] ^= 1 << dice.randrange(8)
    return bytes(mutated)


def _overwrite(content: bytes, dice: Random) -> bytes:
    at = dice.randint(0, len(content))
    return content[:at] + dice.randbytes(dice.randint(1, 64)) + content[at + dice.randint(0, 64) :]


def _cut(content: bytes, dice: Random) -> bytes:
    return content[: dice.randrange(len(content))] if content else b"x"


def _extend(content: bytes, dice: Random) -> bytes:
    return content + dice.randbytes(dice.randint(1, 64))


def _rename(content: bytes, dice: Random) -> bytes:
    """Change a digit of a version, a size or a digest, and keep the form."""
    digits = [at for at, byte in enumerate(content) if chr(byte).isdigit()]
    if not digits:
        return _flip(content, dice)
    at = dice.choice(digits)
    return content[:at] + str((int(chr(content[at])) + dice.randint(1, 9)) % 10).encode() + content[at + 1 :]


WAYS: dict[str, Mutation] = {"bits flipped": _flip, "overwritten": _overwrite, "cut": _cut, "extended": _extend, "digit changed": _rename}


class Shelf:
    """A version that is published, on a machine that has seen it and has it in its cache."""

    def __init__(self, folder: Path) -> None:
        self._registry, self._cache = folder / "registry", folder / "cache"
        self._cold = folder / "cold"
        bundle = load_bundle(Linear().write(folder / "bundle", VERSION))
        self.digest = self._client(self._cache).publish(bundle).manifest_digest
        self._original = {name: path.read_bytes() for name, path in self._fetch(self._cache).items()}
        self._pristine = {path: path.read_bytes() for path in self._files()}

    def _files(self) -> list[Path]:
        """Everything of it that lies in the registry and in the cache, but for the ledger, which is this machine's own memory."""
        places = (self._registry / "families", self._registry / "blobs", self._cache)
        found = (path for place in places for path in place.rglob("*") if path.is_file() and not path.is_symlink())
        return sorted(path for path in found if path.name != "ledger.jsonl")

    def _client(self, cache: Path) -> RegistryClient:
        return RegistryClient(FilesBackend(self._registry), Cache(cache))

    def _fetch(self, cache: Path, digest: str | None = None) -> dict[str, Path]:
        fetched: FetchedBundle = self._client(cache).fetch(FAMILY, VERSION, expected_digest=digest)
        return {artifact.path: fetched.path(artifact.path) for artifact in fetched.manifest.artifacts}

    def mutate(self, way: Mutation, dice: Random) -> None:
        """Change one file."""
        path = dice.choice(list(self._pristine))
        self._write(path, way(self._pristine[path], dice))

    def swap(self, _way: Mutation, dice: Random) -> None:
        """Put one file in another's place."""
        path, other = dice.sample(list(self._pristine), 2)
        self._write(path, self._pristine[other])

    def lose(self, _way: Mutation, dice: Random) -> None:
        """Remove one file."""
        dice.choice(list(self._pristine)).unlink()

    def forge(self, way: Mutation, dice: Random) -> None:
        """Change a file in the registry, and everything that vouches for it: blob, manifest, and the manifest's digest beside it."""
        directory = self._registry / "families" / FAMILY / VERSION
        manifest = json.loads(self._pristine[directory / "manifest.json"])
        artifact = dice.choice(manifest["artifacts"])
        blobs = self._registry / "blobs" / "sha256"
        content = way(self._pristine[blobs / artifact["sha256"][:2] / artifact["sha256"]], dice)
        artifact["sha256"], artifact["size"] = hashlib.sha256(content).hexdigest(), len(content)
        document = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        self._write(blobs / artifact["sha256"][:2] / artifact["sha256"], content)
        self._write(directory / "manifest.json", document)
        self._write(directory / "manifest.sha256", f"{hashlib.sha256(document).hexdigest()}  manifest.json\n".encode())

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.chmod(0o644)
        path.write_bytes(content)

    def outcome(self, *, is_cold: bool, is_pinned: bool) -> str:
        """What comes of loading it now: `refused`, `intact`, `LOADED` changed, or `crashed`."""
        cache = self._cache
        if is_cold:  # another machine's cache is empty, but it has seen the version before
            cache = self._cold
            shutil.rmtree(cache, ignore_errors=True)
            cache.mkdir()
            shutil.copy(self._cache / "ledger.jsonl", cache / "ledger.jsonl")
        try:
            handed_out = self._fetch(cache, self.digest if is_pinned else None)
        except RegistryError:
            return "refused"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no refusal with a sentence
            return f"crashed: {type(error).__name__}: {error}"
        same = {name: path.read_bytes() for name, path in handed_out.items()} == self._original
        return "intact" if same else "LOADED"

    def late(self, way: Mutation, dice: Random) -> str:
        """What comes of changing a file after it was verified and before it is read; half of the time it is back before anybody looks."""
        fetched = self._client(self._cache).fetch(FAMILY, VERSION, expected_digest=self.digest)
        names = [artifact.path for artifact in fetched.manifest.artifacts]
        path = fetched.path(dice.choice(names))
        aside = path.with_name("aside")
        path.rename(aside)
        path.write_bytes(way(aside.read_bytes(), dice))
        loaded = {name: fetched.path(name).read_bytes() for name in names}
        if dice.random() < 0.5:
            aside.replace(path)
        try:
            fetched.refuse_change()
        except RegistryError:
            return "refused"
        return "intact" if loaded == self._original else "LOADED"

    def heal(self) -> None:
        """Put everything back."""
        for path in self._files():
            if path not in self._pristine:
                path.unlink()
        for path, content in self._pristine.items():
            if not path.is_file() or path.read_bytes() != content:
                self._write(path, content)


DEEDS = (Shelf.mutate, Shelf.mutate, Shelf.mutate, Shelf.swap, Shelf.lose, Shelf.forge, Shelf.late)


def play_mutations(folder: Path, dice: Random, count: int, notes: list[str]) -> Counter[str]:
    """Mutate so many times; what came of it."""
    shelf, outcomes = Shelf(folder), Counter[str]()
    for _ in range(count):
        deed, way = dice.choice(DEEDS), dice.choice(list(WAYS))
        if deed is Shelf.late:
            outcome = shelf.late(WAYS[way], dice)
        else:
            deed(shelf, WAYS[way], dice)
            # Unpinned and cold, only the ledger knows better; a warm cache serves those who know the digest.
            outcome = shelf.outcome(is_cold=dice.random() < 0.5, is_pinned=dice.random() < 0.5)
        if outcome not in {"refused", "intact"}:
            notes.append(f"{deed.__name__}, {way}: {outcome}")
        outcomes[outcome.partition(":")[0]] += 1
        shelf.heal()
    return outcomes


def _mutated(stage: Stage) -> Sequence[Figure]:
    outcomes = play_mutations(stage.folder, stage.dice, stage.size(Full.MUTATIONS, 200), stage.notes)
    return [
        Figure("changed bytes handed out", outcomes["LOADED"], at_most=0),
        Figure("crashes", outcomes["crashed"], at_most=0),
        Figure("refused", outcomes["refused"]),
        Figure("put right, or not touched", outcomes["intact"]),
    ]


MUTATING = (Scenario("P16", "mutations of what is published and cached", _mutated),)
