"""Everything here reaches into parts of Ray that are not public; tests/integration checks each of them on the pinned version.

Why each is needed is said beside it. Import this module, and call what it offers, before the process starts or joins Ray.
"""

import logging
from typing import Any

import ray._private.node as ray_node
import ray._private.parameter as ray_parameter
import ray._private.worker as ray_worker
import ray.serve._private.replica as serve_replica
from ray._common.tls_utils import add_port_to_grpc_server


def keep_replicas_on_loopback() -> None:
    """Serve opens a gRPC port on every interface in every replica, with no setting for it; bind it to loopback."""

    def on_loopback(server: Any, address: str) -> Any:  # noqa: ANN401 - gRPC's own types, passed through
        return add_port_to_grpc_server(server, address.replace("[::]", "127.0.0.1"))

    setattr(serve_replica, "add_port_to_grpc_server", on_loopback)  # noqa: B010 - a name that Ray imported, not one that it offers


def start_only_what_serves() -> None:
    """Leave out the dashboard head, the autoscaler's monitor and the log monitor: 210 MB and half of Ray's start-up time.

    None of them takes part in placing or supervising replicas. The agent's fixed port is freed, so that two
    installations on one machine do not wait for each other.
    """
    ray_node.Node.start_monitor = _nothing
    ray_node.Node.start_log_monitor = _nothing
    ray_node.Node.start_api_server = _nothing
    print_no_errors_of_workers()
    original = ray_parameter.RayParams.__init__

    def with_free_agent_port(self: Any, *args: Any, **settings: Any) -> None:  # noqa: ANN401 - Ray's own signature, passed through
        settings.setdefault("dashboard_agent_listen_port", 0)
        original(self, *args, **settings)

    ray_parameter.RayParams.__init__ = with_free_agent_port


def print_no_errors_of_workers() -> None:
    """Ray prints what fails in its workers on the terminal of whoever joined it, also what it tries again by itself."""
    ray_worker.listen_error_messages = _nothing


def quiet_serve_client() -> None:
    """Serve sets its client's logger to INFO whenever it starts; say only what is wrong."""
    logging.getLogger("ray.serve").setLevel(logging.WARNING)


def _nothing(*_args: object, **_settings: object) -> None:
    return None
