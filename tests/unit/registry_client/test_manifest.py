import msgspec
import pytest
from hypothesis import given, settings

from registry_client.errors import InvalidManifest
from registry_client.manifest import Artifact, Datatype, Interface, Labels, Manifest, Role, Task, TensorSpec, parse_manifest
from tests.strategies.manifests import manifests

FIXED = Manifest(
    family="digits",
    version="1.1.0",
    created_at="2026-01-01T00:00:00Z",
    created_by="jane",
    task=Task(type="classification", taxonomy="digits-0-9", primary_metric="accuracy"),
    artifacts=(Artifact(path="model.onnx", role=Role.MODEL, media_type="application/onnx", size=3, sha256="ab" * 32),),
    interface=Interface(
        inputs=(TensorSpec(name="pixels", datatype=Datatype.FP32, shape=(-1, 64)),),
        outputs=(TensorSpec(name="probabilities", datatype=Datatype.FP32, shape=(-1, 2), by_label=True),),
        labels=Labels(names=("zero", "één")),
    ),
)


@settings(max_examples=40, deadline=None)
@given(manifests())
def test_a_manifest_survives_its_canonical_form(manifest: Manifest) -> None:
    # given
    document = manifest.canonical()

    # when
    read = parse_manifest(document)

    # then
    assert read.digest == manifest.digest
    assert read.canonical() == document


def test_the_digest_of_a_manifest_is_frozen() -> None:
    """Published versions are known by it: a change of this value is a change of every identity there is."""
    assert FIXED.digest == "bb4f648d8bc0ee1c8d0603cd8ae48dcd647d42faac7d93ab0593b054eb977337"


def test_other_bytes_of_the_same_meaning_are_refused() -> None:
    spaced = FIXED.canonical().replace(b'"docs":""', b'"docs": ""')
    with pytest.raises(InvalidManifest, match="canonical"):
        parse_manifest(spaced)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"docs":""', b'"docs":"","surprise":1'),
        (b'"format":1', b'"format":2'),
        (b'"version":"1.1.0"', b'"version":"1.1"'),
        (b'"path":"model.onnx"', b'"path":"../model.onnx"'),
        (b'"path":"model.onnx"', b'"path":"/model.onnx"'),
        (b'"path":"model.onnx"', b'"path":"model.onnx\\n"'),
        (b'"family":"digits"', b'"family":"digits\\n"'),
        (b'"role":"model"', b'"role":"weights"'),
        (b'"docs":""', b'"docs":"","docs":""'),
        (b'"hyperparameters":{}', b'"hyperparameters":{"n":9007199254740993}'),
        (b'"hyperparameters":{}', b'"hyperparameters":' + b"[" * 100_000),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(old: bytes, new: bytes) -> None:
    with pytest.raises(InvalidManifest):
        parse_manifest(FIXED.canonical().replace(old, new))


def test_a_file_cannot_lie_under_a_file() -> None:
    model, doc = FIXED.artifacts[0], Artifact(path="model.onnx/doc", role=Role.DOC, media_type="", size=0, sha256="cd" * 32)
    with pytest.raises(ValueError, match="itself a file"):
        msgspec.structs.replace(FIXED, artifacts=(model, doc))
