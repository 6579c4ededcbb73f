"""The corpus of bad manifests and files: each seed is one thing done to a published version, and the words that the refusal must have.

Graphs are in `test_graph_corpus.py`; foreign formats, links and weights elsewhere in `test_artifact_safety.py`; swaps while a version is
loaded in `tests/unit/bootstrap/test_proving.py`. Nothing ends in anything but a refusal with a sentence.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry_client.backends.files import FilesBackend
from registry_client.bundle import Bundle, load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import RegistryError
from tests.unit.registry_client.sketches import Linear
from tests.unit.registry_client.test_graph_corpus import GRAPHS

Json = dict[str, Any]


# --- manifests, and what they say of files --------------------------------------------------------------------------------

Edit = Callable[[Json], object]


@dataclass(frozen=True)
class BadManifest:
    """What is done to a published version's manifest, by its fields or by its bytes, and the words of the refusal."""

    name: str
    words: str
    edit: Edit | None = None
    raw: Callable[[bytes], bytes] = field(default=lambda document: document)


def put(*path: str | int, to: object) -> Edit:
    def edit(document: Json) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return edit


def of_files(**fields: object) -> Edit:
    return lambda document: document["artifacts"][0].update(fields)


PATH, REGEX = "artifacts[1].path", "Expected `str` matching regex"
COMPONENT: Json = {
    "name": "p",
    "version": "1.0.0",
    "kind": "declarative",
    "entry": None,
    "files": [],
    "config": {"steps": []},
    "sha256": "ab" * 32,
}
MANIFESTS = [
    # documents
    BadManifest("nothing", "truncated", raw=lambda _: b""),
    BadManifest("half", "truncated", raw=lambda document: document[: len(document) // 2]),
    BadManifest("a list", "Expected `object`, got `array`", raw=lambda _: b"[]"),
    BadManifest("null", "Expected `object`, got `null`", raw=lambda _: b"null"),
    BadManifest("UTF-16", "malformed", raw=lambda document: document.decode().encode("utf-16")),
    BadManifest("a byte order mark", "malformed", raw=lambda document: b"\xef\xbb\xbf" + document),
    BadManifest("something behind it", "trailing characters", raw=lambda document: document + b"{}"),
    BadManifest("another form of the same", "canonical", raw=lambda document: document + b"\n"),
    BadManifest("a repeated key", "canonical", raw=lambda document: document.replace(b'"docs":', b'"docs":"","docs":', 1)),
    BadManifest("NaN", "malformed", raw=lambda document: document.replace(b'"docs":""', b'"docs":NaN')),
    BadManifest("a lone surrogate", "surrogate", raw=lambda document: document.replace(b'"docs":""', b'"docs":"\\ud800"')),
    BadManifest(
        "brackets without end", "unknown field", raw=lambda document: document[:-1] + b',"z":' + b"[" * 99_999 + b"]" * 99_999 + b"}"
    ),
    BadManifest("seventeen megabytes", "larger than", put("docs", to="x" * 17 * 2**20)),
    BadManifest("a field that nobody knows", "unknown field `evil`", put("evil", to=1)),
    BadManifest("a field too few", "missing required field `artifacts`", lambda document: document.pop("artifacts")),
    BadManifest("a form of the future", "format", put("format", to=2)),
    # names
    BadManifest("a version of two numbers", "'1.0' is not a version", put("version", to="1.0")),
    BadManifest("build metadata", "build metadata", put("version", to="1.0.0+b")),
    BadManifest("a leading zero", "leading zeros", put("version", to="01.0.0")),
    BadManifest("a line break in the version", "is not a version", put("version", to="1.0.0\n")),
    BadManifest("an endless version", "longer than 64", put("version", to=f"1.{'9' * 200}.0")),
    BadManifest("another version", "calls itself sketch@9.0.0", put("version", to="9.0.0")),
    BadManifest("another family", "calls itself other@1.0.0", put("family", to="other")),
    BadManifest("a family elsewhere", REGEX, put("family", to="../x")),
    BadManifest("a time that is none", "Invalid isoformat string", put("created_at", to="yesterday")),
    BadManifest("a time without its zone", "created_at has no zone", put("created_at", to="2026-01-01T00:00:00")),
    # files
    *[
        BadManifest(f"a file at {path!r}", REGEX, put("artifacts", 1, "path", to=path))
        for path in ("../../etc/passwd", "/etc/passwd", "a\0b", "./model.onnx", "", ".ssh/id", "a\\b", "a//b", "a/../b", "a\n")
    ],
    BadManifest("an endless path", "length <= 200", put("artifacts", 1, "path", to="a" * 5000)),
    BadManifest("two files of one path", "artifacts[].path repeats golden.jsonl", put("artifacts", 1, "path", to="golden.jsonl")),
    BadManifest("a file under a file", "under what is itself a file", put("artifacts", 1, "path", to="golden.jsonl/x")),
    BadManifest("a short digest", REGEX, of_files(sha256="ab")),
    BadManifest("a digest in capitals", REGEX, of_files(sha256="AB" * 32)),
    BadManifest("a digest that leads elsewhere", REGEX, of_files(sha256="../" * 21 + "x")),
    BadManifest("the digest of another file", "the registry has no file of sha256 abab", of_files(sha256="ab" * 32)),
    BadManifest("a negative size", "Expected `int` >= 0", of_files(size=-1)),
    BadManifest("a size that is no number", "Expected `int`, got `str`", of_files(size="5")),
    BadManifest("a size beyond JSON", "safe integer", of_files(size=2**70)),
    BadManifest("a size that is too large", "has 1000000 bytes by the manifest, and", of_files(size=10**6)),
    BadManifest("a size that no disk has", "needs 931,323 GiB, and", of_files(size=10**15)),
    BadManifest("a size that is too small", "has 1 bytes by the manifest, and", of_files(size=1)),
    BadManifest("a role that nobody knows", "Invalid enum value 'evil'", of_files(role="evil")),
    BadManifest("two models", "exactly one file of role 'model', not 2", of_files(role="model")),
    BadManifest("no files", "length >= 1", put("artifacts", to=[])),
    # what is made of files
    BadManifest("a component's file that is not listed", "p.py", put("pipeline", "pre", to={**COMPONENT, "files": ["p.py"]})),
    BadManifest("a component under another's digest", "is not the digest of what it holds", put("pipeline", "pre", to=COMPONENT)),
    BadManifest(
        "an environment under another's digest",
        "pipeline.lock.sha256 is not the digest of golden.jsonl",
        put("pipeline", "lock", to={"python": "3.11", "requirements": "golden.jsonl", "sha256": "ab" * 32}),
    ),
    BadManifest("no threads", "Expected `int` >= 1", put("serving", "cpu", to=0)),
    BadManifest("a million threads", "Expected `int` <= 256", put("serving", "cpu", to=10**6)),
    BadManifest("no rows", "Expected `int` >= 1", put("serving", "max_batch", to=0)),
    BadManifest("a dimension below -1", "Expected `int` >= -1", put("interface", "inputs", 0, "shape", to=[-1, -2])),
    BadManifest("ninety-nine dimensions", "length <= 8", put("interface", "inputs", 0, "shape", to=[-1] * 99)),
    BadManifest("no inputs", "length >= 1", put("interface", "inputs", to=[])),
    BadManifest("an input twice", "repeats x", lambda document: document["interface"]["inputs"].append(document["interface"]["inputs"][0])),
]


class Shelf:
    """A registry in a folder with one version in it, which whoever can write there changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundle: Bundle = load_bundle(Linear().write(folder / "bundle", "1.0.0"))
        self.client("author").publish(self.bundle)
        self.place = folder / "registry" / "families" / "sketch" / "1.0.0"

    def client(self, machine: str) -> RegistryClient:
        """A machine with a cache and a ledger of its own."""
        return RegistryClient(FilesBackend(self.folder / "registry"), Cache(self.folder / machine))

    def forge(self, document: bytes) -> None:
        """Put another manifest in the place of the version's, with its right digest beside it."""
        for name in ("manifest.json", "manifest.sha256"):
            (self.place / name).chmod(0o644)
        (self.place / "manifest.json").write_bytes(document)
        (self.place / "manifest.sha256").write_text(f"{hashlib.sha256(document).hexdigest()}  manifest.json\n")

    def blob(self, name: str) -> Path:
        """Where a file of the version is kept."""
        [sha256] = [artifact.sha256 for artifact in self.bundle.manifest.artifacts if artifact.path == name]
        return self.folder / "registry" / "blobs" / "sha256" / sha256[:2] / sha256

    def refusal(self) -> str:
        """What a machine that never saw the version before says to it."""
        with pytest.raises(RegistryError) as refused:
            self.client("newcomer").fetch("sketch", "1.0.0")
        assert not [path for path in (self.folder / "newcomer").rglob("*") if path.is_file() and path.name == "model.onnx"]
        return str(refused.value)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.mark.parametrize("seed", MANIFESTS, ids=lambda seed: seed.name)
def test_a_bad_manifest_is_refused_with_its_sentence_by_whoever_never_saw_the_version(shelf: Shelf, seed: BadManifest) -> None:
    # given
    document = json.loads(shelf.bundle.manifest.canonical())
    if seed.edit is not None:
        seed.edit(document)
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    # when
    shelf.forge(seed.raw(canonical))

    # then
    assert seed.words in shelf.refusal()


def test_the_manifest_that_is_edited_there_is_good_before(shelf: Shelf) -> None:
    shelf.forge(
        json.dumps(json.loads(shelf.bundle.manifest.canonical()), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    )

    assert shelf.client("newcomer").fetch("sketch", "1.0.0").path("model.onnx").is_file()


# --- files ------------------------------------------------------------------------------------------------------------


def rewritten(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        path.chmod(0o644)
        path.write_bytes(change(path.read_bytes()))

    return spoil


def replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        path.unlink()
        make(path)

    return spoil


WRONG, GONE = "sha256 is ", "the registry has no file of sha256"
FILES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "one bit": (WRONG, rewritten(lambda content: content[:-1] + bytes([content[-1] ^ 1]))),
    "cut short": (WRONG, rewritten(lambda content: content[:-7])),
    "made longer": (WRONG, rewritten(lambda content: content + b"\0")),
    "empty": (WRONG, rewritten(lambda _: b"")),
    "zeros": (WRONG, rewritten(lambda content: bytes(len(content)))),
    "another graph": (WRONG, rewritten(lambda _: Linear(bias=np.zeros(3)).graph())),
    "gone": (GONE, replaced(lambda _: None)),
    "a link elsewhere": (GONE, replaced(lambda path: path.symlink_to("/dev/zero"))),
    "a link to nowhere": (GONE, replaced(lambda path: path.symlink_to("nowhere"))),
    "a folder": (GONE, replaced(lambda path: path.mkdir())),
    "a pipe": (GONE, replaced(os.mkfifo)),
}


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_refused_with_its_sentence(shelf: Shelf, name: str) -> None:
    words, spoil = FILES[name]

    spoil(shelf.blob("model.onnx"))

    assert words in shelf.refusal()


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.mkdir(), lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "folder", "link"]
)
def test_what_is_no_file_is_no_manifest_and_is_not_waited_for(shelf: Shelf, make: Callable[[Path], object]) -> None:
    replaced(make)(shelf.place / "manifest.json")

    assert "has no version '1.0.0'" in shelf.refusal()


def test_the_corpus_is_as_large_as_it_is_meant_to_be() -> None:
    """Beside those of `test_artifact_safety.py`; every name once."""
    names = [*(seed.name for seed in GRAPHS), *(seed.name for seed in MANIFESTS), *FILES]

    assert len(names) >= 85
    assert len(set(names)) >= len(names) - 1  # "a form of the future" is a graph's and a manifest's
