"""Runs a version here, for the semver gate: what it answers to golden requests, through its whole pinned pipeline.

Locked Python components run in their own environment, as where they are served; it is built when it is not there.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import msgspec

from registry_client.errors import CannotRun
from registry_client.manifest import Serving
from registry_client.observing import Answer, Json, Readable
from serving.dataplane.address_space import memory_limit
from serving.dataplane.engine import open_engine
from serving.dataplane.environments.shelf import Environments
from serving.dataplane.faults import LoadFailed
from serving.dataplane.memory import load_allowance
from serving.ports import Call, CallKind, Engine
from serving.telemetry.logs import logged_for_people

_OK = 200


@dataclass(frozen=True, slots=True)
class Answering:
    """The gate's `Runs`, with the environments of this machine. `say`: is told how far the building of one has come."""

    environments: Environments
    say: Callable[[str], None]

    def __call__(self, version: Readable, serving: Serving, requests: Sequence[Json]) -> Sequence[Answer]:
        """Load a version with these resources and answer the requests one by one. Raises `CannotRun`."""
        return run_version(version, serving, requests, self._python)

    def _python(self, version: Readable) -> Path | None:
        name = f"{version.manifest.family}@{version.manifest.version}"
        return self.environments.python_for(version.manifest, version.path, lambda progress: self.say(f"{name}: {progress}"))


def _nowhere(_version: Readable) -> Path | None:
    return None


def run_version(
    version: Readable, serving: Serving, requests: Sequence[Json], python_for: Callable[[Readable], Path | None] = _nowhere
) -> Sequence[Answer]:
    """Load a version with these resources and answer the requests one by one. Raises `CannotRun`.

    `python_for`: the interpreter for a version's locked components; without it, a version that has some does not run.
    """
    manifest = msgspec.structs.replace(version.manifest, serving=serving)
    name = f"{manifest.family}@{manifest.version}"
    try:
        # stdout is for the verdict; what is logged and what a component prints is not
        with redirect_stdout(sys.stderr), logged_for_people():
            python = python_for(version)
            # Its golden requests run under the limit too: a small request can ask for all the memory there is.
            with memory_limit(load_allowance(manifest)):
                engine = open_engine(manifest, version.path, python=python)
                return [_answer(engine, request) for request in requests]
    except LoadFailed as error:
        hint = error.hint or "check the model, its pre- and postprocessing, and interface"
        raise CannotRun(name, str(error), hint) from error


def _answer(engine: Engine, request: Json) -> Answer:
    [reply] = engine.run([Call(CallKind.PREDICT, "", msgspec.json.encode(request))])
    document = msgspec.json.decode(reply.body)
    return Answer(document) if reply.status == _OK else Answer(None, f"{reply.status}, {document['error']}")
