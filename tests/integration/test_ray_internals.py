"""What we reach into Ray for, checked on the pinned version without a cluster: when Ray moves one of these, this fails and says which.

Whoever raises Ray's version reads the failing test, then the module that it names.
"""

import asyncio
import dataclasses
import inspect
import mmap
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    # Ray's own, at its import: pydantic finds it old-fashioned.
    warnings.simplefilter("ignore")
    import ray
    import ray._private.node as ray_node
    import ray._private.services as ray_services
    import ray._private.worker as ray_worker
    import ray._raylet
    import ray.serve._private.constants as serve_constants
    import ray.serve._private.replica as serve_replica
    from ray import cloudpickle, serve
    from ray._common.tls_utils import add_port_to_grpc_server
    from ray.serve._private.common import DeploymentHandleSource, DeploymentID, RunningReplicaInfo
    from ray.serve._private.request_router.pow_2_router import PowerOfTwoChoicesRequestRouter
    from ray.serve._private.request_router.replica_wrapper import RunningReplica
    from ray.serve.api import RunTarget
    from ray.serve.config import RequestRouterConfig
    from ray.serve.handle import DeploymentHandle
    from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview, DeploymentStatusOverview, ReplicaState

    from serving.dataplane import (
        cluster,
        discovery_router,
        fleet,
        membership,
        node_agent,
        nodes,
        ray_internals,
        replicas,
        serve_internals,
        watching,
    )

RAY = Path(ray.__file__).parent
raylet: Any = ray._raylet  # compiled, and not all of it is described
ROUTER = "serving.dataplane.discovery_router:DiscoveryRouter"


def parameters(function: object) -> set[str]:
    return set(inspect.signature(function).parameters)  # type: ignore[arg-type] # whatever stands there now


# --- serve_internals ---


class GrpcServer:
    """Remembers where it was told to listen."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    def add_insecure_port(self, address: str) -> int:
        self.addresses.append(address)
        return 1


def test_a_replicas_grpc_server_is_bound_through_the_name_that_we_replace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_replica, "add_port_to_grpc_server", add_port_to_grpc_server)
    server = GrpcServer()

    serve_internals.keep_replicas_on_loopback()
    port = serve_replica.add_port_to_grpc_server(server, "[::]:0")

    assert (port, server.addresses) == (1, ["127.0.0.1:0"])
    assert 'add_port_to_grpc_server(self._server, "[::]:0")' in inspect.getsource(serve_replica)


# --- ray_internals ---


@pytest.fixture
def trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray as `start_only_what_serves` leaves it, for one test."""
    for name in ("start_monitor", "start_log_monitor", "start_api_server"):
        monkeypatch.setattr(ray_node.Node, name, getattr(ray_node.Node, name))
    monkeypatch.setattr(ray_worker, "listen_error_messages", ray_worker.listen_error_messages)
    monkeypatch.setattr(ray_services, "start_ray_process", lambda command, kind, **_: [kind, *command])
    ray_internals.start_only_what_serves()


@pytest.mark.usefixtures("trimmed")
def test_a_node_starts_its_parts_through_the_methods_that_we_replace() -> None:
    starting = inspect.getsource(ray_node.Node.start_head_processes) + inspect.getsource(ray_node.Node.start_ray_processes)

    assert all(f"self.{name}(" in starting for name in ("start_monitor", "start_log_monitor", "start_api_server"))
    assert ray_node.Node.start_api_server(None, include_dashboard=False, raise_on_failure=False) is None
    assert "target=listen_error_messages" in inspect.getsource(ray_worker.connect)


RAYLET = ["raylet", "--node_id=ab", "--session_dir=/a b", "--num_prestart_python_workers=2", "--dashboard_agent_command=python agent.py"]


@pytest.mark.usefixtures("trimmed")
def test_a_raylet_is_told_to_start_our_agent_and_one_worker() -> None:
    kind, *command = ray_services.start_ray_process(RAYLET, "raylet")

    agent = subprocess.list2cmdline([sys.executable, "-I", "-S", node_agent.__file__, "/a b", "ab"])
    assert kind == "raylet"
    assert command == [*RAYLET[:3], "--num_prestart_python_workers=1", f"--dashboard_agent_command={agent}"]


