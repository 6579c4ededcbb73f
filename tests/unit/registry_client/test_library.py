import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import yaml

from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import ComponentExists, DigestMismatch, InvalidBundle, InvalidManifest, UnknownComponent
from registry_client.library import Library, load_component
from serving.dataplane.engine import open_engine
from tests.unit.dataplane.bundles import answer, predict
from tests.unit.dataplane.test_extensions import DOMAIN, tokenizer
from tests.unit.registry_client.sketches import Linear

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HALVES = """\
from .amounts import FACTOR
def build(config):
    def scale(tensors):
        y = tensors["y"]
        return {"y": y * y.dtype.type(FACTOR * config["by"])}
    return scale
"""

Write = Callable[..., Path]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(FilesBackend(tmp_path / "registry"), Cache(tmp_path / "cache"))


@pytest.fixture
def client(tmp_path: Path) -> RegistryClient:
    return RegistryClient(FilesBackend(tmp_path / "registry"), Cache(tmp_path / "cache"))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """The folder of a Python component; its modules lie in a folder of their own."""

    def written(folder: str = "halving", version: str = "1.3.0", factor: float = 0.5, **component: Any) -> Path:
        directory = tmp_path / "components" / folder
        (directory / "scaling").mkdir(parents=True)
        (directory / "scaling" / "post.py").write_text(HALVES, "utf-8")
        (directory / "scaling" / "amounts.py").write_text(f"FACTOR = {factor}\n", "utf-8")
        described = {
            "name": "halving",
            "version": version,
            "kind": "python",
            "entry": "scaling.post:build",
            "files": ["scaling/post.py", "scaling/amounts.py"],
            "config": {"by": 1},
        }
        document = {"component": described | component, "created_by": "ada", "docs": "Half of it.", "licenses": ["Apache-2.0"]}
        (directory / "component.yaml").write_text(yaml.safe_dump(document), "utf-8")
        return directory

    return written


def referring(directory: Path, reference: str = "halving@1.3.0", version: str = "1.0.0", **linear: Any) -> Path:
    """A version whose postprocessing is in the library; its golden answers are halved."""
    Linear(description={"pipeline": {"post": reference}}, **linear).write(directory, version)
    golden = directory / "golden.jsonl"
    examples = [json.loads(line) for line in golden.read_text("utf-8").splitlines()]
    for example in examples:
        example["response"]["y"] = [value / 2 for value in example["response"]["y"]]
    golden.write_text("".join(json.dumps(example) + "\n" for example in examples), "utf-8")
    return directory


# --- publishing ------------------------------------------------------------------------------------------------------


def test_a_component_lies_in_the_tree_for_people_to_look_at(tmp_path: Path, library: Library, write: Write) -> None:
    # when
    created = library.publish(load_component(write(), now=NOW))

    # then
    place = tmp_path / "registry" / "components" / "halving" / "1.3.0"
    document = json.loads((place / "component.json").read_bytes())
    assert created
    assert (document["component"]["name"], document["created_at"], document["docs"]) == ("halving", "2026-01-02T03:04:05Z", "Half of it.")
    assert (place / "files" / "components" / "halving-1.3.0" / "scaling" / "amounts.py").read_text("utf-8") == "FACTOR = 0.5\n"
    assert (library.names(), [str(version) for version in library.versions("halving")]) == (["halving"], ["1.3.0"])


def test_the_same_content_again_changes_nothing_whenever_it_is_published(library: Library, write: Write) -> None:
    # given
    directory = write()
    library.publish(load_component(directory, now=NOW))

    # when
    created = library.publish(load_component(directory))

    # then
    assert not created
    assert library.document("halving", "1.3.0").created_at == "2026-01-02T03:04:05Z"


def test_another_content_under_the_same_version_is_refused(library: Library, write: Write) -> None:
    # given
    library.publish(load_component(write()))

    # when / then
    with pytest.raises(ComponentExists, match=r"component halving@1.3.0 has another content"):
        library.publish(load_component(write("other", factor=0.25)))
    assert library.publish(load_component(write("next", version="1.4.0", factor=0.25)))


