"""What a `model.yaml` must not claim though its fields have the right types: labels twice, figures that are none, a later predecessor.

Judged when a bundle is read, and not when a manifest is: what was published before stays readable.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import cast

import msgspec

from registry_client.errors import InvalidBundle
from registry_client.manifest import Evaluation, Interface, Serving, Slo
from registry_client.model_yaml import ModelYaml
from registry_client.versions import ModelVersion

LARGEST_WHOLE = 2**53 - 1
"""RFC 8785 writes numbers as JavaScript has them, and those are exact up to here."""


def refuse_implausible(authored: ModelYaml) -> None:
    """Raise `InvalidBundle`, naming the field, for what cannot be meant."""
    refuse_inexact(authored)
    _refuse_labels(authored.interface)
    _refuse_predecessor(authored)
    _refuse_providers(authored.serving)
    _refuse_slo(authored.serving.slo)
    for at, figure in enumerate(authored.evaluation):
        _refuse_figure(f"evaluation[{at}]", figure)


def refuse_colliding(paths: Sequence[str]) -> None:
    """Raise `InvalidBundle` where two paths differ in case alone: many file systems have room for one of them."""
    first: dict[str, str] = {}
    for path in paths:
        other = first.setdefault(path.casefold(), path)
        if other != path:
            reason = f"differs from {other} in upper and lower case alone"
            raise InvalidBundle(path, reason, "rename one: where case is not told apart they are one file")


def refuse_inexact(authored: msgspec.Struct) -> None:
    """Raise `InvalidBundle`, naming the field, for a number that the canonical form of a manifest has no place for."""
    for field, number in _numbers("", msgspec.to_builtins(authored)):
        if not math.isfinite(number):
            raise InvalidBundle(field, f"{number} is no number that JSON has", "leave it out, or write it in quotes, as text")
        if number == int(number) and abs(number) > LARGEST_WHOLE:
            reason = f"{int(number)} is beyond {LARGEST_WHOLE} (2^53 - 1), up to which JSON's numbers are exact"
            raise InvalidBundle(field, reason, "write it in quotes, as text")


def _numbers(field: str, node: object) -> Iterator[tuple[str, float]]:
    if isinstance(node, dict):
        for key, value in cast("dict[str, object]", node).items():
            yield from _numbers(f"{field}.{key}".lstrip("."), value)
    elif isinstance(node, list | tuple):
        for at, value in enumerate(cast("Sequence[object]", node)):
            yield from _numbers(f"{field}[{at}]", value)
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield field, node


def _refuse_labels(interface: Interface) -> None:
    field, hint = "interface.labels.names", "give every class a name of its own"
    names = () if interface.labels is None else interface.labels.names
    repeated = next((name for name, times in Counter(names).items() if times > 1), None)
    if repeated is not None:
        reason = f"{repeated[:80]!r} is there more than once, so an answer by label could not tell them apart"
        raise InvalidBundle(field, reason, hint)
    if "" in names:
        field = f"{field}[{names.index('')}]"
        raise InvalidBundle(field, "is empty", hint)


def _refuse_predecessor(authored: ModelYaml) -> None:
    field, named = "supersedes.version", authored.supersedes
    if named is not None and ModelVersion.parse(named.version) >= ModelVersion.parse(authored.version):
        reason = f"{named.version} is not below {authored.version}, so it cannot be what this version supersedes"
        raise InvalidBundle(field, reason, "name a version that was published before, or leave it out")


def _refuse_providers(serving: Serving) -> None:
    field, repeated = "serving.providers", len(set(serving.providers)) != len(serving.providers)
    if repeated or not serving.providers:
        reason = "names a provider twice" if repeated else "is empty, so nothing could run the model"
        raise InvalidBundle(field, reason, "leave it out for [CPUExecutionProvider]")


def _refuse_slo(slo: Slo) -> None:
    field = "serving.slo"
    if slo.p99_ms is not None and slo.p99_ms <= 0:
        field = f"{field}.p99_ms"
        raise InvalidBundle(field, f"{slo.p99_ms} ms is no time that an answer can take", "write milliseconds above 0")
    if slo.availability is not None and not 0 < slo.availability <= 1:
        field = f"{field}.availability"
        raise InvalidBundle(field, f"{slo.availability} is no share of the requests", "write a share above 0 and up to 1, e.g. 0.999")


def _refuse_figure(place: str, figure: Evaluation) -> None:
    if figure.n is not None and figure.n < 1:
        field = f"{place}.n"
        raise InvalidBundle(field, f"{figure.n} is no number of examples", "write how many it was measured on, or leave it out")
    if figure.ci is not None and figure.ci[0] > figure.ci[1]:
        field, (low, high) = f"{place}.ci", figure.ci
        raise InvalidBundle(field, f"[{low}, {high}] begins above its end", "write the lower bound first")