@pytest.mark.usefixtures("trimmed")
def test_whatever_else_ray_starts_is_started_as_it_says() -> None:
    assert ray_services.start_ray_process(["gcs_server", "--session_dir=/a"], "gcs") == ["gcs", "gcs_server", "--session_dir=/a"]


def test_a_raylet_is_started_through_the_function_that_we_replace_with_the_options_that_we_change() -> None:
    starting = inspect.getsource(ray_services.start_raylet)

    assert "process_info = start_ray_process(\n" in starting
    assert all(f'"{option}={{}}".format(' in starting for option in (ray_internals.AGENT_OPTION, ray_internals.PRESTART_OPTION))
    assert all(option in starting for option in ('f"--session_dir={session_dir}"', 'f"--node_id={node_id}"'))


# --- node_agent ---

AWAITED = (raylet.METRICS_AGENT_PORT_NAME, raylet.METRICS_EXPORT_PORT_NAME, raylet.DASHBOARD_AGENT_LISTEN_PORT_NAME)


def test_the_agent_tells_a_raylet_what_it_waits_for_and_ends_with_it(tmp_path: Path) -> None:
    node = ray.NodeID.from_random().hex()
    agent = subprocess.Popen([sys.executable, "-I", "-S", node_agent.__file__, str(tmp_path), node], stdin=subprocess.PIPE)

    ports = [raylet.wait_for_persisted_port(str(tmp_path), node, name, timeout_ms=20_000) for name in AWAITED]

    assert (ports, agent.poll()) == ([-1] * 3, None)
    agent.communicate(timeout=20)
    assert agent.returncode == 0


def test_the_agent_says_what_rays_own_says_without_the_dashboards_packages() -> None:
    own = (RAY / "dashboard" / "agent.py").read_text("utf-8")

    assert node_agent.PORTS == AWAITED
    assert own.count("persist_port(") == 4, "three without the packages, and the port of the metrics with them"
    assert node_agent.NOWHERE == "-1"


# --- preloaded ---


def test_a_worker_imports_what_it_is_told_to_before_it_works() -> None:
    worker = (RAY / "_private" / "workers" / "default_worker.py").read_text("utf-8")

    assert "try_import_each_module(module_names_to_import)" in worker
    assert worker.index("try_import_each_module(") < worker.index("worker.main_loop()")


# --- membership and discovery_router ---


def test_a_handle_starts_its_long_poll_without_a_request() -> None:
    inspect.signature(DeploymentHandle.__init__).bind(None, membership.DEPLOYMENT, "application")
    inspect.signature(DeploymentHandle._init).bind(None)

    assert "self._router" in inspect.getsource(DeploymentHandle._init)


def test_the_list_of_running_replicas_carries_their_metadata() -> None:
    assert "replica_metadata" in {field.name for field in dataclasses.fields(RunningReplicaInfo)}
    assert isinstance(RunningReplica.replica_metadata, property)
    assert serve_constants.RECORD_REPLICA_METADATA_METHOD == "record_replica_metadata"
    assert callable(replicas.Replica.record_replica_metadata)


@dataclasses.dataclass(frozen=True)
class Running:
    """As much of a running replica as a router looks at when it is told of it."""

    replica_id: str
    replica_metadata: dict[str, str]
    node_id: str = "node"
    availability_zone: str | None = None
    multiplexed_model_ids: frozenset[str] = frozenset()


class Router(discovery_router.DiscoveryRouter):
    """Does not ask the replicas how long their queues are; there are none."""

    async def _probe_queue_lens(self, *_: object) -> list[object]:
        return []