@pytest.mark.parametrize(
    ("component", "why"),
    [
        ({"version": "one"}, "component.version: 'one' is not a version"),
        ({"entry": "absent:build"}, "component.files: they do not hold absent.py"),
        ({"files": ["scaling/post.py", "gone.py"], "entry": "scaling.post:build"}, "gone.py: there is no such file"),
        ({"colour": "red"}, "component.colour: no such field"),
        ({"name": "../etc"}, "component.name"),
        ({"kind": "onnx", "entry": "scaling/post.py"}, "scaling/post.py: "),
        ({"config": {"by": 1e16}}, "component.config.by: "),
    ],
)
def test_what_cannot_be_a_component_is_refused_by_field(write: Write, component: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidBundle) as refused:
        load_component(write(**component))

    assert str(refused.value).startswith(why)


# --- pinning ---------------------------------------------------------------------------------------------------------


def test_a_reference_becomes_the_component_itself_with_its_digest_and_its_files(tmp_path: Path, library: Library, write: Write) -> None:
    # given
    library.publish(load_component(write()))

    # when
    bundle = load_bundle(referring(tmp_path / "bundle"), library=library)

    # then
    assert bundle.manifest.pipeline.post == library.document("halving", "1.3.0").component
    assert {artifact.path for artifact in bundle.manifest.artifacts} >= {
        "components/halving-1.3.0/scaling/post.py",
        "components/halving-1.3.0/scaling/amounts.py",
    }
    [reply] = open_engine(bundle.manifest, bundle.path).run([predict({"x": [0.0, 0.0, 0.0, 0.0]})])
    assert answer(reply) == {"y": [0.5, 0.5, 0.5]}


def test_versions_share_one_copy_and_each_is_whole_without_the_library(
    tmp_path: Path, library: Library, client: RegistryClient, write: Write
) -> None:
    # given
    library.publish(load_component(write()))
    client.publish(load_bundle(referring(tmp_path / "one"), library=library))
    client.publish(load_bundle(referring(tmp_path / "two", version="1.1.0", weights=np.ones((4, 3))), library=library))
    amounts = [
        artifact.sha256
        for version in ("1.0.0", "1.1.0")
        for artifact in client.manifest("sketch", version).artifacts
        if artifact.path.endswith("amounts.py")
    ]
    assert amounts[0] == amounts[1]

    # when the library is gone
    (tmp_path / "registry" / "components").rename(tmp_path / "elsewhere")
    fetched = RegistryClient(FilesBackend(tmp_path / "registry"), Cache(tmp_path / "another-cache")).fetch("sketch", "1.1.0")

    # then
    assert open_engine(fetched.manifest, fetched.path).metadata()


def test_a_bundle_cannot_put_its_own_file_in_the_place_of_a_components(tmp_path: Path, library: Library, write: Write) -> None:
    # given
    library.publish(load_component(write()))
    directory = referring(tmp_path / "bundle")
    own = directory / "components" / "halving-1.3.0" / "scaling" / "amounts.py"
    own.parent.mkdir(parents=True)
    own.write_text("FACTOR = 1000.0\n", "utf-8")

    # when
    bundle = load_bundle(directory, library=library)

    # then
    assert bundle.path("components/halving-1.3.0/scaling/amounts.py").read_text("utf-8") == "FACTOR = 0.5\n"


def test_a_tokenizer_in_the_library_keeps_what_it_asks_for(tmp_path: Path, library: Library) -> None:
    # given
    directory = tmp_path / "words"
    directory.mkdir()
    (directory / "pre.onnx").write_bytes(tokenizer())
    words = {"name": "words", "version": "2.0.0", "kind": "onnx", "entry": "pre.onnx", "files": ["pre.onnx"], "domains": [DOMAIN]}
    (directory / "component.yaml").write_text(yaml.safe_dump({"component": words}), "utf-8")
    library.publish(load_component(directory))

    # when
    component = library.document("words", "2.0.0").component

    # then
    assert (component.entry, component.domains) == ("components/words-2.0.0/pre.onnx", (DOMAIN,))


