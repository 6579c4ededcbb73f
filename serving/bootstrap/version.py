"""Putting a version replica together: fetch, verify, load, prove it by its golden examples, and only then listen."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from registry_client.client import FetchedBundle
from registry_client.errors import RegistryError
from serving.bootstrap.between import Between, settled
from serving.bootstrap.fetching import fetch
from serving.bootstrap.layout import Layout
from serving.bootstrap.proving import open_proven
from serving.bootstrap.registry import open_published
from serving.core.routing import Target
from serving.dataplane import nodes
from serving.dataplane.addresses import TcpAddress, UnixAddress, published
from serving.dataplane.environments.faults import EnvironmentFailed
from serving.dataplane.environments.shelf import Environments
from serving.dataplane.introductions import Refusals
from serving.dataplane.worker import Worker
from serving.stores.progress_notes import ProgressNotes
from serving.telemetry.logs import configure_logs
from serving.telemetry.prometheus import PrometheusRecorder, start_multiprocess


@dataclass(frozen=True, slots=True)
class VersionPlan:
    """What a version replica is told."""

    layout: Layout
    between: Between | None
    target: Target
    log_json: bool
    body_bytes: int
    spin: float


class NotHere(Exception):
    """A version that its replica's node cannot get at."""

    def __init__(self, node: str, error: Exception) -> None:
        super().__init__(f"on node {node}: {error}")


class VersionService:
    """One replica of one version."""

    def __init__(self, plan: VersionPlan) -> None:
        self._plan = plan
        self._node = nodes.here()
        self._path = plan.layout.sockets / f"{plan.target.digest[:12]}-{os.getpid()}"

    async def start(self) -> Mapping[str, str]:
        """Verify, load, prove, listen. What is raised says why the version is not READY."""
        plan, loop = self._plan, asyncio.get_running_loop()
        configure_logs(json=plan.log_json, file=plan.layout.log)
        # On the loop itself: there is nothing else on it until the version is ready.
        fetched = self._fetch()
        engine = open_proven(fetched, inflate_cap=plan.body_bytes, python=self._environment(fetched))
        self._worker = Worker(engine, plan.target.digest, loop, plan.spin)
        self._path.unlink(missing_ok=True)
        await self._worker.doors.open_unix(self._path)
        return published(self._node.ident, UnixAddress(str(self._path)), await self._open_to_other_nodes())

    def _fetch(self) -> FetchedBundle:
        plan = self._plan
        try:
            return fetch(open_published(plan.layout, self), plan.target, ProgressNotes(plan.layout.progress))
        except (RegistryError, OSError) as error:
            if plan.between is None:
                raise
            raise NotHere(self._node.address, error) from error

    def violated(self, family: str, version: str) -> None:
        """Count a version that was refused for being another; a replica has nothing else to count, so its recorder is made for this."""
        start_multiprocess(self._plan.layout.metrics)
        PrometheusRecorder(self._path.name).violated(family, version)

    def _environment(self, fetched: FetchedBundle) -> Path | None:
        plan = self._plan
        notes = ProgressNotes(plan.layout.progress)
        try:
            return Environments(plan.layout.environments).python_for(fetched.manifest, fetched.path, partial(notes.say, fetched.digest))
        except EnvironmentFailed as error:
            if plan.between is None:
                raise
            raise NotHere(self._node.address, error) from error
        finally:
            notes.clear(fetched.digest)

    async def _open_to_other_nodes(self) -> TcpAddress | None:
        between = self._plan.between
        if between is None:
            return None
        start_multiprocess(self._plan.layout.metrics)
        refusals = Refusals("version", PrometheusRecorder(self._path.name))
        bound = await self._worker.doors.open_tcp(between.bound, between.trust(), refusals)
        return between.told(bound.port)

    async def stop(self) -> None:
        """Hang up and leave no socket behind."""
        self._worker.close()
        await asyncio.sleep(0)
        self._path.unlink(missing_ok=True)


def open_version(plan: VersionPlan) -> VersionService:
    """What Ray is given to make a version replica."""
    return VersionService(replace(plan, layout=settled(plan.layout, clustered=plan.between is not None)))