async def test_the_router_is_told_of_every_list_of_replicas_and_passes_it_on() -> None:
    heard: list[tuple[str, tuple[Mapping[str, str], ...]]] = []
    watching._listeners.append(listener := lambda *news: heard.append(news))
    try:
        router = Router(deployment_id=DeploymentID(membership.DEPLOYMENT, "version-ab"), handle_source=DeploymentHandleSource.REPLICA)
        router.update_replicas([Running("1", {"unix": "/run/1", "pid": "7"}), Running("2", {})])
        router.update_replicas([])
        await asyncio.sleep(0)
    finally:
        watching._listeners.remove(listener)

    assert heard == [("version-ab", ({"unix": "/run/1", "pid": "7"},)), ("version-ab", ())]
    assert {"self", "replicas"} == parameters(PowerOfTwoChoicesRequestRouter.update_replicas)


def test_serve_pickles_the_router_and_still_feeds_the_imported_module() -> None:
    config = RequestRouterConfig(request_router_class=ROUTER)

    router = cloudpickle.loads(cloudpickle.dumps(config.get_request_router_class()))

    assert router.update_replicas.__name__ == "update_replicas"
    assert "watching" not in router.update_replicas.__globals__
    assert issubclass(router, PowerOfTwoChoicesRequestRouter)


# --- replicas ---


def test_serve_calls_the_health_check_and_the_destructor_of_a_replica() -> None:
    assert serve_constants.HEALTH_CHECK_METHOD == "check_health"
    assert "self._callable.__del__" in inspect.getsource(serve_replica)


# --- fleet ---


def test_a_deployment_takes_every_option_that_we_give() -> None:
    options: dict[str, Any] = fleet.deployment_options("version", 1, {"node:10.0.0.1": nodes.SLIVER})
    options |= {"max_constructor_retry_count": fleet.CONSTRUCTOR_TRIES, "max_replicas_per_node": 1}

    deployment = serve.deployment(replicas.Replica).options(
        **options, request_router_config=RequestRouterConfig(request_router_class=ROUTER)
    )

    assert (deployment.name, deployment.num_replicas) == ("version", 1)
    assert deployment.bind(None) is not None


def test_applications_are_started_watched_and_deleted_by_the_calls_that_we_make() -> None:
    assert {"target", "name", "route_prefix"} <= parameters(RunTarget)
    assert {"targets", "wait_for_ingress_deployment_creation", "wait_for_applications_running"} <= parameters(serve.run_many)
    assert {"name", "_blocking"} <= parameters(serve.delete)
    assert {"status", "message", "deployments"} <= {field.name for field in dataclasses.fields(ApplicationStatusOverview)}
    assert {"message", "replica_states"} <= {field.name for field in dataclasses.fields(DeploymentStatusOverview)}
    assert ReplicaState.RUNNING == "RUNNING"


def test_every_status_of_an_application_has_a_meaning_here() -> None:
    assert set(fleet._STATES) == set(ApplicationStatus)


# --- cluster ---


def test_ray_and_serve_take_what_we_start_them_with() -> None:
    source = inspect.getsource(ray.init)

    assert all(f'kwargs.pop("{name}"' in source for name in ("_temp_dir", "_node_ip_address"))
    assert {"include_dashboard", "log_to_driver", "logging_level", "num_cpus", "num_gpus", "object_store_memory"} <= parameters(ray.init)
    assert {"proxy_location", "logging_config"} <= parameters(serve.start)
    assert serve.config.ProxyLocation.Disabled == "Disabled"


@pytest.fixture(scope="module")
def ray_sources() -> Iterator[list[Any]]:
    """Ray's Python files and its compiled core, to be searched for names."""
    texts: list[Any] = [path.read_bytes() for part in ("_private", "_common", "serve", "util") for path in (RAY / part).rglob("*.py")]
    with (RAY / "_raylet.so").open("rb") as core, mmap.mmap(core.fileno(), 0, access=mmap.ACCESS_READ) as compiled:
        yield [*texts, compiled]


@pytest.mark.parametrize("variable", sorted(cluster._environment(Path("token"))))
def test_ray_knows_every_variable_that_we_set(ray_sources: list[Any], variable: str) -> None:
    setting = variable.removeprefix("RAY_")
    # Ray's own settings are spelt in lower case, and its core puts the prefix before them.
    name = (setting if setting[0].islower() else variable).encode()

    assert any(text.find(name) >= 0 for text in ray_sources), f"Ray does not know {variable} any more"
