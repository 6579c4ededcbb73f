"""Whole manifests that do not contradict themselves."""

from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from hypothesis import strategies as st

from registry_client.manifest import (
    Artifact,
    Change,
    Component,
    ComponentKind,
    Dataset,
    Datatype,
    Evaluation,
    Interface,
    Labels,
    Lock,
    Manifest,
    Pipeline,
    Predecessor,
    Provenance,
    Role,
    Serving,
    Task,
    TensorSpec,
    Waiver,
    component_digest,
)
from tests.strategies.versions import version_texts

family_names = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,4}){0,2}", fullmatch=True)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
_words = st.text(st.characters(codec="utf-8"), max_size=12)
_paths = st.from_regex(r"[a-z][a-z0-9_]{0,5}(\.[a-z]{1,4})?", fullmatch=True)
_floats = st.floats(allow_nan=False, allow_infinity=False)
_small_floats = st.floats(-1e15, 1e15)
"""In free-form places; the canonical form writes an integral 1e16 as an integer, and reads none so large."""
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), _small_floats, _words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_words, inner, max_size=3)),
    max_leaves=6,
)
json_objects = st.dictionaries(_words, _json, max_size=3)


_T = TypeVar("_T")


def _maybe(strategy: st.SearchStrategy[_T]) -> st.SearchStrategy[_T | None]:
    return st.one_of(st.none(), strategy)


def _tensors() -> st.SearchStrategy[tuple[TensorSpec, ...]]:
    tensor = st.builds(
        TensorSpec,
        name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
        datatype=st.sampled_from(Datatype),
        shape=st.lists(st.integers(-1, 2**31), min_size=1, max_size=4).map(tuple),
        optional=st.booleans(),
        by_label=st.booleans(),
    )
    return st.lists(tensor, min_size=1, max_size=3, unique_by=lambda spec: spec.name).map(tuple)


_interfaces = st.builds(
    Interface,
    inputs=_tensors(),
    outputs=_tensors(),
    request=_maybe(json_objects),
    response=_maybe(json_objects),
    labels=_maybe(st.builds(Labels, names=st.lists(_words, min_size=1, max_size=4, unique=True).map(tuple))),
    score_kind=_maybe(_words),
    unknown_inputs=st.sampled_from(["reject", "ignore"]),
)


@st.composite
def _artifacts(draw: st.DrawFn) -> tuple[Artifact, ...]:
    paths = draw(st.lists(_paths, min_size=1, max_size=5, unique=True))
    others = st.sampled_from([role for role in Role if role is not Role.MODEL])
    roles = [Role.MODEL, *(draw(others) for _ in paths[1:])]
    sizes = st.integers(0, 2**50)
    return tuple(
        Artifact(path=path, role=role, media_type=draw(_words), size=draw(sizes), sha256=draw(digests))
        for path, role in zip(paths, roles, strict=True)
    )


_moments = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)


@st.composite
def _pipelines(draw: st.DrawFn, files: dict[str, str]) -> Pipeline:
    """`files`: sha256 by path."""
    paths = list(files)

    def identified(component: Component) -> Component:
        sha256 = component_digest(msgspec.to_builtins(component), {path: files[path] for path in component.files})
        return msgspec.structs.replace(component, sha256=sha256)

    component = st.builds(
        Component,
        name=family_names,
        version=version_texts,
        kind=st.sampled_from(ComponentKind),
        entry=_maybe(_words),
        files=st.lists(st.sampled_from(paths), max_size=2).map(tuple),
        config=json_objects,
        sha256=digests,
    ).map(identified)
    lock = st.sampled_from(paths).flatmap(
        lambda path: st.builds(Lock, python=_words, requirements=st.just(path), sha256=st.just(files[path]))
    )
    return Pipeline(pre=draw(_maybe(component)), post=draw(_maybe(component)), lock=draw(_maybe(lock)))


_provenances = st.builds(
    Provenance,
    repository=_maybe(_words),
    commit=_maybe(_words),
    datasets=st.lists(st.builds(Dataset, name=_words, version=_maybe(_words), sha256=_maybe(digests)), max_size=2).map(tuple),
    hyperparameters=json_objects,
    parents=st.lists(_words, max_size=2).map(tuple),
)
_evaluations = st.builds(
    Evaluation,
    dataset=_words,
    metric=_words,
    value=_floats,
    slice=_maybe(_words),
    n=_maybe(st.integers(0, 2**40)),
    ci=_maybe(st.tuples(_floats, _floats)),
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    artifacts = draw(_artifacts())
    return Manifest(
        family=draw(family_names),
        version=draw(version_texts),
        supersedes=draw(_maybe(st.builds(Predecessor, version=version_texts, digest=_maybe(digests)))),
        created_at=draw(_moments),
        created_by=draw(_words),
        task=draw(st.builds(Task, type=_words, taxonomy=_maybe(_words), primary_metric=_maybe(_words))),
        artifacts=artifacts,
        pipeline=draw(_pipelines({artifact.path: artifact.sha256 for artifact in artifacts})),
        interface=draw(_interfaces),
        provenance=draw(_provenances),
        evaluation=tuple(draw(st.lists(_evaluations, max_size=2))),
        change=draw(st.builds(Change, waivers=st.lists(st.builds(Waiver, rule=_words, reason=_words, by=_words), max_size=2).map(tuple))),
        serving=draw(st.builds(Serving, cpu=st.integers(1, 256), gpu=st.floats(0, 8), max_batch=st.integers(1, 65_536))),
        licenses=tuple(draw(st.lists(_words, max_size=2))),
        docs=draw(_words),
    )
