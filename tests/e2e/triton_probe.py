"""Drives an installation with `tritonclient`, blocking and asyncio, and prints what came of it as one JSON document.

A program, run in a process of its own: the client brings gevent along. What it shall ask stands on stdin, as `triton.py` writes it.
"""

import asyncio
import inspect
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import tritonclient.http as blocking
import tritonclient.http.aio as asynchronous
from tritonclient.utils import InferenceServerException

Json = dict[str, Any]

FORMS = ("json", "binary")
COMPRESSIONS = (None, "gzip", "deflate")
PARALLEL = 24


async def settled(value: Any) -> Any:
    """The result of a call to either client."""
    return await value if inspect.isawaitable(value) else value


def pixels(rows: list[list[float]], form: str) -> blocking.InferInput:
    values = np.asarray(rows, dtype=np.float32)
    given = blocking.InferInput("pixels", list(values.shape), "FP32")
    given.set_data_from_numpy(values, binary_data=form == "binary")
    return given


def text(rows: list[str], form: str) -> blocking.InferInput:
    values = np.asarray([row.encode() for row in rows] if form == "binary" else rows, dtype=np.object_)
    given = blocking.InferInput("text", [len(rows)], "BYTES")
    given.set_data_from_numpy(values, binary_data=form == "binary")
    return given


def wanted(form: str) -> list[blocking.InferRequestedOutput]:
    return [blocking.InferRequestedOutput(name, binary_data=form == "binary") for name in ("label", "probabilities")]


def read(result: Any) -> Json:
    """An answer's facts; BYTES come as bytes in the binary form and as text in JSON."""
    response, labels = result.get_response(), result.as_numpy("label").tolist()
    return {
        "version": response["model_version"],
        "id": response.get("id"),
        "labels": [label.decode() if isinstance(label, bytes) else label for label in labels],
        "sums": result.as_numpy("probabilities").sum(axis=1).tolist(),
    }


class Probe:
    """Asks one client everything."""

    def __init__(self, client: Any, questions: Json) -> None:
        self.client = client
        self.questions = questions

    async def report(self) -> Json:
        parts: dict[str, Callable[[], Awaitable[Any]]] = {
            "server": self.server,
            "model": self.model,
            "answers": self.answers,
            "slots": self.slots,
            "errors": self.errors,
            "parallel": self.parallel,
        }
        return {name: await part() for name, part in parts.items()}

    async def server(self) -> Json:
        client = self.client
        return {
            "live": await settled(client.is_server_live()),
            "ready": await settled(client.is_server_ready()),
            "metadata": await settled(client.get_server_metadata()),
            "index": await settled(client.get_model_repository_index()),
            "statistics": await settled(client.get_inference_statistics()),
        }

    async def model(self) -> Json:
        client = self.client
        return {
            "ready": await settled(client.is_model_ready("digits")),
            "version_ready": await settled(client.is_model_ready("digits", "1.1.0")),
            "unknown_ready": await settled(client.is_model_ready("nonesuch")),
            "metadata": await settled(client.get_model_metadata("digits")),
            "version_metadata": await settled(client.get_model_metadata("customer-intent", "~2.4")),
            "config": await settled(client.get_model_config("digits")),
            "statistics": await settled(client.get_inference_statistics("digits", "1.0.0")),
        }

    async def answers(self) -> list[Json]:
        return [await self._answer(*how) for how in self._ways()]

    def _ways(self) -> Iterator[tuple[str, str, str, str | None]]:
        yield from product(("digits", "customer-intent"), FORMS, FORMS, COMPRESSIONS)

    async def _answer(self, family: str, sent: str, answered: str, compression: str | None) -> Json:
        rows = self.questions[family]
        given = pixels(rows, sent) if family == "digits" else text(rows, sent)
        result = await settled(
            self.client.infer(
                family,
                [given],
                outputs=wanted(answered),
                request_id=f"{family}-{sent}",
                headers={"X-User-Id": "ada"},
                request_compression_algorithm=compression,
                response_compression_algorithm=compression,
            )
        )
        return {"family": family, "sent": sent, "answered": answered, "compression": compression, **read(result)}

    async def slots(self) -> list[Json]:
        return [await self._slot(family, slot) for family, slot in self.questions["slots"]]

    async def _slot(self, family: str, slot: str) -> Json:
        rows = self.questions[family]
        given = pixels(rows, "binary") if family == "digits" else text(rows, "binary")
        result = await settled(self.client.infer(family, [given], model_version=slot))
        return {"family": family, "slot": slot, **read(result)}

    async def errors(self) -> Json:
        rows = self.questions["digits"]
        right = pixels(rows, "binary")
        narrow = pixels([row[:63] for row in rows], "json")
        asked: dict[str, Callable[[], Any]] = {
            "family": lambda: self.client.infer("nonesuch", [right]),
            "version": lambda: self.client.infer("digits", [right], model_version="9.9.9"),
            "tag": lambda: self.client.infer("digits", [right], model_version="latest"),
            "shape": lambda: self.client.infer("digits", [narrow]),
            "input": lambda: self.client.infer("digits", [text(["seven"], "binary")]),
            "output": lambda: self.client.infer("digits", [right], outputs=[blocking.InferRequestedOutput("nonesuch")]),
            "metadata": lambda: self.client.get_model_metadata("nonesuch"),
            "load": lambda: self.client.load_model("digits"),
        }
        return {name: await self._refusal(ask) for name, ask in asked.items()}

    async def _refusal(self, ask: Callable[[], Any]) -> Json:
        try:
            await settled(ask())
        except InferenceServerException as error:
            return {"status": error.status(), "message": error.message()}
        return {"status": "none", "message": "it was answered"}

    async def parallel(self) -> list[Json]:
        rows = self.questions["digits"]
        if hasattr(self.client, "async_infer"):  # on greenlets
            waiting = [self.client.async_infer("digits", [pixels(rows, "binary")]) for _ in range(PARALLEL)]
            return [read(one.get_result()) for one in waiting]
        return [read(one) for one in await asyncio.gather(*(self.client.infer("digits", [pixels(rows, "json")]) for _ in range(PARALLEL)))]


async def main() -> None:
    questions = json.load(sys.stdin)
    url = questions["url"]
    async with asynchronous.InferenceServerClient(url) as client:
        report = {"asyncio": await Probe(client, questions).report()}
    with blocking.InferenceServerClient(url, concurrency=4) as client:
        report["blocking"] = await Probe(client, questions).report()
    json.dump(report, sys.stdout)


asyncio.run(main())