def test_a_declarative_component_has_no_files(tmp_path: Path, library: Library) -> None:
    # given
    directory = tmp_path / "clipping"
    directory.mkdir()
    clipping = {"name": "clipping", "version": "1.0.0", "kind": "declarative"}
    steps = [{"op": "clip", "tensor": "x", "min": 0.0}]
    (directory / "component.yaml").write_text(yaml.safe_dump({"component": clipping | {"config": {"steps": steps}}}), "utf-8")

    # when
    library.publish(load_component(directory))
    bundle = load_bundle(
        Linear(rows=(), description={"pipeline": {"pre": "clipping@1.0.0"}}).write(tmp_path / "bundle", "1.0.0"), library=library
    )

    # then
    assert bundle.manifest.pipeline.pre is not None
    assert bundle.manifest.pipeline.pre.config == {"steps": steps}


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("halving@9.9.9", "pipeline.post: the library has no component 'halving@9.9.9'"),
        ("absent@1.0.0", "pipeline.post: the library has no component 'absent@1.0.0'"),
        ("halving@^1.3", "pipeline.post: "),
        ("halving", "pipeline.post: "),
        ("../halving@1.3.0", "pipeline.post: "),
    ],
)
def test_a_reference_names_exactly_one_component_that_is_there(
    tmp_path: Path, library: Library, write: Write, reference: str, why: str
) -> None:
    library.publish(load_component(write()))

    with pytest.raises(InvalidBundle) as refused:
        load_bundle(referring(tmp_path / "bundle", reference), library=library)

    assert str(refused.value).startswith(why)


def test_without_a_library_a_reference_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match=r"pipeline.post: refers to halving@1.3.0, and there is no library here"):
        load_bundle(referring(tmp_path / "bundle"))


# --- believing nothing -----------------------------------------------------------------------------------------------


def _another_document(place: Path) -> None:
    document = json.loads((place / "component.json").read_bytes())
    document["component"]["config"]["by"] = 1000
    _overwrite(place / "component.json", json.dumps(document).encode())


def _another_digest(place: Path) -> None:
    _overwrite(place / "component.sha256", b"0" * 64)


def _another_file(place: Path) -> None:
    file = next((place / "files").rglob("amounts.py")).resolve()
    _overwrite(file, b"FACTOR = 1000\n")


def _overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


@pytest.mark.parametrize("tamper", [_another_document, _another_digest, _another_file])
def test_a_library_that_was_changed_is_not_believed(tmp_path: Path, library: Library, write: Write, tamper: Callable[[Path], None]) -> None:
    # given
    library.publish(load_component(write()))
    tamper(tmp_path / "registry" / "components" / "halving" / "1.3.0")

    # when / then
    with pytest.raises((DigestMismatch, InvalidManifest)):
        library.fetch("halving", "1.3.0")


def test_a_component_under_another_name_is_not_believed(tmp_path: Path, library: Library, write: Write) -> None:
    # given
    library.publish(load_component(write()))
    shelf = tmp_path / "registry" / "components" / "halving"
    (shelf / "1.3.0").rename(shelf / "1.4.0")

    # when / then
    with pytest.raises(InvalidManifest, match=r"it stands under component halving@1.4.0 and calls itself halving@1.3.0"):
        library.document("halving", "1.4.0")


@pytest.mark.parametrize(("name", "version"), [("halving", "1.3.0"), ("../families", "1.0.0"), ("halving", "../1.3.0"), ("", "")])
def test_what_is_not_there_is_unknown(library: Library, name: str, version: str) -> None:
    with pytest.raises(UnknownComponent):
        library.document(name, version)
    with pytest.raises(UnknownComponent):
        library.versions(name)


def test_a_digest_stands_for_all_that_a_component_does(write: Write) -> None:
    # given
    one = load_component(write()).document.component

    # when
    others = [
        load_component(write("a", factor=0.25)).document.component,
        load_component(write("b", config={"by": 2})).document.component,
        load_component(write("c", version="1.3.1")).document.component,
    ]

    # then
    assert len({one.sha256, *(other.sha256 for other in others)}) == 4
    assert msgspec.structs.replace(one) == load_component(write("d")).document.component
