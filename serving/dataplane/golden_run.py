"""Runs a version's golden examples through the very path that callers take: warm-up, readiness check and smoke test in one."""

from collections.abc import Sequence

import msgspec

from registry_client.golden import GoldenExample, differences
from serving.ports import Call, CallKind, Engine

_OK = 200


def run_golden(engine: Engine, examples: Sequence[GoldenExample], *, digest: str = "") -> list[str]:
    """One sentence for each example whose answer is an error or differs beyond its tolerance; empty when all is well."""
    return [failure for example in examples for failure in _failures(engine, example, digest)]


def _failures(engine: Engine, example: GoldenExample, digest: str) -> list[str]:
    [reply] = engine.run([Call(CallKind.PREDICT, digest, msgspec.json.encode(example.request))])
    answer = msgspec.json.decode(reply.body)
    if reply.status != _OK:
        return [f"golden example {example.name!r} was answered with {reply.status}: {answer['error']}"]
    found = differences(example.response, answer, example.atol, example.rtol)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return [f"golden example {example.name!r}: {found[0]}{more}"] if found else []
