"""What a gateway can say about the versions it serves, without asking the store or the registry."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from serving.core.routing import Target
from serving.gateway.messages import Request
from serving.gateway.predict import Gateway
from serving.ports import Call, CallKind, Failure, Reply

METADATA_TIMEOUT_S = 5.0
OK = 200

Document = dict[str, Any]


class NotReady(Exception):
    """A version that cannot be asked now."""


class Catalogue:
    """Answers for the versions of the gateway's route table. `replicas` tells how many a digest has."""

    def __init__(self, gateway: Gateway, replicas: Callable[[str], int]) -> None:
        self._gateway = gateway
        self._replicas = replicas
        self._metadata: dict[str, Document] = {}
        self._was_ready = False

    def is_ready(self) -> bool:
        """Whether every family in production could once be answered; it stays so, one family's trouble is not the gateway's."""
        table = self._gateway.table
        if not self._was_ready:
            productions = [route.production for route in table.families.values() if route.production is not None]
            self._was_ready = self._gateway.has_table and all(self._replicas(target.digest) for target in productions)
        return self._was_ready

    def target(self, family: str, selector: str | None) -> Target:
        """The version a path names. Raises `Refusal` or `InvalidReference`."""
        decision = self._gateway.decide(Request(CallKind.METADATA, family, selector, b"", {}))
        # Asked for no version in particular, the family speaks through production, never through its canary.
        return decision.fallback or decision.target

    def is_target_ready(self, target: Target) -> bool:
        """Whether a version has a replica."""
        return self._replicas(target.digest) > 0

    async def metadata(self, target: Target) -> Document:
        """The v2 model metadata, with every version that is served. Raises `NotReady`."""
        document = self._metadata.get(target.digest)
        if document is None:
            document = self._metadata[target.digest] = await self._ask(target)
        route = self._gateway.table.families[target.family]
        return document | {"versions": [str(version) for version in sorted(route.served)]}

    async def config(self, target: Target) -> Document:
        """The part of Triton's model configuration that clients read. Raises `NotReady`."""
        document = await self.metadata(target)
        return {
            "name": target.family,
            "platform": document["platform"],
            "backend": "onnxruntime",
            "max_batch_size": 0,
            "input": [_configured(tensor) for tensor in document["inputs"]],
            "output": [_configured(tensor) for tensor in document["outputs"]],
        }

    def served(self, family: str | None = None) -> Sequence[Target]:
        """Every version that is served, or those of one family, in their order."""
        routes = self._gateway.table.families.values()
        targets = [target for route in routes if family in {None, route.family} for target in route.served.values()]
        return sorted(targets, key=lambda target: (target.family, target.version))

    def statistics(self, targets: Sequence[Target]) -> list[Document]:
        """Counts of versions since this gateway started; of one that was asked nothing they are zero."""
        totals: dict[Target, tuple[int, int]] = dict.fromkeys(targets, (0, 0))
        for tally in self._gateway.tallies:
            if tally.target in totals:
                requests, failures = totals[tally.target]
                totals[tally.target] = (requests + tally.requests, failures + sum(tally.failures.values()))
        return [_statistics(of, *counts) for of, counts in totals.items()]

    def index(self, *, is_ready: bool = False) -> list[Document]:
        """The v2 repository index: every version that is served, or those that are ready."""
        return [
            {
                "name": target.family,
                "version": str(target.version),
                "state": "READY" if self.is_target_ready(target) else "UNAVAILABLE",
                "reason": "" if self.is_target_ready(target) else "no replica is ready",
            }
            for target in self.served()
            if not is_ready or self.is_target_ready(target)
        ]

    async def _ask(self, target: Target) -> Document:
        waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def replied(reply: Reply) -> None:
            if not waiting.done():
                waiting.set_result(reply)

        deadline = self._gateway.monotonic() + METADATA_TIMEOUT_S
        self._gateway.invoker.invoke(Call(CallKind.METADATA, target.digest, b""), deadline, replied, patient=False)
        reply = await waiting
        if reply.status != OK:
            reason = "did not answer in time" if reply.failure is Failure.TIMEOUT else "has no replica that is ready"
            msg = f"{target.family}@{target.version} {reason}"
            raise NotReady(msg)
        document: Document = msgspec.json.decode(reply.body)
        return document


def _configured(tensor: Document) -> Document:
    datatype = "STRING" if tensor["datatype"] == "BYTES" else tensor["datatype"]
    return {"name": tensor["name"], "data_type": f"TYPE_{datatype}", "dims": tensor["shape"]}


def _statistics(target: Target, requests: int, failures: int) -> Document:
    return {
        "name": target.family,
        "version": str(target.version),
        "inference_count": requests - failures,
        "execution_count": requests - failures,
        "inference_stats": {"success": {"count": requests - failures, "ns": 0}, "fail": {"count": failures, "ns": 0}},
    }
