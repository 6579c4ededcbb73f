"""A version as a bill of materials in CycloneDX 1.6: the model with its card, every file, component, data set and locked dependency.

Everything in it follows from the manifest and the lock that the manifest names, so the same version gives the same document.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from registry_client.manifest import Component, Dataset, Evaluation, Manifest, Provenance, TensorSpec

Json = dict[str, Any]

SPECIFICATION: Final = "1.6"
_MODEL = "model"
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)")
_MEDIA_TYPE = re.compile(r"[-+a-z0-9.]+/[-+a-z0-9.]+")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def bill_of(manifest: Manifest, lock: str = "") -> Json:
    """The bill of a version; `lock` is the text of its requirements file, where it has one."""
    listed = [
        *(_file(artifact.path, artifact.media_type, artifact.sha256) for artifact in manifest.artifacts),
        *(_component(component) for component in manifest.pipeline.components),
        *(_dataset(dataset) for dataset in manifest.provenance.datasets),
        *_locked(lock),
    ]
    parts = list({part["bom-ref"]: part for part in listed}.values())  # one component may be named as pre and as post
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_OID, manifest.digest)}",
        "version": 1,
        "metadata": {"timestamp": manifest.created_at, "authors": [{"name": manifest.created_by}], "component": _model(manifest)},
        "components": parts,
        "dependencies": [{"ref": _MODEL, "dependsOn": [part["bom-ref"] for part in parts]}],
    }


def _model(manifest: Manifest) -> Json:
    licenses = [{"license": {"name": name}} for name in manifest.licenses]
    return {
        "type": "machine-learning-model",
        "bom-ref": _MODEL,
        "name": manifest.family,
        "version": manifest.version,
        "hashes": _sha256(manifest.model.sha256),
        "modelCard": _card(manifest),
        "properties": [_property("manifest.sha256", manifest.digest), *_properties(manifest)],
        **({"description": manifest.docs} if manifest.docs else {}),
        **({"licenses": licenses} if licenses else {}),
        **_references(manifest.provenance),
    }


def _card(manifest: Manifest) -> Json:
    interface, provenance = manifest.interface, manifest.provenance
    parameters: Json = {
        "task": manifest.task.type,
        "inputs": [_tensor(tensor) for tensor in interface.inputs],
        "outputs": [_tensor(tensor) for tensor in interface.outputs],
    }
    if provenance.datasets:
        parameters["datasets"] = [{"ref": _reference_of(dataset)} for dataset in provenance.datasets]
    card: Json = {"modelParameters": parameters}
    if manifest.evaluation:
        card["quantitativeAnalysis"] = {"performanceMetrics": [_figure(figure) for figure in manifest.evaluation]}
    return card


def _tensor(tensor: TensorSpec) -> Json:
    return {"format": f"{tensor.name}: {tensor.datatype.value}{list(tensor.shape)}"}


def _figure(figure: Evaluation) -> Json:
    where = figure.dataset if figure.slice is None else f"{figure.dataset}, {figure.slice}"
    told: Json = {"type": figure.metric, "value": f"{figure.value:g}", "slice": where}
    if figure.ci is not None:
        told["confidenceInterval"] = {"lowerBound": f"{figure.ci[0]:g}", "upperBound": f"{figure.ci[1]:g}"}
    return told


def _properties(manifest: Manifest) -> Iterator[Json]:
    provenance = manifest.provenance
    for name, value in sorted(provenance.hyperparameters.items()):
        yield _property(f"hyperparameter.{name}", value)
    for name, text in (("commit", provenance.commit), ("training_run", provenance.training_run)):
        if text:
            yield _property(name, text)
    for parent in provenance.parents:
        yield _property("parent", parent)
    if manifest.supersedes is not None:
        yield _property("supersedes", manifest.supersedes.version)


def _property(name: str, value: object) -> Json:
    return {"name": f"pointsman:{name}", "value": str(value)}


def _references(provenance: Provenance) -> Json:
    if not provenance.repository:
        return {}
    return {"externalReferences": [{"type": "vcs", "url": provenance.repository}]}


def _file(path: str, media_type: str, digest: str) -> Json:
    kind = {"mime-type": media_type} if _MEDIA_TYPE.fullmatch(media_type) else {}
    return {"type": "file", "bom-ref": f"file:{path}", "name": path, **kind, "hashes": _sha256(digest)}


def _component(component: Component) -> Json:
    return {
        "type": "library",
        "bom-ref": f"component:{component.name}@{component.version}",
        "name": component.name,
        "version": component.version,
        "hashes": _sha256(component.sha256),
        "properties": [_property("kind", component.kind.value)],
    }


def _dataset(dataset: Dataset) -> Json:
    return {
        "type": "data",
        "bom-ref": _reference_of(dataset),
        "name": dataset.name,
        "data": [{"type": "dataset", "name": dataset.name}],
        **({"version": dataset.version} if dataset.version else {}),
        **({"hashes": _sha256(dataset.sha256)} if dataset.sha256 else {}),
    }


def _reference_of(dataset: Dataset) -> str:
    return f"data:{dataset.name}@{dataset.version or ''}"


def _locked(lock: str) -> Iterator[Json]:
    """The pinned packages of a requirements file, each with the digests of the files that may be installed."""
    for line in lock.replace("\\\n", " ").splitlines():
        pinned = _PINNED.match(line.strip())
        if pinned is not None:
            name, version = re.sub(r"[-_.]+", "-", pinned[1]).lower(), pinned[2]
            yield _package(name, version, _HASH.findall(line))


def _package(name: str, version: str, digests: Sequence[str]) -> Json:
    purl = f"pkg:pypi/{name}@{version}"
    # Of several files one is installed: which one is not known here, so none is "the" hash of the package.
    hashes: Mapping[str, Any] = {"hashes": _sha256(digests[0])} if len(digests) == 1 else {}
    properties = [_property("accepted.sha256", digest) for digest in digests]
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, **hashes, "properties": properties}


def _sha256(digest: str) -> list[Json]:
    return [{"alg": "SHA-256", "content": digest}]
