"""Runs a version in this process, for the semver gate: what it answers to golden requests, through its whole pinned pipeline."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

import msgspec

from registry_client.errors import CannotRun
from registry_client.manifest import Serving
from registry_client.observing import Answer, Json, Readable
from serving.dataplane.engine import open_engine
from serving.dataplane.faults import LoadFailed
from serving.dataplane.memory import load_allowance, memory_limit
from serving.ports import Call, CallKind, Engine

_OK = 200


def run_version(version: Readable, serving: Serving, requests: Sequence[Json]) -> Sequence[Answer]:
    """Load a version with these resources and answer the requests one by one. Raises `CannotRun`."""
    manifest = msgspec.structs.replace(version.manifest, serving=serving)
    name = f"{manifest.family}@{manifest.version}"
    # stdout is for the verdict; what the engine logs and what a component prints is not.
    # Its golden requests run under the limit too: a small request can ask for all the memory there is.
    with redirect_stdout(sys.stderr), memory_limit(load_allowance(manifest)):
        try:
            engine = open_engine(manifest, version.path)
        except LoadFailed as error:
            hint = error.hint or "check the model, its pre- and postprocessing, and interface"
            raise CannotRun(name, str(error), hint) from error
        return [_answer(engine, request) for request in requests]


def _answer(engine: Engine, request: Json) -> Answer:
    [reply] = engine.run([Call(CallKind.PREDICT, "", msgspec.json.encode(request))])
    document = msgspec.json.decode(reply.body)
    return Answer(document) if reply.status == _OK else Answer(None, f"{reply.status}, {document['error']}")
